//! guideway.dev/v1alpha1 Backend: endpoints by address or by name.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reference::weight_one;
use super::rules::{Rules, check_endpoint_address, repeated};
use crate::faults::Faults;
use crate::format::{self, is_label_value, labels_fit};
use crate::meta::{Condition, ObjectMeta, is_default};

/// guideway.dev/v1alpha1 Backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backend {
    /// Name, labels, versions.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: BackendSpec,
    /// What is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub status: BackendStatus,
}

/// `spec` of a Backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackendSpec {
    /// Where connections can go; each address and port once.
    #[schemars(length(min = 1, max = 1000))]
    pub endpoints: Vec<BackendEndpoint>,
}

/// One endpoint of a Backend, by `ip` or by `hostname`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackendEndpoint {
    /// Address; either this or `hostname`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", ip)]
    pub ip: Option<IpAddr>,
    /// DNS name (RFC 1123), resolved by the nodes; either this or `ip`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = format::DNS_SUBDOMAIN))]
    pub hostname: Option<String>,
    /// Port.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// Share of the traffic, relative to the other endpoints; 0 means none.
    #[serde(default = "weight_one")]
    #[schemars(range(max = 1_000_000))]
    pub weight: u32,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub zone: Option<String>,
}

/// `status` of a Backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendStatus {
    /// `Accepted`, `ResolvedRefs`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

impl Rules for Backend {
    fn check(&self, _version: &str, faults: &mut Faults) {
        let endpoints = &self.spec.endpoints;
        for (index, endpoint) in endpoints.iter().enumerate() {
            endpoint.check(&format!("spec.endpoints[{index}]"), faults);
        }
        let identity = |endpoint: &BackendEndpoint| (endpoint.ip, endpoint.hostname.clone(), endpoint.port);
        for (index, first) in repeated(endpoints.iter().map(identity)) {
            faults.duplicate(
                format!("spec.endpoints[{index}]"),
                format_args!("address and port are those of spec.endpoints[{first}] too"),
            );
        }
    }

    fn wants_same(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

impl BackendEndpoint {
    fn check(&self, path: &str, faults: &mut Faults) {
        match (self.ip, &self.hostname) {
            (Some(_), Some(_)) => faults.forbidden(
                format!("{path}.hostname"),
                "must not be set beside ip: exactly one of ip and hostname says where the endpoint is",
            ),
            (None, None) => faults.required(
                path,
                "ip or hostname must be set: exactly one of them says where the endpoint is",
            ),
            (Some(ip), None) => check_endpoint_address(ip, &format!("{path}.ip"), faults),
            (None, Some(name)) => check_hostname(name, &format!("{path}.hostname"), faults),
        }
        if let Some(zone) = &self.zone
            && !is_label_value(zone)
        {
            faults.invalid_text(
                format!("{path}.zone"),
                zone,
                "must be letters, digits, '-', '_' and '.', starting and ending with a letter or digit",
            );
        }
    }
}

fn check_hostname(name: &str, path: &str, faults: &mut Faults) {
    if name.parse::<IpAddr>().is_ok() {
        faults.invalid_text(path, name, "is an address, must be a DNS name; use ip for addresses");
    } else if !labels_fit(name) {
        faults.invalid_text(path, name, "must have at most 63 characters between dots (RFC 1123)");
    }
}
