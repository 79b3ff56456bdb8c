//! gateway.networking.k8s.io/v1 ReferenceGrant: who in other namespaces may refer to objects of this one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::Rules;
use crate::faults::Faults;
use crate::format;
use crate::meta::ObjectMeta;

/// gateway.networking.k8s.io/v1 ReferenceGrant. It has no status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReferenceGrant {
    /// Name, labels, versions.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is allowed.
    pub spec: ReferenceGrantSpec,
}

/// `spec` of a ReferenceGrant: each of `from` may refer to each of `to`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReferenceGrantSpec {
    /// Who may refer.
    #[schemars(length(min = 1, max = 16))]
    pub from: Vec<ReferenceGrantFrom>,
    /// To what in the grant's own namespace.
    #[schemars(length(min = 1, max = 16))]
    pub to: Vec<ReferenceGrantTo>,
}

/// Objects that may refer: all of a kind in one namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReferenceGrantFrom {
    /// Group of the referrer; empty for the core group.
    #[schemars(length(max = 253), regex(pattern = format::GROUP))]
    pub group: String,
    /// Kind of the referrer.
    #[schemars(length(min = 1, max = 63), regex(pattern = format::KIND))]
    pub kind: String,
    /// Namespace of the referrer.
    #[schemars(length(min = 1, max = 63), regex(pattern = format::DNS_LABEL))]
    pub namespace: String,
}

/// Objects that may be referred to: all of a kind, or one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReferenceGrantTo {
    /// Group of the referent; empty for the core group.
    #[schemars(length(max = 253), regex(pattern = format::GROUP))]
    pub group: String,
    /// Kind of the referent.
    #[schemars(length(min = 1, max = 63), regex(pattern = format::KIND))]
    pub kind: String,
    /// Name of the referent; absent means every one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
}

impl ReferenceGrant {
    /// Whether an object of `from_kind` in `from_namespace` may refer to the object of `to_kind` with this name in the
    /// grant's own namespace. Each kind comes with its group.
    pub fn allows(&self, from: (&str, &str), from_namespace: &str, to: (&str, &str), name: &str) -> bool {
        let referrer = self
            .spec
            .from
            .iter()
            .any(|entry| (entry.group.as_str(), entry.kind.as_str()) == from && entry.namespace == from_namespace);
        referrer
            && self.spec.to.iter().any(|entry| {
                (entry.group.as_str(), entry.kind.as_str()) == to
                    && entry.name.as_deref().is_none_or(|granted| granted == name)
            })
    }
}

impl Rules for ReferenceGrant {
    fn check(&self, _version: &str, _faults: &mut Faults) {}

    fn wants_same(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}
