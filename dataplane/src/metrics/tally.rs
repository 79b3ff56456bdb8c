//! Plain counters of one relay thread, handed to the metrics recorder a few times a second.
//!
//! Counting is an addition to a field of the thread's own; the recorder's atomics are touched only by [`Tallies::flush`].
//! A tally joins the dirty list with its first change, so a flush costs what has changed and not what there is.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use guideway_model::plan::ListenerName;
use metrics::{Counter, Gauge, Histogram};

use crate::core::reason::CloseReason;
use crate::core::selection::ConnectFailure;
use crate::core::session::Side;
use crate::metrics as list;
use crate::metrics::handshakes::Handshakes;
use crate::tls::outcome::Outcome;

/// Samples kept for a histogram between two flushes; a full one is flushed at once.
const SAMPLES: usize = 128;

const REASONS: usize = CloseReason::ALL.len();
const FAILURES: usize = ConnectFailure::ALL.len();

/// Who carries a session: what the labels and the access log say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// The listener.
    pub(crate) listener: Arc<ListenerName>,
    /// `namespace/name` of the route; empty without one.
    pub(crate) route: Arc<str>,
}

/// Counters of one listener with its route.
#[derive(Debug)]
pub(crate) struct ListenerTally {
    pub(crate) names: Arc<Names>,
    accepted: Cell<u64>,
    active: Cell<i64>,
    redispatches: Cell<u64>,
    idle_alive: Cell<u64>,
    closed: [Cell<u64>; REASONS],
    bytes: [Cell<u64>; 2],
    durations: Samples,
    connects: Samples,
    handshakes: Handshakes,
    dirty: Cell<bool>,
    handles: OnceCell<ListenerHandles>,
}

/// Counters of one endpoint under one route.
#[derive(Debug)]
pub(crate) struct EndpointTally {
    pub(crate) address: SocketAddr,
    names: Arc<Names>,
    attempts: Cell<u64>,
    ports: Cell<i64>,
    icmp: Cell<u64>,
    failures: [Cell<u64>; FAILURES],
    dirty: Cell<bool>,
    handles: OnceCell<EndpointHandles>,
}

/// The thread's tallies that have changed since the last flush.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    listeners: Vec<Rc<ListenerTally>>,
    endpoints: Vec<Rc<EndpointTally>>,
}

impl Tallies {
    pub(crate) fn accepted(&mut self, listener: &Rc<ListenerTally>) {
        add(&listener.accepted, 1);
        listener.active.set(listener.active.get() + 1);
        self.mark(listener);
    }

    /// A session lives of which it is not known yet who accepts it.
    pub(crate) fn awaited(&mut self, listener: &Rc<ListenerTally>) {
        listener.active.set(listener.active.get() + 1);
        self.mark(listener);
    }

    /// Such a session is known to be accepted by `to`.
    pub(crate) fn routed(&mut self, from: &Rc<ListenerTally>, to: &Rc<ListenerTally>) {
        from.active.set(from.active.get() - 1);
        self.mark(from);
        self.accepted(to);
    }

    /// Such a session ends without having told.
    pub(crate) fn unrouted(&mut self, listener: &Rc<ListenerTally>) {
        add(&listener.accepted, 1);
        self.mark(listener);
    }

    pub(crate) fn handshaken(&mut self, listener: &Rc<ListenerTally>, side: Side, outcome: Outcome, took: Duration) {
        listener.handshakes.count(side, outcome, took);
        self.mark(listener);
    }

    pub(crate) fn closed(&mut self, listener: &Rc<ListenerTally>, reason: CloseReason, lasted: Duration) {
        add(&listener.closed[reason.index()], 1);
        listener.active.set(listener.active.get() - 1);
        listener.durations.push(lasted);
        self.mark(listener);
    }

    pub(crate) fn connected(&mut self, listener: &Rc<ListenerTally>, took: Duration) {
        listener.connects.push(took);
        self.mark(listener);
    }

    pub(crate) fn redispatched(&mut self, listener: &Rc<ListenerTally>) {
        add(&listener.redispatches, 1);
        self.mark(listener);
    }

    pub(crate) fn idle_but_alive(&mut self, listener: &Rc<ListenerTally>) {
        add(&listener.idle_alive, 1);
        self.mark(listener);
    }

