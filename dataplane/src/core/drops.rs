//! Why a datagram was not passed on.

use crate::core::reason::CloseReason;

/// Why a datagram was dropped: one closed list, the same word in metrics and documents. Where a flow could not be
/// opened, the word is that of the close reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// The listener has no route.
    NoRoute,
    /// The route has no endpoint with weight.
    NoEndpoint,
    /// The share of an invalid backendRef was chosen.
    RejectedShare,
    /// The listener or the client has as many flows as it may.
    FlowLimit,
    /// No local port toward an endpoint is left.
    PortsExhausted,
    /// No descriptor or memory is left for another flow.
    Overload,
    /// No endpoint that was tried can be reached from here.
    ConnectFailed,
    /// The node is shutting down and takes no new flow.
    NodeShutdown,
    /// The socket that was to send it has no room.
    NoRoom,
    /// It is longer than the receiver's family allows.
    TooLong,
    /// The kernel refused to send it for another reason.
    Unsendable,
    /// It came to the wrong thread, and the way to the right one was full.
    HandoverFull,
    /// It came to the wrong thread, and the right one knew its flow no more.
    HandoverLost,
}

impl DropReason {
    /// Every reason, in the order of the documents.
    pub const ALL: [DropReason; 13] = [
        DropReason::NoRoute,
        DropReason::NoEndpoint,
        DropReason::RejectedShare,
        DropReason::FlowLimit,
        DropReason::PortsExhausted,
        DropReason::Overload,
        DropReason::ConnectFailed,
        DropReason::NodeShutdown,
        DropReason::NoRoom,
        DropReason::TooLong,
        DropReason::Unsendable,
        DropReason::HandoverFull,
        DropReason::HandoverLost,
    ];

    /// The word in metrics.
    pub const fn word(self) -> &'static str {
        match self {
            DropReason::NoRoute => CloseReason::NoRoute.word(),
            DropReason::NoEndpoint => CloseReason::NoEndpoint.word(),
            DropReason::RejectedShare => CloseReason::RejectedShare.word(),
            DropReason::FlowLimit => CloseReason::FlowLimit.word(),
            DropReason::PortsExhausted => CloseReason::PortsExhausted.word(),
            DropReason::Overload => CloseReason::Overload.word(),
            DropReason::ConnectFailed => CloseReason::ConnectFailed.word(),
            DropReason::NodeShutdown => CloseReason::NodeShutdown.word(),
            DropReason::NoRoom => "no_room",
            DropReason::TooLong => "too_long",
            DropReason::Unsendable => "unsendable",
            DropReason::HandoverFull => "handover_full",
            DropReason::HandoverLost => "handover_lost",
        }
    }

    /// Position in [`DropReason::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The reason for the datagram of a flow that was refused, or could not be opened, for `reason`.
    pub const fn refused(reason: CloseReason) -> DropReason {
        match reason {
            CloseReason::NoRoute => DropReason::NoRoute,
            CloseReason::NoEndpoint => DropReason::NoEndpoint,
            CloseReason::RejectedShare => DropReason::RejectedShare,
            CloseReason::FlowLimit => DropReason::FlowLimit,
            CloseReason::PortsExhausted => DropReason::PortsExhausted,
            CloseReason::Overload => DropReason::Overload,
            CloseReason::NodeShutdown => DropReason::NodeShutdown,
            // No other reason refuses a flow.
            _ => DropReason::ConnectFailed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_place_and_its_own_word() {
        for (index, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), index);
        }
        let words: std::collections::BTreeSet<_> = DropReason::ALL.iter().map(|reason| reason.word()).collect();
        assert_eq!(words.len(), DropReason::ALL.len());
    }

    #[test]
    fn a_refused_flow_and_its_datagram_share_a_word() {
        for reason in [
            CloseReason::NoRoute,
            CloseReason::NoEndpoint,
            CloseReason::RejectedShare,
            CloseReason::FlowLimit,
            CloseReason::PortsExhausted,
            CloseReason::Overload,
            CloseReason::ConnectFailed,
            CloseReason::NodeShutdown,
        ] {
            assert_eq!(DropReason::refused(reason).word(), reason.word());
        }
    }
}
