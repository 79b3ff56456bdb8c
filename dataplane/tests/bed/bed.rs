//! What the tests of this crate stand on: data planes over every driver, plans built by hand, endpoints with a
//! behaviour, clients with a deadline.
#![allow(dead_code, clippy::allow_attributes, reason = "each test target uses its own part")]

pub(crate) mod datagrams;
pub(crate) mod endpoint;
pub(crate) mod namespace;
pub(crate) mod plans;
pub(crate) mod recorder;
pub(crate) mod tls;
pub(crate) mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use guideway_dataplane::{Config, DataPlane, Driver, Observer};
use guideway_model::Plan;
use guideway_model::node::{BindFailure, BindResult, SocketKey};
use rustix::net::{AddressFamily, SocketType, sockopt};

/// Every driver; each behaviour is asked of all of them.
pub(crate) const DRIVERS: [Driver; 2] = [Driver::Epoll, Driver::IoUring];

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A configuration for tests: two threads, timeouts that no test reaches by accident, and a ring, where there is one, that
/// carries each connection as soon as it can.
pub(crate) fn config(driver: Driver) -> Config {
    Config {
        driver,
        ring_after: 0,
        threads: NonZeroUsize::new(2).expect("two"),
        connect_timeout: PATIENCE,
        max_sessions: Some(2000),
        ..Config::default()
    }
}

/// A data plane and what it has told its observer.
pub(crate) struct Bed {
    pub(crate) plane: DataPlane,
    told: Arc<Told>,
}

#[derive(Default)]
struct Told {
    state: Mutex<Heard>,
    changed: Condvar,
}

#[derive(Default)]
struct Heard {
    generation: u64,
    binds: BTreeMap<SocketKey, BindResult>,
    walked: Vec<u64>,
    pins_needed: usize,
}

impl Observer for Told {
    fn binds_changed(&self, binds: &BTreeMap<SocketKey, BindResult>) {
        self.state.lock().expect("state").binds.clone_from(binds);
        self.changed.notify_all();
    }

    fn plan_active(&self, generation: u64) {
        self.state.lock().expect("state").generation = generation;
        self.changed.notify_all();
    }

    fn pins_needed(&self) {
        self.state.lock().expect("state").pins_needed += 1;
        self.changed.notify_all();
    }

    fn walked(&self, generation: u64) {
        self.state.lock().expect("state").walked.push(generation);
        self.changed.notify_all();
    }
}

impl Bed {
    pub(crate) fn start(config: Config) -> Bed {
        let told = Arc::new(Told::default());
        let observer: Arc<dyn Observer> = Arc::clone(&told) as _;
        Bed {
            plane: DataPlane::start(config, observer).expect("start"),
            told,
        }
    }

    /// A data plane with one listener on 127.0.0.1; gives its address too.
    pub(crate) fn with_pool(config: Config, targets: &[plans::Share]) -> (Bed, SocketAddr) {
        let bed = Bed::start(config);
        let port = Port::reserve();
        bed.activate(plans::plan(1, &[plans::listener(port.loopback_key(), Some(targets))]));
        bed.wait_bound();
        (bed, port.address())
    }

    /// Applies a plan and waits until every thread runs it.
    pub(crate) fn activate(&self, plan: Plan) {
        let generation = plan.generation;
        self.plane.apply(Arc::new(plan));
        self.wait("the plan to be active", |heard| {
            (heard.generation == generation).then_some(())
        });
    }

    /// Applies a plan with a prepared generation and waits until everything alive was looked at for it.
    pub(crate) fn prepare(&self, plan: Plan) {
        let prepared = plan.prepared.expect("a prepared generation");
        let before = self.walks(prepared);
        self.activate(plan);
        self.wait("the walk to be over", |heard| {
            let walks = heard.walked.iter().filter(|walked| **walked == prepared).count();
            (walks > before).then_some(())
        });
        assert_eq!(self.plane.walked(), Some(prepared));
    }

    /// How often the walk for a generation was over.
    pub(crate) fn walks(&self, generation: u64) -> usize {
        let heard = self.told.state.lock().expect("state");
        heard.walked.iter().filter(|walked| **walked == generation).count()
    }

