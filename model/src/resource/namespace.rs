//! core/v1 Namespace: a room for names; its labels decide which routes a listener admits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::Rules;
use crate::faults::Faults;
use crate::format::is_label_value;
use crate::meta::rules::{NameRule, check_qualified_name};
use crate::meta::{Condition, ObjectMeta, is_default};

/// core/v1 Namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Namespace {
    /// Name, labels, versions.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub spec: NamespaceSpec,
    /// What is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub status: NamespaceStatus,
}

/// `spec` of a Namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NamespaceSpec {
    /// Kept, never waited for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub finalizers: Vec<String>,
}

/// `status` of a Namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NamespaceStatus {
    /// Whether objects can be created in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<NamespacePhase>,
    /// Conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"],
        "x-kubernetes-patch-strategy" = "merge", "x-kubernetes-patch-merge-key" = "type"))]
    pub conditions: Vec<Condition>,
}

/// Phase of a Namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NamespacePhase {
    /// In use.
    Active,
    /// Being deleted.
    Terminating,
}

impl Namespace {
    /// Label that holds the namespace's own name, so that selectors can choose it.
    pub const NAME_LABEL: &'static str = "kubernetes.io/metadata.name";
}

impl Rules for Namespace {
    const NAMES: NameRule = NameRule::Label;

    fn fill_defaults(&mut self) {
        let meta = &mut self.metadata;
        // A name that is no label is a fault of its own.
        if !meta.name.is_empty() && is_label_value(&meta.name) {
            meta.labels.insert(Self::NAME_LABEL.to_owned(), meta.name.clone());
        }
    }

    fn check(&self, _version: &str, faults: &mut Faults) {
        for (index, finalizer) in self.spec.finalizers.iter().enumerate() {
            check_qualified_name(finalizer, &format!("spec.finalizers[{index}]"), faults);
        }
    }

    fn wants_same(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}
