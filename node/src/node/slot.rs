//! This node's own figures as consensus asks for them: also before there is a data plane, and after.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use guideway_dataplane::DataPlane;
use guideway_model::node::NodeFigures;
use guideway_model::state::Applied;
use tokio::sync::watch;

/// Where the figures come from, as far as it is there. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Slot(Arc<Mutex<Sources>>);

#[derive(Default)]
struct Sources {
    applied: Option<watch::Receiver<Applied>>,
    data_plane: Option<Arc<DataPlane>>,
}

impl Slot {
    /// From now on the applied index is that of `applied`.
    pub(super) fn follow(&self, applied: watch::Receiver<Applied>) {
        self.sources().applied = Some(applied);
    }

    /// From now on sessions and generation are those of `data_plane`.
    pub(super) fn fill(&self, data_plane: Arc<DataPlane>) {
        self.sources().data_plane = Some(data_plane);
    }

    /// Gives the data plane back, so that it can be owned by who stops it.
    pub(super) fn empty(&self) {
        self.sources().data_plane = None;
    }

    /// Figures of the moment; zeros for what is not there.
    pub(super) fn figures(&self) -> NodeFigures {
        let sources = self.sources();
        let traffic = sources.data_plane.as_ref().map(|data_plane| data_plane.figures());
        let traffic = traffic.unwrap_or_default();
        NodeFigures {
            applied_index: sources.applied.as_ref().map_or(0, |applied| applied.borrow().index),
            sessions: traffic.sessions,
            plan_generation: traffic.generation,
        }
    }

    /// The sources are whole at every moment, so a panic elsewhere leaves nothing half done.
    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