    /// How often there was word of needed pins.
    pub(crate) fn times_pins_needed(&self) -> usize {
        self.told.state.lock().expect("state").pins_needed
    }

    /// Waits for word of needed pins, more often than `before`.
    pub(crate) fn wait_pins_needed(&self, before: usize) {
        self.wait("word of needed pins", |heard| {
            (heard.pins_needed > before).then_some(())
        });
    }

    pub(crate) fn wait_bound(&self) {
        self.wait("every socket group to listen", |heard| {
            let bound = heard.binds.values().all(|result| *result == BindResult::Bound);
            (bound && !heard.binds.is_empty()).then_some(())
        });
    }

    /// Waits until a socket group has failed to listen.
    pub(crate) fn wait_failed(&self, key: SocketKey) -> BindFailure {
        self.wait("the socket group to fail", |heard| match heard.binds.get(&key) {
            Some(BindResult::Failed(failure)) => Some(failure.clone()),
            Some(BindResult::Bound) | None => None,
        })
    }

    fn wait<T>(&self, what: &str, mut look: impl FnMut(&Heard) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut heard = self.told.state.lock().expect("state");
        loop {
            if let Some(found) = look(&heard) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {what}");
            heard = self.told.changed.wait_timeout(heard, left).expect("state").0;
        }
    }

    /// Waits until this many sessions live.
    pub(crate) fn wait_sessions(&self, count: u64) {
        eventually(&format!("{count} sessions"), || {
            let sessions = self.plane.figures().sessions;
            if sessions == count {
                Ok(())
            } else {
                Err(format!("{sessions} sessions"))
            }
        });
    }
}

/// Looks again and again until `look` is satisfied; fails with its last complaint.
pub(crate) fn eventually<T, E: std::fmt::Display>(what: &str, mut look: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(found) => return found,
            Err(complaint) => assert!(Instant::now() < deadline, "waited in vain for {what}: {complaint}"),
        }
        std::thread::yield_now();
    }
}

/// A port that no other test gets: held by a socket that does not listen and shares.
pub(crate) struct Port {
    port: u16,
    _holder: OwnedFd,
}

impl Port {
    /// One that no earlier test of this process has had either: metrics are told apart by it.
    pub(crate) fn reserve() -> Port {
        static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
        let mut used = Vec::new();
        loop {
            let port = Port::any();
            if GIVEN.lock().expect("ports").insert(port.port) {
                return port;
            }
            used.push(port);
        }
    }

    fn any() -> Port {
        let holder = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("socket");
        sockopt::set_socket_reuseaddr(&holder, true).expect("SO_REUSEADDR");
        sockopt::set_socket_reuseport(&holder, true).expect("SO_REUSEPORT");
        rustix::net::bind(&holder, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("bind");
        let address = rustix::net::getsockname(&holder).expect("name");
        let address = SocketAddr::try_from(address).expect("address");
        Port {
            port: address.port(),
            _holder: holder,
        }
    }

    pub(crate) fn number(&self) -> u16 {
        self.port
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    pub(crate) fn loopback_key(&self) -> SocketKey {
        plans::exactly(self.address())
    }
}

/// A client with a deadline on every read and write.
pub(crate) fn dial(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connect");
    with_deadline(stream)
}

pub(crate) fn with_deadline(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("timeout");
    stream.set_nodelay(true).expect("nodelay");
    stream
}

/// Closes with RST.
pub(crate) fn reset(stream: TcpStream) {
    reset_on_close(&stream);
    drop(stream);
}

pub(crate) fn reset_on_close(stream: impl AsFd) {
    sockopt::set_socket_linger(stream, Some(Duration::ZERO)).expect("linger");
}

/// Reads `count` bytes.
pub(crate) fn read_exactly(mut stream: &TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).expect("bytes in time");
    bytes
}

/// How a stream ended, after these bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Fin,
    Reset,
}

/// Reads to the end of the stream.
pub(crate) fn read_to_end(mut stream: &TcpStream) -> (Vec<u8>, End) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 64 << 10];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return (bytes, End::Fin),
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return (bytes, End::Reset),
            Err(error) => panic!("neither bytes nor an end after {} bytes: {error}", bytes.len()),
        }
    }
}

/// Bytes that differ everywhere, so that loss, repetition and exchange show.
pub(crate) fn pattern(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
