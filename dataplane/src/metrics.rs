//! The data plane's metrics: every name with its unit and labels in one list.
//!
//! Counters per side or per cause that close reasons already tell are not counted twice: idle closes, resets by side and
//! failed sessions are `sessions_closed_total` with `reason` `idle_timeout`, `client_rst` or `backend_rst`, and
//! `connect_failed`, `no_endpoint`, `no_route`, `rejected_share` or `overload`.

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
    "Connections accepted from clients."
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
    "Sessions ended, by close reason."
);
metric!(
    SESSION_DURATION,
    "session_duration_seconds",
    Histogram,
    Seconds,
    LISTENER,
    "From accept to close."
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
    "Connections that an endpoint did not accept; cause is refused, timeout, unreachable, no_local_port, no_resource or other."
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

/// Every metric of the data plane.
pub const ALL: &[Metric] = &[
    SESSIONS_ACCEPTED,
    SESSIONS_ACTIVE,
    SESSIONS_CLOSED,
    SESSION_DURATION,
    CONNECT_DURATION,
    RELAYED_BYTES,
    REDISPATCHES,
    CONNECT_ATTEMPTS,
    CONNECT_FAILURES,
    LOCAL_PORTS_USED,
    ACCEPT_ERRORS,
    ACCEPT_PAUSES,
    SESSIONS_CAPACITY,
    PLAN_GENERATION,
    BINDS_FAILED,
    PIPES_USED,
    PIPES_CAPACITY,
    BUFFER_BYTES_USED,
    BUFFER_BYTES_CAPACITY,
    ACCESS_LOG_LINES_DROPPED,
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
