//! `affinity` of a BackendTrafficPolicy: which endpoint the sessions of one client go to.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::faults::Faults;
use crate::meta::is_default;
use crate::plan::{Affinity, AffinityKind, Replication};
use crate::resource::time_span::{SpanBounds, TimeSpan};

/// How long a client is remembered after its last session unless something else is asked for: three hours, as a Service of
/// Kubernetes has it.
const TIMEOUT: Duration = Duration::from_secs(3 * 3600);

/// Which endpoint a client's sessions go to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendAffinity {
    /// What is kept together.
    #[serde(rename = "type")]
    pub affinity_type: AffinityType,
    /// What a client is; only with type ClientIP.
    #[serde(rename = "clientIP", skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<ClientIpAffinity>,
    /// Which clients' endpoints all nodes know; Always only with type ClientIP.
    pub replication: AffinityReplication,
}

/// What is kept together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AffinityType {
    /// One connection or flow: client address and port.
    #[default]
    FiveTuple,
    /// All sessions of one client address, or of one network of clients.
    ClientIP,
}

/// What a client is, and how long it is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientIpAffinity {
    /// Bits of an IPv4 address that are the client.
    #[schemars(range(min = 1, max = 32))]
    pub ipv4_prefix_length: u8,
    /// Bits of an IPv6 address that are the client. The default, 64, is what one household or host has.
    #[schemars(range(min = 1, max = 128))]
    pub ipv6_prefix_length: u8,
    /// How long a client goes to the same endpoint after its last session has ended. Default 3h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<TimeSpan>,
}

/// Which clients' endpoints all nodes know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AffinityReplication {
    /// Those that the tables do not give, or will not give after a change that is under way.
    #[default]
    OnChange,
    /// All: clients stay through the loss of a node and any change thereafter, and each new client is written to the log.
    Always,
}

impl Default for ClientIpAffinity {
    fn default() -> Self {
        ClientIpAffinity {
            ipv4_prefix_length: 32,
            ipv6_prefix_length: 64,
            timeout: None,
        }
    }
}

impl BackendAffinity {
    /// What the data plane takes.
    pub fn settings(&self) -> Affinity {
        let kind = match self.affinity_type {
            AffinityType::FiveTuple => AffinityKind::FiveTuple,
            AffinityType::ClientIP => {
                let client = self.client_ip.clone().unwrap_or_default();
                AffinityKind::ClientIp {
                    v4_prefix: client.ipv4_prefix_length,
                    v6_prefix: client.ipv6_prefix_length,
                    timeout: client.timeout.as_ref().map_or(TIMEOUT, TimeSpan::length),
                }
            }
        };
        Affinity {
            kind,
            replication: match self.replication {
                AffinityReplication::OnChange => Replication::OnChange,
                AffinityReplication::Always => Replication::Always,
            },
        }
    }

    pub(super) fn check(&self, path: &str, faults: &mut Faults) {
        if let Some(client) = &self.client_ip {
            SpanBounds::LAST.check(client.timeout.as_ref(), &format!("{path}.clientIP.timeout"), faults);
        }
        if self.affinity_type == AffinityType::ClientIP {
            return;
        }
        if !is_default(&self.client_ip) {
            faults.forbidden(
                format!("{path}.clientIP"),
                "must only be set when type is ClientIP, which keeps all sessions of a client together",
            );
        }
        if self.replication == AffinityReplication::Always {
            faults.forbidden(
                format!("{path}.replication"),
                "must only be Always when type is ClientIP: a connection or flow by itself has no entry to replicate",
            );
        }
    }
}
