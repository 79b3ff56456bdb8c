//! What a data plane is started with.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// What a data plane is started with. Plain values; [`DataPlane::start`](crate::DataPlane::start) checks them.
#[derive(Clone, Debug)]
pub struct Config {
    /// What carries the sessions' operations.
    pub driver: Driver,
    /// Relay threads, and so sockets in each socket group. Default: one per core this process may use.
    pub threads: NonZeroUsize,
    /// Address of listeners without one of their own; `None` is `0.0.0.0` and `[::]`.
    pub data_address: Option<IpAddr>,
    /// Local addresses toward endpoints, each of which adds its range of local ports; empty leaves the choice to the
    /// kernel. Only those of the endpoint's family are used for it. At most 255.
    pub source_addresses: Vec<IpAddr>,
    /// How long one endpoint may take to accept a connection, unless its policy says otherwise.
    pub connect_timeout: Duration,
    /// How long a client of a TLS port may take for its ClientHello, and where TLS ends here for the whole handshake.
    pub handshake_timeout: Duration,
    /// A session without a byte either way for this long is closed (`idle_timeout`), unless the policy of its endpoint or
    /// listener says otherwise. TCP keepalive moves no byte. A session that is closed though its client was sending probes
    /// is counted in `idle_closes_alive_total`, if the timeout is at least 1 s and this node sends no probes of its own.
    pub idle_timeout: Duration,
    /// A UDP flow without a datagram either way for this long is closed.
    pub udp_idle_timeout: Duration,
    /// UDP flows at most on one listener. When reached, datagrams that would open another flow are dropped and counted
    /// (`flow_limit`); flows that are open live on.
    pub udp_max_flows: u32,
    /// UDP flows at most of one client address on one listener; shed in the same way.
    pub udp_max_flows_per_client: u32,
    /// Clients at most that are remembered for client-IP affinity, over all pools that have it; an entry takes about
    /// 150 bytes. When full, a new client takes the place of the one without sessions whose time ends first
    /// (`affinity_entries_shed_total`); where every client has sessions it is served, and not remembered.
    pub max_affinity_entries: usize,
    /// Endpoints tried for one session, the first included; 0 counts as 1.
    pub max_tries: u8,
    /// Sessions at most; a UDP flow, which takes one descriptor, counts half, and is not opened when full. When full, nothing is accepted: clients wait in the kernel's accept queue, and beyond it
    /// their SYNs are not answered, until a session ends. `None`: what the descriptor limit allows (two descriptors a
    /// session, beside 400 for everything else in the process, or what that is measured to have). Start raises the soft
    /// limit to the hard limit.
    pub max_sessions: Option<usize>,
    /// Connections the kernel holds for each listening socket until they are accepted; capped by `net.core.somaxconn`.
    pub backlog: u32,
    /// Messages of less than 4 KiB, one after the other, after which an io_uring carries a connection, if so many come while
    /// others are there to be carried at the same time; only with [`Driver::IoUring`]. 0: each connection, at once.
    pub ring_after: u8,
    /// Splice pipes of 1 MiB over all threads; beyond them bulk transfers are copied.
    pub max_pipes: usize,
    /// Bytes over all threads that may wait in buffers for a slow receiver. When they are used up a session takes
    /// at most 4 KiB at a time from its sender while its receiver is slow.
    pub max_buffer_bytes: usize,
    /// Lines about sessions.
    pub access_log: AccessLogConfig,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            driver: Driver::Auto,
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            data_address: None,
            source_addresses: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(3600),
            udp_idle_timeout: Duration::from_secs(60),
            udp_max_flows: 1 << 20,
            udp_max_flows_per_client: 1 << 14,
            max_affinity_entries: 1_000_000,
            max_tries: 3,
            max_sessions: None,
            backlog: 4096,
            ring_after: 8,
            max_pipes: 64,
            max_buffer_bytes: 256 << 20,
            access_log: AccessLogConfig::default(),
        }
    }
}

/// What carries the sessions' operations. Every driver passes the same behaviour suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// io_uring where it can be had, else epoll.
    Auto,
    /// Edge-triggered epoll; runs everywhere.
    Epoll,
    /// The same for connections that are new, end or are bulk; the messages of others and all datagrams are carried by an
    /// io_uring of each thread. Linux 6.1 or newer, where nothing forbids it:
    /// [`DataPlane::start`](crate::DataPlane::start) fails elsewhere.
    IoUring,
}

impl Driver {
    /// The name in configuration, metrics and status.
    pub const fn name(self) -> &'static str {
        match self {
            Driver::Auto => "auto",
            Driver::Epoll => "epoll",
            Driver::IoUring => "io_uring",
        }
    }
}

/// Lines about sessions, one JSON object each.
#[derive(Clone, Debug, Default)]
pub struct AccessLogConfig {
    /// Where they go.
    pub target: AccessLogTarget,
    /// Also one line when a session has reached its endpoint.
    pub open_lines: bool,
}

/// Where access log lines go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AccessLogTarget {
    /// Nowhere.
    #[default]
    Off,
    /// Standard output.
    Stdout,
    /// Appended to this file, which is created if it is not there. When it is renamed or deleted, the path is opened
    /// anew within a second; what was handed over until then goes into the renamed file.
    File(PathBuf),
}
