//! What a row may point at, and its canonical form.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// What a row may point at.
///
/// Its identity is the address and port: never a position, a name, or the object it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// One address:port that serves.
    Endpoint(SocketAddr),
    /// The share of an invalid backendRef: refuse. The index keeps two refs of one rule apart.
    Reject(u16),
}

impl Target {
    /// The form in which targets are compared and hashed: an IPv4-mapped IPv6 address becomes IPv4; scope id and flow
    /// label are dropped. [`Table::targets`](crate::Table::targets) holds targets in this form.
    pub fn canonical(self) -> Target {
        match self {
            Target::Endpoint(address) => Target::Endpoint(SocketAddr::new(address.ip().to_canonical(), address.port())),
            Target::Reject(index) => Target::Reject(index),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Endpoint(address) => write!(formatter, "{address}"),
            Target::Reject(index) => write!(formatter, "reject({index})"),
        }
    }
}

/// A target and its weight; weight 0 gets no row.
///
/// Weights count only by their ratio: 1 and 2 give the table that 50 and 100 give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weighted {
    /// What the rows point at.
    pub target: Target,
    /// Its share of the rows is this weight over the sum of all.
    pub weight: u64,
}

/// The hashed bytes of a canonical target for one leg of its walk: the leg's number, kind, 16 bytes of address (IPv4 as
/// IPv4-mapped), port; all big-endian. A reject has its index in the address's last bytes. No flow key is as long.
pub(crate) fn identity(target: Target, leg: u32) -> [u8; 23] {
    let mut bytes = [0; 23];
    bytes[..4].copy_from_slice(&leg.to_be_bytes());
    match target {
        Target::Endpoint(address) => {
            bytes[4] = 1;
            let ip = match address.ip() {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            };
            bytes[5..21].copy_from_slice(&ip.octets());
            bytes[21..].copy_from_slice(&address.port().to_be_bytes());
        }
        Target::Reject(index) => {
            bytes[4] = 2;
            bytes[19..21].copy_from_slice(&index.to_be_bytes());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Target {
        Target::Endpoint(text.parse().unwrap())
    }

    #[test]
    fn mapped_addresses_are_ipv4_and_scopes_are_dropped() {
        assert_eq!(endpoint("[::ffff:10.0.0.1]:80").canonical(), endpoint("10.0.0.1:80"));
        assert_eq!(endpoint("[fe80::1%3]:80").canonical(), endpoint("[fe80::1]:80"));
        assert_eq!(Target::Reject(3).canonical(), Target::Reject(3));
    }

    #[test]
    fn identities_differ_by_leg_kind_address_and_port() {
        let mut seen = std::collections::BTreeSet::new();
        for target in [
            endpoint("10.0.0.1:80"),
            endpoint("10.0.0.1:81"),
            endpoint("10.0.0.2:80"),
            endpoint("[fd00::1]:80"),
            endpoint("[::]:0"),
            Target::Reject(0),
            Target::Reject(1),
        ] {
            for leg in [0, 1] {
                assert!(seen.insert(identity(target, leg)), "{target} {leg}");
            }
        }
    }
}
