//! One running node of the cluster.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use guideway_model::NodeId;
use guideway_model::command::Command;
use guideway_model::node::NodeView;
use guideway_model::state::Applied;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::ask::AskError;
use crate::config::Config;
use crate::credentials::{Credentials, CredentialsError, folder};
use crate::engine::{Engine, blocking};
use crate::identity::{self, Identity};
use crate::membership::{MembershipError, TransferError};
use crate::propose::{Committed, ProposeError};
use crate::read::ReadError;
use crate::renewal::RotateError;
use crate::status::Status;
use crate::tasks::Tasks;
use crate::transport::{self, Doorway, Listener};
use crate::trust::Roster;
use crate::{announce, doubt, leader, metrics, recover, renewal, supervisor};

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The folder holds no node.
    #[error("{path:?} holds no node: make a cluster with `init`, or a place in one with `join`")]
    NotInitialised {
        /// The folder.
        path: PathBuf,
    },
    /// The node has nothing to prove itself with.
    #[error(
        "the folder `identity` beside the store cannot be used: {0}; restore it, or remove this node from the cluster, empty the data folder and join again"
    )]
    Credentials(#[from] CredentialsError),
    /// This node has another key for Secrets than the cluster.
    #[error(
        "{path:?} is not the key of this cluster: Secrets are sealed with key {wanted}, and the file holds {found}. Copy the file from the data folder of another member, readable for its owner alone"
    )]
    SealingKey {
        /// The file.
        path: PathBuf,
        /// Id of the cluster's key.
        wanted: String,
        /// Id of the key in the file.
        found: String,
    },
    /// The transport's address cannot be bound.
    #[error("peer_listen {address} cannot be bound: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A file beside the store cannot be read or written.
    #[error("{path:?}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The store has lost something that it had acknowledged, or cannot be read.
    #[error(
        "the store {path:?} is damaged at log index {index}: {problem}; restore the folder, or remove this node from the cluster, empty the folder and join again"
    )]
    Corrupted {
        /// File or folder.
        path: PathBuf,
        /// First index that is missing or wrong.
        index: u64,
        /// What is wrong.
        problem: String,
    },
    /// Raft refused to start.
    #[error("Raft did not start: {problem}")]
    Raft {
        /// Why.
        problem: String,
    },
    /// A time or size in [`crate::Tuning`] makes no sense.
    #[error("tuning: {problem}")]
    Tuning {
        /// Which and why.
        problem: String,
    },
}

/// One running node; clones are handles to the same one.
///
/// When the last handle is dropped the node stops as if it had crashed, but for the store, which is closed.
/// An orderly stop is [`Consensus::resign`], then [`Consensus::shutdown`].
#[derive(Clone)]
pub struct Consensus {
    node: Arc<Node>,
}

/// Who lives here: the tasks of a node. All of them end by themselves when the engine says `stopping`; one that panics
/// says so, and [`Consensus::panicked`] tells.
struct Node {
    engine: Arc<Engine>,
    peer_address: SocketAddr,
    tasks: Mutex<Option<JoinSet<()>>>,
    panicked: watch::Sender<Option<&'static str>>,
}

/// How long the tasks of a node may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

impl Consensus {
    /// Opens the store, checks it, starts Raft and the transport.
    pub async fn start(config: Config) -> Result<Consensus, StartError> {
        metrics::describe();
        let address = config.peer_listen;
        let data_dir = config.data_dir.clone();
        let found = Identity::read(&data_dir).map_err(StartError::io(data_dir.join(identity::FILE)))?;
        let identity = found.ok_or(StartError::NotInitialised { path: data_dir.clone() })?;
        let listener = Listener::bind(address)
            .await
            .map_err(|source| StartError::Bind { address, source })?;
        let peer_address = listener.address();
        let fresh = !identity.started;
        let (engine, rebuilds) = blocking(move || open(identity, config)).await??;
        let store = engine.open(fresh).await?;
        if let Err(error) = check_sealing_key(&engine) {
            engine.close(store, None).await;
            return Err(error);
        }
        if fresh {
            let mut started = engine.identity.clone();
            started.started = true;
            if let Err(source) = started.write(&data_dir) {
                engine.close(store, None).await;
                let path = data_dir.join(identity::FILE);
                return Err(StartError::Io { path, source });
            }
        }
        let doorway = Doorway::new(engine.credentials.clone(), engine.trust.clone());
        let panicked = watch::Sender::new(None);
        let mut tasks = Tasks::new(panicked.clone());
        tasks.spawn(
            "transport",
            transport::serve(listener, doorway, engine.clone(), engine.stopping.subscribe()),
        );
        tasks.spawn("liveness", leader::watch_members(engine.clone()));
        tasks.spawn("membership", leader::follow_members(engine.clone()));
        tasks.spawn("strangers", doubt::keep_members(engine.clone()));
        tasks.spawn("renewal", renewal::renew(engine.clone()));
        tasks.spawn("announcement", announce::announce(engine.clone()));
        tasks.spawn("snapshots", announce::snapshots(engine.clone()));
        tasks.spawn("measurement", announce::measure(engine.clone()));
        tasks.spawn("supervisor", supervisor::supervise(engine.clone(), store, rebuilds));
        let node = Node {
            engine,
            peer_address,
            tasks: Mutex::new(Some(tasks.running)),
            panicked,
        };
        Ok(Consensus { node: Arc::new(node) })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.node.engine
    }

