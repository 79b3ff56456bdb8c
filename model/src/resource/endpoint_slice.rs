//! discovery.k8s.io/v1 EndpointSlice: where a Service's connections can go.

mod rules;

use std::collections::BTreeMap;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reference::ObjectReference;
use super::service::port::IpProtocol;
use crate::meta::{ObjectMeta, is_default};

/// discovery.k8s.io/v1 EndpointSlice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSlice {
    /// Name, labels, versions.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What the addresses are; immutable.
    pub address_type: AddressType,
    /// Where connections can go.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub endpoints: Vec<SliceEndpoint>,
    /// Ports of each endpoint; empty means none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20_000))]
    pub ports: Vec<EndpointPort>,
}

/// What the addresses of an EndpointSlice are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AddressType {
    /// IPv4 addresses.
    #[default]
    IPv4,
    /// IPv6 addresses.
    IPv6,
    /// Fully qualified domain names.
    #[serde(rename = "FQDN")]
    Fqdn,
}

/// One endpoint of an EndpointSlice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SliceEndpoint {
    /// Addresses of the one endpoint, all alike; the first is used.
    #[schemars(length(min = 1, max = 100))]
    pub addresses: Vec<String>,
    /// Whether it serves.
    #[serde(default, skip_serializing_if = "is_default")]
    pub conditions: EndpointConditions,
    /// Its own host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// What it stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_ref: Option<ObjectReference>,
    /// The machine it runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Who should use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hints: Option<EndpointHints>,
    /// Labels of its place, from `v1beta1`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub deprecated_topology: BTreeMap<String, String>,
}

/// Whether an endpoint serves; absent means unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointConditions {
    /// Takes new connections; absent means true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// Answers, perhaps while it terminates; absent means as `ready`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serving: Option<bool>,
    /// Is being shut down; absent means false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminating: Option<bool>,
}

impl EndpointConditions {
    /// Whether new connections may be sent here (Kubernetes: unknown counts as ready).
    pub fn is_ready(self) -> bool {
        self.ready.unwrap_or(true)
    }

    /// Whether it answers, perhaps while it shuts down.
    pub fn is_serving(self) -> bool {
        self.serving.unwrap_or(self.is_ready())
    }
}

/// Who should use an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointHints {
    /// Zones that should use it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub for_zones: Vec<ForZone>,
    /// Machines that should use it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub for_nodes: Vec<ForNode>,
}

/// A zone that should use an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForZone {
    /// Name of the zone.
    pub name: String,
}

/// A machine that should use an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForNode {
    /// Name of the machine.
    pub name: String,
}

/// One port of each endpoint of a slice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointPort {
    /// Name of the Service port that it serves; empty for the only one.
    #[serde(default)]
    pub name: String,
    /// Transport protocol.
    #[serde(default)]
    pub protocol: IpProtocol,
    /// Number; absent means that the consumer decides, which leaves nothing to connect to here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// What is spoken on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_protocol: Option<String>,
}

impl EndpointSlice {
    /// Label that says which Service a slice belongs to.
    pub const SERVICE_NAME_LABEL: &'static str = "kubernetes.io/service-name";

    /// Name of the Service, in the slice's own namespace, that these endpoints belong to.
    pub fn service_name(&self) -> Option<&str> {
        self.metadata.labels.get(Self::SERVICE_NAME_LABEL).map(String::as_str)
    }

    /// The first of the addresses of one of its endpoints, which are all alike; canonical. Names are not looked up: a
    /// Backend is for that.
    pub fn address(&self, endpoint: &SliceEndpoint) -> Option<IpAddr> {
        let ip: IpAddr = endpoint.addresses.first()?.parse().ok()?;
        match self.address_type {
            AddressType::IPv4 | AddressType::IPv6 => Some(ip.to_canonical()),
            AddressType::Fqdn => None,
        }
    }
}
