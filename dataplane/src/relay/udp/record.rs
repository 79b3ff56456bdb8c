//! One UDP flow as its relay thread keeps it.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use guideway_model::session::TablePlace;

use crate::affinity::Held;
use crate::core::flow::Flow;
use crate::core::flow_id::FlowId;
use crate::core::selection::Attempt;
use crate::core::slab::{Key, Slab};
use crate::core::time::Micros;
use crate::core::wheel::{Link, Links};
use crate::metrics::tally::EndpointTally;
use crate::relay::udp::door::FlowLane;
use crate::udp::ports::Lease;

/// One flow: at most 256 bytes, see the test.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: FlowId,
    /// The hash of the id.
    pub(super) hash: u64,
    pub(super) flow: Flow,
    /// Where its datagrams come in and its replies leave.
    pub(super) door: Key,
    /// What the door's listener was when it was last looked at.
    pub(super) lane: Rc<FlowLane>,
    pub(super) attempt: Attempt,
    /// Where its key lay when its endpoint was first chosen.
    pub(super) place: TablePlace,
    pub(super) endpoint: Rc<EndpointTally>,
    /// Connected to the endpoint.
    pub(super) socket: OwnedFd,
    pub(super) lease: Lease,
    pub(super) link: Link,
    pub(super) opened: Micros,
    /// Taken from the client, from the endpoint.
    pub(super) bytes: [u64; 2],
    /// Whether datagrams toward a side must leave one by one: the client, the endpoint.
    pub(super) singly: [bool; 2],
    /// Whether its socket may give several datagrams in one piece: dearer to receive where one datagram is what comes.
    pub(super) together: bool,
    /// The round in which its socket was last ready.
    pub(super) round: u32,
    /// An io_uring receives from its socket.
    pub(super) armed: bool,
    pub(super) pin: Pin,
    /// Its part in the affinity entry of its client, in pools that have those.
    pub(super) held: Option<Box<Held>>,
}

/// Whether a flow needs a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pin {
    /// The tables agree with it.
    None,
    /// It was redispatched, and is looked at when it has lived for a while.
    Later,
    /// A table would send it elsewhere; that is on record.
    Needed,
}

impl Links for Slab<Record> {
    fn link(&mut self, index: u32) -> Option<&mut Link> {
        self.tenant_mut(index).map(|record| &mut record.link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_small() {
        let size = size_of::<Record>();
        assert!(size <= 256, "a flow record has grown to {size} bytes");
    }
}