    pub(crate) fn relayed(&mut self, listener: &Rc<ListenerTally>, from: Side, bytes: u64) {
        add(&listener.bytes[from.index()], bytes);
        self.mark(listener);
    }

    pub(crate) fn attempted(&mut self, endpoint: &Rc<EndpointTally>) {
        add(&endpoint.attempts, 1);
        self.mark_endpoint(endpoint);
    }

    pub(crate) fn port_taken(&mut self, endpoint: &Rc<EndpointTally>) {
        endpoint.ports.set(endpoint.ports.get() + 1);
        self.mark_endpoint(endpoint);
    }

    pub(crate) fn port_freed(&mut self, endpoint: &Rc<EndpointTally>) {
        endpoint.ports.set(endpoint.ports.get() - 1);
        self.mark_endpoint(endpoint);
    }

    pub(crate) fn connect_failed(&mut self, endpoint: &Rc<EndpointTally>, failure: ConnectFailure) {
        add(&endpoint.failures[failure as usize], 1);
        self.mark_endpoint(endpoint);
    }

    pub(crate) fn icmp(&mut self, endpoint: &Rc<EndpointTally>) {
        add(&endpoint.icmp, 1);
        self.mark_endpoint(endpoint);
    }

    /// Whether there is anything to flush.
    pub(crate) fn is_dirty(&self) -> bool {
        !self.listeners.is_empty() || !self.endpoints.is_empty()
    }

    /// Hands every change to the recorder.
    pub(crate) fn flush(&mut self) {
        for tally in self.listeners.drain(..) {
            tally.flush();
        }
        for tally in self.endpoints.drain(..) {
            tally.flush();
        }
    }

    fn mark(&mut self, tally: &Rc<ListenerTally>) {
        if !tally.dirty.replace(true) {
            self.listeners.push(Rc::clone(tally));
        } else if tally.durations.is_full() || tally.connects.is_full() || tally.handshakes.is_full() {
            tally.flush_samples();
        }
    }

    fn mark_endpoint(&mut self, tally: &Rc<EndpointTally>) {
        if !tally.dirty.replace(true) {
            self.endpoints.push(Rc::clone(tally));
        }
    }
}

impl ListenerTally {
    pub(crate) fn new(names: Names) -> ListenerTally {
        ListenerTally {
            names: Arc::new(names),
            accepted: Cell::default(),
            active: Cell::default(),
            redispatches: Cell::default(),
            idle_alive: Cell::default(),
            closed: Default::default(),
            bytes: Default::default(),
            durations: Samples::default(),
            connects: Samples::default(),
            handshakes: Handshakes::default(),
            dirty: Cell::default(),
            handles: OnceCell::new(),
        }
    }

    fn handles(&self) -> &ListenerHandles {
        self.handles.get_or_init(|| ListenerHandles::register(&self.names))
    }

    fn flush(&self) {
        self.dirty.set(false);
        let handles = self.handles();
        count(&handles.accepted, &self.accepted);
        count(&handles.redispatches, &self.redispatches);
        shift(&handles.active, &self.active);
        if self.idle_alive.get() != 0 {
            // Rare, so the handle is looked up each time.
            let labels = listener_labels(&self.names);
            count(
                &metrics::counter!(list::IDLE_CLOSES_ALIVE.name, labels),
                &self.idle_alive,
            );
        }
        for (handle, cell) in handles.bytes.iter().zip(&self.bytes) {
            count(handle, cell);
        }
        for (index, cell) in self.closed.iter().enumerate() {
            if cell.get() != 0 {
                count(handles.closed(&self.names, index), cell);
            }
        }
        self.flush_samples();
    }

    fn flush_samples(&self) {
        let handles = self.handles();
        self.durations.flush(&handles.durations);
        self.connects.flush(&handles.connects);
        self.handshakes.flush(|| listener_labels(&self.names));
    }
}

impl EndpointTally {
    pub(crate) fn new(names: Arc<Names>, address: SocketAddr) -> EndpointTally {
        EndpointTally {
            address,
            names,
            attempts: Cell::default(),
            ports: Cell::default(),
            icmp: Cell::default(),
            failures: Default::default(),
            dirty: Cell::default(),
            handles: OnceCell::new(),
        }
    }

