//! The data plane's metrics: every name with its unit and labels in one list.
//!
//! Counters per side or per cause that close reasons already tell are not counted twice: idle closes, resets by side and
//! failed sessions are `sessions_closed_total` with `reason` `idle_timeout`, `client_rst` or `backend_rst`, and
//! `connect_failed`, `no_endpoint`, `no_route`, `rejected_share` or `overload`; names that lead nowhere are those with
//! `no_sni` or `no_sni_match`. A session of a TLS port counts as accepted when its listener is known. Where several
//! listeners share the port, sessions that never tell count under the listener `*:` and the port.

pub(crate) mod datagrams;
pub(crate) mod handshakes;
pub(crate) mod node;
pub(crate) mod tally;

use metrics::Unit;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Distribution.
    Histogram,
}

/// One metric: what it is called, counts and is told apart by.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Full name.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: MetricKind,
    /// Base unit.
    pub unit: Unit,
    /// Label names.
    pub labels: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
}

const LISTENER: &[&str] = &["namespace", "gateway", "listener", "route"];

macro_rules! metric {
    ($ident:ident, $name:literal, $kind:ident, $unit:ident, $labels:expr, $help:literal) => {
        #[doc = $help]
        pub const $ident: Metric = Metric {
            name: concat!("guideway_dataplane_", $name),
            kind: MetricKind::$kind,
            unit: Unit::$unit,
            labels: $labels,
            help: $help,
        };
    };
}

metric!(
    SESSIONS_ACCEPTED,
    "sessions_accepted_total",
    Counter,
    Count,
    LISTENER,
    "Connections accepted from clients, and UDP flows opened."
);
metric!(
    SESSIONS_ACTIVE,
    "sessions_active",
    Gauge,
    Count,
    LISTENER,
    "Live sessions, those that still connect to an endpoint included."
);
metric!(
    SESSIONS_CLOSED,
    "sessions_closed_total",
    Counter,
    Count,
    &["namespace", "gateway", "listener", "route", "reason"],
    "Sessions ended, UDP flows included, by close reason."
);
metric!(
    SESSION_DURATION,
    "session_duration_seconds",
    Histogram,
    Seconds,
    LISTENER,
    "From accept to close; of a UDP flow from its first datagram."
);
metric!(
    CONNECT_DURATION,
    "connect_duration_seconds",
    Histogram,
    Seconds,
    LISTENER,
    "From the first attempt to the endpoint's accepting, redispatches included."
);
metric!(
    RELAYED_BYTES,
    "relayed_bytes_total",
    Counter,
    Bytes,
    &["namespace", "gateway", "listener", "route", "direction"],
    "Bytes taken from one side for the other; direction is to_endpoint or to_client."
);
metric!(
    REDISPATCHES,
    "redispatches_total",
    Counter,
    Count,
    LISTENER,
    "Further endpoints tried after one that did not accept."
);
metric!(
    IDLE_CLOSES_ALIVE,
    "idle_closes_alive_total",
    Counter,
    Count,
    LISTENER,
    "Sessions closed with idle_timeout whose client was sending TCP keepalive probes: it wanted to keep the connection longer than the idle timeout allows."
);
metric!(
    CONNECT_ATTEMPTS,
    "connect_attempts_total",
    Counter,
    Count,
    &["route", "endpoint"],
    "Connections begun toward an endpoint."
);
metric!(
    CONNECT_FAILURES,
    "connect_failures_total",
    Counter,
    Count,
    &["route", "endpoint", "cause"],
    "Connections that an endpoint did not accept; cause is refused, timeout, unreachable, no_local_port, no_resource, handshake_failed or other."
);
metric!(
    LOCAL_PORTS_USED,
    "local_ports_used",
    Gauge,
    Count,
    &["route", "endpoint"],
    "Local ports in use toward an endpoint by live sessions."
);
metric!(
    TLS_HANDSHAKES,
    "tls_handshakes_total",
    Counter,
    Count,
    &["namespace", "gateway", "listener", "route", "side", "outcome"],
    "TLS handshakes that this node took part in; side is client (Terminate) or endpoint (BackendTLSPolicy); outcome is ok, no_certificate, certificate, alert, incompatible, protocol, closed or timeout."
);
metric!(
    TLS_HANDSHAKE_DURATION,
    "tls_handshake_duration_seconds",
    Histogram,
    Seconds,
    &["namespace", "gateway", "listener", "route", "side"],
    "From the client's ClientHello, or from the endpoint's accepting, to the end of a handshake that succeeded."
);
metric!(
    ACCEPT_ERRORS,
    "accept_errors_total",
    Counter,
    Count,
    &["errno"],
    "accept calls that failed, by errno; those of the client's own making (ECONNABORTED) included."
);
metric!(
    ACCEPT_PAUSES,
    "accept_pauses_total",
    Counter,
    Count,
    &["cause"],
    "Times a listening socket was left alone for a moment; cause is shortage (descriptors or memory) or sessions (max_sessions reached)."
);
metric!(
    SESSIONS_CAPACITY,
    "sessions_capacity",
    Gauge,
    Count,
    &[],
    "Sessions at most (max_sessions)."
);
metric!(
    PLAN_GENERATION,
    "plan_generation",
    Gauge,
    Count,
    &[],
    "Generation of the plan that every relay thread runs."
);
metric!(
    DRIVER,
    "driver",
    Gauge,
    Count,
    &["driver", "reason"],
    "1 for the driver that carries datagrams and the messages of sessions: `io_uring` or `epoll`, and why that one."
);
metric!(
    BINDS_FAILED,
    "binds_failed",
    Gauge,
    Count,
    &[],
    "Socket groups of the plan that do not listen."
);
metric!(
    PIPES_USED,
    "pipes_used",
    Gauge,
    Count,
    &[],
    "Splice pipes that exist, leased or kept ready."
);
metric!(
    PIPES_CAPACITY,
    "pipes_capacity",
    Gauge,
    Count,
    &[],
    "Splice pipes at most (max_pipes)."
);
metric!(
    BUFFER_BYTES_USED,
    "buffer_bytes_used",
    Gauge,
    Bytes,
    &[],
    "Bytes that wait for slow receivers."
);
metric!(
    BUFFER_BYTES_CAPACITY,
    "buffer_bytes_capacity",
    Gauge,
    Bytes,
    &[],
    "Bytes that may wait for slow receivers (max_buffer_bytes)."
);
metric!(
    ACCESS_LOG_LINES_DROPPED,
    "access_log_lines_dropped_total",
    Counter,
    Count,
    &[],
    "Access log lines lost because the writer fell behind or could not write."
);

