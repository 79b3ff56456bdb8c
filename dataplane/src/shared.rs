//! What the threads of one data plane share.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use guideway_model::Plan;
use guideway_model::node::{BindResult, SocketKey};
use guideway_model::pin::{PinKey, Pins};
use guideway_model::plan::ListenerName;
use rustix::event::EventfdFlags;

use crate::access_log::AccessLog;
use crate::affinity::Affinity;
use crate::clock::Clock;
use crate::config::Config;
use crate::core::expiry::Timeouts;
use crate::core::needs::Move;
use crate::core::selection::Sources;
use crate::descriptors::{Descriptors, OF_FLOW, OF_SESSION};
use crate::driver::Running;
use crate::inspect::Inquiry;
use crate::metrics::node::NodeMetrics;
use crate::needs::Needs;
use crate::tls::credentials::Credentials;
use crate::udp::Udp;
use crate::watch::Watch;

/// Read by all threads; what changes in it is touched once per session at most.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    /// Of sessions whose policies are silent.
    pub(crate) timeouts: Timeouts,
    pub(crate) sources: Sources,
    pub(crate) driver: Running,
    pub(crate) metrics: NodeMetrics,
    pub(crate) log: Option<AccessLog>,
    /// Live sessions of all threads, and how many there may be.
    pub(crate) sessions: AtomicU64,
    pub(crate) capacity: AtomicU64,
    pub(crate) descriptors: Descriptors,
    pub(crate) udp: Udp,
    /// Splice pipes that exist.
    pub(crate) pipes: Budget,
    /// Bytes that wait for slow receivers.
    pub(crate) buffers: Budget,
    /// One for each relay thread.
    pub(crate) seats: Vec<Seat>,
    /// Those of the plan that was last given to the relay threads.
    pub(crate) credentials: Mutex<Arc<Credentials>>,
    /// Generation that every relay thread runs.
    pub(crate) generation: AtomicU64,
    /// The prepared generation that everything alive was looked at for; 0 if there is none.
    pub(crate) walked: AtomicU64,
    /// Where keys go that neither a session nor an entry of this node has.
    pub(crate) pins: ArcSwap<Pins>,
    pub(crate) needs: Needs,
    pub(crate) affinity: Affinity,
    pub(crate) watch: Watch,
    pub(crate) binds: Mutex<BTreeMap<SocketKey, BindResult>>,
    pub(crate) inbox: Inbox,
    pub(crate) idle_warnings: IdleWarnings,
}

