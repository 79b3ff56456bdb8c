//! Metrics of the whole data plane, shared by its threads.

use metrics::{Counter, Gauge};

use crate::metrics as list;
use crate::shared::Shared;

/// Handles that are not about one listener or endpoint.
#[derive(Clone, Debug)]
pub(crate) struct NodeMetrics {
    pub(crate) pauses_shortage: Counter,
    pub(crate) pauses_sessions: Counter,
    pub(crate) capacity: Gauge,
    pub(crate) generation: Gauge,
    pub(crate) binds_failed: Gauge,
    pub(crate) pipes_used: Gauge,
    pub(crate) pipes_capacity: Gauge,
    pub(crate) buffer_bytes_used: Gauge,
    pub(crate) buffer_bytes_capacity: Gauge,
    pub(crate) lines_dropped: Counter,
    pub(crate) flows_used: Gauge,
    pub(crate) flows_capacity: Gauge,
    pub(crate) affinity_used: Gauge,
    pub(crate) affinity_capacity: Gauge,
    pub(crate) affinity_shed: Counter,
    pub(crate) rings_missing: Gauge,
    pub(crate) ring_buffers_exhausted: Counter,
    pub(crate) ring_sessions: Gauge,
    pub(crate) pins_needed: Gauge,
    pub(crate) pins_untold: Gauge,
    pub(crate) events_missed: Counter,
}

impl NodeMetrics {
    pub(crate) fn register() -> NodeMetrics {
        NodeMetrics {
            pauses_shortage: metrics::counter!(list::ACCEPT_PAUSES.name, "cause" => "shortage"),
            pauses_sessions: metrics::counter!(list::ACCEPT_PAUSES.name, "cause" => "sessions"),
            capacity: metrics::gauge!(list::SESSIONS_CAPACITY.name),
            generation: metrics::gauge!(list::PLAN_GENERATION.name),
            binds_failed: metrics::gauge!(list::BINDS_FAILED.name),
            pipes_used: metrics::gauge!(list::PIPES_USED.name),
            pipes_capacity: metrics::gauge!(list::PIPES_CAPACITY.name),
            buffer_bytes_used: metrics::gauge!(list::BUFFER_BYTES_USED.name),
            buffer_bytes_capacity: metrics::gauge!(list::BUFFER_BYTES_CAPACITY.name),
            lines_dropped: metrics::counter!(list::ACCESS_LOG_LINES_DROPPED.name),
            flows_used: metrics::gauge!(list::FLOW_TABLE_USED.name),
            flows_capacity: metrics::gauge!(list::FLOW_TABLE_CAPACITY.name),
            affinity_used: metrics::gauge!(list::AFFINITY_ENTRIES_USED.name),
            affinity_capacity: metrics::gauge!(list::AFFINITY_ENTRIES_CAPACITY.name),
            affinity_shed: metrics::counter!(list::AFFINITY_ENTRIES_SHED.name),
            rings_missing: metrics::gauge!(list::RINGS_MISSING.name),
            ring_buffers_exhausted: metrics::counter!(list::RING_BUFFERS_EXHAUSTED.name),
            ring_sessions: metrics::gauge!(list::RING_SESSIONS.name),
            pins_needed: metrics::gauge!(list::PINS_NEEDED.name),
            pins_untold: metrics::gauge!(list::PIN_CHANGES_WAITING.name),
            events_missed: metrics::counter!(list::SESSION_EVENTS_MISSED.name),
        }
    }

    /// Sets what does not change.
    pub(crate) fn announce(&self, shared: &Shared) {
        let gauge = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        self.pipes_capacity.set(gauge(shared.pipes.limit()));
        self.buffer_bytes_capacity.set(gauge(shared.buffers.limit()));
        let [_, entries] = shared.affinity.figures();
        self.affinity_capacity.set(gauge(entries));
        let running = &shared.driver;
        let driver = metrics::gauge!(
            list::DRIVER.name,
            "driver" => running.driver.name(), "reason" => running.reason.clone()
        );
        driver.set(1);
        self.announce_ports(shared);
    }

    /// Sets how many ports flows may have; call when the ports of the listeners change.
    pub(crate) fn announce_ports(&self, shared: &Shared) {
        let sources = &shared.config.source_addresses;
        let ports = shared.udp.ports.capacity();
        let v4 = sources.iter().filter(|source| source.is_ipv4()).count();
        for (family, sources) in [("ipv4", v4), ("ipv6", sources.len() - v4)] {
            let capacity = ports * sources.max(1);
            let gauge = metrics::gauge!(list::FLOW_PORTS_CAPACITY.name, "family" => family);
            gauge.set(u32::try_from(capacity).unwrap_or(u32::MAX));
        }
    }

    /// Counts a failed accept; rare, so the handle is looked up each time.
    pub(crate) fn accept_error(&self, errno: rustix::io::Errno) {
        metrics::counter!(list::ACCEPT_ERRORS.name, "errno" => errno.raw_os_error().to_string()).increment(1);
    }
}
