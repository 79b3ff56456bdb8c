//! Loopback addresses that belong to one test at a time.

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Mutex, PoisonError};

/// A /24 of 127.0.0.0/8 that no other test of this machine uses while this value lives, or one of namespaces of the test's
/// own.
///
/// Nodes take .1 and up, endpoints .100 and up, clients .200 and up.
#[derive(Debug)]
pub struct Addresses {
    network: [u8; 3],
    /// Ports that were given out: nothing holds them until something listens.
    given: Mutex<BTreeSet<u16>>,
    /// Bound to .254 of the block: the claim on it, given back by the kernel even after a crash. `None` where nobody else
    /// can be.
    claim: Option<UdpSocket>,
}

/// Any fixed number does: only claims use .254.
const CLAIM_PORT: u16 = 19_999;

/// The first port that is given out where every port is the test's own: below those that the kernel takes by itself.
const FIRST_PORT_ALONE: u16 = 10_000;

impl Addresses {
    /// Claims a block.
    pub fn claim() -> Addresses {
        let start = RandomState::new().hash_one(std::process::id());
        for attempt in 0..1000 {
            let [second, third, ..] = start.wrapping_add(attempt * 251).to_le_bytes();
            // The low blocks are where people and distributions put things of their own.
            if second < 64 {
                continue;
            }
            let claim = SocketAddr::from((Ipv4Addr::new(127, second, third, 254), CLAIM_PORT));
            if let Ok(claim) = UdpSocket::bind(claim) {
                return Addresses {
                    network: [127, second, third],
                    given: Mutex::default(),
                    claim: Some(claim),
                };
            }
        }
        panic!("no free block of loopback addresses after 1000 attempts");
    }

    /// The addresses of a network that is the test's alone, down to its ports.
    pub fn alone(network: [u8; 3]) -> Addresses {
        Addresses {
            network,
            given: Mutex::default(),
            claim: None,
        }
    }

    /// First node; the others follow it.
    pub fn base(&self) -> Ipv4Addr {
        self.host(1)
    }

    /// Where endpoint `number` (from 0) serves.
    pub fn endpoint(&self, number: u8) -> Ipv4Addr {
        assert!(number < 100, "endpoints have 100 addresses");
        self.host(100 + number)
    }

    /// Where client `number` (from 0) dials from.
    pub fn client(&self, number: u8) -> Ipv4Addr {
        assert!(number < 50, "clients have 50 addresses");
        self.host(200 + number)
    }

    /// A port that is free on each of `addresses` now, and another one each time; nobody else uses these addresses.
    pub fn free_port(&self, addresses: &[IpAddr]) -> u16 {
        if self.claim.is_none() {
            let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
            let port = given.last().map_or(FIRST_PORT_ALONE, |last| last + 1);
            given.insert(port);
            return port;
        }
        for _ in 0..100 {
            let first = TcpListener::bind((addresses[0], 0)).expect("a loopback address has free ports");
            let port = first.local_addr().expect("a bound socket has an address").port();
            let rest: Result<Vec<TcpListener>, _> = addresses[1..]
                .iter()
                .map(|address| TcpListener::bind((*address, port)))
                .collect();
            let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
            if rest.is_ok() && given.insert(port) {
                return port;
            }
        }
        panic!("no port is free on all of {addresses:?}");
    }

    fn host(&self, last: u8) -> Ipv4Addr {
        let [a, b, c] = self.network;
        Ipv4Addr::new(a, b, c, last)
    }
}
