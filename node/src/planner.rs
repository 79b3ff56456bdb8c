//! From applied state to the data plane.
//!
//! One task lives here. It owns the last plan and works on a blocking thread, since compiling may take
//! milliseconds that other tasks of the runtime need. States that arrive while it works are coalesced by
//! the watch: only the newest is compiled. It ends when the stop signal fires; a plan that is then being
//! compiled is still handed over.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Instant;

use guideway_consensus::Sealing;
use guideway_dataplane::DataPlane;
use guideway_model::Plan;
use guideway_model::plan;
use guideway_model::sealing::{Sealer, SealerFault};
use guideway_model::state::Applied;
use tokio::sync::watch;
use tokio::task::JoinError;

use crate::metrics::NodeMetrics;
use crate::node::Slot;
use crate::pins::PinOutlet;

/// Follows the applied state.
pub(crate) struct Planner {
    applied: watch::Receiver<Applied>,
    data_plane: Arc<DataPlane>,
    pins: PinOutlet,
    slot: Slot,
    metrics: NodeMetrics,
    /// Whether sessions of lost nodes are chosen as those would have chosen them.
    grace: bool,
    sealing: Sealing,
    previous: Option<Arc<Plan>>,
}

impl Planner {
    pub(crate) fn new(
        applied: watch::Receiver<Applied>,
        data_plane: Arc<DataPlane>,
        pins: PinOutlet,
        slot: Slot,
        metrics: NodeMetrics,
        (grace, sealing): (bool, Sealing),
    ) -> Planner {
        Planner {
            applied,
            data_plane,
            pins,
            slot,
            metrics,
            grace,
            sealing,
            previous: None,
        }
    }

    /// Compiles the newest state and hands the plan over. An error is a panic of the compiler.
    pub(crate) async fn activate(&mut self) -> Result<(), JoinError> {
        let applied = self.applied.borrow_and_update().clone();
        let previous = self.previous.clone();
        let data_plane = self.data_plane.clone();
        let pins = self.pins.clone();
        let metrics = self.metrics.clone();
        let grace = self.grace;
        let sealing = ReportedSealing(self.sealing.clone());
        let work = move || {
            let started = Instant::now();
            let threads = available_parallelism().unwrap_or(NonZeroUsize::MIN);
            let plan = Arc::new(plan::compile_opened(
                &applied.state,
                previous.as_deref(),
                threads,
                &sealing,
            ));
            metrics.plan_compile_seconds.record(started.elapsed());
            metrics.listeners_refused(applied.state.listeners_beyond());
            // Most changes of the state, those of pins among them, change no plan; a data plane that is given one looks at
            // all of its sessions.
            if previous.as_ref() == Some(&plan) {
                return plan;
            }
            let built = plan.tables_built(previous.as_deref());
            metrics.plan_tables_built.increment(built as u64);
            metrics.plan_generation.set(gauge_value(plan.generation));
            tracing::debug!(
                index = applied.index,
                generation = plan.generation,
                listeners = plan.listeners.len(),
                tables_built = built,
                elapsed = ?started.elapsed(),
                "plan handed to the data plane"
            );
            // The pins that keep sessions through this change were committed before it.
            pins.hand_over(&applied);
            data_plane.apply(if grace {
                plan.clone()
            } else {
                Arc::new(Plan::clone(&plan).without_past())
            });
            plan
        };
        let plan = tokio::task::spawn_blocking(work).await?;
        self.slot.set_plan(plan.clone());
        self.previous = Some(plan);
        Ok(())
    }

    /// Activates the newest state after each change, until `stop`.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                changed = self.applied.changed() => if changed.is_err() { return },
                _ = stop.wait_for(|stop| *stop) => return,
            }
            if let Err(error) = self.activate().await {
                tracing::error!(%error, "compiling a plan failed; the data plane goes on with the one before");
            }
        }
    }
}

/// Says of each Secret that does not open that it does not: traffic that needs it is refused on this node.
struct ReportedSealing(Sealing);

impl Sealer for ReportedSealing {
    fn seal(&self, plain: &[u8], place: &[u8]) -> Result<Vec<u8>, SealerFault> {
        self.0.seal(plain, place)
    }

    fn open(&self, envelope: &[u8], place: &[u8]) -> Result<Vec<u8>, SealerFault> {
        self.0.open(envelope, place).inspect_err(|problem| {
            let secret = String::from_utf8_lossy(place).replace('\0', " ");
            tracing::error!(secret, %problem, "a Secret does not open; what is served with it is refused on this node");
        })
    }
}

/// Gauges are floats; generations stay below 2^53 for longer than a cluster lives.
fn gauge_value(generation: u64) -> f64 {
    generation as f64
}
