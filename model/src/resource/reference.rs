//! References from one object to another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format;
use crate::meta::Uid;

/// API group of the Gateway API.
pub const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";

/// The parent that a route wants to attach to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParentReference {
    /// Group of the parent.
    #[serde(default = "gateway_group")]
    #[schemars(length(max = 253), regex(pattern = format::GROUP))]
    pub group: String,
    /// Kind of the parent.
    #[serde(default = "gateway_kind")]
    #[schemars(length(min = 1, max = 63), regex(pattern = format::KIND))]
    pub kind: String,
    /// Namespace of the parent; absent means the route's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = format::DNS_LABEL))]
    pub namespace: Option<String>,
    /// Name of the parent.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Listener of the parent; absent means each that allows the route.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = format::DNS_SUBDOMAIN))]
    pub section_name: Option<String>,
    /// Port of the listeners; absent means any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
}

impl ParentReference {
    /// Namespace of the parent for a route in `route_namespace`.
    pub fn namespace_or<'a>(&'a self, route_namespace: &'a str) -> &'a str {
        self.namespace.as_deref().unwrap_or(route_namespace)
    }

    /// Whether the parent is a Gateway.
    pub fn is_gateway(&self) -> bool {
        self.group == GATEWAY_GROUP && self.kind == "Gateway"
    }

    /// Whether the parent is a ListenerSet.
    pub fn is_listener_set(&self) -> bool {
        self.group == GATEWAY_GROUP && self.kind == "ListenerSet"
    }
}

/// The Gateway that a ListenerSet wants to attach to.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParentGatewayReference {
    /// Group of the parent.
    #[serde(default = "gateway_group")]
    #[schemars(length(max = 253), regex(pattern = format::GROUP))]
    pub group: String,
    /// Kind of the parent.
    #[serde(default = "gateway_kind")]
    #[schemars(length(min = 1, max = 63), regex(pattern = format::KIND))]
    pub kind: String,
    /// Namespace of the parent; absent means the ListenerSet's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = format::DNS_LABEL))]
    pub namespace: Option<String>,
    /// Name of the parent.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

impl ParentGatewayReference {
    /// Namespace of the parent for a ListenerSet in `own_namespace`.
    pub fn namespace_or<'a>(&'a self, own_namespace: &'a str) -> &'a str {
        self.namespace.as_deref().unwrap_or(own_namespace)
    }

    /// Whether the parent is a Gateway.
    pub fn is_gateway(&self) -> bool {
        self.group == GATEWAY_GROUP && self.kind == "Gateway"
    }
}

/// Where a rule sends its traffic, with its share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackendRef {
    /// Group of the referent; empty for the core group.
    #[serde(default)]
    #[schemars(length(max = 253), regex(pattern = format::GROUP))]
    pub group: String,
    /// Kind of the referent.
    #[serde(default = "service_kind")]
    #[schemars(length(min = 1, max = 63), regex(pattern = format::KIND))]
    pub kind: String,
    /// Name of the referent.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Namespace of the referent; absent means the route's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = format::DNS_LABEL))]
    pub namespace: Option<String>,
    /// Port of the Service (not its targetPort); needed for a Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// Share of the traffic, relative to the sum of the rule's weights; 0 means none.
    #[serde(default = "weight_one")]
    #[schemars(range(max = 1_000_000))]
    pub weight: u32,
}

impl BackendRef {
    /// Namespace of the referent for a route in `route_namespace`.
    pub fn namespace_or<'a>(&'a self, route_namespace: &'a str) -> &'a str {
        self.namespace.as_deref().unwrap_or(route_namespace)
    }

    /// Whether the referent is a core Service.
    pub fn is_service(&self) -> bool {
        self.group.is_empty() && self.kind == "Service"
    }

    /// Whether the referent is a `guideway.dev` Backend.
    pub fn is_backend(&self) -> bool {
        self.group == "guideway.dev" && self.kind == "Backend"
    }
}

/// A Secret, or another kind that holds a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretReference {
    /// Group of the referent; empty for the core group.
    #[serde(default)]
    #[schemars(length(max = 253), regex(pattern = format::GROUP))]
    pub group: String,
    /// Kind of the referent.
    #[serde(default = "secret_kind")]
    #[schemars(length(min = 1, max = 63), regex(pattern = format::KIND))]
    pub kind: String,
    /// Name of the referent.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Namespace of the referent; absent means that of the referring object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = format::DNS_LABEL))]
    pub namespace: Option<String>,
}

/// An object of any kind, perhaps in another namespace, such as a bundle of certificate authorities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReferentReference {
    /// Group of the referent; empty for the core group.
    #[schemars(length(max = 253), regex(pattern = format::GROUP))]
    pub group: String,
    /// Kind of the referent.
    #[schemars(length(min = 1, max = 63), regex(pattern = format::KIND))]
    pub kind: String,
    /// Name of the referent.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Namespace of the referent; absent means that of the referring object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = format::DNS_LABEL))]
    pub namespace: Option<String>,
}

/// An object of any kind in the referring object's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalObjectReference {
    /// Group of the referent; empty for the core group.
    #[schemars(length(max = 253), regex(pattern = format::GROUP))]
    pub group: String,
    /// Kind of the referent.
    #[schemars(length(min = 1, max = 63), regex(pattern = format::KIND))]
    pub kind: String,
    /// Name of the referent.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Parameters of a GatewayClass; a cluster-scoped object, or one in `namespace`.
pub type ParametersReference = ReferentReference;

/// What an endpoint stands for (core/v1 ObjectReference); for people and tools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectReference {
    /// Group and version of the referent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Part of the referent, such as `spec.containers{name}`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field_path: String,
    /// Kind of the referent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Name of the referent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Namespace of the referent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// `resourceVersion` of the referent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource_version: String,
    /// Identity of the referent.
    #[serde(skip_serializing_if = "crate::meta::is_default")]
    pub uid: Uid,
}

pub(super) fn gateway_group() -> String {
    GATEWAY_GROUP.to_owned()
}

fn gateway_kind() -> String {
    "Gateway".to_owned()
}

fn service_kind() -> String {
    "Service".to_owned()
}

fn secret_kind() -> String {
    "Secret".to_owned()
}

pub(super) fn weight_one() -> u32 {
    1
}
