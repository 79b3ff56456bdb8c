//! From a TOML value to a valid setting. `None` means that the value breaks its key's rule.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use guideway_dataplane::Driver;
use toml::de::DeValue;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::{AccessLogTarget, AuditTarget, LogFormat};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
const MOST_FLOWS: u32 = 1 << 24;
const MOST_THREADS: usize = 1024;
const MOST_SOURCE_ADDRESSES: usize = 64;

/// Libraries that say more than an operator wants to read, and what is left of it. Raft's own calls return their errors
/// to those who made them, and its replication repeats for each heartbeat that a member is away.
const QUIET: [(&str, LevelFilter); 5] = [
    ("openraft", LevelFilter::ERROR),
    ("openraft::raft", LevelFilter::OFF),
    ("sled", LevelFilter::WARN),
    ("h2", LevelFilter::WARN),
    ("hyper", LevelFilter::WARN),
];

pub(super) fn node_name(value: &DeValue<'_>) -> Option<String> {
    let name = value.as_str()?;
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let valid = (1..=63).contains(&name.len())
        && name.bytes().all(|byte| inside(byte) || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    valid.then(|| name.to_owned())
}

pub(super) fn absolute_path(value: &DeValue<'_>) -> Option<PathBuf> {
    let path = PathBuf::from(value.as_str()?);
    path.is_absolute().then_some(path)
}

pub(super) fn loopback(value: &DeValue<'_>) -> Option<SocketAddr> {
    let address: SocketAddr = value.as_str()?.parse().ok()?;
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    (address.ip().is_loopback() && address.port() != 0).then_some(address)
}

pub(super) fn listen(value: &DeValue<'_>) -> Option<SocketAddr> {
    let address: SocketAddr = value.as_str()?.parse().ok()?;
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    (address.port() != 0).then_some(address)
}

pub(super) fn audit_target(value: &DeValue<'_>) -> Option<AuditTarget> {
    match value.as_str()? {
        "off" => Some(AuditTarget::Off),
        "data_dir" => Some(AuditTarget::DataDir),
        _ => absolute_path(value).map(AuditTarget::File),
    }
}

pub(super) fn audit_bytes(value: &DeValue<'_>) -> Option<u64> {
    size(value, MIB, 16 * GIB)
}

pub(super) fn audit_files(value: &DeValue<'_>) -> Option<u32> {
    number(value, 0, 1000)
}

pub(super) fn audit_queue(value: &DeValue<'_>) -> Option<u32> {
    number(value, 1, 1_000_000)
}

pub(super) fn audit_patience(value: &DeValue<'_>) -> Option<Duration> {
    duration(value, Duration::from_millis(1), MINUTE)
}

pub(super) fn reachable(value: &DeValue<'_>) -> Option<SocketAddr> {
    let address: SocketAddr = value.as_str()?.parse().ok()?;
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    (!address.ip().is_unspecified() && !address.ip().is_multicast() && address.port() != 0).then_some(address)
}

pub(super) fn certificate_life(value: &DeValue<'_>) -> Option<Duration> {
    duration(value, Duration::from_secs(2), 825 * DAY)
}

pub(super) fn data_address(value: &DeValue<'_>) -> Option<Option<IpAddr>> {
    match value.as_str()? {
        "all" => Some(None),
        text => Some(Some(address(text)?)),
    }
}

pub(super) fn threads(value: &DeValue<'_>) -> Option<NonZeroUsize> {
    if value.as_str() == Some("auto") {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        return NonZeroUsize::new(cores.min(MOST_THREADS));
    }
    let number = value.as_integer()?;
    let count = usize::from_str_radix(number.as_str(), number.radix()).ok()?;
    NonZeroUsize::new(count).filter(|count| count.get() <= MOST_THREADS)
}

pub(super) fn source_addresses(value: &DeValue<'_>) -> Option<Vec<IpAddr>> {
    let entries = value.as_array()?;
    let mut addresses = Vec::new();
    for entry in entries.iter() {
        let next = address(entry.get_ref().as_str()?)?;
        if addresses.contains(&next) || addresses.len() == MOST_SOURCE_ADDRESSES {
            return None;
        }
        addresses.push(next);
    }
    Some(addresses)
}

pub(super) fn connect_timeout(value: &DeValue<'_>) -> Option<Duration> {
    duration(value, Duration::from_millis(1), 10 * MINUTE)
}

pub(super) fn idle_timeout(value: &DeValue<'_>) -> Option<Duration> {
    duration(value, Duration::from_secs(1), WEEK)
}

pub(super) fn flows(value: &DeValue<'_>) -> Option<u32> {
    number(value, 1, MOST_FLOWS)
}

fn number(value: &DeValue<'_>, least: u32, most: u32) -> Option<u32> {
    let number = value.as_integer()?;
    let count = u32::from_str_radix(number.as_str(), number.radix()).ok()?;
    (least..=most).contains(&count).then_some(count)
}

pub(super) fn start_wait(value: &DeValue<'_>) -> Option<Duration> {
    duration(value, Duration::ZERO, 10 * MINUTE)
}

pub(super) fn shutdown_deadline(value: &DeValue<'_>) -> Option<Duration> {
    duration(value, Duration::ZERO, HOUR)
}

pub(super) fn snapshot_log_bytes(value: &DeValue<'_>) -> Option<u64> {
    size(value, MIB, 16 * GIB)
}

pub(super) fn free_space_mark(value: &DeValue<'_>) -> Option<u64> {
    size(value, 0, TIB)
}

pub(super) fn boolean(value: &DeValue<'_>) -> Option<bool> {
    value.as_bool()
}

pub(super) fn driver(value: &DeValue<'_>) -> Option<Driver> {
    let name = value.as_str()?;
    [Driver::Auto, Driver::IoUring, Driver::Epoll]
        .into_iter()
        .find(|driver| driver.name() == name)
}

pub(super) fn access_log_target(value: &DeValue<'_>) -> Option<AccessLogTarget> {
    match value.as_str()? {
        "off" => Some(AccessLogTarget::Off),
        "stdout" => Some(AccessLogTarget::Stdout),
        _ => absolute_path(value).map(AccessLogTarget::File),
    }
}

pub(super) fn log_level(value: &DeValue<'_>) -> Option<Targets> {
    let text = value.as_str()?;
    // A word that is no level would be read as the name of a module whose every line is written.
    let known = |part: &str| part.contains('=') || part.parse::<LevelFilter>().is_ok();
    if !text.split(',').all(known) {
        return None;
    }
    let mut targets: Targets = text.parse().ok()?;
    let most = targets.default_level().unwrap_or(LevelFilter::OFF);
    for (library, level) in QUIET {
        let named = library.split("::").next().is_some_and(|name| text.contains(name));
        if !named {
            targets = targets.with_target(library, level.min(most));
        }
    }
    Some(targets)
}

pub(super) fn log_format(value: &DeValue<'_>) -> Option<LogFormat> {
    match value.as_str()? {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

/// IPv4-mapped addresses count as IPv4, as in flow keys.
fn address(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// A whole number and a unit, `500ms`; within `least..=most`.
fn duration(value: &DeValue<'_>, least: Duration, most: Duration) -> Option<Duration> {
    let (count, unit) = number_and_unit(value.as_str()?)?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let duration = Duration::from_millis(count.checked_mul(unit_ms)?);
    (least..=most).contains(&duration).then_some(duration)
}

/// A whole number and a unit, `64MiB`; within `least..=most`.
fn size(value: &DeValue<'_>, least: u64, most: u64) -> Option<u64> {
    let (count, unit) = number_and_unit(value.as_str()?)?;
    let unit_bytes = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => MIB,
        "GiB" => GIB,
        "TiB" => TIB,
        _ => return None,
    };
    let bytes: u64 = count.checked_mul(unit_bytes)?;
    (least..=most).contains(&bytes).then_some(bytes)
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(end);
    Some((digits.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn libraries_are_quiet_unless_they_are_named() {
        let level = |text: &'static str| log_level(&DeValue::String(text.into())).expect("a level");
        let default = level("info");
        assert!(default.would_enable("guideway_node::run", &Level::INFO));
        assert!(!default.would_enable("openraft::replication", &Level::WARN));
        assert!(default.would_enable("openraft::replication", &Level::ERROR));
        assert!(!default.would_enable("openraft::raft::raft_inner", &Level::ERROR));
        assert!(level("info,openraft=debug").would_enable("openraft::raft::raft_inner", &Level::DEBUG));
        assert!(!level("off").would_enable("openraft::replication", &Level::ERROR));
    }
}
