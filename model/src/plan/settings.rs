//! What policies set, as the data plane takes it.

use std::time::Duration;

/// What a ClientTrafficPolicy sets for a listener; `None` leaves it to the node's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientSettings {
    /// Time for a whole ClientHello, and in Terminate mode for the whole handshake. Default 5 s.
    pub handshake_timeout: Option<Duration>,
    /// A TCP session without a byte either way for this long is closed. Default 1 h.
    pub tcp_idle_timeout: Option<Duration>,
    /// A session is closed this long after it was accepted, whatever it does. Default: never.
    pub max_connection_duration: Option<Duration>,
    /// TCP keepalive toward clients. Default: off.
    pub keepalive: Option<Keepalive>,
    /// `TCP_USER_TIMEOUT` toward clients (RFC 5482): how long sent bytes may stay unacknowledged. Default: the kernel's.
    pub user_timeout: Option<Duration>,
    /// UDP flows at most on this listener, on each node.
    pub max_flows: Option<u32>,
    /// UDP flows at most of one client address on this listener, on each node.
    pub max_flows_per_client: Option<u32>,
}

/// What a BackendTrafficPolicy sets for sessions toward an endpoint; `None` leaves it to the listener, then to the node's
/// configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct BackendSettings {
    /// How long one endpoint may take to accept a connection, and with BackendTLSPolicy to finish the handshake.
    pub connect_timeout: Option<Duration>,
    /// How long the endpoint may take to its first byte after the first byte was sent to it. Default: not limited.
    pub first_byte_timeout: Option<Duration>,
    /// A TCP session without a byte either way for this long is closed.
    pub tcp_idle_timeout: Option<Duration>,
    /// A session is closed that has had bytes queued for a side this long without any of them being taken. Default: off.
    pub write_stall_timeout: Option<Duration>,
    /// TCP keepalive toward endpoints. Default: off.
    pub keepalive: Option<Keepalive>,
    /// `TCP_USER_TIMEOUT` toward endpoints (RFC 5482). Default: the kernel's.
    pub user_timeout: Option<Duration>,
    /// UDP flows.
    pub udp: UdpSettings,
}

/// How UDP flows end.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UdpSettings {
    /// A flow without a datagram either way for this long is closed. Default 60 s.
    pub idle_timeout: Option<Duration>,
    /// No reply is expected (syslog, statsd): missing replies and ICMP errors never cause another choice of endpoint.
    pub one_way: bool,
    /// The flow ends after this many replies (DNS: 1). Default: not limited.
    pub expected_replies: Option<u32>,
}

/// TCP keepalive of one socket; `None` leaves a value to the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Keepalive {
    /// Silence before the first probe (`TCP_KEEPIDLE`).
    pub idle: Option<Duration>,
    /// Time between probes (`TCP_KEEPINTVL`).
    pub interval: Option<Duration>,
    /// Probes without an answer until the connection counts as lost (`TCP_KEEPCNT`).
    pub probes: Option<u32>,
}
