//! What is replicated: every change of the state is one of these.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::meta::{Uid, UnixMillis};
use crate::node::{BindResult, Incarnation, NodeFacts, NodeId, SocketKey};
use crate::object::{Object, ObjectKey};
use crate::pin::PinBatch;

/// A command with the time the leader stamped on it when it proposed it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// The leader's clock; `apply` uses max(previous, this).
    pub time: UnixMillis,
    /// What to do.
    pub command: Command,
}

/// Which half of an object a replace writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// Everything but status.
    Main,
    /// Only status.
    Status,
}

/// A change of the replicated state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Command {
    /// The first command of a cluster: its identity, hash seed, built-in objects and first node.
    InitCluster {
        /// Identity of the cluster.
        cluster: Uid,
        /// Key of the flow hash; secret.
        hash_seed: [u8; 16],
        /// Identities for the built-in objects (`default` namespace, `guideway` GatewayClass), in that order.
        uids: [Uid; 2],
        /// The node that creates the cluster; it becomes node 1.
        node: NodeFacts,
    },
    /// Creates an object; refused if its key is taken or its namespace is missing.
    Create {
        /// Decoded, defaulted and valid.
        object: Object,
        /// Identity of the new object.
        uid: Uid,
    },
    /// Replaces one half of an object; refused if it is missing or not at `expected`.
    Replace {
        /// Decoded, defaulted and valid.
        object: Object,
        /// Which half to take from `object`.
        part: Part,
        /// `resourceVersion` the writer saw; `None` replaces whatever is there.
        expected: Option<u64>,
        /// Identity the writer saw; `None` for any.
        uid: Option<Uid>,
    },
    /// Deletes an object; a namespace takes its contents with it.
    Delete {
        /// What to delete.
        key: ObjectKey,
        /// `resourceVersion` the writer saw; `None` for any.
        expected: Option<u64>,
        /// Identity the writer saw; `None` for any.
        uid: Option<Uid>,
    },
    /// Gives a node its number and records what it said. Without a key no member lets it in: nodes join by `Admit`.
    JoinNode {
        /// What the node says of itself.
        node: NodeFacts,
    },
    /// Makes a token with which one node can join.
    CreateJoinToken {
        /// What it is called.
        id: String,
        /// SHA-256 of its secret.
        secret: Digest,
        /// From then on it opens nothing.
        expires: UnixMillis,
    },
    /// Forgets such a token.
    RevokeJoinToken {
        /// Which.
        id: String,
    },
    /// Gives a joining node that shows a token its number, and records what it said and its key.
    Admit {
        /// What the node says of itself.
        node: NodeFacts,
        /// SHA-256 of its public key.
        key: Digest,
        /// Id of the token.
        token: String,
        /// SHA-256 of the secret that was shown.
        secret: Digest,
    },
    /// By which keys a member is known from now on: the one it has, and while it takes a new one that, too.
    SetNodeKeys {
        /// Which.
        node: NodeId,
        /// SHA-256 of each public key; of more than two, the first two.
        keys: Vec<Digest>,
    },
    /// Which key seals Secrets from now on; every member must have it.
    SetSealingKey {
        /// Its id; not the key.
        id: String,
    },
    /// A node has started, or is alive again; proposed with its incarnation.
    NodeUp {
        /// Which.
        node: NodeId,
        /// This start.
        incarnation: Incarnation,
        /// What it says of itself now.
        facts: NodeFacts,
    },
    /// The leader no longer hears from this start of the node.
    NodeDown {
        /// Which.
        node: NodeId,
        /// The start that went silent; a newer one is left alone.
        incarnation: Incarnation,
    },
    /// A member is gone for good.
    RemoveNode {
        /// Which.
        node: NodeId,
    },
    /// What became of a node's socket groups: only what differs from what is recorded.
    ReportBinds {
        /// Who reports.
        node: NodeId,
        /// This start of it.
        incarnation: Incarnation,
        /// `None` forgets the group (closed).
        binds: Vec<(SocketKey, Option<BindResult>)>,
    },
    /// The data plane of a node runs the prepared generation, and every pin that its sessions need is committed.
    Prepared {
        /// Which node.
        node: NodeId,
        /// This start of it.
        incarnation: Incarnation,
        /// The prepared generation.
        generation: u64,
    },
    /// The leader no longer waits for a node that makes no progress in preparing.
    PassOver {
        /// Which node.
        node: NodeId,
        /// The prepared generation.
        generation: u64,
    },
    /// Pins that a node needs, and that it needs no more.
    Pins(PinBatch),
    /// Ends the pins of lost holders and the graces whose time is over.
    Expire {
        /// What ended before this.
        before: UnixMillis,
    },
    /// What is left to drain, by node; the leader says so for each drain that is under way.
    ReportDrain {
        /// The Drain.
        name: String,
        /// Its uid; a report about an older one of the name is refused.
        uid: Uid,
        /// Sessions left on each node.
        remaining: BTreeMap<NodeId, u64>,
    },
    /// The addresses of DNS-named endpoints that resolved to something new.
    SetResolved {
        /// Sorted addresses by lower-case name.
        names: BTreeMap<String, Vec<IpAddr>>,
    },
}
