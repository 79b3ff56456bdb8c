//! Datagrams on their way from the thread that received them to the thread that has their flow.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use guideway_model::node::SocketKey;

use crate::core::flow_id::FlowId;

/// Pieces that may wait for one thread, each of at most 64 KiB. Beyond them datagrams are dropped and counted.
const DEPTH: usize = 256;

/// What was received at once for one flow.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Handed {
    /// Where it was received.
    pub(crate) listener: SocketKey,
    /// Its flow.
    pub(crate) id: FlowId,
    /// One datagram, or several of `segment` bytes each, the last of which may be shorter.
    pub(crate) bytes: Box<[u8]>,
    /// `None` if it is one datagram.
    pub(crate) segment: Option<u16>,
}

/// The way to one thread: filled by the others, emptied by itself, in order.
#[derive(Debug)]
pub(crate) struct Ring {
    sender: SyncSender<Handed>,
    receiver: Mutex<Receiver<Handed>>,
}

impl Ring {
    pub(crate) fn new() -> Ring {
        let (sender, receiver) = sync_channel(DEPTH);
        Ring {
            sender,
            receiver: Mutex::new(receiver),
        }
    }

    /// Puts a piece in; `false` if the ring is full.
    pub(crate) fn push(&self, handed: Handed) -> bool {
        self.sender.try_send(handed).is_ok()
    }

    /// Takes the oldest piece out.
    pub(crate) fn pop(&self) -> Option<Handed> {
        // Locked by the owning thread alone, and only when it was woken.
        let receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        receiver.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use guideway_model::node::{BindAddress, Protocol};

    use super::*;

    #[test]
    fn a_ring_keeps_the_order_and_refuses_what_it_cannot_hold() {
        let ring = Ring::new();
        let handed = |number: usize| Handed {
            listener: SocketKey {
                protocol: Protocol::Udp,
                address: BindAddress::NodeDefault,
                port: 53,
            },
            id: FlowId::new(([192, 0, 2, 1], 9).into(), ([192, 0, 2, 2], 53).into()),
            bytes: number.to_ne_bytes().into(),
            segment: None,
        };
        for number in 0..DEPTH {
            assert!(ring.push(handed(number)));
        }
        assert!(!ring.push(handed(DEPTH)));
        for number in 0..DEPTH {
            assert_eq!(ring.pop(), Some(handed(number)));
        }
        assert_eq!(ring.pop(), None);
        assert!(ring.push(handed(0)));
    }
}
