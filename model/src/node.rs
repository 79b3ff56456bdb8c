//! Nodes of the cluster as the replicated state knows them.

use std::fmt;
use std::net::IpAddr;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::meta::UnixMillis;

/// A member's number; given by the cluster at `init` or `join`, never used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One start of a node's process: random, made at start; carried by what the process reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub u64);

/// What a node says of itself when it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFacts {
    /// Unique name, for people.
    pub name: String,
    /// `host:port` of the transport between nodes.
    pub peer_address: String,
    /// URL of the node's API.
    pub api_url: String,
    /// URL of the node's metrics.
    pub metrics_url: String,
    /// Address on which listeners without `spec.addresses` are bound; `None` means all addresses.
    pub data_address: Option<IpAddr>,
    /// Version of the binary.
    pub version: String,
    /// Highest cluster level the binary supports.
    pub level: u32,
}

/// A member as the replicated state knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// What it said when it last started; a joined node that never started has what `join` said.
    pub facts: NodeFacts,
    /// The current start; `None` until the node has started once.
    pub incarnation: Option<Incarnation>,
    /// Whether the cluster agrees that it is alive.
    pub live: bool,
    /// When it joined.
    pub joined: UnixMillis,
    /// When `live` last flipped.
    pub since: UnixMillis,
    /// SHA-256 of the public keys by which other members know it; without any, none lets it in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Digest>,
    /// Socket groups this node has reported on. A persistent map: one report must not cost a copy of all others.
    #[serde(with = "bind_pairs")]
    pub binds: OrdMap<SocketKey, BindResult>,
}

/// Transport protocol of a socket group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
}

/// Where a socket group listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BindAddress {
    /// The node's configured data address (its default: all, which is `0.0.0.0` and `[::]`).
    NodeDefault,
    /// Exactly this address, present on the machine or not yet.
    Exactly(IpAddr),
}

/// Identity of a group of listening sockets: one per (protocol, address, port) on each node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SocketKey {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Where.
    pub address: BindAddress,
    /// 1..=65535
    pub port: u16,
}

/// What became of binding a socket group on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BindResult {
    /// It listens.
    Bound,
    /// It does not; retried with back-off.
    Failed(BindFailure),
}

/// Why a socket group does not listen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindFailure {
    /// The very address and port that failed, such as `127.0.0.2:5432`.
    pub address: String,
    /// The operating system's number.
    pub errno: i32,
    /// Its name and meaning, such as `EADDRINUSE: address already in use`.
    pub message: String,
}

/// What a member is in the Raft group at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Leads.
    Leader,
    /// Votes and follows (or is a candidate).
    Follower,
    /// Receives the log and does not vote.
    Learner,
}

/// Figures that only the node itself knows; asked for over the transport between nodes, never replicated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFigures {
    /// Log index the node has applied.
    pub applied_index: u64,
    /// Live sessions on its data plane.
    pub sessions: u64,
    /// Generation of the tables that every relay thread of its data plane runs.
    pub plan_generation: u64,
    /// Generation of the tables that are active in the state it has applied.
    pub active_generation: u64,
    /// Generation of the tables that are prepared in it, if any are.
    pub prepared_generation: Option<u64>,
    /// What carries its sessions; `None` while its data plane does not run.
    #[serde(default)]
    pub driver: Option<DriverFacts>,
    /// Addresses from which it connects to endpoints.
    #[serde(default)]
    pub source_addresses: Vec<IpAddr>,
}

/// What carries the sessions of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverFacts {
    /// `io_uring` or `epoll`.
    pub name: String,
    /// Why that one, in a few words for people.
    pub reason: String,
}

/// A member as the API shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeView {
    /// Its number.
    pub id: NodeId,
    /// What is replicated about it.
    pub record: NodeRecord,
    /// What it is in the Raft group, as the asked node sees it.
    pub role: Role,
    /// Its own figures; `None` if it did not answer in time.
    pub figures: Option<NodeFigures>,
}

/// JSON has no maps with structured keys, so the binds of a node are a list of pairs, in the map's order.
mod bind_pairs {
    use imbl::OrdMap;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{BindResult, SocketKey};

    pub(super) fn serialize<S: Serializer>(
        binds: &OrdMap<SocketKey, BindResult>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(binds.iter())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<OrdMap<SocketKey, BindResult>, D::Error> {
        let pairs = Vec::<(SocketKey, BindResult)>::deserialize(deserializer)?;
        Ok(pairs.into_iter().collect())
    }
}
