//! Calls between nodes: HTTP/2 over TLS with a certificate at both ends, one connection per peer and direction.
//!
//! Every call is a `POST` to `/v1/<call>`. Each carries the identity of the cluster and the number of the node it is
//! meant for, so that a peer whose address was given to another node answers nothing in its stead. Rare calls carry
//! JSON; log entries travel as the bytes that are stored. `channel` is the one place that knows what a connection is
//! made of, `tls` who is let in.
//!
//! What is bounded: the length of a request by [`Call::request_limit`], of an answer by [`Call::answer_limit`], the time of
//! each by its caller, connections and streams by the constants of `server`. What is too long is refused with 413, what
//! is too much waits or is refused by HTTP/2.

use std::time::Duration;

pub(crate) use self::channel::Listener;
pub(crate) use self::peers::{CallError, Peers, Target};
pub(crate) use self::server::{Answer, Service, serve};
pub(crate) use self::tls::{Dialer, Doorway};

pub(crate) mod append;
mod channel;
mod lobby;
pub(crate) mod network;
mod peers;
mod server;
pub(crate) mod snapshot;
mod tls;

use crate::store::{CHUNK_LIMIT, record};

/// Longest question to another node, and longest answer to it.
pub(crate) const QUESTION_LIMIT: usize = 1 << 20;
pub(crate) const ANSWER_LIMIT: usize = 32 << 20;

/// How long a peer that is connected may be silent before the connection is tried, and then again before it is given
/// up.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// HTTP/2 windows: a stream may be one chunk ahead, the connection some of them.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;

const HEADER_CLUSTER: &str = "guideway-cluster";
const HEADER_TO: &str = "guideway-to";

/// What one node asks another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Raft: entries and heartbeats.
    Append,
    /// Raft: a vote.
    Vote,
    /// Raft: whether a vote would be given.
    PreVote,
    /// Raft: a snapshot, as a stream of chunks.
    Snapshot,
    /// Raft: leadership is handed over.
    TransferLeader,
    /// A command for the leader.
    Propose,
    /// The index a linearizable read must wait for.
    ReadIndex,
    /// The figures of a node.
    Figures,
    /// A question that means nothing to consensus, in bytes both ways.
    Ask,
    /// A place in the cluster, for a node that has none.
    Join,
    /// Members and their keys.
    Roster,
    /// A command, from beside the node, for whoever leads.
    Submit,
    /// A member's end, from beside a node.
    Remove,
    /// Another key for the node, and another certificate.
    Rotate,
    /// What is lost, if all others are; from beside the node.
    Loss,
    /// The cluster made of this node alone; from beside it.
    Recover,
    /// Whether the node is alive, and its free space.
    Ping,
}

impl Call {
    const ALL: [Call; 17] = [
        Call::Append,
        Call::Vote,
        Call::PreVote,
        Call::Snapshot,
        Call::TransferLeader,
        Call::Propose,
        Call::ReadIndex,
        Call::Figures,
        Call::Ask,
        Call::Join,
        Call::Roster,
        Call::Submit,
        Call::Remove,
        Call::Rotate,
        Call::Loss,
        Call::Recover,
        Call::Ping,
    ];

    /// Name in paths and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Call::Append => "append",
            Call::Vote => "vote",
            Call::PreVote => "pre-vote",
            Call::Snapshot => "snapshot",
            Call::TransferLeader => "transfer-leader",
            Call::Propose => "propose",
            Call::ReadIndex => "read-index",
            Call::Figures => "figures",
            Call::Ask => "ask",
            Call::Join => "join",
            Call::Roster => "roster",
            Call::Submit => "submit",
            Call::Remove => "remove",
            Call::Rotate => "rotate",
            Call::Loss => "loss",
            Call::Recover => "recover",
            Call::Ping => "ping",
        }
    }

    fn from_path(path: &str) -> Option<Call> {
        let name = path.strip_prefix("/v1/")?;
        Call::ALL.into_iter().find(|call| call.name() == name)
    }

    /// Longest request; for a snapshot, longest frame of it.
    fn request_limit(self) -> usize {
        match self {
            // Entries up to a bound are sent together, then one more of any length.
            Call::Append | Call::Propose | Call::Submit => record::BODY_LIMIT + (2 << 20),
            Call::Snapshot => CHUNK_LIMIT.max(64 << 10),
            Call::Ask => QUESTION_LIMIT,
            Call::Vote
            | Call::PreVote
            | Call::TransferLeader
            | Call::ReadIndex
            | Call::Figures
            | Call::Join
            | Call::Roster
            | Call::Remove
            | Call::Rotate
            | Call::Loss
            | Call::Recover
            | Call::Ping => 64 << 10,
        }
    }

    /// Longest answer.
    fn answer_limit(self) -> usize {
        match self {
            Call::Ask => ANSWER_LIMIT,
            Call::Append
            | Call::Vote
            | Call::PreVote
            | Call::Snapshot
            | Call::TransferLeader
            | Call::Propose
            | Call::ReadIndex
            | Call::Figures
            | Call::Join
            | Call::Roster
            | Call::Submit
            | Call::Remove
            | Call::Rotate
            | Call::Loss
            | Call::Recover
            | Call::Ping => record::BODY_LIMIT + (1 << 20),
        }
    }
}
