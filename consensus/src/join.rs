//! How a node gets its place: `init` makes a cluster, `join` asks a member for a place in one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use guideway_model::command::{Command, Proposal};
use guideway_model::node::NodeFacts;
use guideway_model::state::Applied;
use guideway_model::{NodeId, Outcome, Refusal, wire};
use openraft::ServerState;
use openraft::impls::BasicNode;
use tokio::sync::watch;

use crate::answer::{JOIN_TIMEOUT, Place};
use crate::clock;
use crate::config::Tuning;
use crate::engine::blocking;
use crate::identity::Identity;
use crate::machine::{Machine, SnapshotPressure};
use crate::members::Members;
use crate::raft_types::{Payload, Raft};
use crate::store::{self, Store};
use crate::transport::network::Network;
use crate::transport::{Call, Peers, Target};

/// Why no cluster was made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The folder holds a node already.
    #[error("{path:?} holds node {node} already: start it, or choose an empty folder")]
    NotEmpty {
        /// The folder.
        path: PathBuf,
        /// The node in it.
        node: NodeId,
    },
    /// The command is not `InitCluster`.
    #[error("the first command of a cluster must be InitCluster")]
    NotInitCluster,
    /// The state refused the command.
    #[error("the new cluster's first command was refused: {0:?}")]
    Refused(Box<Refusal>),
    /// The folder cannot be written.
    #[error("{path:?}: {source}")]
    Io {
        /// What was written.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The store cannot be made.
    #[error("the store in {path:?} cannot be made: {problem}")]
    Store {
        /// The folder.
        path: PathBuf,
        /// What failed.
        problem: String,
    },
}

/// Why a node has no place in a cluster.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The folder holds a node that has been started.
    #[error("{path:?} holds node {node} already: start it, or choose an empty folder")]
    NotEmpty {
        /// The folder.
        path: PathBuf,
        /// The node in it.
        node: NodeId,
    },
    /// The member cannot be asked.
    #[error("member {member} cannot be asked: {problem}")]
    Unreachable {
        /// Its peer address.
        member: String,
        /// What failed.
        problem: String,
    },
    /// The cluster refused.
    #[error("the cluster refused: {0:?}")]
    Refused(Box<Refusal>),
    /// The cluster could not decide.
    #[error("member {member} could not have it decided: {problem}")]
    Undecided {
        /// Its peer address.
        member: String,
        /// What it said.
        problem: String,
    },
    /// The folder cannot be written.
    #[error("{path:?}: {source}")]
    Io {
        /// What was written.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// Creates a cluster in an empty folder: this node is node 1 and its only voter, `init` (an `InitCluster`) is
/// committed. The folder is then ready for [`crate::Consensus::start`].
///
/// `peer_address` is the `host:port` at which later members reach this node. What an attempt left that did not get to
/// its end is cleared away.
pub async fn init(data_dir: &Path, init: Command, peer_address: &str) -> Result<NodeId, InitError> {
    let (cluster, name) = match &init {
        Command::InitCluster { cluster, node, .. } => (cluster.0.clone(), node.name.clone()),
        _ => return Err(InitError::NotInitCluster),
    };
    let io = |source| InitError::Io {
        path: data_dir.to_owned(),
        source,
    };
    if let Some(identity) = Identity::read(data_dir).map_err(io)? {
        return Err(InitError::NotEmpty {
            path: data_dir.to_owned(),
            node: identity.node,
        });
    }
    std::fs::create_dir_all(data_dir).map_err(io)?;
    for left in [store::FOLDER, store::MARK] {
        clear(&data_dir.join(left)).map_err(io)?;
    }
    let mut identity = Identity::new(FIRST, cluster, name);
    begin_log(data_dir, init, peer_address).await?;
    identity.started = true;
    identity.write(data_dir).map_err(io)?;
    Ok(FIRST)
}

/// The node that makes the cluster.
const FIRST: NodeId = NodeId(1);

/// How long a log of one voter may take to take its first entry.
const INIT_TIMEOUT: Duration = Duration::from_secs(30);

/// Writes the first entries of the log: its voter and `init`.
async fn begin_log(data_dir: &Path, init: Command, peer_address: &str) -> Result<(), InitError> {
    let failed = |problem: String| InitError::Store {
        path: data_dir.to_owned(),
        problem,
    };
    let path = data_dir.to_owned();
    let opened = blocking(move || Store::open(&path, true))
        .await
        .map_err(|error| failed(error.to_string()))?;
    let store = opened.map_err(|error| failed(error.to_string()))?;
    let outcome = first_entries(&store, init, peer_address).await;
    blocking(move || store.close())
        .await
        .map_err(|error| failed(error.to_string()))?;
    match outcome.map_err(failed)? {
        Outcome::Refused(refusal) => Err(InitError::Refused(Box::new(refusal))),
        _ => Ok(()),
    }
}

async fn first_entries(store: &Store, init: Command, peer_address: &str) -> Result<Outcome, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let (applied, receiver) = watch::channel(Applied::default());
    let machine = Machine::new(store.snapshots.clone(), applied.into(), SnapshotPressure::new(u64::MAX));
    let network = Network {
        peers: Arc::new(Peers::new(String::new())),
        members: Members::new(receiver),
    };
    let config = Tuning::default().raft()?;
    let raft = Raft::new(FIRST.0, config.into(), network, store.log.clone(), machine);
    let raft = raft.await.map_err(|error| text(&error))?;
    let members = BTreeMap::from([(FIRST.0, BasicNode::new(peer_address))]);
    raft.initialize(members).await.map_err(|error| text(&error))?;
    let elected = raft
        .wait(Some(INIT_TIMEOUT))
        .state(ServerState::Leader, "the only voter leads")
        .await;
    elected.map_err(|error| text(&error))?;
    let bytes = wire::encode_proposal(&Proposal {
        time: clock::now(),
        command: init,
    });
    let written = raft
        .client_write(Payload(bytes.into()))
        .await
        .map_err(|error| text(&error))?;
    raft.shutdown().await.map_err(|error| text(&error))?;
    Ok(written.data)
}

/// Asks a member, by its peer address, for a place; writes the number that the cluster gave into `data_dir`.
///
/// Asking again with the same name gives the same number as long as the node has never started.
pub async fn join(data_dir: &Path, member: &str, facts: NodeFacts) -> Result<NodeId, JoinError> {
    let io = |source| JoinError::Io {
        path: data_dir.to_owned(),
        source,
    };
    if let Some(identity) = Identity::read(data_dir).map_err(io)?
        && (identity.started || identity.name != facts.name)
    {
        return Err(JoinError::NotEmpty {
            path: data_dir.to_owned(),
            node: identity.node,
        });
    }
    let target = Target {
        address: member.to_owned(),
        node: None,
    };
    let asked = Peers::new(String::new())
        .call(&target, Call::Join, &facts, JOIN_TIMEOUT)
        .await;
    let place = asked.map_err(|error| JoinError::Unreachable {
        member: member.to_owned(),
        problem: error.to_string(),
    })?;
    match place {
        Place::Given { node, cluster } => {
            Identity::new(node, cluster, facts.name).write(data_dir).map_err(io)?;
            Ok(node)
        }
        Place::Refused(refusal) => Err(JoinError::Refused(Box::new(refusal))),
        Place::Undecided(problem) => Err(JoinError::Undecided {
            member: member.to_owned(),
            problem,
        }),
    }
}

fn clear(path: &Path) -> std::io::Result<()> {
    let removed = if path.is_dir() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
