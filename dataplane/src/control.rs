//! The control thread: gives plans to the relay threads, opens socket groups, and watches heartbeats.
//!
//! Who lives here: the thread `dataplane`, which owns the relay threads' handles. It ends at shutdown, after the relay
//! threads, which it tells to end and joins. It is the only caller of the observer.

mod group;
mod walk;
pub(crate) mod watchdog;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use guideway_model::Plan;
use guideway_model::node::{BindResult, Protocol, SocketKey};

use crate::affinity;
use crate::control::walk::Walk;
use crate::control::watchdog::Watchdog;
use crate::core::affinity::Pools;
use crate::core::time::Micros;
use crate::plane::{Observer, ShutdownReport};
use crate::shared::{Order, Shared};
use crate::sockets::tuning::Tuning;

/// How often heartbeats are looked at and gauges set.
const TICK: Duration = Duration::from_secs(1);
/// A failed bind is tried again after this long, then after twice as long, and so on up to the longest.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LONGEST: Duration = Duration::from_secs(5);

/// The control thread's state.
pub(crate) struct Control {
    shared: Arc<Shared>,
    observer: Arc<dyn Observer>,
    workers: Vec<JoinHandle<()>>,
    watchdog: Watchdog,
    groups: BTreeMap<SocketKey, Group>,
    /// Given to the relay threads, not yet taken by all.
    awaited: Option<Arc<Plan>>,
    /// To be given when that one is taken.
    next: Option<Arc<Plan>>,
    plans_sent: u64,
    /// What every relay thread runs.
    current: Option<Arc<Plan>>,
    /// Those of the plan that every relay thread runs.
    pools: Pools,
    walk: Option<Walk>,
    /// The affinity entries were walked with these pools.
    entries_walked: bool,
    ticked: Micros,
}

/// A socket group of the current plan.
#[derive(Debug)]
enum Group {
    Open(Vec<SocketAddr>),
    Failed { retry_at: Micros, pause: Duration },
}

impl Control {
    pub(crate) fn new(shared: Arc<Shared>, observer: Arc<dyn Observer>, workers: Vec<JoinHandle<()>>) -> Control {
        Control {
            watchdog: Watchdog::new(&shared.seats),
            shared,
            observer,
            workers,
            groups: BTreeMap::new(),
            awaited: None,
            next: None,
            plans_sent: 0,
            current: None,
            pools: Pools::new(),
            walk: None,
            entries_walked: false,
            ticked: Micros(0),
        }
    }

    /// The thread's life.
    pub(crate) fn run(mut self) -> ShutdownReport {
        loop {
            let requests = self.shared.inbox.wait(self.patience());
            if let Some(plan) = requests.plan {
                self.next = Some(plan);
            }
            if let Some(deadline) = requests.shutdown {
                return self.shut_down(deadline);
            }
            if self.awaited.is_none() {
                self.give_plan();
            }
            if self.all_taken() {
                self.settle();
                self.give_plan();
            }
            self.go_on_walking();
            if requests.pins_needed {
                self.observer.pins_needed();
            }
            self.retry_binds();
            self.tick();
        }
    }

    fn patience(&self) -> Duration {
        if self.walks() {
            return Duration::ZERO;
        }
        let retries = self.groups.values().filter_map(|group| match group {
            Group::Failed { retry_at, .. } => Some(*retry_at),
            Group::Open(_) => None,
        });
        let next = retries.chain([self.ticked.after(TICK)]).min().unwrap_or_default();
        next.since(self.shared.clock.now())
    }

    fn give_plan(&mut self) {
        let Some(plan) = self.next.take() else { return };
        self.walk = None;
        self.shared.renew_credentials(&plan);
        self.bar_ports(&plan);
        self.shared.order_all(|| Order::Plan(Arc::clone(&plan)));
        self.plans_sent += 1;
        self.awaited = Some(plan);
    }

    /// Keeps UDP flows off the ports of UDP listeners, before those are opened.
    fn bar_ports(&self, plan: &Plan) {
        let keys = plan.listeners.iter().map(|listener| listener.socket);
        let udp = keys.filter(|key| key.protocol == Protocol::Udp);
        if self.shared.udp.ports.bar(&udp.map(|key| key.port).collect()) {
            self.shared.metrics.announce_ports(&self.shared);
        }
    }

    fn all_taken(&self) -> bool {
        self.awaited.is_some()
            && self
                .shared
                .seats
                .iter()
                .all(|seat| seat.plans_taken() == self.plans_sent)
    }

