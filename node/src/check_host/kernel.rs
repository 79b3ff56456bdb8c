//! Limits and abilities of the kernel.

use guideway_dataplane::host;
use rustix::process::{Resource, getrlimit};

use super::item::{Item, Subject, Verdict, verdict};

const DESCRIPTORS_WANTED: u64 = 1 << 20;
const PORTS_WANTED: u64 = 50_000;
/// The data plane's own backlog; the kernel cuts it to `somaxconn`.
const BACKLOG_WANTED: u64 = 4096;
/// What a listener of UDP asks for.
const RECEIVE_WANTED: u64 = 4 << 20;
const TCP_WANTED: u64 = 4 << 20;

static DESCRIPTORS: Subject = Subject {
    name: "descriptors of a process (RLIMIT_NOFILE, hard)",
    wanted: "1048576 or more",
    why: "a TCP session takes two and a UDP flow one; beyond the limit new sessions are refused",
    set: "LimitNOFILE=1048576 in the systemd unit; ulimit -Hn 1048576 in a shell",
};
static ALL_DESCRIPTORS: Subject = Subject {
    name: "descriptors a process may ask for (fs.nr_open)",
    wanted: "1048576 or more",
    why: "the limit of a process cannot be set beyond it",
    set: "sysctl -w fs.nr_open=1048576",
};
static PORTS: Subject = Subject {
    name: "local ports (net.ipv4.ip_local_port_range)",
    wanted: "50000 or more",
    why: "a session needs one for each endpoint and source address; when none is left it is closed",
    set: "sysctl -w net.ipv4.ip_local_port_range=\"10240 65535\"; keep ports of listeners out of it, or in net.ipv4.ip_local_reserved_ports",
};
static BACKLOG: Subject = Subject {
    name: "waiting connections (net.core.somaxconn)",
    wanted: "4096 or more",
    why: "connections of a burst wait here to be accepted; beyond it they are dropped, and clients try again after a second",
    set: "sysctl -w net.core.somaxconn=4096",
};
static RECEIVE: Subject = Subject {
    name: "receive buffer of a socket (net.core.rmem_max)",
    wanted: "4194304 or more",
    why: "datagrams of a burst wait here; beyond it they are lost",
    set: "sysctl -w net.core.rmem_max=4194304",
};
static TCP_RECEIVE: Subject = Subject {
    name: "receive buffer of a TCP connection (net.ipv4.tcp_rmem, third number)",
    wanted: "4194304 or more",
    why: "one connection carries at most this much in each round trip: 1 Gbit/s over 32 ms",
    set: "sysctl -w net.ipv4.tcp_rmem=\"4096 131072 6291456\"",
};
static TCP_SEND: Subject = Subject {
    name: "send buffer of a TCP connection (net.ipv4.tcp_wmem, third number)",
    wanted: "4194304 or more",
    why: "the same in the other direction",
    set: "sysctl -w net.ipv4.tcp_wmem=\"4096 16384 4194304\"",
};
static IO_URING: Subject = Subject {
    name: "io_uring",
    wanted: "available (Linux 6.1 or newer)",
    why: "datagrams cost less CPU with it; without it a node carries them by epoll",
    set: "sysctl -w kernel.io_uring_disabled=0, and a seccomp filter that lets it through, or data.driver = \"epoll\"",
};

/// What is looked at.
pub(super) fn subjects() -> impl Iterator<Item = &'static Subject> {
    [
        &DESCRIPTORS,
        &ALL_DESCRIPTORS,
        &PORTS,
        &BACKLOG,
        &RECEIVE,
        &TCP_RECEIVE,
        &TCP_SEND,
        &IO_URING,
    ]
    .into_iter()
}

/// Looks.
pub(super) fn items() -> Vec<Item> {
    let descriptors = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    vec![
        DESCRIPTORS.at_least(Some(descriptors), DESCRIPTORS_WANTED),
        ALL_DESCRIPTORS.at_least(last_of("fs/nr_open"), DESCRIPTORS_WANTED),
        ports(read("net/ipv4/ip_local_port_range")),
        BACKLOG.at_least(last_of("net/core/somaxconn"), BACKLOG_WANTED),
        RECEIVE.at_least(last_of("net/core/rmem_max"), RECEIVE_WANTED),
        TCP_RECEIVE.at_least(last_of("net/ipv4/tcp_rmem"), TCP_WANTED),
        TCP_SEND.at_least(last_of("net/ipv4/tcp_wmem"), TCP_WANTED),
        match host::io_uring() {
            Ok(()) => IO_URING.found(Verdict::Ok, "available"),
            Err(error) => IO_URING.found(Verdict::Change, error.to_string()),
        },
    ]
}

fn ports(range: Option<String>) -> Item {
    let bounds = range.as_deref().and_then(|text| {
        let (first, last) = text.trim().split_once(char::is_whitespace)?;
        Some((first.parse::<u64>().ok()?, last.trim().parse::<u64>().ok()?))
    });
    let Some((first, last)) = bounds else {
        return PORTS.found(Verdict::Unknown, "not visible from here");
    };
    let count = (last + 1).saturating_sub(first);
    PORTS.found(
        verdict(count >= PORTS_WANTED),
        format!("{count}, from {first} to {last}"),
    )
}

fn read(name: &str) -> Option<String> {
    std::fs::read_to_string(format!("/proc/sys/{name}")).ok()
}

/// The last number of a setting.
fn last_of(name: &str) -> Option<u64> {
    read(name)?.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_counted_with_both_ends() {
        for (range, expected) in [
            ("32768\t60999\n", (Verdict::Change, "28232, from 32768 to 60999")),
            ("10240\t65535\n", (Verdict::Ok, "55296, from 10240 to 65535")),
        ] {
            let item = ports(Some(range.to_owned()));
            assert_eq!(item, PORTS.found(expected.0, expected.1));
        }
        assert_eq!(ports(None).verdict, Verdict::Unknown);
        assert_eq!(ports(Some("nothing".to_owned())).verdict, Verdict::Unknown);
    }
}
