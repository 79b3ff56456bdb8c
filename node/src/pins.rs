//! Pins: what this node's sessions need goes to the cluster, what the cluster has goes to the data plane.
//!
//! One task lives here, [`PinTask`]. It owns the [`Reconciler`], wakes when the data plane has something to take, when a
//! state is applied, when what it proposed has its answer, and when the core asks for it. It ends when the stop signal
//! fires; a proposal that is under way then may or may not be committed, which the next start finds out.

mod difference;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod flood;
mod preparation;
mod reconciler;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, OptionFuture};
use guideway_consensus::{Consensus, ProposeError};
use guideway_dataplane::DataPlane;
use guideway_model::pin::{Holder, PinKey, Pins};
use guideway_model::state::Applied;
use guideway_model::{Command, Outcome};
use tokio::sync::watch;

use crate::metrics::NodeMetrics;
use preparation::Ended;
use reconciler::{Answer, Reconciler, View};

/// Needs that are taken from the data plane in one step, and steps before other work has its turn.
const STEP: usize = 16_384;
const STEPS: usize = 16;

/// What the data plane has to do with pins.
pub(crate) trait Pinning: Send + Sync {
    /// Needs that changed since they were last taken, the newest of each key; at most `most`, the others next time.
    fn pin_changes(&self, most: usize) -> Vec<(PinKey, Option<SocketAddr>)>;

    /// The prepared generation whose walk is complete; what it needs is in [`Pinning::pin_changes`].
    fn walked(&self) -> Option<u64>;

    /// From now on these are the pins for keys that the data plane does not know.
    fn set_pins(&self, pins: Arc<Pins>);
}

impl Pinning for DataPlane {
    fn pin_changes(&self, most: usize) -> Vec<(PinKey, Option<SocketAddr>)> {
        DataPlane::pin_changes(self, most)
    }

    fn walked(&self) -> Option<u64> {
        DataPlane::walked(self)
    }

    fn set_pins(&self, pins: Arc<Pins>) {
        DataPlane::set_pins(self, pins);
    }
}

/// A data plane whose sessions need no pins, whatever happens to them: `data.pins = false`.
pub(crate) struct Unpinned(pub(crate) Arc<DataPlane>);

impl Pinning for Unpinned {
    fn pin_changes(&self, most: usize) -> Vec<(PinKey, Option<SocketAddr>)> {
        // Taken and dropped, or they would pile up.
        while DataPlane::pin_changes(&self.0, most).len() == most {}
        Vec::new()
    }

    fn walked(&self) -> Option<u64> {
        DataPlane::walked(&self.0)
    }

    fn set_pins(&self, pins: Arc<Pins>) {
        DataPlane::set_pins(&self.0, pins);
    }
}

/// Hands pins to the data plane: the newest, whoever saw them first. A plan must not come before the pins that were
/// committed before it, so the planner uses it, too.
#[derive(Clone)]
pub(crate) struct PinOutlet {
    data_plane: Arc<dyn Pinning>,
    index: Arc<Mutex<u64>>,
}

impl PinOutlet {
    pub(crate) fn new(data_plane: Arc<dyn Pinning>) -> PinOutlet {
        PinOutlet {
            data_plane,
            index: Arc::default(),
        }
    }

    /// Hands over the pins of a state, unless those of a later one have been.
    pub(crate) fn hand_over(&self, applied: &Applied) {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if *index < applied.index {
            *index = applied.index;
            self.data_plane.set_pins(Arc::new(applied.state.pins().clone()));
        }
    }
}

/// What the task works with.
pub(crate) struct PinTask {
    pub(crate) consensus: Consensus,
    pub(crate) holder: Holder,
    pub(crate) outlet: PinOutlet,
    /// Says that the data plane has something to take.
    pub(crate) wake: watch::Receiver<u64>,
    pub(crate) metrics: NodeMetrics,
}

/// A proposal under way.
type Asked = OptionFuture<BoxFuture<'static, Answer>>;

