//! The local ports of UDP flows: unique for each source address, endpoint and port, over all threads.
//!
//! The kernel would spend one port for all destinations, so ports are chosen here and each serves as many endpoints as
//! there are. Two sockets may share a port only if both say so (`SO_REUSEADDR`), and the kernel does not see to it that
//! they have different peers. Hence the first flow on a port binds it without sharing, which fails if any other process
//! has it, and shares it afterwards with flows of this process alone: a port belongs to one process.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use crate::core::port_set::PortSet;
use crate::udp::sockets;

/// Where the kernel says which ports it chooses for itself, and which it must not.
const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";
/// The kernel's own default.
const DEFAULT_RANGE: RangeInclusive<u16> = 32_768..=60_999;
/// Parts with a lock each.
const SHARDS: usize = 16;
/// Ports tried for one flow that other processes turn out to have.
const TRIES: usize = 64;
const PORTS: usize = 1 << 16;

type Route = (IpAddr, SocketAddr);

/// Who uses which port.
#[derive(Debug)]
pub(crate) struct Ports {
    range: RangeInclusive<u16>,
    reserved: BTreeSet<u16>,
    /// Ports of our own listeners, one bit each.
    barred: Box<[AtomicU64]>,
    /// Leases of each port, whatever the endpoint.
    leases: Box<[AtomicU32]>,
    shards: [Mutex<BTreeMap<Route, PortSet>>; SHARDS],
}

/// A leased port; given back with [`Ports::release`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    /// Unspecified if the kernel chooses the address.
    pub(crate) source: IpAddr,
    pub(crate) port: u16,
}

impl Ports {
    /// The ports that this machine has set aside for outgoing traffic.
    pub(crate) fn of_this_machine() -> Ports {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        Ports::new(parse_range(&read(RANGE)), parse_reserved(&read(RESERVED)))
    }

    fn new(range: RangeInclusive<u16>, reserved: BTreeSet<u16>) -> Ports {
        Ports {
            leases: range.clone().map(|_| AtomicU32::new(0)).collect(),
            range,
            reserved,
            barred: (0..PORTS / 64).map(|_| AtomicU64::new(0)).collect(),
            shards: Default::default(),
        }
    }

    /// A socket connected to `endpoint` from a port of `source` that no other flow to it has. The search begins at a
    /// port that follows from `hash`, which is secret: ports cannot be foretold (RFC 6056). `EADDRINUSE` when there is none.
    pub(crate) fn connect(
        &self,
        endpoint: SocketAddr,
        source: Option<IpAddr>,
        hash: u64,
    ) -> Result<(OwnedFd, Lease), Errno> {
        let source = source.unwrap_or(match endpoint {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        });
        let mut foreign = Vec::new();
        let mut outcome = Err(Errno::ADDRINUSE);
        while foreign.len() < TRIES {
            let Some(port) = self.lease(source, endpoint, hash) else {
                break;
            };
            let lease = Lease { source, port };
            match self.open(endpoint, lease) {
                Ok(socket) => {
                    outcome = Ok((socket, lease));
                    break;
                }
                Err(errno) => {
                    // Held until the search is over, so that the next lease is another port.
                    foreign.push(lease);
                    outcome = Err(errno);
                    if errno != Errno::ADDRINUSE {
                        break;
                    }
                }
            }
        }
        for lease in foreign {
            self.release(endpoint, lease);
        }
        outcome
    }

