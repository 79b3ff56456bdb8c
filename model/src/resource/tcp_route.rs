//! gateway.networking.k8s.io/v1 TCPRoute: which endpoints a TCP listener's connections go to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::route::{RouteSpec, RouteStatus};
use super::rules::Rules;
use crate::faults::Faults;
use crate::meta::{ObjectMeta, is_default};

/// gateway.networking.k8s.io/v1 TCPRoute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TcpRoute {
    /// Name, labels, versions.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: RouteSpec,
    /// What is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub status: RouteStatus,
}

impl Rules for TcpRoute {
    fn check(&self, version: &str, faults: &mut Faults) {
        self.spec.check(version, faults);
    }

    fn wants_same(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}
