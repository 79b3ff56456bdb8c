//! gateway.networking.k8s.io/v1 GatewayClass: which controller a Gateway is for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reference::ParametersReference;
use super::rules::{IMMUTABLE, Rules};
use crate::faults::Faults;
use crate::format;
use crate::meta::{Condition, ObjectMeta, is_default};

/// gateway.networking.k8s.io/v1 GatewayClass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayClass {
    /// Name, labels, versions.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: GatewayClassSpec,
    /// What is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub status: GatewayClassStatus,
}

/// `spec` of a GatewayClass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayClassSpec {
    /// `domain/path` of the controller; immutable.
    #[schemars(length(min = 1, max = 253), regex(pattern = format::DOMAIN_PATH))]
    pub controller_name: String,
    /// Parameters of the class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters_ref: Option<ParametersReference>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub description: Option<String>,
}

/// `status` of a GatewayClass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayClassStatus {
    /// `Accepted`, `SupportedVersion`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Features of the controller, sorted by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub supported_features: Vec<SupportedFeature>,
}

/// A feature of the Gateway API that the controller has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SupportedFeature {
    /// Name of the feature.
    pub name: String,
}

impl Rules for GatewayClass {
    fn check(&self, _version: &str, _faults: &mut Faults) {}

    fn check_update(&self, old: &Self, faults: &mut Faults) {
        if self.spec.controller_name != old.spec.controller_name {
            faults.broken_rule(
                "spec.controllerName",
                IMMUTABLE,
                format_args!(
                    "it is {:?} and cannot become {:?}; create another GatewayClass",
                    old.spec.controller_name, self.spec.controller_name
                ),
            );
        }
    }

    fn wants_same(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}
