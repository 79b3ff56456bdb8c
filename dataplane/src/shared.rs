//! What the threads of one data plane share.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use guideway_model::Plan;
use guideway_model::node::{BindResult, SocketKey};
use rustix::event::EventfdFlags;

use crate::access_log::AccessLog;
use crate::clock::Clock;
use crate::config::Config;
use crate::core::selection::Sources;
use crate::core::time::Timeouts;
use crate::metrics::node::NodeMetrics;

/// Read by all threads; what changes in it is touched once per session at most.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) timeouts: Timeouts,
    pub(crate) sources: Sources,
    pub(crate) metrics: NodeMetrics,
    pub(crate) log: Option<AccessLog>,
    /// Live sessions of all threads, and how many there may be.
    pub(crate) sessions: AtomicU64,
    pub(crate) capacity: AtomicU64,
    pub(crate) descriptors: Descriptors,
    /// Splice pipes that exist.
    pub(crate) pipes: Budget,
    /// Bytes that wait for slow receivers.
    pub(crate) buffers: Budget,
    /// One for each relay thread.
    pub(crate) seats: Vec<Seat>,
    /// Generation that every relay thread runs.
    pub(crate) generation: AtomicU64,
    pub(crate) binds: Mutex<BTreeMap<SocketKey, BindResult>>,
    pub(crate) inbox: Inbox,
}

impl Shared {
    /// The result of each bind of the current plan.
    pub(crate) fn binds(&self) -> MutexGuard<'_, BTreeMap<SocketKey, BindResult>> {
        self.binds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets how many sessions there may be beside this many listening sockets.
    pub(crate) fn size(&self, listening_sockets: usize) {
        let capacity = match self.config.max_sessions {
            Some(sessions) => sessions as u64,
            None => self.descriptors.sessions_beside(listening_sockets),
        };
        self.capacity.store(capacity, Ordering::Relaxed);
        self.metrics.capacity.set(u32::try_from(capacity).unwrap_or(u32::MAX));
    }

    /// Gives every relay thread an order.
    pub(crate) fn order_all(&self, order: impl Fn() -> Order) {
        for seat in &self.seats {
            seat.order(order());
        }
    }
}

/// How many descriptors the process may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptors(pub(crate) u64);

impl Descriptors {
    /// Left for everything else in the process.
    const KEPT: u64 = 400;

    /// Sessions, of two descriptors each, that fit beside the listening sockets; one at least.
    pub(crate) fn sessions_beside(self, listening_sockets: usize) -> u64 {
        let taken = Descriptors::KEPT.saturating_add(listening_sockets as u64);
        (self.0.saturating_sub(taken) / 2).max(1)
    }
}

/// What a relay thread is told to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Run this plan; listeners that are not in it are closed.
    Plan(Arc<Plan>),
    /// Accept on these sockets of a group.
    Listen(SocketKey, Vec<OwnedFd>),
    /// Close every listener and take no new session.
    Quiesce,
    /// Close every session with `node_shutdown` and end.
    Finish,
}

/// Where a relay thread sits: its orders, its heartbeat, and the plan it runs.
#[derive(Debug)]
pub(crate) struct Seat {
    orders: Mutex<Vec<Order>>,
    pub(crate) wake: OwnedFd,
    heartbeat: AtomicU64,
    plans_taken: AtomicU64,
}

impl Seat {
    pub(crate) fn new() -> Result<Seat, rustix::io::Errno> {
        Ok(Seat {
            orders: Mutex::default(),
            wake: rustix::event::eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
            heartbeat: AtomicU64::new(0),
            plans_taken: AtomicU64::new(0),
        })
    }

    /// Leaves an order and wakes the thread. Orders come from the control thread alone, which waits for each plan to be
    /// taken before it sends the next, so few are ever queued.
    pub(crate) fn order(&self, order: Order) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).push(order);
        // The counter can only refuse when it is full, and then the thread is about to wake anyway.
        rustix::io::write(&self.wake, &1u64.to_ne_bytes()).ok();
    }

    /// Takes the orders, the oldest first.
    pub(crate) fn take_orders(&self) -> Vec<Order> {
        let mut count = [0; 8];
        // Empty if another wake was taken together with this one.
        rustix::io::read(&self.wake, &mut count).ok();
        std::mem::take(&mut *self.orders.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The thread is alive.
    pub(crate) fn beat(&self) {
        self.heartbeat.store(
            self.heartbeat.load(Ordering::Relaxed).wrapping_add(1),
            Ordering::Relaxed,
        );
    }

    pub(crate) fn heartbeat(&self) -> u64 {
        self.heartbeat.load(Ordering::Relaxed)
    }

    /// The thread runs the plan of one more order.
    pub(crate) fn plan_taken(&self) {
        self.plans_taken.fetch_add(1, Ordering::Release);
    }

    /// Plan orders that the thread has followed.
    pub(crate) fn plans_taken(&self) -> u64 {
        self.plans_taken.load(Ordering::Acquire)
    }
}

/// What the control thread is asked for.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    /// The newest plan that was not taken yet.
    pub(crate) plan: Option<Arc<Plan>>,
    /// Shut down, with this long for sessions to end.
    pub(crate) shutdown: Option<Duration>,
    /// Something that a relay thread did may end a wait.
    pub(crate) rung: bool,
}

/// The control thread's door.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    requests: Mutex<Requests>,
    bell: Condvar,
}

impl Inbox {
    /// Asks for something.
    pub(crate) fn ask(&self, change: impl FnOnce(&mut Requests)) {
        change(&mut self.requests.lock().unwrap_or_else(PoisonError::into_inner));
        self.bell.notify_one();
    }

    /// Says that something has happened.
    pub(crate) fn ring(&self) {
        self.ask(|requests| requests.rung = true);
    }

    /// Waits for a request or a ring, at most `patience`.
    pub(crate) fn wait(&self, patience: Duration) -> Requests {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = |requests: &mut Requests| requests.plan.is_none() && requests.shutdown.is_none() && !requests.rung;
        let (mut requests, _) = self
            .bell
            .wait_timeout_while(requests, patience, idle)
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *requests)
    }
}

/// A bounded amount of something, shared by the threads.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Budget {
        Budget {
            used: AtomicUsize::new(0),
            limit,
        }
    }

    /// Takes one if there is one.
    pub(crate) fn try_take_one(&self) -> bool {
        let taken = self.used.fetch_add(1, Ordering::Relaxed) < self.limit;
        if !taken {
            self.give(1);
        }
        taken
    }

    /// Takes `amount`, beyond the limit if need be.
    pub(crate) fn take(&self, amount: usize) {
        self.used.fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn give(&self, amount: usize) {
        self.used.fetch_sub(amount, Ordering::Relaxed);
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.used() >= self.limit
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_leave_descriptors_for_sockets_that_listen_and_for_the_rest() {
        assert_eq!(Descriptors(20_000).sessions_beside(0), 9800);
        assert_eq!(Descriptors(20_000).sessions_beside(4000), 7800);
        assert_eq!(Descriptors(256).sessions_beside(10), 1);
    }

    #[test]
    fn a_budget_gives_out_no_more_than_it_has() {
        let budget = Budget::new(2);
        assert!(budget.try_take_one() && budget.try_take_one());
        assert!(!budget.try_take_one() && budget.is_spent());
        budget.give(1);
        assert!(!budget.is_spent() && budget.try_take_one());
    }
}
