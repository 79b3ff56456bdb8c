//! The types openraft is instantiated with.

use std::fmt;

use bytes::Bytes;
use guideway_model::Outcome;
use openraft::impls::{BasicNode, leader_id_adv::LeaderId as RaftLeaderId};
use serde::{Deserialize, Serialize};

use crate::machine::Machine;

openraft::declare_raft_types!(
    /// Types of the Guideway log.
    pub(crate) Types:
        D = Payload,
        R = Outcome,
        NodeId = u64,
        Node = BasicNode,
);

pub(crate) type Raft = openraft::Raft<Types, Machine>;
pub(crate) type Entry = openraft::type_config::alias::EntryOf<Types>;
pub(crate) type EntryPayload = openraft::EntryPayload<Payload, u64, BasicNode>;
pub(crate) type LeaderId = RaftLeaderId<u64, u64>;
pub(crate) type LogId = openraft::LogId<LeaderId>;
pub(crate) type Vote = openraft::Vote<LeaderId>;
pub(crate) type Membership = openraft::Membership<u64, BasicNode>;
pub(crate) type StoredMembership = openraft::type_config::alias::StoredMembershipOf<Types>;
pub(crate) type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<Types>;
pub(crate) type RaftMetrics = openraft::RaftMetrics<Types>;

/// One proposal as the model encodes it: it is encoded once, by the leader, and travels and is stored as these bytes.
///
/// It is decoded only when it is applied, so a node stores and passes on commands that it does not know; applying one
/// stops Raft on that node, which is the only safe answer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<u8>", into = "Vec<u8>")]
pub(crate) struct Payload(pub(crate) Bytes);

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Payload(Bytes::from(bytes))
    }
}

impl From<Payload> for Vec<u8> {
    fn from(payload: Payload) -> Self {
        payload.0.to_vec()
    }
}
