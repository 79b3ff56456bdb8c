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
    /// The node shut down and its deadline had passed.
    NodeShutdown,
}

impl CloseReason {
    /// Every reason, in the order of the documents.
    pub const ALL: [CloseReason; 11] = [
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
        CloseReason::NodeShutdown,
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
            CloseReason::NodeShutdown => "node_shutdown",
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
