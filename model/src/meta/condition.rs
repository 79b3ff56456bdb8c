//! Conditions: what a controller says of an object.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Timestamp;
use crate::format;

/// `status` of a condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// Holds.
    True,
    /// Does not hold; the reason says why.
    False,
    /// Not known yet.
    #[default]
    Unknown,
}

/// One entry of `status.conditions` (Kubernetes meta/v1 Condition).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Condition type, unique in its list.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 316), regex(pattern = format::CONDITION_TYPE))]
    pub condition_type: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// `metadata.generation` that was looked at.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub observed_generation: i64,
    /// When `status` last flipped.
    pub last_transition_time: Timestamp,
    /// One word for programs.
    #[schemars(length(min = 1, max = 1024), regex(pattern = format::CONDITION_REASON))]
    pub reason: String,
    /// A sentence for the person who must fix it.
    #[schemars(length(max = 32_768))]
    pub message: String,
}
