//! guideway.dev/v1alpha1 ClientTrafficPolicy: how sessions behave toward clients.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keepalive::TcpKeepalive;
use super::policy::{PolicyStatus, PolicyTarget, check_kinds, check_targets};
use super::rules::Rules;
use super::time_span::{SpanBounds, TimeSpan};
use crate::faults::Faults;
use crate::kind::Kind;
use crate::meta::{ObjectMeta, is_default};
use crate::plan::ClientSettings;

/// guideway.dev/v1alpha1 ClientTrafficPolicy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientTrafficPolicy {
    /// Name, labels, versions.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: ClientTrafficPolicySpec,
    /// What is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub status: PolicyStatus,
}

/// `spec` of a ClientTrafficPolicy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientTrafficPolicySpec {
    /// Gateways and ListenerSets in the policy's namespace, or listeners of them by `sectionName`.
    #[schemars(length(min = 1, max = 16))]
    pub target_refs: Vec<PolicyTarget>,
    /// How long things may take.
    #[serde(default, skip_serializing_if = "is_default")]
    pub timeout: ClientTimeout,
    /// Bounds of a connection.
    #[serde(default, skip_serializing_if = "is_default")]
    pub connection: ClientConnection,
    /// TCP keepalive toward clients; absent means off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_keepalive: Option<TcpKeepalive>,
    /// Bounds of UDP flows.
    #[serde(default, skip_serializing_if = "is_default")]
    pub udp: ClientUdp,
}

/// How long things toward clients may take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientTimeout {
    /// TCP and TLS sessions.
    #[serde(skip_serializing_if = "is_default")]
    pub tcp: ClientTcpTimeout,
    /// Listeners of protocol TLS.
    #[serde(skip_serializing_if = "is_default")]
    pub tls: ClientTlsTimeout,
}

/// Timeouts of TCP and TLS sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientTcpTimeout {
    /// A session without a byte either way for this long is closed. Default 1h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<TimeSpan>,
    /// How long sent bytes may stay unacknowledged (`TCP_USER_TIMEOUT`, RFC 5482). Default: the kernel's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_timeout: Option<TimeSpan>,
}

/// Timeouts of listeners of protocol TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientTlsTimeout {
    /// Time for a whole ClientHello, and in Terminate mode for the whole handshake. Default 5s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake_timeout: Option<TimeSpan>,
}

/// Bounds of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientConnection {
    /// Limits.
    #[serde(skip_serializing_if = "is_default")]
    pub connection_limit: ClientConnectionLimit,
}

/// Limits of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientConnectionLimit {
    /// A session is closed this long after it was accepted, whatever it does. Default: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connection_duration: Option<TimeSpan>,
}

/// Bounds of UDP flows; beyond them new flows are not admitted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientUdp {
    /// Flows at most on each listener, on each node.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_flows: Option<u32>,
    /// Flows at most of one client address on each listener, on each node.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_flows_per_client: Option<u32>,
}

impl ClientTrafficPolicySpec {
    /// What the data plane takes.
    pub fn settings(&self) -> ClientSettings {
        let length = |span: &Option<TimeSpan>| span.as_ref().map(TimeSpan::length);
        ClientSettings {
            handshake_timeout: length(&self.timeout.tls.handshake_timeout),
            tcp_idle_timeout: length(&self.timeout.tcp.idle_timeout),
            max_connection_duration: length(&self.connection.connection_limit.max_connection_duration),
            keepalive: self.tcp_keepalive.as_ref().map(TcpKeepalive::settings),
            user_timeout: length(&self.timeout.tcp.user_timeout),
            max_flows: self.udp.max_flows,
            max_flows_per_client: self.udp.max_flows_per_client,
        }
    }
}

impl Rules for ClientTrafficPolicy {
    fn check(&self, _version: &str, faults: &mut Faults) {
        let spec = &self.spec;
        check_targets(&spec.target_refs, faults);
        check_kinds(&spec.target_refs, &[Kind::Gateway, Kind::ListenerSet], faults);
        for (bounds, path, span) in [
            (
                SpanBounds::WAIT,
                "spec.timeout.tls.handshakeTimeout",
                &spec.timeout.tls.handshake_timeout,
            ),
            (
                SpanBounds::LAST,
                "spec.timeout.tcp.idleTimeout",
                &spec.timeout.tcp.idle_timeout,
            ),
            (
                SpanBounds::USER_TIMEOUT,
                "spec.timeout.tcp.userTimeout",
                &spec.timeout.tcp.user_timeout,
            ),
            (
                SpanBounds::LAST,
                "spec.connection.connectionLimit.maxConnectionDuration",
                &spec.connection.connection_limit.max_connection_duration,
            ),
        ] {
            bounds.check(span.as_ref(), path, faults);
        }
        if let Some(keepalive) = &spec.tcp_keepalive {
            keepalive.check("spec.tcpKeepalive", faults);
        }
        if let (Some(all), Some(one)) = (spec.udp.max_flows, spec.udp.max_flows_per_client)
            && one > all
        {
            faults.invalid(
                "spec.udp.maxFlowsPerClient",
                &one.into(),
                format_args!("must be at most maxFlows, {all}"),
            );
        }
    }

    fn wants_same(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}
