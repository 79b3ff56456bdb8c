//! The configuration file: TOML, read once into types that cannot be wrong.
//!
//! Every fault of a file is reported, each with file, line, column, key and rule. Nothing binds or
//! is written before a whole file is valid.

mod effective;
mod fault;
pub(crate) mod keys;
mod reader;
mod value;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use guideway_dataplane::Driver;
use tracing_subscriber::filter::Targets;

pub use effective::{Effective, explain};
pub use fault::{Fault, Faults};
use reader::Reader;

/// A valid configuration of one node.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Unique name of the node, for people.
    pub name: String,
    /// Folder of the replicated store.
    pub data_dir: PathBuf,
    /// Where the transport between nodes listens, and where other nodes reach it.
    pub peer_listen: SocketAddr,
    /// How long certificates that this node signs are good for.
    pub certificate_life: Duration,
    /// Where the REST API listens.
    pub api_listen: SocketAddr,
    /// Whether it is served without TLS; only on a loopback address.
    pub api_plain_http: bool,
    /// Where what is done through the API is written down.
    pub audit: Audit,
    /// Where `/metrics` is served; a loopback address.
    pub metrics_listen: SocketAddr,
    /// What the data plane is told.
    pub data: Data,
    /// Where session records go.
    pub access_log: AccessLog,
    /// What the process says of itself.
    pub log: Log,
    /// How long a start waits for a leader before it serves the last plan known committed.
    pub start_wait: Duration,
    /// How long sessions may go on once the process was told to stop.
    pub shutdown_deadline: Duration,
    /// The replicated store.
    pub store: Store,
}

/// Settings of the data plane.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    /// Where listeners without `spec.addresses` are bound; `None` is all addresses.
    pub address: Option<IpAddr>,
    /// Relay threads.
    pub threads: NonZeroUsize,
    /// Addresses that connections to endpoints come from; empty lets the kernel choose.
    pub source_addresses: Vec<IpAddr>,
    /// How long one attempt to reach an endpoint may take.
    pub connect_timeout: Duration,
    /// How long a TCP session may be silent.
    pub idle_timeout: Duration,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long a UDP flow may be silent.
    pub udp_idle_timeout: Duration,
    /// UDP flows at most on one listener.
    pub udp_max_flows: u32,
    /// UDP flows at most of one client address on one listener.
    pub udp_max_flows_per_client: u32,
    /// What carries datagrams and messages.
    pub driver: Driver,
    /// Whether sessions that a change would move are pinned.
    pub pins: bool,
    /// Whether sessions from a lost node are chosen as it would have chosen them.
    pub grace: bool,
}

/// Settings of the access log.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessLog {
    /// Where lines go.
    pub target: AccessLogTarget,
    /// Whether a session's start is written too, not only its end.
    pub open_lines: bool,
}

/// Where access log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLogTarget {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
    /// Appended to this file.
    File(PathBuf),
}

/// Settings of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Where lines go.
    pub target: AuditTarget,
    /// Size at which the file is put aside.
    pub max_bytes: u64,
    /// Files put aside that are kept.
    pub kept_files: u32,
    /// Lines that wait at most.
    pub queue: u32,
    /// How long a write waits for a place among them.
    pub patience: Duration,
}

/// Where audit lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditTarget {
    /// Nowhere.
    Off,
    /// `audit.log` in the data folder.
    DataDir,
    /// Appended to this file.
    File(PathBuf),
}

/// Settings of the process log, which goes to standard error.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// Which lines are written.
    pub level: Targets,
    /// How they look.
    pub format: LogFormat,
}

/// How process log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// Settings of the replicated store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Store {
    /// Bytes of log after which a snapshot is written and the log is cut.
    pub snapshot_log_bytes: u64,
    /// Free bytes of the file system below which writes are refused.
    pub free_space_mark: u64,
}

/// Why a configuration could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("cannot read the configuration {}: {source}\nName another file with --config FILE; `guideway check-config --explain` prints one to start from.", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file breaks rules.
    #[error(transparent)]
    Faults(#[from] Faults),
}

impl Config {
    /// Reads and validates a file.
    pub fn load(path: &Path) -> Result<(Config, Effective), LoadError> {
        let text = std::fs::read_to_string(path).map_err(|source| LoadError::Read {
            path: path.to_owned(),
            source,
        })?;
        Ok(Config::parse(path, &text)?)
    }

    /// Validates `text`; `file` only names it in faults.
    pub fn parse(file: &Path, text: &str) -> Result<(Config, Effective), Faults> {
        let mut reader = Reader::new(file, text)?;
        let config = read(&mut reader);
        if config.is_some() {
            refuse_shared_addresses(&mut reader, config.as_ref());
            refuse_plain_http_off_loopback(&mut reader, config.as_ref());
        }
        let (effective, faults) = reader.finish();
        match config {
            Some(config) if faults.is_empty() => Ok((config, effective)),
            _ => Err(Faults(faults)),
        }
    }
}

