//! core/v1 Service: a name for ports, served by the endpoints of its EndpointSlices.
//!
//! All fields of core/v1 are there, so that manifests written for Kubernetes pass strict validation. Only `ports` and
//! `type` have meaning here; nothing selects pods and no cluster address is given out.

mod defaults;
pub(crate) mod port;
mod rules;
pub(crate) mod status;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::port::ServicePort;
use self::status::ServiceStatus;
use crate::meta::{ObjectMeta, is_default};

/// core/v1 Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Name, labels, versions.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    #[serde(default)]
    pub spec: ServiceSpec,
    /// What is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub status: ServiceStatus,
}

/// `spec` of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// Ports; needed unless the Service is headless or external.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["port", "protocol"],
        "x-kubernetes-patch-strategy" = "merge", "x-kubernetes-patch-merge-key" = "port"))]
    pub ports: Vec<ServicePort>,
    /// Kept; endpoints come from EndpointSlices.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub selector: BTreeMap<String, String>,
    /// Kept; `None` makes the Service headless.
    #[serde(rename = "clusterIP", skip_serializing_if = "String::is_empty")]
    pub cluster_ip: String,
    /// Kept.
    #[serde(rename = "clusterIPs", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub cluster_ips: Vec<String>,
    /// How the Service is exposed; `ExternalName` cannot be a backend.
    #[serde(rename = "type")]
    pub service_type: ServiceType,
    /// Kept.
    #[serde(rename = "externalIPs", skip_serializing_if = "Vec::is_empty")]
    pub external_ips: Vec<String>,
    /// Kept; affinity is a policy of the route.
    pub session_affinity: SessionAffinity,
    /// Kept.
    #[serde(rename = "loadBalancerIP", skip_serializing_if = "String::is_empty")]
    pub load_balancer_ip: String,
    /// Kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub load_balancer_source_ranges: Vec<String>,
    /// DNS name that stands in for the Service when `type` is `ExternalName`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub external_name: String,
    /// Kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<ExternalTrafficPolicy>,
    /// Kept.
    #[serde(skip_serializing_if = "is_default")]
    pub health_check_node_port: u16,
    /// Whether endpoints that are not ready are published as if they were; kept.
    #[serde(skip_serializing_if = "is_default")]
    pub publish_not_ready_addresses: bool,
    /// Kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_affinity_config: Option<SessionAffinityConfig>,
    /// Kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub ip_families: Vec<IpFamily>,
    /// Kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_family_policy: Option<IpFamilyPolicy>,
    /// Kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocate_load_balancer_node_ports: Option<bool>,
    /// Kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer_class: Option<String>,
    /// Kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internal_traffic_policy: Option<InternalTrafficPolicy>,
    /// Kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic_distribution: Option<String>,
}

/// How a Service is exposed in Kubernetes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// Inside the cluster.
    #[default]
    ClusterIP,
    /// On a port of every machine.
    NodePort,
    /// By a load balancer.
    LoadBalancer,
    /// As an alias of a DNS name.
    ExternalName,
}

/// `sessionAffinity` of a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SessionAffinity {
    /// No affinity.
    #[default]
    None,
    /// By client address.
    ClientIP,
}

/// `externalTrafficPolicy` of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExternalTrafficPolicy {
    /// To any endpoint.
    Cluster,
    /// To endpoints on the receiving machine.
    Local,
}

/// `internalTrafficPolicy` of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum InternalTrafficPolicy {
    /// To any endpoint.
    Cluster,
    /// To endpoints on the sending machine.
    Local,
}

/// Address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum IpFamily {
    /// IPv4
    IPv4,
    /// IPv6
    IPv6,
}

/// `ipFamilyPolicy` of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IpFamilyPolicy {
    /// One family.
    SingleStack,
    /// Two families where the cluster has them.
    PreferDualStack,
    /// Two families.
    RequireDualStack,
}

/// `sessionAffinityConfig` of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionAffinityConfig {
    /// For affinity by client address.
    #[serde(rename = "clientIP", skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<ClientIpConfig>,
}

/// Figures of affinity by client address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientIpConfig {
    /// How long a client stays with its endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub timeout_seconds: Option<u32>,
}
