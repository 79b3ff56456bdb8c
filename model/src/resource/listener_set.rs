//! gateway.networking.k8s.io/v1 ListenerSet: more listeners for a Gateway, perhaps of another team.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gateway::ListenerStatus;
use super::listener::{Listener, check_listeners};
use super::reference::ParentGatewayReference;
use super::rules::Rules;
use crate::faults::Faults;
use crate::meta::{Condition, ObjectMeta, is_default};

/// gateway.networking.k8s.io/v1 ListenerSet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListenerSet {
    /// Name, labels, versions.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: ListenerSetSpec,
    /// What is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub status: ListenerSetStatus,
}

/// `spec` of a ListenerSet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListenerSetSpec {
    /// The Gateway to attach to.
    pub parent_ref: ParentGatewayReference,
    /// Listeners, by unique name.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub listeners: Vec<Listener>,
}

/// `status` of a ListenerSet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ListenerSetStatus {
    /// `Accepted`, `Programmed`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// One for each listener.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub listeners: Vec<ListenerStatus>,
}

impl Rules for ListenerSet {
    fn check(&self, _version: &str, faults: &mut Faults) {
        check_listeners(&self.spec.listeners, faults);
    }

    fn wants_same(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}
