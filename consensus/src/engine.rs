//! What the parts of a node share: who it is, the state it publishes, the others, and Raft while it runs.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use guideway_model::NodeId;
use guideway_model::state::Applied;
use openraft::async_runtime::watch::WatchReceiver;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::ask;
use crate::config::Config;
use crate::consensus::StartError;
use crate::credentials::Credentials;
use crate::identity::Identity;
use crate::machine::{Machine, SnapshotPressure};
use crate::members::Members;
use crate::raft_types::{Raft, RaftMetrics};
use crate::recover;
use crate::space::Space;
use crate::store::{LogStore, OpenError, Snapshots, Store};
use crate::transport::network::Network;
use crate::transport::{Dialer, Peers};
use crate::trust::{Roster, Trust};

/// One node.
pub(crate) struct Engine {
    pub(crate) identity: Identity,
    pub(crate) config: Config,
    pub(crate) credentials: Credentials,
    pub(crate) trust: Arc<Trust>,
    /// Raised when members or their keys change.
    pub(crate) members_changed: watch::Sender<u64>,
    /// Held while the node takes another key.
    pub(crate) rotating: tokio::sync::Mutex<()>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) members: Members,
    pub(crate) applied: Arc<watch::Sender<Applied>>,
    pub(crate) space: Space,
    /// Taken while a question is answered.
    pub(crate) questions: Semaphore,
    pub(crate) stopping: watch::Sender<bool>,
    /// Whether this node is about to stop.
    pub(crate) resigned: AtomicBool,
    pub(crate) pressure: Arc<SnapshotPressure>,
    /// Asks the supervisor to rebuild the store for this node alone.
    pub(crate) rebuild: mpsc::Sender<recover::Request>,
    running: watch::Sender<Option<Running>>,
    down: Mutex<Down>,
}

/// Raft and its store, while they run.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) raft: Raft,
    pub(crate) log: LogStore,
    pub(crate) snapshots: Arc<Snapshots>,
}

/// What is known while Raft does not run.
#[derive(Default)]
struct Down {
    problem: Option<String>,
    last_metrics: Option<RaftMetrics>,
}

impl Engine {
    /// A node whose Raft does not run yet. Blocks on the disk.
    pub(crate) fn new(
        identity: Identity,
        config: Config,
        credentials: Credentials,
        heard: Roster,
    ) -> (Arc<Engine>, mpsc::Receiver<recover::Request>) {
        let (applied, receiver) = watch::channel(Applied::default());
        let authority = credentials.authority().certificate().clone();
        let trust = Arc::new(Trust::new(identity.cluster.clone(), authority, receiver.clone(), heard));
        let dialer = Dialer::of_member(&credentials, trust.clone());
        let tuning = &config.tuning;
        let (rebuild, requests) = recover::requests();
        let engine = Arc::new(Engine {
            rebuild,
            peers: Arc::new(Peers::new(identity.cluster.clone(), Some(dialer))),
            credentials,
            trust,
            members_changed: watch::Sender::new(0),
            rotating: tokio::sync::Mutex::default(),
            members: Members::new(receiver),
            applied: Arc::new(applied),
            questions: Semaphore::new(ask::AT_ONCE),
            space: Space::new(&config.data_dir, tuning.free_space_mark, tuning.ballast_bytes),
            stopping: watch::Sender::new(false),
            resigned: AtomicBool::new(false),
            pressure: SnapshotPressure::new(tuning.snapshot_log_bytes),
            running: watch::Sender::new(None),
            down: Mutex::default(),
            identity,
            config,
        });
        (engine, requests)
    }

    /// This node's number.
    pub(crate) fn id(&self) -> u64 {
        self.identity.node.0
    }

    /// What is applied at this moment. A copy, which costs two words: who lends the original keeps it from being written, and
    /// waits for good if it asks for it again meanwhile.
    pub(crate) fn applied_now(&self) -> Applied {
        self.applied.borrow().clone()
    }

    /// Raft, if it runs.
    pub(crate) fn running(&self) -> Option<Running> {
        self.running.borrow().clone()
    }

    /// Raft, or why it does not run: the store's problem, or nothing if the node is shutting down.
    pub(crate) fn running_or_problem(&self) -> Result<Running, Option<String>> {
        self.running().ok_or_else(|| self.problem())
    }

