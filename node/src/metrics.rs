//! Metrics of the process itself: names, units and where each number comes from.
//!
//! | name | unit | meaning |
//! |---|---|---|
//! | `guideway_build_info{version}` | 1 | version of the binary |
//! | `guideway_node_ready` | 0 or 1 | whether `/readyz` says yes |
//! | `guideway_node_plan_generation` | number | generation of the plan that was last handed to the data plane |
//! | `guideway_node_plan_compile_seconds` | histogram | time to compile one plan |
//! | `guideway_node_plan_tables_built_total` | count | tables of endpoints that were built, and not taken over from the plan before |
//! | `guideway_node_listeners_refused` | count | listeners of ListenerSets whose Gateway has as many as it takes |
//! | `guideway_node_resolve_failures_total` | count | names of endpoints that did not resolve |
//! | `guideway_node_bind_reports_total{result}` | count | reports of bind results, `committed` or `failed` |
//! | `guideway_node_pins` | count | pins of the cluster, as this node has applied them |
//! | `guideway_node_pins_needed` | count | flow keys of this node's sessions that need a pin |
//! | `guideway_node_pins_held` | count | pins that name this start of the node as holder |
//! | `guideway_node_pins_shed_total` | count | holds of pins that the cluster shed because there were too many |
//! | `guideway_node_graces_dropped_total` | count | graces that the cluster ended early because there were too many |
//! | `guideway_node_pin_batches_total{result}` | count | pin batches and `Prepared` proposed, `committed` or `failed` |
//! | `guideway_node_pin_wait_seconds` | histogram | from when a session or affinity entry needs a pin until it is applied here |
//! | `guideway_node_prepare_seconds` | histogram | from a generation seen prepared until it is seen active |
//! | `guideway_node_sessions_unpinned_total` | count | flow keys that lacked their pin when the cluster went on without this node |
//! | `guideway_node_passed_over_total` | count | nodes that this one, as leader, had passed over |
//! | `guideway_process_start_time_seconds` | Unix time | when the process started |
//! | `guideway_process_cpu_seconds` | seconds | user and system time |
//! | `guideway_process_resident_memory_bytes` | bytes | resident memory |
//! | `guideway_process_open_fds`, `guideway_process_max_fds` | count | file descriptors and their limit |
//! | `guideway_process_threads` | count | threads |

use metrics::{Counter, Gauge, Histogram, Unit};

use crate::process;

/// Handles, resolved once at start.
#[derive(Clone)]
pub(crate) struct NodeMetrics {
    /// `guideway_node_ready`
    pub ready: Gauge,
    /// `guideway_node_plan_generation`
    pub plan_generation: Gauge,
    /// `guideway_node_plan_compile_seconds`
    pub plan_compile_seconds: Histogram,
    /// `guideway_node_plan_tables_built_total`
    pub plan_tables_built: Counter,
    /// `guideway_node_listeners_refused`
    listeners_refused: Gauge,
    /// `guideway_node_resolve_failures_total`
    pub resolve_failures: Counter,
    /// `guideway_node_bind_reports_total{result="committed"}`
    pub bind_reports_committed: Counter,
    /// `guideway_node_bind_reports_total{result="failed"}`
    pub bind_reports_failed: Counter,
    /// `guideway_node_pin_wait_seconds`
    pub pin_wait_seconds: Histogram,
    /// `guideway_node_prepare_seconds`
    pub prepare_seconds: Histogram,
    /// `guideway_node_sessions_unpinned_total`
    pub unpinned: Counter,
    /// `guideway_node_passed_over_total`
    pub passed_over: Counter,
    pins: Gauge,
    pins_needed: Gauge,
    pins_held: Gauge,
    pins_shed: Counter,
    graces_dropped: Counter,
    pin_batches_committed: Counter,
    pin_batches_failed: Counter,
    start_time: Gauge,
    cpu_seconds: Gauge,
    resident: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
    threads: Gauge,
}

