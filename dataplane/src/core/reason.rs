//! Why a session ended.

use std::fmt;

/// Why a session ended: one closed list, the same word as metric label, in the access log and in the documents.
///
/// A session that both sides end in order carries the side whose FIN came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CloseReason {
    /// Both sides ended in order, the client first.
    ClientFin,
    /// Both sides ended in order, the backend first.
    BackendFin,
    /// The client reset its connection, or it was lost.
    ClientRst,
    /// The backend reset its connection, or it was lost.
    BackendRst,
    /// No byte either way for the idle timeout.
    IdleTimeout,
    /// No endpoint that was tried took the connection.
    ConnectFailed,
    /// The route has no endpoint with weight.
    NoEndpoint,
    /// The listener has no route.
    NoRoute,
    /// The share of an invalid backendRef was chosen.
    RejectedShare,
    /// This process had no descriptor or memory left to reach an endpoint.
    Overload,
    /// The ClientHello names no server, and no route takes such.
    NoSni,
    /// No listener and route of the port has the name in the ClientHello.
    NoSniMatch,
    /// The ClientHello, or the whole handshake where TLS ends here, took longer than the handshake timeout.
    HelloTimeout,
    /// What the client sent first is no ClientHello, or one of more than 64 KiB.
    BadHello,
    /// The TLS handshake failed, on either side.
    HandshakeFailed,
    /// The endpoint did not answer the first bytes in time.
    FirstByteTimeout,
    /// A side took none of the bytes that were queued for it for too long.
    WriteStall,
    /// The session reached its greatest duration.
    MaxDuration,
    /// The UDP flow had as many replies as its route expects.
    RepliesDone,
    /// The listener or the client had as many UDP flows as it may.
    FlowLimit,
    /// No local port toward the endpoint was left for the UDP flow.
    PortsExhausted,
    /// The UDP flow was chosen anew: its endpoint left the set or did not answer any more.
    EndpointGone,
    /// The listener or route of the UDP flow is gone.
    ListenerClosed,
    /// The node shut down and its deadline had passed.
    NodeShutdown,
    /// The endpoint or the node was being drained, and the deadline of the drain had passed.
    Drained,
    /// Someone closed it by hand.
    Killed,
}

impl CloseReason {
    /// Every reason, in the order of the documents.
    pub const ALL: [CloseReason; 26] = [
        CloseReason::ClientFin,
        CloseReason::BackendFin,
        CloseReason::ClientRst,
        CloseReason::BackendRst,
        CloseReason::IdleTimeout,
        CloseReason::ConnectFailed,
        CloseReason::NoEndpoint,
        CloseReason::NoRoute,
        CloseReason::RejectedShare,
        CloseReason::Overload,
        CloseReason::NoSni,
        CloseReason::NoSniMatch,
        CloseReason::HelloTimeout,
        CloseReason::BadHello,
        CloseReason::HandshakeFailed,
        CloseReason::FirstByteTimeout,
        CloseReason::WriteStall,
        CloseReason::MaxDuration,
        CloseReason::RepliesDone,
        CloseReason::FlowLimit,
        CloseReason::PortsExhausted,
        CloseReason::EndpointGone,
        CloseReason::ListenerClosed,
        CloseReason::NodeShutdown,
        CloseReason::Drained,
        CloseReason::Killed,
    ];

    /// The word used everywhere.
    pub const fn word(self) -> &'static str {
        match self {
            CloseReason::ClientFin => "client_fin",
            CloseReason::BackendFin => "backend_fin",
            CloseReason::ClientRst => "client_rst",
            CloseReason::BackendRst => "backend_rst",
            CloseReason::IdleTimeout => "idle_timeout",
            CloseReason::ConnectFailed => "connect_failed",
            CloseReason::NoEndpoint => "no_endpoint",
            CloseReason::NoRoute => "no_route",
            CloseReason::RejectedShare => "rejected_share",
            CloseReason::Overload => "overload",
            CloseReason::NoSni => "no_sni",
            CloseReason::NoSniMatch => "no_sni_match",
            CloseReason::HelloTimeout => "hello_timeout",
            CloseReason::BadHello => "bad_hello",
            CloseReason::HandshakeFailed => "handshake_failed",
            CloseReason::FirstByteTimeout => "first_byte_timeout",
            CloseReason::WriteStall => "write_stall",
            CloseReason::MaxDuration => "max_duration",
            CloseReason::RepliesDone => "replies_done",
            CloseReason::FlowLimit => "flow_limit",
            CloseReason::PortsExhausted => "ports_exhausted",
            CloseReason::EndpointGone => "endpoint_gone",
            CloseReason::ListenerClosed => "listener_closed",
            CloseReason::NodeShutdown => "node_shutdown",
            CloseReason::Drained => "drained",
            CloseReason::Killed => "killed",
        }
    }

    /// Position in [`CloseReason::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_place_and_its_own_word() {
        for (index, reason) in CloseReason::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), index);
        }
        let words: std::collections::BTreeSet<_> = CloseReason::ALL.iter().map(|reason| reason.word()).collect();
        assert_eq!(words.len(), CloseReason::ALL.len());
    }
}