    /// Why the store does not work.
    pub(crate) fn problem(&self) -> Option<String> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner).problem.clone()
    }

    /// Raft's metrics; its last ones while it does not run.
    pub(crate) fn metrics(&self) -> Option<RaftMetrics> {
        match self.running() {
            Some(running) => Some(running.metrics()),
            None => self
                .down
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .last_metrics
                .clone(),
        }
    }

    /// The leader, as far as this node knows.
    pub(crate) fn leader(&self) -> Option<u64> {
        self.running().and_then(|running| running.metrics().current_leader)
    }

    /// Whether this node is shutting down.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Waits; returns early, with `true`, when the node is shutting down.
    pub(crate) async fn pause(&self, length: Duration) -> bool {
        let mut stopping = self.stopping.subscribe();
        let stopped = tokio::time::timeout(length, stopping.wait_for(|stopping| *stopping)).await;
        stopped.is_ok()
    }

    /// Waits until this node has applied an index that is committed, or for as long as that may take.
    pub(crate) async fn applied_here(&self, index: u64) {
        let mut applied = self.applied.subscribe();
        let there = applied.wait_for(|applied| applied.index >= index);
        // Whoever needs it sees by itself when it is not there.
        drop(tokio::time::timeout(APPLY_TIMEOUT, there).await);
    }

    /// Opens the store and starts Raft on it.
    pub(crate) async fn open(self: &Arc<Self>, fresh: bool) -> Result<Store, StartError> {
        let raft_config = self
            .config
            .tuning
            .raft()
            .map_err(|problem| StartError::Tuning { problem })?;
        let data_dir = self.config.data_dir.clone();
        let store = blocking(move || Store::open(&data_dir, fresh)).await??;
        let machine = Machine::new(store.snapshots.clone(), self.applied.clone(), self.pressure.clone());
        let network = Network {
            peers: self.peers.clone(),
            members: self.members.clone(),
        };
        match Raft::new(self.id(), raft_config.into(), network, store.log.clone(), machine).await {
            Ok(raft) => {
                self.down.lock().unwrap_or_else(PoisonError::into_inner).problem = None;
                self.running.send_replace(Some(Running {
                    raft,
                    log: store.log.clone(),
                    snapshots: store.snapshots.clone(),
                }));
                Ok(store)
            }
            Err(fatal) => {
                let problem = fatal.to_string();
                blocking(move || store.close()).await?;
                Err(StartError::Raft { problem })
            }
        }
    }

    /// Stops Raft and closes its store; `problem` says why, if it is not that the node is shutting down.
    pub(crate) async fn close(&self, store: Store, problem: Option<String>) {
        let running = self.running();
        {
            let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
            down.problem = problem;
            down.last_metrics = running.as_ref().map(Running::metrics);
        }
        self.running.send_replace(None);
        if let Some(running) = running
            && tokio::time::timeout(STOP_TIMEOUT, running.raft.shutdown())
                .await
                .is_err()
        {
            tracing::warn!(waited = ?STOP_TIMEOUT, "Raft did not stop in time; its store is closed under it");
        }
        if blocking(move || store.close()).await.is_err() {
            tracing::error!("the store could not be closed to its end");
        }
    }

    /// Notes why Raft could not be started again.
    pub(crate) fn still_down(&self, problem: String) {
        self.down.lock().unwrap_or_else(PoisonError::into_inner).problem = Some(problem);
    }

    /// A member's number as the model has it.
    pub(crate) fn node_id(&self) -> NodeId {
        self.identity.node
    }
}

/// How long this node may take to apply what is committed.
const APPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long Raft may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

impl Running {
    /// Raft's metrics.
    pub(crate) fn metrics(&self) -> RaftMetrics {
        self.raft.metrics().borrow_watched().clone()
    }
}

/// Runs what blocks on the disk off the executor.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StartError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StartError::Raft {
        problem: error.to_string(),
    })
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> StartError {
        match error {
            OpenError::Io { path, source } => StartError::Io { path, source },
            OpenError::Corrupted { path, index, problem } => StartError::Corrupted { path, index, problem },
        }
    }
}

impl StartError {
    /// An error of a file.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> StartError {
        let path = path.into();
        move |source| StartError::Io { path, source }
    }
}