    /// This node's number.
    pub fn node_id(&self) -> NodeId {
        self.node.engine.node_id()
    }

    /// Where the transport between nodes listens.
    pub fn peer_address(&self) -> SocketAddr {
        self.node.peer_address
    }

    /// What this node proves itself with, for whoever serves or calls in its name.
    pub fn credentials(&self) -> &Credentials {
        &self.node.engine.credentials
    }

    /// Gives this node another key; returns its fingerprint.
    ///
    /// # Errors
    /// The cluster was not told of it; the node keeps the one it has.
    pub async fn rotate(&self) -> Result<guideway_identity::Digest, RotateError> {
        self.node.engine.rotate().await
    }

    /// The state as it is applied here: always the last, never lost, also while Raft is stopped.
    pub fn watch(&self) -> watch::Receiver<Applied> {
        self.node.engine.applied.subscribe()
    }

    /// Has `command` committed and applied, through whichever node leads. See [`ProposeError`] for what an error says.
    pub async fn propose(&self, command: Command) -> Result<Committed, ProposeError> {
        self.node.engine.propose(&command).await
    }

    /// A state that has every write acknowledged, by any node, before the call.
    pub async fn linearizable(&self) -> Result<Applied, ReadError> {
        let engine = &self.node.engine;
        engine.linearizable(engine.config.tuning.request_deadline).await
    }

    /// What this node knows about the Raft group.
    pub fn status(&self) -> Status {
        self.node.engine.status()
    }

    /// Every member with its own figures, asked for in parallel and for at most 500 ms.
    pub async fn nodes(&self) -> Vec<NodeView> {
        self.node.engine.nodes().await
    }

    /// Asks a member, which may be this node, what its [`Config::answers`] answers. A question has at most 1 MiB and an
    /// answer 32 MiB.
    pub async fn ask(&self, node: NodeId, question: Bytes, patience: Duration) -> Result<Bytes, AskError> {
        self.node.engine.ask(node, question, patience).await
    }

    /// Hands leadership to the other live voter that is furthest in the log; returns it when it leads.
    pub async fn transfer_leadership(&self) -> Result<NodeId, TransferError> {
        self.node.engine.transfer_leadership().await
    }

    /// Makes a learner that has caught up a voter. The leader does this by itself; this call says why it has not.
    pub async fn promote(&self, node: NodeId) -> Result<(), MembershipError> {
        self.node.engine.promote(node).await
    }

    /// Removes a member for good: from the replicated state, then, by the leader, from the Raft group.
    pub async fn remove_node(&self, node: NodeId) -> Result<(), MembershipError> {
        self.node.engine.remove_node(node).await
    }

    /// Waits until this node has applied the commit index that a leader named after the start of this call; returns it.
    pub async fn caught_up(&self, patience: Duration) -> Result<u64, ReadError> {
        self.node
            .engine
            .linearizable(patience)
            .await
            .map(|applied| applied.index)
    }

    /// Waits until one of the node's tasks panics, which none should: the node is then less than it claims to be. Returns
    /// the task's name.
    pub async fn panicked(&self) -> &'static str {
        let mut panicked = self.node.panicked.subscribe();
        loop {
            if let Some(task) = *panicked.borrow_and_update() {
                return task;
            }
            if panicked.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Hands leadership over if this node has it, before a [`Consensus::shutdown`]: from now on other nodes that stop,
    /// too, do not hand theirs to this one. Without a possible successor the answer comes at once.
    pub async fn resign(&self) -> Result<NodeId, TransferError> {
        self.node.engine.resigned.store(true, Ordering::Relaxed);
        self.node.engine.transfer_leadership().await
    }

    /// Stops Raft and the transport and closes the store. Leadership is not handed over; that is
    /// [`Consensus::resign`]'s.
    pub async fn shutdown(self) {
        self.node.engine.stopping.send_replace(true);
        let tasks = self.node.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(tasks) = tasks
            && tokio::time::timeout(STOP_TIMEOUT, tasks.join_all()).await.is_err()
        {
            tracing::error!(waited = ?STOP_TIMEOUT, "the tasks of this node did not end in time");
        }
    }
}

/// A node whose Raft does not run yet, with its credentials. Blocks on the disk.
fn open(
    identity: Identity,
    config: Config,
) -> Result<(Arc<Engine>, mpsc::Receiver<recover::Request>), CredentialsError> {
    let subject = config.names.subject(&identity);
    let credentials = Credentials::open(&config.data_dir, subject, config.tuning.certificate_life)?;
    let heard: Roster = folder::Folder::of(&config.data_dir).read_json(folder::MEMBERS)?;
    Ok(Engine::new(identity, config, credentials, heard))
}

/// Refuses a key other than the one that the state knows: what it sealed, no other node could open.
fn check_sealing_key(engine: &Engine) -> Result<(), StartError> {
    let applied = engine.applied_now();
    let found = engine.credentials.sealing().keys().current();
    let found = found.map(|id| id.to_string()).unwrap_or_default();
    match applied.state.sealing_key() {
        Some(wanted) if wanted != found => Err(StartError::SealingKey {
            path: engine.config.data_dir.join(folder::FOLDER).join(folder::SEALING_KEY),
            wanted: wanted.to_owned(),
            found,
        }),
        _ => Ok(()),
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.engine.stopping.send_replace(true);
        if let Some(tasks) = self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner) {
            tasks.detach_all();
        }
    }
}
