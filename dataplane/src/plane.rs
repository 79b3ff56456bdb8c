//! The running data plane, as the node sees it.

mod sessions;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use guideway_model::Plan;
use guideway_model::node::{BindResult, SocketKey};
use guideway_model::pin::{PinKey, Pins};
use rustix::io::Errno;

use crate::access_log::AccessLog;
use crate::affinity::Affinity;
use crate::clock::Clock;
use crate::config::Config;
use crate::control::Control;
use crate::control::watchdog::AbortOnPanic;
use crate::core::expiry::Timeouts;
use crate::core::selection::Sources;
use crate::descriptors::{Descriptors, OF_SESSION};
use crate::driver::{self, Running};
use crate::metrics::node::NodeMetrics;
use crate::needs::Needs;
use crate::relay;
use crate::shared::{Budget, Inbox, Order, Seat, Shared};
use crate::udp::Udp;
use crate::watch::Watch;

pub use self::sessions::Answer;

/// Is told what changes in the data plane. Called from the data plane's control thread, one call at a time; a slow
/// observer delays binds, never sessions.
pub trait Observer: Send + Sync {
    /// The result of one or more binds changed; `binds` has every socket group of the current plan.
    fn binds_changed(&self, binds: &BTreeMap<SocketKey, BindResult>);
    /// Every relay thread runs the plan of this generation.
    fn plan_active(&self, generation: u64);
    /// There are changes for [`DataPlane::pin_changes`] to take. Said once until they are taken, and now and then in vain.
    fn pins_needed(&self) {}
    /// Everything alive has been looked at for the tables of this prepared generation: see [`DataPlane::walked`].
    fn walked(&self, _generation: u64) {}
}

/// Why a data plane did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// More source addresses than a session can count.
    #[error("source_addresses: {count} addresses, at most 255 are allowed; remove some")]
    TooManySources {
        /// How many there are.
        count: usize,
    },
    /// A timeout that would close every session at once.
    #[error("{field}: must be at least 1 ms")]
    ZeroTimeout {
        /// The configuration field.
        field: &'static str,
    },
    /// The access log cannot be opened.
    #[error("access log {path}: {source}; check that the folder exists and that this user may write there", path = path.display())]
    AccessLog {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// io_uring was asked for by name.
    #[error(
        "io_uring cannot be had: {source}; ask for \"auto\" to go without where that is so, or allow it (kernel.io_uring_disabled, seccomp filters of containers)"
    )]
    NoIoUring {
        /// What the operating system said.
        source: io::Error,
    },
    /// A relay thread, or what it needs, cannot be had.
    #[error("cannot create {what}: {source}")]
    Resource {
        /// What was to be created.
        what: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Figures of the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Live sessions, UDP flows included.
    pub sessions: u64,
    /// Live UDP flows.
    pub flows: u64,
    /// Sessions at most.
    pub capacity: u64,
    /// Generation of the plan that every relay thread runs; 0 before the first.
    pub generation: u64,
}

/// What became of the sessions at shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Sessions alive when shutdown began that ended by themselves before the deadline.
    pub ended: u64,
    /// Sessions closed at the deadline with `node_shutdown`.
    pub closed: u64,
}

/// A running data plane. Dropping it shuts it down without waiting for sessions.
#[derive(Debug)]
pub struct DataPlane {
    shared: Arc<Shared>,
    control: Option<JoinHandle<ShutdownReport>>,
}

impl DataPlane {
    /// Starts the threads; nothing listens before a plan is applied.
    pub fn start(config: Config, observer: Arc<dyn Observer>) -> Result<DataPlane, StartError> {
        let shared = Arc::new(share(config)?);
        shared.metrics.announce(&shared);
        shared.size();
        let mut workers = Vec::new();
        for seat in 0..shared.seats.len() {
            match relay::spawn(&shared, seat) {
                Ok(worker) => workers.push(worker),
                Err(source) => {
                    shared.order_all(|| Order::Finish);
                    return Err(StartError::Resource {
                        what: "a relay thread",
                        source,
                    });
                }
            }
        }
        let control = Control::new(Arc::clone(&shared), observer, workers);
        let control = std::thread::Builder::new().name("dataplane".into()).spawn(move || {
            let _guard = AbortOnPanic;
            control.run()
        });
        match control {
            Ok(control) => Ok(DataPlane {
                shared,
                control: Some(control),
            }),
            Err(source) => {
                shared.order_all(|| Order::Finish);
                Err(StartError::Resource {
                    what: "the control thread",
                    source,
                })
            }
        }
    }

    /// Which driver carries the sessions, and why that one.
    pub fn driver(&self) -> &Running {
        &self.shared.driver
    }

    /// Makes `plan` the plan. Returns at once; [`Observer::plan_active`] and [`Observer::binds_changed`] tell when it has
    /// taken effect. Of plans applied faster than they take effect only the last one counts. Live TCP sessions
    /// are never touched; a listener that is gone accepts what is queued, then closes its sockets. UDP flows stay with
    /// their endpoint while it is in the pool, and end with their listener or route.
    pub fn apply(&self, plan: Arc<Plan>) {
        self.shared.inbox.ask(|requests| {
            // What was walked so far was walked under another plan.
            self.shared.walked.store(0, Ordering::Release);
            requests.plan = Some(plan);
        });
    }

