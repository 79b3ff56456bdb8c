//! This node's part in Drains: it closes sessions when a deadline has passed, and gives up readiness and leadership while
//! it is being emptied itself.
//!
//! One task lives here. It only follows the Drain objects of the newest state, so a new leader, a restart and a deleted
//! Drain need no case of their own. It ends when the stop signal fires.

mod closing;
mod random;
mod work;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use guideway_consensus::{Consensus, TransferError};
use guideway_dataplane::CloseReason;
use guideway_model::meta::{Uid, UnixMillis};
use guideway_model::node::Role;
use guideway_model::session::LocalSessionId;
use guideway_model::{Incarnation, State};
use tokio::sync::watch;

use crate::clock;
use crate::node::Slot;
use crate::readiness::Readiness;
use closing::{Closing, Step};
use work::{Which, Work};

/// Longest pause between two looks at the state and the clock: another may have led, or the clock been set.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What the task works with.
pub(crate) struct DrainTask {
    pub(crate) consensus: Consensus,
    pub(crate) incarnation: Incarnation,
    pub(crate) slot: Slot,
    pub(crate) readiness: Readiness,
}

impl DrainTask {
    /// Carries out Drains until `stop`.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            ((), ()) = async { tokio::join!(self.close_sessions(), self.give_up_traffic()) } => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    /// Readiness follows the state; leadership is handed over as often as it comes while this node is emptied.
    async fn give_up_traffic(&self) {
        let mut applied = self.consensus.watch();
        loop {
            let state = applied.borrow_and_update().state.clone();
            let drained = work::is_drained(&state, self.consensus.node_id());
            self.readiness.draining(drained);
            if drained && self.consensus.status().role == Role::Leader {
                match self.consensus.transfer_leadership().await {
                    Ok(node) => tracing::info!(to = %node, "handed leadership over: a Drain empties this node"),
                    Err(TransferError::NotLeader { .. } | TransferError::NoSuccessor) => {}
                    Err(error) => tracing::warn!(%error, "leadership was not handed over; tried again"),
                }
            }
            tokio::select! {
                changed = applied.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(LOOK_INTERVAL), if drained => {}
            }
        }
    }

    async fn close_sessions(&self) {
        let mut applied = self.consensus.watch();
        let mut under_way: BTreeMap<Uid, Closing> = BTreeMap::new();
        loop {
            let state = applied.borrow_and_update().state.clone();
            let works = work::works(&state, self.consensus.node_id());
            under_way.retain(|uid, _| works.iter().any(|work| work.uid == *uid));
            let mut wake = Instant::now() + LOOK_INTERVAL;
            for work in &works {
                match until(work.deadline, &state) {
                    Some(left) => wake = wake.min(Instant::now() + left),
                    None => {
                        let closing = under_way.entry(work.uid.clone());
                        let closing = closing.or_insert_with(|| self.begin(work));
                        wake = wake.min(self.step(closing, work).await);
                    }
                }
            }
            tokio::select! {
                changed = applied.changed() => if changed.is_err() { return },
                () = tokio::time::sleep_until(wake.into()), if !works.is_empty() => {}
            }
        }
    }

    fn begin(&self, work: &Work) -> Closing {
        tracing::info!(
            drain = work.name,
            interval = ?work.pace.interval,
            "the deadline of a Drain has passed; sessions that are left are closed"
        );
        Closing::new(self.incarnation.0, Instant::now())
    }

    /// Does what is due and tells when there may be more.
    async fn step(&self, closing: &mut Closing, work: &Work) -> Instant {
        match closing.next_step(work.pace, Instant::now()) {
            Step::Wait(until) => until,
            Step::Look => {
                let found = self.find(work.which.clone()).await;
                closing.found(found, Instant::now());
                Instant::now()
            }
            Step::Close(sessions) => {
                let close = move |data_plane: &guideway_dataplane::DataPlane| {
                    data_plane.close_sessions(&sessions, CloseReason::Drained)
                };
                self.slot.block_on_sessions(close).await;
                Instant::now()
            }
        }
    }

    async fn find(&self, which: Which) -> Vec<LocalSessionId> {
        let find = move |data_plane: &guideway_dataplane::DataPlane| {
            let mut found = Vec::new();
            // What a thread did not tell in time the next look finds.
            data_plane.visit_sessions(|row| {
                if which.means(row.endpoint) {
                    found.push(row.id);
                }
            });
            found
        };
        self.slot.block_on_sessions(find).await.unwrap_or_default()
    }
}

/// How long a moment is still to come; `None` if it has passed. The state's time may be ahead of this node's clock.
fn until(moment: UnixMillis, state: &State) -> Option<Duration> {
    let now = clock::now().max(state.time());
    let left = moment.0.saturating_sub(now.0);
    (left > 0).then(|| Duration::from_millis(left))
}
