//! Addresses of a Gateway.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format;

/// An address that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayAddress {
    /// `IPAddress`, `Hostname`, `NamedAddress` or `domain/path`.
    #[serde(rename = "type", default = "ip_address")]
    #[schemars(length(min = 1, max = 253), regex(pattern = format::ADDRESS_TYPE))]
    pub address_type: String,
    /// The address; absent asks for one to be given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub value: Option<String>,
}

/// An address in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayStatusAddress {
    /// `IPAddress`, `Hostname`, `NamedAddress` or `domain/path`.
    #[serde(rename = "type", default = "ip_address")]
    #[schemars(length(min = 1, max = 253), regex(pattern = format::ADDRESS_TYPE))]
    pub address_type: String,
    /// The address.
    #[schemars(length(min = 1, max = 253))]
    pub value: String,
}

impl GatewayAddress {
    /// Address type of IPv4 and IPv6 addresses.
    pub const IP_ADDRESS: &'static str = "IPAddress";
    /// Address type of DNS names.
    pub const HOSTNAME: &'static str = "Hostname";
}

fn ip_address() -> String {
    GatewayAddress::IP_ADDRESS.to_owned()
}
