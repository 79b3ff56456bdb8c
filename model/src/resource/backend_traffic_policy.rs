//! guideway.dev/v1alpha1 BackendTrafficPolicy: how sessions behave toward endpoints.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keepalive::TcpKeepalive;
use super::policy::{PolicyStatus, PolicyTarget, check_kinds, check_targets};
use super::rules::Rules;
use super::time_span::{SpanBounds, TimeSpan};
use crate::faults::Faults;
use crate::kind::Kind;
use crate::meta::{ObjectMeta, is_default};
use crate::plan::{BackendSettings, UdpSettings};

mod affinity;

pub use affinity::{AffinityReplication, AffinityType, BackendAffinity, ClientIpAffinity};

/// guideway.dev/v1alpha1 BackendTrafficPolicy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackendTrafficPolicy {
    /// Name, labels, versions.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: BackendTrafficPolicySpec,
    /// What is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub status: PolicyStatus,
}

/// `spec` of a BackendTrafficPolicy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackendTrafficPolicySpec {
    /// Routes, Services (or ports of them by `sectionName`) and Backends in the policy's namespace.
    #[schemars(length(min = 1, max = 16))]
    pub target_refs: Vec<PolicyTarget>,
    /// How long things may take.
    #[serde(default, skip_serializing_if = "is_default")]
    pub timeout: BackendTimeout,
    /// TCP keepalive toward endpoints; absent means off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_keepalive: Option<TcpKeepalive>,
    /// How UDP flows end.
    #[serde(default, skip_serializing_if = "is_default")]
    pub udp: BackendUdp,
    /// Which endpoint a client's sessions go to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub affinity: BackendAffinity,
}

/// How long things toward endpoints may take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendTimeout {
    /// TCP and TLS sessions.
    #[serde(skip_serializing_if = "is_default")]
    pub tcp: BackendTcpTimeout,
}

/// Timeouts of TCP and TLS sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendTcpTimeout {
    /// How long one endpoint may take to accept a connection, and with BackendTLSPolicy to finish the handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<TimeSpan>,
    /// How long the endpoint may take to its first byte after the first byte was sent to it. Default: not limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_timeout: Option<TimeSpan>,
    /// A session without a byte either way for this long is closed. Default: the listener's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<TimeSpan>,
    /// A session is closed that has had bytes queued for a side this long without any of them being taken. Default: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_stall_timeout: Option<TimeSpan>,
    /// How long sent bytes may stay unacknowledged (`TCP_USER_TIMEOUT`, RFC 5482). Default: the kernel's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_timeout: Option<TimeSpan>,
}

/// How UDP flows end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendUdp {
    /// A flow without a datagram either way for this long is closed. Default 60s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<TimeSpan>,
    /// Whether replies are expected.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: UdpMode,
    /// The flow ends after this many replies (DNS: 1). Default: not limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub expected_replies: Option<u32>,
}

/// Whether replies are expected on UDP flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UdpMode {
    /// They are.
    #[default]
    TwoWay,
    /// They are not (syslog, statsd): neither missing replies nor ICMP errors cause another choice of endpoint.
    OneWay,
}

impl BackendTrafficPolicySpec {
    /// What the data plane takes.
    pub fn settings(&self) -> BackendSettings {
        let length = |span: &Option<TimeSpan>| span.as_ref().map(TimeSpan::length);
        let tcp = &self.timeout.tcp;
        BackendSettings {
            connect_timeout: length(&tcp.connect_timeout),
            first_byte_timeout: length(&tcp.first_byte_timeout),
            tcp_idle_timeout: length(&tcp.idle_timeout),
            write_stall_timeout: length(&tcp.write_stall_timeout),
            keepalive: self.tcp_keepalive.as_ref().map(TcpKeepalive::settings),
            user_timeout: length(&tcp.user_timeout),
            udp: UdpSettings {
                idle_timeout: length(&self.udp.idle_timeout),
                one_way: self.udp.mode == UdpMode::OneWay,
                expected_replies: self.udp.expected_replies,
            },
        }
    }
}

/// What the policy can be for.
const TARGETS: [Kind; 5] = [
    Kind::TcpRoute,
    Kind::UdpRoute,
    Kind::TlsRoute,
    Kind::Service,
    Kind::Backend,
];

impl Rules for BackendTrafficPolicy {
    fn check(&self, _version: &str, faults: &mut Faults) {
        let spec = &self.spec;
        check_targets(&spec.target_refs, faults);
        check_kinds(&spec.target_refs, &TARGETS, faults);
        for (index, target) in spec.target_refs.iter().enumerate() {
            if target.section_name.is_some() && target.kind() != Some(Kind::Service) {
                faults.forbidden(
                    format!("spec.targetRefs[{index}].sectionName"),
                    "must only be set for a Service, where it names a port",
                );
            }
        }
        let tcp = &spec.timeout.tcp;
        for (bounds, path, span) in [
            (
                SpanBounds::WAIT,
                "spec.timeout.tcp.connectTimeout",
                &tcp.connect_timeout,
            ),
            (
                SpanBounds::WAIT,
                "spec.timeout.tcp.firstByteTimeout",
                &tcp.first_byte_timeout,
            ),
            (SpanBounds::LAST, "spec.timeout.tcp.idleTimeout", &tcp.idle_timeout),
            (
                SpanBounds::LAST,
                "spec.timeout.tcp.writeStallTimeout",
                &tcp.write_stall_timeout,
            ),
            (
                SpanBounds::USER_TIMEOUT,
                "spec.timeout.tcp.userTimeout",
                &tcp.user_timeout,
            ),
            (SpanBounds::LAST, "spec.udp.idleTimeout", &spec.udp.idle_timeout),
        ] {
            bounds.check(span.as_ref(), path, faults);
        }
        if let Some(keepalive) = &spec.tcp_keepalive {
            keepalive.check("spec.tcpKeepalive", faults);
        }
        spec.affinity.check("spec.affinity", faults);
        if spec.udp.mode == UdpMode::OneWay && spec.udp.expected_replies.is_some() {
            faults.forbidden(
                "spec.udp.expectedReplies",
                "must not be set when mode is OneWay, which expects no reply",
            );
        }
    }

    fn wants_same(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}