metric!(
    DATAGRAMS,
    "datagrams_total",
    Counter,
    Count,
    &["namespace", "gateway", "listener", "route", "direction"],
    "Datagrams of UDP flows taken from one side for the other; direction is to_endpoint or to_client."
);
metric!(
    DATAGRAMS_DROPPED,
    "datagrams_dropped_total",
    Counter,
    Count,
    &["namespace", "gateway", "listener", "route", "reason"],
    "Datagrams not passed on; reason is no_route, no_endpoint, rejected_share, flow_limit, ports_exhausted, overload, connect_failed or node_shutdown where no flow could be opened, and no_room, too_long, unsendable, handover_full or handover_lost where there was one."
);
metric!(
    DATAGRAMS_HANDED_OVER,
    "datagrams_handed_over_total",
    Counter,
    Count,
    LISTENER,
    "Datagrams that came to another relay thread than the one that has their flow."
);
metric!(
    ICMP_ERRORS,
    "icmp_errors_total",
    Counter,
    Count,
    &["route", "endpoint"],
    "Errors (ICMP) that came back for datagrams to an endpoint."
);
metric!(FLOW_TABLE_USED, "flow_table_used", Gauge, Count, &[], "Live UDP flows.");
metric!(
    FLOW_TABLE_CAPACITY,
    "flow_table_capacity",
    Gauge,
    Count,
    &[],
    "UDP flows at most, were there no other sessions: each takes half of what a session takes."
);
metric!(
    FLOW_PORTS_CAPACITY,
    "flow_ports_capacity",
    Gauge,
    Count,
    &["family"],
    "Local ports that UDP flows may use toward one endpoint, over all source addresses; family is ipv4 or ipv6. Those in use are local_ports_used."
);
metric!(
    AFFINITY_ENTRIES_USED,
    "affinity_entries_used",
    Gauge,
    Count,
    &[],
    "Clients that are kept to an endpoint by client-IP affinity."
);
metric!(
    AFFINITY_ENTRIES_CAPACITY,
    "affinity_entries_capacity",
    Gauge,
    Count,
    &[],
    "Such clients at most (max_affinity_entries)."
);
metric!(
    AFFINITY_ENTRIES_SHED,
    "affinity_entries_shed_total",
    Counter,
    Count,
    &[],
    "Clients of client-IP affinity that were forgotten before their time, or not remembered, because there were as many as may be."
);
metric!(
    RINGS_MISSING,
    "rings_missing",
    Gauge,
    Count,
    &[],
    "Relay threads that have no io_uring although the driver is io_uring, and carry everything by system calls."
);
metric!(
    RING_BUFFERS_EXHAUSTED,
    "ring_buffers_exhausted_total",
    Counter,
    Count,
    &[],
    "Receives of an io_uring that stopped because all buffers of their thread were in use (128 for datagrams, 512 for messages on connections); what comes waits in its socket until they go on."
);
metric!(
    RING_SESSIONS,
    "ring_sessions",
    Gauge,
    Count,
    &[],
    "TCP sessions whose messages an io_uring carries at this moment; the others are carried by system calls."
);
metric!(
    PINS_NEEDED,
    "pins_needed",
    Gauge,
    Count,
    &[],
    "Flow keys of this node's UDP flows and affinity entries that the active or the prepared table would send to another endpoint, so that a pin must hold them."
);
metric!(
    PIN_CHANGES_WAITING,
    "pin_changes_waiting",
    Gauge,
    Count,
    &[],
    "Of these, and of those that need a pin no more, the ones that were not taken yet to be told to the cluster."
);
metric!(
    SESSION_EVENTS_MISSED,
    "session_events_missed_total",
    Counter,
    Count,
    &[],
    "Sessions opened and closed of which someone who watches them did not learn, because they were too many for him at a time."
);