    /// Makes these the pins that new UDP flows and affinity entries are looked up in, from the next one on.
    pub fn set_pins(&self, pins: Arc<Pins>) {
        self.shared.pins.store(pins);
    }

    /// Takes at most `most` changes of what [`DataPlane::pin_needs`] gives: of each key the newest endpoint, or `None` if
    /// it needs no pin any more. Fewer than `most` mean that there are no more at this moment. A key whose need has come
    /// and gone since the last call is not among them.
    pub fn pin_changes(&self, most: usize) -> Vec<(PinKey, Option<SocketAddr>)> {
        self.shared.needs.take_changes(most)
    }

    /// Where this node needs keys to go that a table would send elsewhere: its UDP flows under 5-tuple affinity, and its
    /// entries of client-IP affinity.
    pub fn pin_needs(&self) -> Vec<(PinKey, SocketAddr)> {
        self.shared.needs.all()
    }

    /// The prepared generation for which every flow and affinity entry has been looked at, so that
    /// [`DataPlane::pin_needs`] has all that its tables ask for. `None` while none is prepared in the plan that was applied
    /// last, or the look is not over.
    pub fn walked(&self) -> Option<u64> {
        match self.shared.walked.load(Ordering::Acquire) {
            0 => None,
            generation => Some(generation),
        }
    }

    /// The result of each bind of the current plan.
    pub fn binds(&self) -> BTreeMap<SocketKey, BindResult> {
        self.shared.binds().clone()
    }

    /// Figures of the moment.
    pub fn figures(&self) -> Figures {
        Figures {
            sessions: self.shared.sessions.load(Ordering::Relaxed),
            flows: self.shared.udp.flows.load(Ordering::Relaxed),
            capacity: self.shared.capacity.load(Ordering::Relaxed),
            generation: self.shared.generation.load(Ordering::Relaxed),
        }
    }

    /// Stops accepting, waits until every session has ended or `deadline` has passed, and closes the rest with
    /// `node_shutdown`. Blocks the caller.
    pub fn shutdown(mut self, deadline: Duration) -> ShutdownReport {
        self.stop(deadline)
    }

    fn stop(&mut self, deadline: Duration) -> ShutdownReport {
        let Some(control) = self.control.take() else {
            return ShutdownReport { ended: 0, closed: 0 };
        };
        self.shared.inbox.ask(|requests| requests.shutdown = Some(deadline));
        // A control thread that panics aborts the process before it can be joined.
        control.join().unwrap_or(ShutdownReport { ended: 0, closed: 0 })
    }
}

impl Drop for DataPlane {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

/// Checks the configuration and makes what the threads share.
pub(crate) fn share(config: Config) -> Result<Shared, StartError> {
    if config.source_addresses.len() > usize::from(u8::MAX) {
        return Err(StartError::TooManySources {
            count: config.source_addresses.len(),
        });
    }
    for (field, timeout) in [
        ("connect_timeout", config.connect_timeout),
        ("handshake_timeout", config.handshake_timeout),
        ("idle_timeout", config.idle_timeout),
        ("udp_idle_timeout", config.udp_idle_timeout),
    ] {
        if timeout < Duration::from_millis(1) {
            return Err(StartError::ZeroTimeout { field });
        }
    }
    let resource = |what| {
        move |errno: Errno| StartError::Resource {
            what,
            source: errno.into(),
        }
    };
    let driver = driver::resolve(config.driver).map_err(|source| StartError::NoIoUring { source })?;
    let descriptors = descriptors(config.max_sessions);
    let seats = (0..config.threads.get())
        .map(|_| Seat::new())
        .collect::<Result<Vec<_>, _>>();
    let seats = seats.map_err(resource("an event descriptor"))?;
    crate::metrics::describe();
    let metrics = NodeMetrics::register();
    let clock = Clock::start();
    Ok(Shared {
        log: AccessLog::open(&config.access_log, clock, metrics.lines_dropped.clone())?,
        clock,
        timeouts: Timeouts {
            handshake: config.handshake_timeout,
            connect: config.connect_timeout,
            first_byte: None,
            idle: config.idle_timeout,
            write_stall: None,
            duration: None,
            hears_keepalive: true,
        },
        sources: Sources::new(&config.source_addresses),
        driver,
        metrics,
        sessions: AtomicU64::new(0),
        capacity: AtomicU64::new(0),
        descriptors,
        udp: Udp::new(config.threads.get()),
        pipes: Budget::new(config.max_pipes),
        buffers: Budget::new(config.max_buffer_bytes),
        seats,
        credentials: Mutex::default(),
        generation: AtomicU64::new(0),
        walked: AtomicU64::new(0),
        pins: ArcSwap::from_pointee(Pins::default()),
        needs: Needs::default(),
        watch: Watch::default(),
        affinity: Affinity::new(config.max_affinity_entries),
        binds: Mutex::default(),
        inbox: Inbox::default(),
        idle_warnings: Default::default(),
        config,
    })
}

/// The process's descriptors, with a word if fewer sessions than wanted fit in.
fn descriptors(max_sessions: Option<usize>) -> Descriptors {
    let descriptors = Descriptors::of_this_process();
    let possible = descriptors.room() / OF_SESSION;
    if let Some(sessions) = max_sessions
        && sessions as u64 > possible
    {
        tracing::warn!(
            sessions,
            possible,
            "max_sessions needs more descriptors than the limit allows"
        );
    }
    descriptors
}