impl PinTask {
    /// Reconciles until `stop`.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            () = self.reconcile() => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn reconcile(&mut self) {
        let mut core = Reconciler::new(self.holder);
        let mut applied = self.consensus.watch();
        let mut pins = Pins::default();
        let mut asked = Asked::default();
        loop {
            self.wake.mark_unchanged();
            let now = applied.borrow_and_update().clone();
            let view = self.view(&now, &pins);
            if now.state.pins().differing(&pins).next().is_some() {
                self.outlet.hand_over(&now);
            }
            pins = now.state.pins().clone();
            if let Some(ended) = core.handle_view(view, Instant::now()) {
                self.record(ended);
            }
            let all_taken = self.take_needs(&mut core);
            for waited in core.take_waited() {
                self.metrics.pin_wait_seconds.record(waited);
            }
            let (needed, held) = core.figures();
            self.metrics.pins(needed, held, pins.len());
            self.metrics.given_up(pins.shed(), now.state.graces_dropped());
            if let Some(command) = core.next_command(Instant::now()) {
                asked = Some(self.propose(command)).into();
            }
            tokio::select! {
                changed = self.wake.changed() => if changed.is_err() { return },
                changed = applied.changed() => if changed.is_err() { return },
                Some(answer) = &mut asked => {
                    core.handle_answer(answer, Instant::now());
                    asked = Asked::default();
                }
                () = until(core.poll_timeout()) => {}
                () = tokio::task::yield_now(), if !all_taken => {}
            }
        }
    }

    /// What the core must know of a state, when `before` were the pins of the last one.
    fn view(&self, applied: &Applied, before: &Pins) -> View {
        let state = &applied.state;
        let Holder { node, incarnation } = self.holder;
        let pins = state.pins();
        let record = state.node(node);
        let keys = pins.differing_of(before, self.holder);
        let holds = keys.map(|key| (key, pins.held(&key, self.holder)));
        View {
            index: applied.index,
            holds: holds.collect(),
            all_holds: pins.holds(),
            known: record.is_some_and(|record| record.live && record.incarnation == Some(incarnation)),
            sequence: state.pin_sequence(node),
            prepared: state.prepared_generation(),
            awaited: state.preparing_nodes().contains(&node),
        }
    }

    /// Takes what the data plane needs; `false` if there is more.
    fn take_needs(&self, core: &mut Reconciler) -> bool {
        let data_plane = &self.outlet.data_plane;
        // Asked first: what a walk needs is there before the walk is said to be complete.
        let walked = data_plane.walked();
        for _ in 0..STEPS {
            let changes = data_plane.pin_changes(STEP);
            let is_last = changes.len() < STEP;
            core.handle_needs(changes, Instant::now());
            if is_last {
                walked.into_iter().for_each(|generation| core.handle_walked(generation));
                return true;
            }
        }
        false
    }

    fn propose(&self, command: Command) -> BoxFuture<'static, Answer> {
        let (consensus, metrics) = (self.consensus.clone(), self.metrics.clone());
        async move {
            let answer = answer_of(&consensus.propose(command).await);
            metrics.pin_proposal(matches!(answer, Answer::Committed { .. }));
            answer
        }
        .boxed()
    }

    fn record(&self, ended: Ended) {
        self.metrics.prepare_seconds.record(ended.took);
        if let Some(unpinned) = ended.passed_over {
            self.metrics.unpinned.increment(unpinned as u64);
            tracing::warn!(
                unpinned,
                after = ?ended.took,
                "the cluster went on without this node's pins: until they are committed, sessions of a node that is lost \
                 may change their endpoint"
            );
        }
    }
}

fn answer_of(committed: &Result<guideway_consensus::Committed, ProposeError>) -> Answer {
    match committed {
        Ok(committed) => match &committed.outcome {
            Outcome::Refused(refusal) => {
                tracing::debug!(?refusal, "the cluster refused pins; tried again");
                Answer::Refused
            }
            Outcome::Done | Outcome::Object(_) | Outcome::NodeId(_) => Answer::Committed { index: committed.index },
        },
        Err(error) => {
            tracing::debug!(%error, "pins were not committed; tried again");
            Answer::Failed
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