    fn flush(&self) {
        self.dirty.set(false);
        let route = &*self.names.route;
        let handles = self
            .handles
            .get_or_init(|| EndpointHandles::register(route, self.address));
        count(&handles.attempts, &self.attempts);
        shift(&handles.ports, &self.ports);
        if self.icmp.get() != 0 {
            let labels = [("route", route.to_owned()), ("endpoint", self.address.to_string())];
            count(&metrics::counter!(list::ICMP_ERRORS.name, &labels), &self.icmp);
        }
        for (failure, cell) in ConnectFailure::ALL.iter().zip(&self.failures) {
            if cell.get() != 0 {
                // A failed connection is rare and dear enough to look its handle up.
                let handle = metrics::counter!(list::CONNECT_FAILURES.name, "route" => route.to_owned(),
                    "endpoint" => self.address.to_string(), "cause" => failure.word());
                count(&handle, cell);
            }
        }
    }
}

#[derive(Debug)]
struct ListenerHandles {
    accepted: Counter,
    active: Gauge,
    redispatches: Counter,
    bytes: [Counter; 2],
    durations: Histogram,
    connects: Histogram,
    closed: [OnceCell<Counter>; REASONS],
}

impl ListenerHandles {
    fn register(names: &Names) -> ListenerHandles {
        let labels = listener_labels(names);
        let relayed = |direction: &'static str| {
            let mut labels = labels.clone();
            labels.push(metrics::Label::from_static_parts("direction", direction));
            metrics::counter!(list::RELAYED_BYTES.name, labels)
        };
        ListenerHandles {
            accepted: metrics::counter!(list::SESSIONS_ACCEPTED.name, labels.clone()),
            active: metrics::gauge!(list::SESSIONS_ACTIVE.name, labels.clone()),
            redispatches: metrics::counter!(list::REDISPATCHES.name, labels.clone()),
            bytes: [relayed("to_endpoint"), relayed("to_client")],
            durations: metrics::histogram!(list::SESSION_DURATION.name, labels.clone()),
            connects: metrics::histogram!(list::CONNECT_DURATION.name, labels.clone()),
            closed: Default::default(),
        }
    }

    fn closed(&self, names: &Names, reason: usize) -> &Counter {
        self.closed[reason].get_or_init(|| {
            let mut labels = listener_labels(names);
            labels.push(metrics::Label::from_static_parts(
                "reason",
                CloseReason::ALL[reason].word(),
            ));
            metrics::counter!(list::SESSIONS_CLOSED.name, labels)
        })
    }
}

#[derive(Debug)]
struct EndpointHandles {
    attempts: Counter,
    ports: Gauge,
}

impl EndpointHandles {
    fn register(route: &str, address: SocketAddr) -> EndpointHandles {
        let labels = [("route", route.to_owned()), ("endpoint", address.to_string())];
        EndpointHandles {
            attempts: metrics::counter!(list::CONNECT_ATTEMPTS.name, &labels),
            ports: metrics::gauge!(list::LOCAL_PORTS_USED.name, &labels),
        }
    }
}

/// Values of a histogram since the last flush, in seconds.
#[derive(Debug, Default)]
pub(crate) struct Samples(RefCell<Vec<f32>>);

impl Samples {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    pub(crate) fn push(&self, value: Duration) {
        self.0.borrow_mut().push(value.as_secs_f32());
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.borrow().len() >= SAMPLES
    }

    pub(crate) fn flush(&self, handle: &Histogram) {
        for value in self.0.borrow_mut().drain(..) {
            handle.record(f64::from(value));
        }
    }
}

pub(super) fn listener_labels(names: &Names) -> Vec<metrics::Label> {
    vec![
        metrics::Label::new("namespace", names.listener.namespace.clone()),
        metrics::Label::new("gateway", names.listener.gateway.clone()),
        metrics::Label::new("listener", names.listener.listener.clone()),
        metrics::Label::new("route", names.route.clone()),
    ]
}

pub(super) fn add(cell: &Cell<u64>, value: u64) {
    cell.set(cell.get() + value);
}

pub(super) fn count(handle: &Counter, cell: &Cell<u64>) {
    let value = cell.take();
    if value != 0 {
        handle.increment(value);
    }
}

fn shift(handle: &Gauge, cell: &Cell<i64>) {
    // A difference of sessions within one flush is far below 2^32.
    if let Ok(value) = i32::try_from(cell.take())
        && value != 0
    {
        handle.increment(f64::from(value));
    }
}
