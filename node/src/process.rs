//! What the operating system grants and counts for this process.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// File descriptors that the process may open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DescriptorLimit {
    /// What it was.
    pub before: u64,
    /// What it is; `u64::MAX` is no limit.
    pub now: u64,
}

/// Raises the soft limit of file descriptors to the hard one: a relayed session costs two.
pub(crate) fn raise_descriptor_limit() -> io::Result<DescriptorLimit> {
    let limit = getrlimit(Resource::Nofile);
    let before = limit.current.unwrap_or(u64::MAX);
    let now = limit.maximum.unwrap_or(u64::MAX);
    if before < now {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, raised)?;
    }
    Ok(DescriptorLimit { before, now })
}

/// One look at `/proc/self`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figures {
    pub(crate) start_time_seconds: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: f64,
    pub(crate) open_fds: f64,
    pub(crate) max_fds: f64,
    pub(crate) threads: f64,
}

impl Figures {
    /// Reads `/proc/self/stat` (proc_pid_stat(5)) and counts `/proc/self/fd`.
    pub(crate) fn read() -> io::Result<Figures> {
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        let uptime = std::fs::read_to_string("/proc/uptime")?;
        let open_fds = std::fs::read_dir("/proc/self/fd")?.count();
        let max_fds = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let mut figures = parse(&stat, &uptime, unix_seconds())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/self/stat is not as proc_pid_stat(5)"))?;
        // The listing itself holds one descriptor.
        figures.open_fds = number(open_fds.saturating_sub(1) as u64);
        figures.max_fds = number(max_fds);
        Ok(figures)
    }
}

fn unix_seconds() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// Gauges are floats; counts of this process stay far below 2^53.
fn number(count: u64) -> f64 {
    count as f64
}

/// The command name may hold spaces and parentheses, so fields are counted after the last `)`: there
/// the state is field 3.
fn parse(stat: &str, uptime: &str, now: f64) -> Option<Figures> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok().map(self::number);
    let ticks = number(rustix::param::clock_ticks_per_second());
    let page = number(rustix::param::page_size() as u64);
    let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    Some(Figures {
        start_time_seconds: now - uptime + field(22)? / ticks,
        cpu_seconds: (field(14)? + field(15)?) / ticks,
        resident_bytes: field(24)? * page,
        threads: field(20)?,
        open_fds: 0.0,
        max_fds: 0.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_this_process() {
        let figures = Figures::read().expect("/proc is mounted");
        assert!(figures.resident_bytes > 100_000.0, "{figures:?}");
        assert!(figures.threads >= 1.0, "{figures:?}");
        assert!(
            figures.open_fds >= 3.0 && figures.open_fds <= figures.max_fds,
            "{figures:?}"
        );
        let age = unix_seconds() - figures.start_time_seconds;
        assert!((-1.0..3600.0).contains(&age), "{figures:?}");
    }

    #[test]
    fn a_command_name_cannot_shift_the_fields() {
        let fields = (3..=30).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
        let stat = format!("42 (a) b) 7) {fields}");
        let figures = parse(&stat, "1000.00 1.0", 5000.0).expect("well-formed");
        assert_eq!(figures.threads, 20.0);
        assert!(figures.resident_bytes >= 24.0 * 4096.0);
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let limit = raise_descriptor_limit().expect("raising to the hard limit needs no privilege");
        assert_eq!(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX), limit.now);
    }
}