    /// Gives a port back; its socket is closed.
    pub(crate) fn release(&self, endpoint: SocketAddr, lease: Lease) {
        let route = (lease.source, endpoint);
        let mut shard = self.shard(route);
        if let Some(set) = shard.get_mut(&route) {
            set.release(lease.port);
            if set.is_empty() {
                shard.remove(&route);
            }
        }
        drop(shard);
        if let Some(count) = self.leases(lease.port) {
            count.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Keeps flows off these ports, and lets them have those barred before. Gives whether that changed anything.
    pub(crate) fn bar(&self, ports: &BTreeSet<u16>) -> bool {
        let mut words = vec![0; self.barred.len()];
        for port in ports {
            words[usize::from(*port) / 64] |= 1u64 << (port % 64);
        }
        let mut changed = false;
        for (word, bits) in self.barred.iter().zip(words) {
            changed |= word.swap(bits, Ordering::AcqRel) != bits;
        }
        changed
    }

    /// Whether a flow has this port, toward whichever endpoint.
    pub(crate) fn is_leased(&self, port: u16) -> bool {
        self.leases(port).is_some_and(|count| count.load(Ordering::Acquire) > 0)
    }

    /// Ports that flows may have toward one endpoint, from one source address.
    pub(crate) fn capacity(&self) -> usize {
        self.range.clone().filter(|port| !self.is_barred(*port)).count()
    }

    fn lease(&self, source: IpAddr, endpoint: SocketAddr, start: u64) -> Option<u16> {
        let route = (source, endpoint);
        let mut shard = self.shard(route);
        let set = shard.entry(route).or_insert_with(|| PortSet::new(&self.range));
        let port = set.lease(start, |port| self.is_barred(port))?;
        drop(shard);
        if let Some(count) = self.leases(port) {
            count.fetch_add(1, Ordering::AcqRel);
        }
        Some(port)
    }

    fn open(&self, endpoint: SocketAddr, lease: Lease) -> Result<OwnedFd, Errno> {
        let local = SocketAddr::new(lease.source, lease.port);
        match sockets::connect(endpoint, local, false) {
            // One of those leases is this one.
            Err(Errno::ADDRINUSE)
                if self
                    .leases(lease.port)
                    .is_some_and(|count| count.load(Ordering::Acquire) > 1) =>
            {
                sockets::connect(endpoint, local, true)
            }
            outcome => outcome,
        }
    }

    fn is_barred(&self, port: u16) -> bool {
        let word = self.barred[usize::from(port) / 64].load(Ordering::Acquire);
        word & (1 << (port % 64)) != 0 || self.reserved.contains(&port)
    }

    fn leases(&self, port: u16) -> Option<&AtomicU32> {
        self.leases.get(usize::from(port.checked_sub(*self.range.start())?))
    }

    fn shard(&self, (_, endpoint): Route) -> MutexGuard<'_, BTreeMap<Route, PortSet>> {
        let address = match endpoint.ip() {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(address) => address.octets()[15],
        };
        let place = (usize::from(address) + usize::from(endpoint.port())) % SHARDS;
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The two ends of the range, as the kernel writes them.
fn parse_range(text: &str) -> RangeInclusive<u16> {
    let ends: Vec<u16> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match ends.as_slice() {
        [first, last] if (1..=*last).contains(first) => *first..=*last,
        _ => DEFAULT_RANGE,
    }
}

/// Single ports and ranges, with commas between them.
fn parse_reserved(text: &str) -> BTreeSet<u16> {
    let mut ports = BTreeSet::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) {
            ports.extend(first..=last);
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read_and_nonsense_gives_its_defaults() {
        assert_eq!(parse_range("20000\t20009\n"), 20_000..=20_009);
        for nonsense in ["", "7", "9 8", "0 9", "1 2 3", "a b", "1 70000"] {
            assert_eq!(parse_range(nonsense), DEFAULT_RANGE, "{nonsense}");
        }
        assert_eq!(
            parse_reserved("8080,9000-9002\n"),
            BTreeSet::from([8080, 9000, 9001, 9002])
        );
        assert_eq!(parse_reserved("\n"), BTreeSet::new());
    }

    #[test]
    fn one_port_serves_many_endpoints_once_each() {
        let ports = Ports::new(40_000..=40_009, BTreeSet::from([40_003]));
        assert!(ports.bar(&BTreeSet::from([40_000, 65_535])) && ports.bar(&BTreeSet::from([40_001, 53])));
        assert!(!ports.bar(&BTreeSet::from([40_001, 53])));
        assert_eq!(ports.capacity(), 8);
        let source = IpAddr::from([192, 0, 2, 1]);
        let endpoints = [1, 2].map(|last| SocketAddr::from(([198, 51, 100, last], 53)));
        for endpoint in endpoints {
            let leased: BTreeSet<u16> = std::iter::from_fn(|| ports.lease(source, endpoint, 77)).collect();
            assert_eq!(leased.len(), 8);
            assert!(!leased.contains(&40_001) && !leased.contains(&40_003));
        }
        assert!(ports.is_leased(40_000) && !ports.is_leased(40_001) && !ports.is_leased(9));
        // Another source address has ports of its own.
        assert!(ports.lease([192, 0, 2, 2].into(), endpoints[0], 0).is_some());
        let lease = Lease { source, port: 40_000 };
        ports.release(endpoints[0], lease);
        assert!(ports.is_leased(40_000), "the other endpoint's flow has it still");
        assert_eq!(ports.lease(source, endpoints[0], 3), Some(40_000));
    }

    #[test]
    fn a_port_that_another_process_shares_is_not_shared_with_it() {
        // Bound as another process would have it: willing to share.
        let other = sockets::connect(([127, 0, 0, 1], 9).into(), ([127, 0, 0, 1], 0).into(), false).expect("socket");
        let local = rustix::net::getsockname(&other).expect("name");
        let port = SocketAddr::try_from(local).expect("address").port();
        let source = Some(IpAddr::from([127, 0, 0, 1]));
        let endpoint = SocketAddr::from(([127, 0, 0, 1], 9));
        let only = Ports::new(port..=port, BTreeSet::new());
        assert_eq!(
            only.connect(endpoint, source, 0).expect_err("foreign"),
            Errno::ADDRINUSE
        );
        assert!(!only.is_leased(port));
        drop(other);
        let (first, lease) = only.connect(endpoint, source, 0).expect("free");
        assert_eq!(lease.port, port);
        // Toward another endpoint this process shares it with itself.
        let elsewhere = SocketAddr::from(([127, 0, 0, 1], 10));
        let (second, _) = only.connect(elsewhere, source, 0).expect("shared");
        assert_eq!(
            only.connect(elsewhere, source, 0).expect_err("leased"),
            Errno::ADDRINUSE
        );
        drop((first, second));
    }
}
