//! Listeners of Gateways and ListenerSets.

mod rules;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::reference::{SecretReference, gateway_group};
use crate::format;
use crate::meta::LabelSelector;

pub(super) use rules::check_listeners;

/// A port and protocol on each address of a Gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// Name, unique in the Gateway or ListenerSet.
    #[schemars(length(min = 1, max = 253), regex(pattern = format::DNS_SUBDOMAIN))]
    pub name: String,
    /// Host name that is served; absent means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = format::HOSTNAME))]
    pub hostname: Option<String>,
    /// Port.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// `HTTP`, `HTTPS`, `TLS`, `TCP`, `UDP` or `domain/name`.
    #[schemars(length(min = 1, max = 255), regex(pattern = format::LISTENER_PROTOCOL))]
    pub protocol: String,
    /// TLS toward clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenerTls>,
    /// Which routes may attach.
    #[serde(default)]
    pub allowed_routes: AllowedRoutes,
}

/// TLS toward the clients of a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ListenerTls {
    /// Where TLS ends.
    pub mode: TlsMode,
    /// Certificates and keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub certificate_refs: Vec<SecretReference>,
    /// Options of implementations, keys prefixed by a domain.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = free_text()))]
    pub options: BTreeMap<String, String>,
}

/// Where TLS ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsMode {
    /// At the listener.
    #[default]
    Terminate,
    /// At the endpoint.
    Passthrough,
}

/// Which routes may attach to a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AllowedRoutes {
    /// From which namespaces.
    pub namespaces: RouteNamespaces,
    /// Of which kinds; empty means those that the protocol carries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub kinds: Vec<RouteGroupKind>,
}

/// Namespaces whose routes may attach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteNamespaces {
    /// Which.
    pub from: RouteNamespaceScope,
    /// By labels, when `from` is `Selector`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// Scope of namespaces whose routes may attach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RouteNamespaceScope {
    /// Every namespace.
    All,
    /// Those the selector matches.
    Selector,
    /// That of the Gateway or ListenerSet.
    #[default]
    Same,
}

/// A kind of route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteGroupKind {
    /// Group of the kind.
    #[serde(default = "gateway_group")]
    #[schemars(length(max = 253), regex(pattern = format::GROUP))]
    pub group: String,
    /// The kind.
    #[schemars(length(min = 1, max = 63), regex(pattern = format::KIND))]
    pub kind: String,
}

/// Schema of the values of options and annotations.
pub(super) fn free_text() -> Value {
    json!({ "type": "string", "maxLength": 4096 })
}
