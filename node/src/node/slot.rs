//! What consensus asks this node for, and whoever else asks: also before there is a data plane, and after.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use guideway_dataplane::DataPlane;
use guideway_model::node::{DriverFacts, NodeFigures, NodeId};
use guideway_model::state::Applied;
use guideway_model::{Plan, State};
use tokio::sync::{Semaphore, watch};

use crate::egress;

/// Calls at once that block on the data plane; more wait.
const TURNS: u32 = 4;

/// How long the end of such calls is waited for: longer than the data plane lets one block.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Where figures and live sessions come from, as far as it is there. Clones share it.
#[derive(Clone)]
pub(crate) struct Slot {
    sources: Arc<Mutex<Sources>>,
    turns: Arc<Semaphore>,
}

#[derive(Default)]
struct Sources {
    node: Option<NodeId>,
    applied: Option<watch::Receiver<Applied>>,
    plan: Option<Arc<Plan>>,
    data_plane: Option<Arc<DataPlane>>,
    /// `data.source_addresses`
    source_addresses: Vec<IpAddr>,
}

impl Default for Slot {
    fn default() -> Self {
        Slot {
            sources: Arc::default(),
            turns: Arc::new(Semaphore::new(TURNS as usize)),
        }
    }
}

impl Slot {
    /// Connections to endpoints come from these addresses, if there are any.
    pub(super) fn set_source_addresses(&self, addresses: Vec<IpAddr>) {
        self.sources().source_addresses = addresses;
    }

    /// From now on this is the node, and its state is that of `applied`.
    pub(super) fn follow(&self, node: NodeId, applied: watch::Receiver<Applied>) {
        let mut sources = self.sources();
        sources.node = Some(node);
        sources.applied = Some(applied);
    }

    /// From now on sessions and generation are those of `data_plane`.
    pub(super) fn fill(&self, data_plane: Arc<DataPlane>) {
        self.sources().data_plane = Some(data_plane);
    }

    /// Gives the data plane back, so that it can be owned by who stops it.
    pub(super) async fn empty(&self) {
        self.sources().data_plane = None;
        let ended = self.turns.acquire_many(TURNS);
        if tokio::time::timeout(END_TIMEOUT, ended).await.is_err() {
            tracing::warn!(waited = ?END_TIMEOUT, "a question about sessions is still being answered");
        }
    }

    /// From now on this is the plan.
    pub(crate) fn set_plan(&self, plan: Arc<Plan>) {
        self.sources().plan = Some(plan);
    }

    /// This node's number, once that is known.
    pub(crate) fn node(&self) -> Option<NodeId> {
        self.sources().node
    }

    /// The newest state that is applied here.
    pub(crate) fn state(&self) -> Option<Arc<State>> {
        let sources = self.sources();
        sources.applied.as_ref().map(|applied| applied.borrow().state.clone())
    }

    /// The plan that was last compiled.
    pub(crate) fn plan(&self) -> Option<Arc<Plan>> {
        self.sources().plan.clone()
    }

    /// Does on a blocking thread what blocks on the data plane; `None` if there is none. The work goes on if nobody waits
    /// for it any more.
    pub(crate) async fn block_on_sessions<T: Send + 'static>(
        &self,
        work: impl FnOnce(&DataPlane) -> T + Send + 'static,
    ) -> Option<T> {
        let turn = self.turns.clone().acquire_owned().await.ok()?;
        let slot = self.clone();
        let blocking = move || {
            let _turn = turn;
            let data_plane = slot.sources().data_plane.clone()?;
            Some(work(&data_plane))
        };
        let done = tokio::task::spawn_blocking(blocking).await;
        done.unwrap_or_else(|error| {
            tracing::error!(%error, "work on live sessions ended before its time");
            None
        })
    }

    /// Figures of the moment; zeros for what is not there.
    pub(super) fn figures(&self) -> NodeFigures {
        let (configured, plan) = {
            let sources = self.sources();
            (sources.source_addresses.clone(), sources.plan.clone())
        };
        // The kernel is asked, and meanwhile nobody waits for the sources.
        let source_addresses = egress::source_addresses(&configured, plan.as_deref());
        let sources = self.sources();
        let traffic = sources.data_plane.as_ref().map(|data_plane| data_plane.figures());
        let traffic = traffic.unwrap_or_default();
        let applied = sources.applied.as_ref().map(|applied| applied.borrow().clone());
        let applied = applied.unwrap_or_default();
        NodeFigures {
            source_addresses,
            applied_index: applied.index,
            sessions: traffic.sessions,
            plan_generation: traffic.generation,
            active_generation: applied.state.active_generation(),
            prepared_generation: applied.state.prepared_generation(),
            driver: sources.data_plane.as_ref().map(|data_plane| {
                let running = data_plane.driver();
                DriverFacts {
                    name: running.driver.name().to_owned(),
                    reason: running.reason.clone(),
                }
            }),
        }
    }

    /// The sources are whole at every moment, so a panic elsewhere leaves nothing half done.
    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