impl Shared {
    /// The result of each bind of the current plan.
    pub(crate) fn binds(&self) -> MutexGuard<'_, BTreeMap<SocketKey, BindResult>> {
        self.binds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Certificates and trust of the plan that was last given.
    pub(crate) fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(&self.credentials.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes the certificates and trust of a plan that is about to be given.
    pub(crate) fn renew_credentials(&self, plan: &Plan) {
        let renewed = Arc::new(self.credentials().renewed(plan));
        *self.credentials.lock().unwrap_or_else(PoisonError::into_inner) = renewed;
    }

    /// Finds out how many sessions there may be.
    pub(crate) fn size(&self) {
        self.descriptors.measure(&self.seats);
        let capacity = match self.config.max_sessions {
            Some(sessions) => sessions as u64,
            None => self.descriptors.room() / OF_SESSION,
        };
        self.capacity.store(capacity, Ordering::Relaxed);
        self.metrics.capacity.set(u32::try_from(capacity).unwrap_or(u32::MAX));
        let flows = u32::try_from(capacity.saturating_mul(2)).unwrap_or(u32::MAX);
        self.metrics.flows_capacity.set(flows);
    }

    /// Asks for a place among the sessions, and for the descriptors of a TCP session.
    pub(crate) fn session_begins(&self) -> Admission {
        self.begins(OF_SESSION, self.udp.flows.load(Ordering::Acquire))
    }

    /// Asks for a place for a UDP flow, which takes half of what a session takes, and for its descriptor.
    pub(crate) fn flow_begins(&self) -> Admission {
        let flows = self.udp.flows.fetch_add(1, Ordering::AcqRel);
        let admission = self.begins(OF_FLOW, flows);
        if admission != Admission::Granted {
            self.udp.flows.fetch_sub(1, Ordering::AcqRel);
        }
        admission
    }

    fn begins(&self, descriptors: u64, flows: u64) -> Admission {
        let limited = self.config.max_sessions.is_some();
        let sessions = self.sessions.fetch_add(1, Ordering::AcqRel);
        // In descriptors, since a flow has half of what a session has.
        let wanted = (2 * sessions).saturating_sub(flows) + descriptors;
        let admission = if limited && wanted > self.capacity.load(Ordering::Relaxed).saturating_mul(2) {
            Admission::Full
        } else if self.descriptors.promise(descriptors) {
            Admission::Granted
        } else {
            Admission::Shortage
        };
        if admission != Admission::Granted {
            self.sessions.fetch_sub(1, Ordering::AcqRel);
        }
        admission
    }

    /// The session is over, or none came.
    pub(crate) fn session_over(&self) {
        self.descriptors.release(OF_SESSION);
        self.sessions.fetch_sub(1, Ordering::AcqRel);
    }

    /// The flow is over, or came to nothing.
    pub(crate) fn flow_over(&self) {
        self.descriptors.release(OF_FLOW);
        self.udp.flows.fetch_sub(1, Ordering::AcqRel);
        self.sessions.fetch_sub(1, Ordering::AcqRel);
    }

    /// Where a key is pinned to.
    pub(crate) fn pinned(&self, key: &PinKey) -> Option<SocketAddr> {
        self.pins.load().get(key)
    }

    /// A pin begins or ends to be needed.
    pub(crate) fn need(&self, change: Move) {
        if self.needs.change(change) {
            self.inbox.ask(|requests| requests.pins_needed = true);
        }
    }

    /// Gives every relay thread an order.
    pub(crate) fn order_all(&self, order: impl Fn() -> Order) {
        for seat in &self.seats {
            seat.order(order());
        }
    }
}

/// Listeners of which the log says already that their idle timeout ends sessions whose clients keep them alive.
#[derive(Debug, Default)]
pub(crate) struct IdleWarnings(Mutex<BTreeSet<ListenerName>>);

impl IdleWarnings {
    /// Names remembered; when there are as many, no further listener is warned about.
    const MOST: usize = 4096;

    /// Says so, once for each listener.
    pub(crate) fn warn(&self, listener: &ListenerName, idle: Duration) {
        if !self.is_first(listener) {
            return;
        }
        let ListenerName {
            namespace,
            gateway,
            listener,
        } = listener;
        tracing::warn!(
            "listener {namespace}/{gateway}/{listener}: the idle timeout of {idle:?} closes sessions whose clients send TCP \
             keepalive probes to keep them; a probe moves no byte, so it does not count: raise the idle timeout of the \
             ClientTrafficPolicy or BackendTrafficPolicy above the longest silence of the protocol"
        );
    }

    fn is_first(&self, listener: &ListenerName) -> bool {
        let mut warned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        warned.len() < IdleWarnings::MOST && warned.insert(listener.clone())
    }
}

/// Whether one more session may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It may.
    Granted,
    /// There are no descriptors left.
    Shortage,
    /// There are as many as may be.
    Full,
}

/// What a relay thread is told to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Run this plan; listeners that are not in it are closed.
    Plan(Arc<Plan>),
    /// Accept on these sockets of a group.
    Listen(SocketKey, Vec<OwnedFd>),
    /// Answer a question about sessions.
    Inspect(Inquiry),
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
    plans_walked: AtomicU64,
    /// Descriptors of the thread's sessions.
    held: AtomicU64,
    held_by_flows: AtomicU64,
}

