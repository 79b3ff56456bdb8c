//! gateway.networking.k8s.io/v1 Gateway: addresses and the listeners on them.

pub(crate) mod address;
mod rules;
pub(crate) mod tls;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::address::{GatewayAddress, GatewayStatusAddress};
use self::tls::GatewayTls;
use super::listener::{Listener, RouteGroupKind, free_text};
use super::reference::LocalObjectReference;
use crate::format;
use crate::meta::{Condition, LabelSelector, ObjectMeta, is_default};

/// gateway.networking.k8s.io/v1 Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gateway {
    /// Name, labels, versions.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: GatewaySpec,
    /// What is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub status: GatewayStatus,
}

/// `spec` of a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewaySpec {
    /// Name of the GatewayClass.
    #[schemars(length(min = 1, max = 253))]
    pub gateway_class_name: String,
    /// Listeners, by unique name.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub listeners: Vec<Listener>,
    /// Addresses that clients dial; none means the data address of each node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub addresses: Vec<GatewayAddress>,
    /// Labels, annotations and parameters of what an implementation creates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub infrastructure: Option<GatewayInfrastructure>,
    /// Which ListenerSets may attach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_listeners: Option<AllowedListeners>,
    /// TLS toward clients of HTTPS listeners and toward backends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<GatewayTls>,
}

/// `infrastructure` of a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayInfrastructure {
    /// Labels for what is created.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8, "additionalProperties" = label_value()))]
    pub labels: BTreeMap<String, String>,
    /// Annotations for what is created.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = free_text()))]
    pub annotations: BTreeMap<String, String>,
    /// Parameters in the Gateway's namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters_ref: Option<LocalObjectReference>,
}

/// Which ListenerSets may attach to a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AllowedListeners {
    /// From which namespaces.
    pub namespaces: ListenerNamespaces,
}

/// Namespaces whose ListenerSets may attach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ListenerNamespaces {
    /// Which.
    pub from: ListenerNamespaceScope,
    /// By labels, when `from` is `Selector`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// Scope of namespaces whose ListenerSets may attach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ListenerNamespaceScope {
    /// Every namespace.
    All,
    /// Those the selector matches.
    Selector,
    /// The Gateway's own.
    Same,
    /// None at all.
    #[default]
    None,
}

/// `status` of a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayStatus {
    /// Addresses in use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub addresses: Vec<GatewayStatusAddress>,
    /// `Accepted`, `Programmed`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// One for each listener.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub listeners: Vec<ListenerStatus>,
    /// ListenerSets that are attached.
    #[serde(skip_serializing_if = "is_default")]
    pub attached_listener_sets: i32,
}

/// What became of one listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListenerStatus {
    /// Name of the listener.
    #[schemars(length(min = 1, max = 253), regex(pattern = format::DNS_SUBDOMAIN))]
    pub name: String,
    /// Route kinds that it takes.
    #[serde(default)]
    #[schemars(length(max = 8))]
    pub supported_kinds: Vec<RouteGroupKind>,
    /// Routes that were accepted on it.
    pub attached_routes: i32,
    /// `Accepted`, `Programmed`, `ResolvedRefs`, `Conflicted`.
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

fn label_value() -> Value {
    json!({ "type": "string", "maxLength": 63, "pattern": format::LABEL_VALUE })
}