/// Every metric of the data plane.
pub const ALL: &[Metric] = &[
    SESSIONS_ACCEPTED,
    SESSIONS_ACTIVE,
    SESSIONS_CLOSED,
    SESSION_DURATION,
    CONNECT_DURATION,
    RELAYED_BYTES,
    REDISPATCHES,
    IDLE_CLOSES_ALIVE,
    CONNECT_ATTEMPTS,
    CONNECT_FAILURES,
    LOCAL_PORTS_USED,
    TLS_HANDSHAKES,
    TLS_HANDSHAKE_DURATION,
    ACCEPT_ERRORS,
    ACCEPT_PAUSES,
    SESSIONS_CAPACITY,
    PLAN_GENERATION,
    DRIVER,
    BINDS_FAILED,
    PIPES_USED,
    PIPES_CAPACITY,
    BUFFER_BYTES_USED,
    BUFFER_BYTES_CAPACITY,
    ACCESS_LOG_LINES_DROPPED,
    DATAGRAMS,
    DATAGRAMS_DROPPED,
    DATAGRAMS_HANDED_OVER,
    ICMP_ERRORS,
    FLOW_TABLE_USED,
    FLOW_TABLE_CAPACITY,
    FLOW_PORTS_CAPACITY,
    AFFINITY_ENTRIES_USED,
    AFFINITY_ENTRIES_CAPACITY,
    AFFINITY_ENTRIES_SHED,
    RINGS_MISSING,
    RING_BUFFERS_EXHAUSTED,
    RING_SESSIONS,
    PINS_NEEDED,
    PIN_CHANGES_WAITING,
    SESSION_EVENTS_MISSED,
];

/// Tells the recorder unit and meaning of each metric.
pub(crate) fn describe() {
    for metric in ALL {
        match metric.kind {
            MetricKind::Counter => metrics::describe_counter!(metric.name, metric.unit, metric.help),
            MetricKind::Gauge => metrics::describe_gauge!(metric.name, metric.unit, metric.help),
            MetricKind::Histogram => metrics::describe_histogram!(metric.name, metric.unit, metric.help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_the_convention() {
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        for metric in ALL {
            assert_eq!(
                metric.name.ends_with("_total"),
                metric.kind == MetricKind::Counter,
                "{}",
                metric.name
            );
            let unit = match metric.unit {
                Unit::Seconds => "_seconds",
                Unit::Bytes => "_bytes",
                _ => "",
            };
            assert!(metric.name.contains(unit), "{}", metric.name);
        }
    }
}
