//! gateway.networking.k8s.io/v1 TLSRoute: which endpoints the connections for a host name go to.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::route::{RouteSpec, RouteStatus};
use super::rules::Rules;
use crate::faults::Faults;
use crate::format;
use crate::meta::{ObjectMeta, is_default};

/// gateway.networking.k8s.io/v1 TLSRoute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsRoute {
    /// Name, labels, versions.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: TlsRouteSpec,
    /// What is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub status: RouteStatus,
}

/// `spec` of a TLSRoute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsRouteSpec {
    /// Parents and rules.
    #[serde(flatten)]
    pub route: RouteSpec,
    /// Names that clients ask for (SNI), perhaps with a wildcard as first label. Optional only in `v1alpha2`, where none
    /// means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), extend("items" = hostname()))]
    pub hostnames: Vec<String>,
}

impl TlsRouteSpec {
    /// Whether a TLSRoute of this version must have host names.
    pub(crate) fn needs_hostnames(version: &str) -> bool {
        version != "v1alpha2"
    }
}

impl Rules for TlsRoute {
    fn check(&self, version: &str, faults: &mut Faults) {
        let hostnames = &self.spec.hostnames;
        if hostnames.is_empty() && TlsRouteSpec::needs_hostnames(version) {
            faults.required("spec.hostnames", "0 entries: must be at least 1");
        }
        if let Some(address) = hostnames.iter().find(|name| name.parse::<IpAddr>().is_ok()) {
            let message = "Hostnames cannot contain an IP";
            faults.broken_rule("spec.hostnames", message, format_args!("{address:?}"));
        }
        self.spec.route.check(version, faults);
    }

    fn wants_same(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

fn hostname() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 253, "pattern": format::HOSTNAME })
}
