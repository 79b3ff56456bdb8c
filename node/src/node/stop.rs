//! The orderly end of a node.

use std::sync::Arc;
use std::time::Duration;

use guideway_consensus::{Consensus, TransferError};
use guideway_dataplane::{DataPlane, ShutdownReport};
use tokio::time::timeout;

use super::{Node, Tasks};

/// How long tasks may take to end before they are aborted: longer than compiling a large plan.
const WORKERS_DEADLINE: Duration = Duration::from_secs(2);

/// How long the API may take to finish requests before they are cut off.
const SERVERS_DEADLINE: Duration = Duration::from_secs(2);

/// How long a successor may take to lead.
const HANDOVER_DEADLINE: Duration = Duration::from_secs(2);

/// How long consensus may take to close its store; what was acknowledged is on disk before.
const CONSENSUS_DEADLINE: Duration = Duration::from_secs(3);

/// How a node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopReport {
    /// Sessions that ended by themselves within the deadline.
    pub sessions_ended: u64,
    /// Sessions that were closed at the deadline.
    pub sessions_closed: u64,
}

impl Node {
    /// `/readyz` says no, listeners close, sessions drain within `shutdown.deadline` while leadership moves to another
    /// node; then the API, the store and the transport close.
    pub async fn stop(self) -> StopReport {
        let deadline = self.shutdown_deadline;
        self.readiness.stopping();
        self.workers.end(WORKERS_DEADLINE, "workers").await;
        self.slot.empty().await;
        let (drained, ()) = tokio::join!(drain(self.data_plane, deadline), hand_over(&self.consensus));
        self.servers.end(SERVERS_DEADLINE, "servers").await;
        if timeout(CONSENSUS_DEADLINE, self.consensus.shutdown()).await.is_err() {
            tracing::warn!("consensus did not close in time; nothing acknowledged is lost");
        }
        StopReport {
            sessions_ended: drained.ended,
            sessions_closed: drained.closed,
        }
    }
}

impl Tasks {
    async fn end(mut self, deadline: Duration, what: &str) {
        self.stop.send_replace(true);
        let all = async { while self.running.join_next().await.is_some() {} };
        if timeout(deadline, all).await.is_err() {
            tracing::warn!(what, "tasks did not end in time and are cut off");
            self.running.shutdown().await;
        }
    }
}

/// Blocks a thread of its own; nobody else holds the data plane once the workers have ended.
async fn drain(data_plane: Arc<DataPlane>, deadline: Duration) -> ShutdownReport {
    let nothing = ShutdownReport { ended: 0, closed: 0 };
    let Some(data_plane) = Arc::into_inner(data_plane) else {
        tracing::warn!("the data plane is still in use and is closed without a drain");
        return nothing;
    };
    tracing::info!(sessions = data_plane.figures().sessions, ?deadline, "draining");
    let drained = tokio::task::spawn_blocking(move || data_plane.shutdown(deadline)).await;
    drained.unwrap_or_else(|error| {
        tracing::error!(%error, "the data plane did not shut down cleanly");
        nothing
    })
}

async fn hand_over(consensus: &Consensus) {
    match timeout(HANDOVER_DEADLINE, consensus.resign()).await {
        Ok(Ok(node)) => tracing::info!(to = %node, "handed leadership over"),
        Ok(Err(TransferError::NotLeader { .. } | TransferError::NoSuccessor)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "leadership was not handed over; the others elect a leader"),
        Err(_) => tracing::warn!("leadership was not handed over in time; the others elect a leader"),
    }
}