impl Config {
    /// URL at which this node's API is reached.
    pub fn api_url(&self) -> String {
        let scheme = if self.api_plain_http { "http" } else { "https" };
        let mut address = self.api_listen;
        // Where it listens on every address, it is reached on the one that it has for data.
        if address.ip().is_unspecified() {
            address.set_ip(self.data.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        }
        format!("{scheme}://{address}")
    }
}

fn read(reader: &mut Reader<'_>) -> Option<Config> {
    let name = reader.read(&keys::NAME, value::node_name);
    let data_dir = reader.read(&keys::DATA_DIR, value::absolute_path);
    let peer_listen = reader.read(&keys::PEER_LISTEN, value::reachable);
    let certificate_life = reader.read(&keys::PEER_CERTIFICATE_LIFE, value::certificate_life);
    let api_listen = reader.read(&keys::API_LISTEN, value::listen);
    let api_plain_http = reader.read(&keys::API_PLAIN_HTTP, value::boolean);
    let metrics_listen = reader.read(&keys::METRICS_LISTEN, value::loopback);
    let data = read_data(reader);
    let access_target = reader.read(&keys::ACCESS_LOG_TO, value::access_log_target);
    let open_lines = reader.read(&keys::ACCESS_LOG_OPEN_LINES, value::boolean);
    let audit = read_audit(reader);
    let level = reader.read(&keys::LOG_LEVEL, value::log_level);
    let format = reader.read(&keys::LOG_FORMAT, value::log_format);
    let start_wait = reader.read(&keys::START_WAIT, value::start_wait);
    let shutdown_deadline = reader.read(&keys::SHUTDOWN_DEADLINE, value::shutdown_deadline);
    let snapshot_log_bytes = reader.read(&keys::SNAPSHOT_LOG_BYTES, value::snapshot_log_bytes);
    let free_space_mark = reader.read(&keys::FREE_SPACE_MARK, value::free_space_mark);
    Some(Config {
        name: name?,
        data_dir: data_dir?,
        peer_listen: peer_listen?,
        certificate_life: certificate_life?,
        api_listen: api_listen?,
        api_plain_http: api_plain_http?,
        audit: audit?,
        metrics_listen: metrics_listen?,
        data: data?,
        access_log: AccessLog {
            target: access_target?,
            open_lines: open_lines?,
        },
        log: Log {
            level: level?,
            format: format?,
        },
        start_wait: start_wait?,
        shutdown_deadline: shutdown_deadline?,
        store: Store {
            snapshot_log_bytes: snapshot_log_bytes?,
            free_space_mark: free_space_mark?,
        },
    })
}

fn read_data(reader: &mut Reader<'_>) -> Option<Data> {
    let address = reader.read(&keys::DATA_ADDRESS, value::data_address);
    let threads = reader.read(&keys::DATA_THREADS, value::threads);
    let source_addresses = reader.read(&keys::DATA_SOURCE_ADDRESSES, value::source_addresses);
    let connect_timeout = reader.read(&keys::DATA_CONNECT_TIMEOUT, value::connect_timeout);
    let idle_timeout = reader.read(&keys::DATA_IDLE_TIMEOUT, value::idle_timeout);
    let handshake_timeout = reader.read(&keys::DATA_HANDSHAKE_TIMEOUT, value::connect_timeout);
    let udp_idle_timeout = reader.read(&keys::DATA_UDP_IDLE_TIMEOUT, value::idle_timeout);
    let udp_max_flows = reader.read(&keys::DATA_UDP_MAX_FLOWS, value::flows);
    let udp_max_flows_per_client = reader.read(&keys::DATA_UDP_MAX_FLOWS_PER_CLIENT, value::flows);
    let driver = reader.read(&keys::DATA_DRIVER, value::driver);
    let pins = reader.read(&keys::DATA_PINS, value::boolean);
    let grace = reader.read(&keys::DATA_GRACE, value::boolean);
    Some(Data {
        address: address?,
        threads: threads?,
        source_addresses: source_addresses?,
        connect_timeout: connect_timeout?,
        idle_timeout: idle_timeout?,
        handshake_timeout: handshake_timeout?,
        udp_idle_timeout: udp_idle_timeout?,
        udp_max_flows: udp_max_flows?,
        udp_max_flows_per_client: udp_max_flows_per_client?,
        driver: driver?,
        pins: pins?,
        grace: grace?,
    })
}

fn read_audit(reader: &mut Reader<'_>) -> Option<Audit> {
    let target = reader.read(&keys::AUDIT_TO, value::audit_target);
    let max_bytes = reader.read(&keys::AUDIT_MAX_BYTES, value::audit_bytes);
    let kept_files = reader.read(&keys::AUDIT_KEPT_FILES, value::audit_files);
    let queue = reader.read(&keys::AUDIT_QUEUE, value::audit_queue);
    let patience = reader.read(&keys::AUDIT_PATIENCE, value::audit_patience);
    Some(Audit {
        target: target?,
        max_bytes: max_bytes?,
        kept_files: kept_files?,
        queue: queue?,
        patience: patience?,
    })
}

/// Without TLS whoever can listen on the way has every token.
fn refuse_plain_http_off_loopback(reader: &mut Reader<'_>, config: Option<&Config>) {
    let Some(config) = config else { return };
    if config.api_plain_http && !config.api_listen.ip().is_loopback() {
        let listen = config.api_listen;
        reader.fault(
            &keys::API_PLAIN_HTTP,
            format!("true, but api.listen is {listen}, which is not on loopback; leave TLS on, or listen on 127.0.0.1"),
        );
    }
}

fn refuse_shared_addresses(reader: &mut Reader<'_>, config: Option<&Config>) {
    let Some(config) = config else { return };
    let listens = [
        (&keys::PEER_LISTEN, config.peer_listen),
        (&keys::API_LISTEN, config.api_listen),
        (&keys::METRICS_LISTEN, config.metrics_listen),
    ];
    for (index, (key, address)) in listens.iter().enumerate() {
        if let Some((earlier, _)) = listens[..index].iter().find(|(_, other)| other == address) {
            reader.fault(
                key,
                format!(
                    "{address} is also {}; each needs an address and port of its own",
                    earlier.name
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests;
