//! gateway.networking.k8s.io/v1 UDPRoute: which endpoints a UDP listener's flows go to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::route::{RouteSpec, RouteStatus};
use super::rules::Rules;
use crate::faults::Faults;
use crate::meta::{ObjectMeta, is_default};

/// gateway.networking.k8s.io/v1 UDPRoute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UdpRoute {
    /// Name, labels, versions.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: RouteSpec,
    /// What is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub status: RouteStatus,
}

impl Rules for UdpRoute {
    fn check(&self, version: &str, faults: &mut Faults) {
        self.spec.check(version, faults);
    }

    fn wants_same(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}