impl Seat {
    pub(crate) fn new() -> Result<Seat, rustix::io::Errno> {
        Ok(Seat {
            orders: Mutex::default(),
            wake: rustix::event::eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
            heartbeat: AtomicU64::new(0),
            plans_taken: AtomicU64::new(0),
            plans_walked: AtomicU64::new(0),
            held: AtomicU64::new(0),
            held_by_flows: AtomicU64::new(0),
        })
    }

    /// Leaves an order and wakes the thread. Orders come from the control thread, which waits for each plan to be
    /// taken before it sends the next, and from those who look at sessions and wait for the answer: few are ever queued.
    pub(crate) fn order(&self, order: Order) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).push(order);
        // The counter can only refuse when it is full, and then the thread is about to wake anyway.
        rustix::io::write(&self.wake, &1u64.to_ne_bytes()).ok();
    }

    /// Wakes the thread, which looks for orders and for datagrams that were handed over.
    pub(crate) fn rouse(&self) {
        // As for an order.
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

    /// The thread's sessions hold so many descriptors.
    pub(crate) fn holds(&self, descriptors: u64) {
        self.held.store(descriptors, Ordering::Relaxed);
    }

    /// The thread's UDP flows hold so many.
    pub(crate) fn holds_for_flows(&self, descriptors: u64) {
        self.held_by_flows.store(descriptors, Ordering::Relaxed);
    }

    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed) + self.held_by_flows.load(Ordering::Relaxed)
    }

    /// The thread runs the plan of one more order.
    pub(crate) fn plan_taken(&self) {
        self.plans_taken.fetch_add(1, Ordering::Release);
    }

    /// Plan orders that the thread has followed.
    pub(crate) fn plans_taken(&self) -> u64 {
        self.plans_taken.load(Ordering::Acquire)
    }

    /// The thread has looked at everything it has under the plan that it took last; `false` if that was said before.
    pub(crate) fn plan_walked(&self) -> bool {
        let taken = self.plans_taken.load(Ordering::Relaxed);
        // Written by this thread alone, and read by it in each round.
        let new = self.plans_walked.load(Ordering::Relaxed) != taken;
        if new {
            self.plans_walked.store(taken, Ordering::Release);
        }
        new
    }

    /// Plan orders under which the thread has looked at everything it has.
    pub(crate) fn plans_walked(&self) -> u64 {
        self.plans_walked.load(Ordering::Acquire)
    }
}

/// What the control thread is asked for.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    /// The newest plan that was not taken yet.
    pub(crate) plan: Option<Arc<Plan>>,
    /// Shut down, with this long for sessions to end.
    pub(crate) shutdown: Option<Duration>,
    /// The first change since they were last taken.
    pub(crate) pins_needed: bool,
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

    /// Does something, unless a plan waits; gives whether it was done.
    pub(crate) fn unless_planned(&self, act: impl FnOnce()) -> bool {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let free = requests.plan.is_none();
        if free {
            act();
        }
        free
    }

    /// Says that something has happened.
    pub(crate) fn ring(&self) {
        self.ask(|requests| requests.rung = true);
    }

    /// Waits for a request or a ring, at most `patience`.
    pub(crate) fn wait(&self, patience: Duration) -> Requests {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = |requests: &mut Requests| {
            let quiet = !requests.rung && !requests.pins_needed;
            quiet && requests.plan.is_none() && requests.shutdown.is_none()
        };
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
    fn each_listener_is_warned_about_once() {
        let warnings = IdleWarnings::default();
        let name = |listener: &str| ListenerName {
            namespace: "default".into(),
            gateway: "edge".into(),
            listener: listener.into(),
        };
        assert!(warnings.is_first(&name("one")) && warnings.is_first(&name("two")));
        assert!(!warnings.is_first(&name("one")) && !warnings.is_first(&name("two")));
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
