//! What the API needs from the cluster, in the model's words. `node` implements it over consensus; tests over a
//! [`State`](guideway_model::State) in memory.

use futures_util::future::BoxFuture;
use guideway_model::node::NodeView;
use guideway_model::sealing::Sealer;
use guideway_model::state::Applied;
use guideway_model::{Command, Outcome};
use tokio::sync::watch;

mod deeds;
mod sessions;

pub use deeds::{Deeds, FoundDeeds};
pub use sessions::{ClosedSessions, FoundEvents, FoundSessions, NodeSilent, SessionImpact, Sessions, TriedChange};

/// The cluster as one node sees it.
pub trait Cluster: Sessions + Deeds {
    /// The newest applied state of this node. Watches and local reads (`resourceVersion=0`) are served from it.
    fn watch(&self) -> watch::Receiver<Applied>;

    /// Replicates a command and waits until it is applied. Implementations bound the wait themselves.
    fn propose(&self, command: Command) -> BoxFuture<'_, Result<Committed, ProposeFailure>>;

    /// Seals and opens Secrets with this node's keys.
    fn sealer(&self) -> &dyn Sealer;

    /// The bytes of a backup of this state, piece by piece; each piece is made when it is asked for.
    fn backup(&self, applied: Applied) -> BackupPieces;

    /// A state that holds every write acknowledged before the call, on any node.
    fn linearizable(&self) -> BoxFuture<'_, Result<Applied, ReadFailure>>;

    /// Every member with its own figures, ordered by number.
    fn nodes(&self) -> BoxFuture<'_, Vec<NodeView>>;

    /// What must hold before this node is ready; `/readyz` is 200 when every result is `Ok`.
    fn readiness(&self) -> Vec<ReadinessCheck>;
}

/// A backup on its way to whoever asked for it.
pub type BackupPieces = Box<dyn Iterator<Item = Vec<u8>> + Send>;

/// A command that was committed and applied. Its outcome may be a refusal.
#[derive(Clone, Debug, PartialEq)]
pub struct Committed {
    /// Log index of the command.
    pub index: u64,
    /// What applying it gave.
    pub outcome: Outcome,
}

/// A command that is not known to be committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeFailure {
    /// No leader is known and none was elected within the deadline; nothing was written.
    #[error(
        "this node sees no majority of the cluster ({reachable} of {voters} voters reachable); nothing was written"
    )]
    NoQuorum {
        /// Voters that this node reaches, itself included.
        reachable: u64,
        /// Voters there are.
        voters: u64,
    },
    /// The deadline passed.
    #[error("the cluster did not confirm the write in time")]
    Timeout {
        /// Whether the command can have been, or still be, committed.
        may_have_happened: bool,
    },
    /// The leader, or this node, refuses writes to keep the free space its log needs.
    #[error(
        "node {node} has {free_bytes} bytes free under {path}, and writes need {needed_bytes}; nothing was written"
    )]
    DiskFull {
        /// Name of the node whose disk is full.
        node: String,
        /// Its data folder.
        path: String,
        /// What is free.
        free_bytes: u64,
        /// What must be free before writes are taken.
        needed_bytes: u64,
    },
    /// The command is larger than one log entry may be.
    #[error("the object takes {bytes} bytes in the log; the limit is {limit_bytes}")]
    TooLarge {
        /// Size of the command.
        bytes: u64,
        /// Largest size that is taken.
        limit_bytes: u64,
    },
    /// Too many writes wait for the log already; nothing was written.
    #[error("{limit} writes wait for the log already; nothing was written")]
    Overloaded {
        /// How many may wait.
        limit: u64,
    },
    /// The node shuts down, or its log has stopped after a storage error; nothing was written.
    #[error("this node takes no writes: {reason}")]
    Stopped {
        /// Why, for people.
        reason: String,
    },
}

/// A linearizable read that could not be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadFailure {
    /// No majority confirms the leader.
    #[error("this node sees no majority of the cluster ({reachable} of {voters} voters reachable)")]
    NoQuorum {
        /// Voters that this node reaches, itself included.
        reachable: u64,
        /// Voters there are.
        voters: u64,
    },
    /// The deadline passed.
    #[error("the cluster did not confirm the read in time")]
    Timeout,
    /// The node shuts down, or its log has stopped after a storage error.
    #[error("this node gives no linearizable reads: {reason}")]
    Stopped {
        /// Why, for people.
        reason: String,
    },
}

/// One line of `/readyz?verbose`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadinessCheck {
    /// Short name, such as `caught-up`.
    pub name: &'static str,
    /// `Err` says what is waited for.
    pub result: Result<(), String>,
}
