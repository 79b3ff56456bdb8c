//! Sessions that open and close, for those who watch.
//!
//! One ring for all watchers, filled by the relay threads only while there is one: a thread that closes a session looks at
//! one number when there is none. When the ring is full the oldest events go, and a watcher that was too slow is told how
//! many it has missed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use guideway_model::session::SessionRow;

use crate::core::reason::CloseReason;
use crate::shared::Shared;

/// Events kept for watchers that fall behind.
const ROOM: usize = 16_384;

/// What happened to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// Its endpoint accepted it; a UDP flow has begun.
    Opened(SessionRow),
    /// It is over, whether or not an endpoint had accepted it.
    Closed(SessionRow, CloseReason),
}

/// What a watcher has seen since it last looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// The oldest first.
    pub events: Vec<SessionEvent>,
    /// Events before these that are lost.
    pub missed: u64,
    /// The number of the event behind the last of these.
    pub next: u64,
}

/// Sees every session that opens or closes from here on, until it is dropped.
#[derive(Debug)]
pub struct SessionWatch {
    shared: Arc<Shared>,
    next: u64,
}

/// The ring.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    watchers: AtomicUsize,
    ring: Mutex<Ring>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<SessionEvent>,
    /// The number of the first of them.
    first: u64,
}

impl Watch {
    /// Whether anyone watches.
    pub(crate) fn is_on(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) > 0
    }

    /// Tells those who watch.
    pub(crate) fn tell(&self, event: SessionEvent) {
        let mut ring = self.ring();
        ring.push(event);
        drop(ring);
        self.changed.notify_all();
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, event: SessionEvent) {
        if self.events.len() == ROOM {
            self.events.pop_front();
            self.first += 1;
        }
        self.events.push_back(event);
    }

    fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    /// At most `most` events from number `from` on.
    fn since(&self, from: u64, most: usize) -> Watched {
        let missed = self.first.saturating_sub(from);
        let skipped = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let events: Vec<SessionEvent> = self.events.iter().skip(skipped).take(most).cloned().collect();
        let next = from.max(self.first) + events.len() as u64;
        Watched { events, missed, next }
    }

    /// No one watches any more. What happens until someone does is not kept, so the numbers leave one out: who goes on from
    /// an earlier one has missed something.
    fn lapse(&mut self) {
        self.first = self.end() + 1;
        self.events = VecDeque::new();
    }
}

impl SessionWatch {
    pub(crate) fn new(shared: &Arc<Shared>) -> SessionWatch {
        let ring = shared.watch.ring();
        shared.watch.watchers.fetch_add(1, Ordering::Relaxed);
        SessionWatch {
            shared: Arc::clone(shared),
            next: ring.end(),
        }
    }

    /// At most `most` events that have not been seen; waits for the first one, `patience` at most. Blocks.
    pub fn wait(&mut self, most: usize, patience: Duration) -> Watched {
        let watch = &self.shared.watch;
        let next = self.next;
        let waited = watch
            .changed
            .wait_timeout_while(watch.ring(), patience, |ring| ring.end() <= next);
        let (ring, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let watched = ring.since(self.next, most);
        drop(ring);
        self.next = watched.next;
        self.shared.metrics.events_missed.increment(watched.missed);
        watched
    }

    /// The number of the next event that will happen.
    pub fn end(&self) -> u64 {
        self.shared.watch.ring().end()
    }

    /// At most `most` events from a number on, for those who count for themselves; a number that was not reached yet gives
    /// none.
    pub fn since(&self, from: u64, most: usize) -> Watched {
        let watched = self.shared.watch.ring().since(from, most);
        self.shared.metrics.events_missed.increment(watched.missed);
        watched
    }
}

impl Drop for SessionWatch {
    fn drop(&mut self) {
        let watch = &self.shared.watch;
        let mut ring = watch.ring();
        if watch.watchers.fetch_sub(1, Ordering::Relaxed) == 1 {
            ring.lapse();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use guideway_model::node::Protocol;
    use guideway_model::plan::ListenerName;
    use guideway_model::session::{LocalSessionId, SessionState};

    use super::*;

    fn event(number: u32) -> SessionEvent {
        SessionEvent::Opened(SessionRow {
            id: LocalSessionId {
                protocol: Protocol::Tcp,
                seat: 0,
                index: number,
                generation: 0,
            },
            listener: Arc::new(ListenerName {
                namespace: String::new(),
                gateway: String::new(),
                listener: String::new(),
            }),
            route: "".into(),
            client: SocketAddr::from(([192, 0, 2, 1], 9)),
            endpoint: None,
            why: None,
            sni: None,
            alpn: None,
            state: SessionState::Established,
            age: Duration::ZERO,
            idle: Duration::ZERO,
            bytes: [0; 2],
            packets: [0; 2],
        })
    }

    #[test]
    fn a_watcher_sees_each_event_once_and_learns_what_it_has_missed() {
        let mut ring = Ring::default();
        for number in 0..5 {
            ring.push(event(number));
        }
        let seen = ring.since(0, 3);
        assert_eq!((seen.events, seen.missed), ((0..3).map(event).collect(), 0));
        let seen = ring.since(seen.next, 100);
        assert_eq!((seen.events, seen.missed), ((3..5).map(event).collect(), 0));
        assert_eq!((seen.next, ring.since(seen.next, 100).events), (5, Vec::new()));
        let more = u32::try_from(ROOM).expect("few") + 7;
        for number in 5..5 + more {
            ring.push(event(number));
        }
        let seen = ring.since(seen.next, usize::MAX);
        assert_eq!((seen.events.len(), seen.missed), (ROOM, 7));
        assert_eq!(seen.events.first(), Some(&event(12)));
        assert_eq!(ring.since(seen.next, 1).events, Vec::new());
    }

    #[test]
    fn what_happens_while_no_one_watches_is_missed() {
        let mut ring = Ring::default();
        ring.push(event(0));
        let before = ring.end();
        ring.lapse();
        ring.push(event(1));
        let seen = ring.since(before, 10);
        assert_eq!((seen.events, seen.missed > 0), (vec![event(1)], true));
    }
}
