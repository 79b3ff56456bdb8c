//! One running node: what is started, in which order, and how it ends.
//!
//! Start: metrics, consensus, then a wait until the node has applied what was committed before it
//! started, then the data plane, then the API. Nothing listens for clients before the wait is over.
//!
//! Tasks, all of which run until the stop signal fires: the metrics server and its upkeep
//! (`exporter`), the plan task (`planner`), the bind reporter (`binds`), the pin task (`pins`), the
//! leader's task (`leader`), the drain task (`drains`), the resolver (`resolver`), the one that looks on
//! for a leader after a stale start, and the API server. The servers end last, so that `/readyz` can say
//! no while sessions drain.

mod slot;
mod start;
mod stop;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use guideway_consensus::Consensus;
use guideway_dataplane::DataPlane;
use guideway_model::NodeId;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::exporter::ExporterError;
use crate::readiness::Readiness;
pub(crate) use slot::Slot;

pub use stop::StopReport;

/// A node that serves. Dropping it ends its tasks without any handover, as a crash would.
pub struct Node {
    id: NodeId,
    consensus: Consensus,
    data_plane: Arc<DataPlane>,
    slot: Slot,
    readiness: Readiness,
    workers: Tasks,
    servers: Tasks,
    shutdown_deadline: Duration,
}

/// Tasks with a common stop signal.
struct Tasks {
    running: JoinSet<()>,
    stop: watch::Sender<bool>,
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Metrics.
    #[error(transparent)]
    Metrics(#[from] ExporterError),
    /// Consensus.
    #[error(transparent)]
    Consensus(#[from] guideway_consensus::StartError),
    /// Data plane.
    #[error(transparent)]
    DataPlane(#[from] guideway_dataplane::StartError),
    /// The certificates that the API is served with.
    #[error("the API cannot be served with TLS: {0}")]
    Tls(#[from] guideway_api::ServerTlsError),
    /// Where what is done is written down.
    #[error(transparent)]
    Audit(#[from] guideway_api::AuditError),
    /// The API's address cannot be bound.
    #[error("api.listen {address} cannot be bound: {source}")]
    ApiBind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The first plan could not be compiled.
    #[error("the replicated state could not be made into a plan: {0}")]
    Plan(JoinError),
}

/// A task ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum TaskEnded {
    /// One of the node's own.
    #[error("a task of the node ended by itself{}", .panic.as_ref().map(|panic| format!(": {panic}")).unwrap_or_default())]
    Own {
        /// Its panic, if it had one.
        panic: Option<JoinError>,
    },
    /// One of consensus.
    #[error("the {task} task of consensus panicked")]
    Consensus {
        /// Its name.
        task: &'static str,
    },
}

impl Node {
    /// This node's number.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Whether `/readyz` says yes.
    pub fn is_ready(&self) -> bool {
        self.readiness.checks().iter().all(|check| check.result.is_ok())
    }

    /// Waits until a task ends that should not: the node is then less than it claims to be.
    pub async fn task_ended(&mut self) -> TaskEnded {
        let ended = tokio::select! {
            Some(ended) = self.workers.running.join_next() => ended,
            Some(ended) = self.servers.running.join_next() => ended,
            task = self.consensus.panicked() => return TaskEnded::Consensus { task },
            else => Ok(()),
        };
        TaskEnded::Own { panic: ended.err() }
    }
}