    /// Every relay thread runs the plan, so the sockets it gave up are closed: those it wants can be opened.
    fn settle(&mut self) {
        let Some(plan) = self.awaited.take() else { return };
        self.current = Some(Arc::clone(&plan));
        let wanted: BTreeSet<SocketKey> = plan.listeners.iter().map(|listener| listener.socket).collect();
        self.groups.retain(|key, _| wanted.contains(key));
        let mut results = self.shared.binds().clone();
        results.retain(|key, _| wanted.contains(key));
        for key in wanted {
            if !self.groups.contains_key(&key) {
                let result = self.open(key, RETRY_FIRST);
                results.insert(key, result);
            }
        }
        self.publish(results);
        self.shared.generation.store(plan.generation, Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "a generation beyond 2^53 is not reached")]
        self.shared.metrics.generation.set(plan.generation as f64);
        self.observer.plan_active(plan.generation);
        self.begin_walk(&plan);
    }

    fn retry_binds(&mut self) {
        let now = self.shared.clock.now();
        let due: Vec<(SocketKey, Duration)> = self
            .groups
            .iter()
            .filter_map(|(key, group)| match group {
                Group::Failed { retry_at, pause } if *retry_at <= now => Some((*key, *pause)),
                Group::Failed { .. } | Group::Open(_) => None,
            })
            .collect();
        if due.is_empty() {
            return;
        }
        let mut results = self.shared.binds().clone();
        for (key, pause) in due {
            let result = self.open(key, (pause * 2).min(RETRY_LONGEST));
            results.insert(key, result);
        }
        self.publish(results);
    }

    /// Tries to open a group; if it fails, it is tried again after `pause`.
    fn open(&mut self, key: SocketKey, pause: Duration) -> BindResult {
        let held = self.groups.iter().flat_map(|(other, group)| match group {
            Group::Open(addresses) if other.protocol == key.protocol => addresses.as_slice(),
            Group::Open(_) | Group::Failed { .. } => &[],
        });
        let ports = &self.shared.udp.ports;
        let current = self.current.as_deref();
        let tuning = current.map_or(Tuning::default(), |plan| Tuning::of_listener(plan, key));
        match group::open(key, &self.shared.config, tuning, &held.copied().collect(), ports) {
            Ok(opened) => {
                for (seat, sockets) in self.shared.seats.iter().zip(opened.sockets) {
                    seat.order(Order::Listen(key, sockets));
                }
                self.groups.insert(key, Group::Open(opened.addresses));
                BindResult::Bound
            }
            Err(failure) => {
                let retry_at = self.shared.clock.now().after(pause);
                self.groups.insert(key, Group::Failed { retry_at, pause });
                BindResult::Failed(failure)
            }
        }
    }

    fn publish(&self, results: BTreeMap<SocketKey, BindResult>) {
        self.shared.size();
        let mut binds = self.shared.binds();
        if *binds == results {
            return;
        }
        for (key, result) in &results {
            if let BindResult::Failed(failure) = result
                && binds.get(key) != Some(result)
            {
                tracing::warn!(
                    address = failure.address,
                    "cannot listen: {}; tried again until it succeeds",
                    failure.message
                );
            }
        }
        let failed = results.values().filter(|result| **result != BindResult::Bound).count();
        binds.clone_from(&results);
        drop(binds);
        self.shared
            .metrics
            .binds_failed
            .set(u32::try_from(failed).unwrap_or(u32::MAX));
        self.observer.binds_changed(&results);
    }

    fn tick(&mut self) {
        let now = self.shared.clock.now();
        if now < self.ticked.after(TICK) {
            return;
        }
        self.ticked = now;
        self.watchdog.look(&self.shared.seats);
        self.shared.size();
        let metrics = &self.shared.metrics;
        metrics
            .pipes_used
            .set(u32::try_from(self.shared.pipes.used()).unwrap_or(u32::MAX));
        metrics
            .buffer_bytes_used
            .set(u32::try_from(self.shared.buffers.used()).unwrap_or(u32::MAX));
        let flows = self.shared.udp.flows.load(Ordering::Relaxed);
        metrics.flows_used.set(u32::try_from(flows).unwrap_or(u32::MAX));
        affinity::tick(&self.shared, &self.pools, now);
        let gauge = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let [entries, _] = self.shared.affinity.figures();
        metrics.affinity_used.set(gauge(entries));
        let [needed, untold] = self.shared.needs.figures();
        metrics.pins_needed.set(gauge(needed));
        metrics.pins_untold.set(gauge(untold));
    }

    fn shut_down(mut self, deadline: Duration) -> ShutdownReport {
        let alive = |control: &Control| control.shared.sessions.load(Ordering::Acquire);
        let before = alive(&self);
        let end = self.shared.clock.now().after(deadline);
        self.shared.order_all(|| Order::Quiesce);
        while alive(&self) > 0 && self.shared.clock.now() < end {
            let left = end.since(self.shared.clock.now());
            let requests = self.shared.inbox.wait(left.min(TICK));
            if requests.pins_needed {
                self.observer.pins_needed();
            }
            self.tick();
        }
        let closed = alive(&self);
        self.shared.order_all(|| Order::Finish);
        for worker in self.workers.drain(..) {
            // A relay thread that panics aborts the process before it can be joined.
            drop(worker.join());
        }
        if let Some(log) = &self.shared.log {
            log.finish();
        }
        ShutdownReport {
            ended: before.saturating_sub(closed),
            closed,
        }
    }
}
