//! Whether this node should get traffic, and what is still missing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use guideway_api::ports::ReadinessCheck;
use metrics::Gauge;

/// What must hold before the node is ready. Clones share it.
#[derive(Clone)]
pub(crate) struct Readiness {
    inner: Arc<Inner>,
}

struct Inner {
    caught_up: AtomicBool,
    data_plane: AtomicBool,
    draining: AtomicBool,
    stopping: AtomicBool,
    gauge: Gauge,
}

impl Readiness {
    /// Nothing holds yet; `gauge` follows the conjunction.
    pub(crate) fn new(gauge: Gauge) -> Readiness {
        gauge.set(0.0);
        Readiness {
            inner: Arc::new(Inner {
                caught_up: AtomicBool::new(false),
                data_plane: AtomicBool::new(false),
                draining: AtomicBool::new(false),
                stopping: AtomicBool::new(false),
                gauge,
            }),
        }
    }

    /// The node has applied the commit index that a leader named when it started.
    pub(crate) fn caught_up(&self) {
        self.set(&self.inner.caught_up, true);
    }

    /// The data plane runs a plan.
    pub(crate) fn data_plane_runs(&self) {
        self.set(&self.inner.data_plane, true);
    }

    /// Whether a Drain empties this node.
    pub(crate) fn draining(&self, draining: bool) {
        self.set(&self.inner.draining, draining);
    }

    /// The node shuts down; final.
    pub(crate) fn stopping(&self) {
        self.set(&self.inner.stopping, true);
    }

    /// One line for each condition, in the order of a start.
    pub(crate) fn checks(&self) -> Vec<ReadinessCheck> {
        let check = |name, holds: bool, missing: &str| ReadinessCheck {
            name,
            result: if holds { Ok(()) } else { Err(missing.to_owned()) },
        };
        let inner = &self.inner;
        vec![
            check(
                "caught-up",
                inner.caught_up.load(Ordering::Acquire),
                "this node has not applied what was committed before it started; it waits for a leader, or for the log",
            ),
            check(
                "data-plane",
                inner.data_plane.load(Ordering::Acquire),
                "the data plane has no plan yet",
            ),
            check(
                "not-draining",
                !inner.draining.load(Ordering::Acquire),
                "a Drain empties this node; deleting the Drain ends that",
            ),
            check(
                "not-stopping",
                !inner.stopping.load(Ordering::Acquire),
                "this node is shutting down",
            ),
        ]
    }

    fn set(&self, flag: &AtomicBool, value: bool) {
        flag.store(value, Ordering::Release);
        let ready = self.checks().iter().all(|check| check.result.is_ok());
        self.inner.gauge.set(if ready { 1.0 } else { 0.0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(readiness: &Readiness) -> Vec<&'static str> {
        let checks = readiness.checks().into_iter();
        checks
            .filter(|check| check.result.is_err())
            .map(|check| check.name)
            .collect()
    }

    #[test]
    fn ready_is_caught_up_and_carrying_traffic_and_neither_draining_nor_stopping() {
        let readiness = Readiness::new(Gauge::noop());
        assert_eq!(failing(&readiness), ["caught-up", "data-plane"]);
        readiness.data_plane_runs();
        assert_eq!(failing(&readiness), ["caught-up"]);
        readiness.clone().caught_up();
        assert_eq!(failing(&readiness), [""; 0]);
        readiness.draining(true);
        assert_eq!(failing(&readiness), ["not-draining"]);
        readiness.draining(false);
        assert_eq!(failing(&readiness), [""; 0]);
        readiness.stopping();
        assert_eq!(failing(&readiness), ["not-stopping"]);
    }
}