impl NodeMetrics {
    /// Describes the metrics and resolves their handles in the process's recorder.
    pub(crate) fn register() -> NodeMetrics {
        describe();
        metrics::gauge!("guideway_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        let reports = |result| metrics::counter!("guideway_node_bind_reports_total", "result" => result);
        let batches = |result| metrics::counter!("guideway_node_pin_batches_total", "result" => result);
        NodeMetrics {
            ready: metrics::gauge!("guideway_node_ready"),
            plan_generation: metrics::gauge!("guideway_node_plan_generation"),
            plan_compile_seconds: metrics::histogram!("guideway_node_plan_compile_seconds"),
            plan_tables_built: metrics::counter!("guideway_node_plan_tables_built_total"),
            listeners_refused: metrics::gauge!("guideway_node_listeners_refused"),
            resolve_failures: metrics::counter!("guideway_node_resolve_failures_total"),
            bind_reports_committed: reports("committed"),
            bind_reports_failed: reports("failed"),
            pin_wait_seconds: metrics::histogram!("guideway_node_pin_wait_seconds"),
            prepare_seconds: metrics::histogram!("guideway_node_prepare_seconds"),
            unpinned: metrics::counter!("guideway_node_sessions_unpinned_total"),
            passed_over: metrics::counter!("guideway_node_passed_over_total"),
            pins: metrics::gauge!("guideway_node_pins"),
            pins_needed: metrics::gauge!("guideway_node_pins_needed"),
            pins_held: metrics::gauge!("guideway_node_pins_held"),
            pins_shed: metrics::counter!("guideway_node_pins_shed_total"),
            graces_dropped: metrics::counter!("guideway_node_graces_dropped_total"),
            pin_batches_committed: batches("committed"),
            pin_batches_failed: batches("failed"),
            start_time: metrics::gauge!("guideway_process_start_time_seconds"),
            cpu_seconds: metrics::gauge!("guideway_process_cpu_seconds"),
            resident: metrics::gauge!("guideway_process_resident_memory_bytes"),
            open_fds: metrics::gauge!("guideway_process_open_fds"),
            max_fds: metrics::gauge!("guideway_process_max_fds"),
            threads: metrics::gauge!("guideway_process_threads"),
        }
    }

    /// Listeners that the applied state has no place for.
    pub(crate) fn listeners_refused(&self, refused: usize) {
        self.listeners_refused.set(count(refused));
    }

    /// Pins that are needed here, that are held here, and all there are.
    pub(crate) fn pins(&self, needed: usize, held: usize, all: usize) {
        self.pins_needed.set(count(needed));
        self.pins_held.set(count(held));
        self.pins.set(count(all));
    }

    /// What the cluster gave up so far for want of room: holds of pins, and graces.
    pub(crate) fn given_up(&self, holds: u64, graces: u64) {
        self.pins_shed.absolute(holds);
        self.graces_dropped.absolute(graces);
    }

    /// A pin batch or `Prepared` has its answer.
    pub(crate) fn pin_proposal(&self, committed: bool) {
        let counter = if committed {
            &self.pin_batches_committed
        } else {
            &self.pin_batches_failed
        };
        counter.increment(1);
    }

    /// Reads the process's own figures; called before each scrape.
    pub(crate) fn refresh(&self) {
        let Ok(figures) = process::Figures::read() else {
            return;
        };
        self.start_time.set(figures.start_time_seconds);
        self.cpu_seconds.set(figures.cpu_seconds);
        self.resident.set(figures.resident_bytes);
        self.open_fds.set(figures.open_fds);
        self.max_fds.set(figures.max_fds);
        self.threads.set(figures.threads);
    }
}

/// Gauges are floats; counts of pins and listeners stay far below 2^53.
fn count(count: usize) -> f64 {
    count as f64
}

/// Says what each metric means.
pub(crate) fn describe() {
    describe_pins();
    metrics::describe_gauge!("guideway_build_info", "Always 1, by version of the binary");
    metrics::describe_gauge!("guideway_node_ready", "1 while /readyz says yes, else 0");
    metrics::describe_gauge!(
        "guideway_node_plan_generation",
        "Generation of the plan that was last handed to the data plane"
    );
    metrics::describe_histogram!(
        "guideway_node_plan_compile_seconds",
        Unit::Seconds,
        "Time to compile one plan"
    );
    metrics::describe_counter!(
        "guideway_node_plan_tables_built_total",
        Unit::Count,
        "Tables of endpoints that were built, and not taken over from the plan before"
    );
    metrics::describe_gauge!(
        "guideway_node_listeners_refused",
        Unit::Count,
        "Listeners of ListenerSets that are not served (TooManyListeners), because their Gateway has as many as it takes"
    );
    metrics::describe_counter!(
        "guideway_node_resolve_failures_total",
        Unit::Count,
        "Names of endpoints that did not resolve"
    );
    metrics::describe_counter!(
        "guideway_node_bind_reports_total",
        Unit::Count,
        "Reports of bind results to the cluster, by result (committed, failed)"
    );
    metrics::describe_gauge!(
        "guideway_process_start_time_seconds",
        Unit::Seconds,
        "Unix time at which the process started"
    );
    metrics::describe_gauge!("guideway_process_cpu_seconds", Unit::Seconds, "User and system time");
    metrics::describe_gauge!("guideway_process_resident_memory_bytes", Unit::Bytes, "Resident memory");
    metrics::describe_gauge!("guideway_process_open_fds", Unit::Count, "Open file descriptors");
    metrics::describe_gauge!(
        "guideway_process_max_fds",
        Unit::Count,
        "Most file descriptors the process may open"
    );
    metrics::describe_gauge!("guideway_process_threads", Unit::Count, "Threads");
}

fn describe_pins() {
    metrics::describe_gauge!(
        "guideway_node_pins",
        Unit::Count,
        "Pins of the cluster, as this node has applied them"
    );
    metrics::describe_gauge!(
        "guideway_node_pins_needed",
        Unit::Count,
        "Flow keys of this node's sessions that need a pin"
    );
    metrics::describe_gauge!(
        "guideway_node_pins_held",
        Unit::Count,
        "Pins that name this start of the node as holder"
    );
    metrics::describe_counter!(
        "guideway_node_pins_shed_total",
        Unit::Count,
        "Holds of pins that the cluster shed because there were too many"
    );
    metrics::describe_counter!(
        "guideway_node_graces_dropped_total",
        Unit::Count,
        "Graces that the cluster ended early because there were too many"
    );
    metrics::describe_counter!(
        "guideway_node_pin_batches_total",
        Unit::Count,
        "Pin batches, and reports that a generation is prepared, by result (committed, failed)"
    );
    metrics::describe_histogram!(
        "guideway_node_pin_wait_seconds",
        Unit::Seconds,
        "From when a session or affinity entry needs a pin until that is applied on this node: what is lost with the node by then \
         is lost without a trace"
    );
    metrics::describe_histogram!(
        "guideway_node_prepare_seconds",
        Unit::Seconds,
        "From a generation seen prepared on this node until it is seen active"
    );
    metrics::describe_counter!(
        "guideway_node_sessions_unpinned_total",
        Unit::Count,
        "Flow keys that lacked their pin when the cluster went on without this node"
    );
    metrics::describe_counter!(
        "guideway_node_passed_over_total",
        Unit::Count,
        "Nodes that this one, as leader, had passed over"
    );
}
