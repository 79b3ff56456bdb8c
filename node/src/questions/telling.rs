//! What this node keeps of sessions that open and close, for those who watch from any node.
//!
//! The relay threads keep it while someone asks, and for [`LEASE`] after. One task lives for as long: it looks at when the
//! last question came and ends with the lease. It holds nothing but the watch, so dropping it with the runtime is safe.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use guideway_dataplane::{DataPlane, SessionEvent as Happened, SessionWatch};
use guideway_model::session::{SessionEvent, SessionEventQuery, SessionEvents};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

/// How long events are kept for who asks again; also the time from a list to the watch that goes on from it.
const LEASE: Duration = Duration::from_secs(60);

/// Events that one question looks at. The relay threads wait for the lock while so many are copied.
const AT_ONCE: usize = 1024;

/// Keeps events while someone wants them. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Telling {
    kept: Arc<Mutex<Option<Kept>>>,
}

struct Kept {
    watch: SessionWatch,
    asked: Instant,
}

impl Telling {
    /// Keeps what happens from now on, if it is not kept already; gives the number of the next event.
    pub(super) fn keep(&self, data_plane: &DataPlane) -> u64 {
        let mut kept = self.kept();
        self.renew(&mut kept, data_plane).watch.end()
    }

    /// What has happened since a mark of this start of the node.
    pub(super) fn since(&self, data_plane: &DataPlane, query: &SessionEventQuery) -> SessionEvents {
        let mut kept = self.kept();
        let watch = &self.renew(&mut kept, data_plane).watch;
        let (from, end) = (query.after.next, watch.end());
        if from > end {
            // No such number was ever given out.
            return SessionEvents::Lost;
        }
        let watched = watch.since(from, AT_ONCE);
        drop(kept);
        if watched.missed > 0 {
            return SessionEvents::Lost;
        }
        let numbered = (from..).zip(watched.events);
        let events = numbered.filter_map(|(number, happened)| {
            let (row, closed) = match happened {
                Happened::Opened(row) => (row, None),
                Happened::Closed(row, reason) => (row, Some(reason.word().to_owned())),
            };
            query
                .filter
                .matches(&row)
                .then_some(SessionEvent { number, row, closed })
        });
        SessionEvents::Told {
            events: events.collect(),
            next: watched.next,
            more: watched.next < end,
        }
    }

    fn renew<'a>(&self, kept: &'a mut Option<Kept>, data_plane: &DataPlane) -> &'a Kept {
        let asked = Instant::now();
        if kept.is_none() {
            Handle::current().spawn(self.clone().end_with_lease());
        }
        let kept = kept.get_or_insert_with(|| Kept {
            watch: data_plane.watch_sessions(),
            asked,
        });
        kept.asked = asked;
        kept
    }

    async fn end_with_lease(self) {
        while let Some(until) = self.leased_until() {
            sleep_until(until).await;
        }
    }

    /// When the lease ends; `None` if it has, and nothing is kept any more.
    fn leased_until(&self) -> Option<Instant> {
        let mut kept = self.kept();
        let until = kept.as_ref()?.asked + LEASE;
        if until <= Instant::now() {
            *kept = None;
            return None;
        }
        Some(until)
    }

    /// What is kept is whole at every moment, so a panic elsewhere leaves nothing half done.
    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
