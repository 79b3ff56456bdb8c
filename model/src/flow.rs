//! Flow keys: the canonical bytes that are hashed to choose an endpoint.

use std::net::{IpAddr, SocketAddr};

use guideway_maglev::Seed;

use crate::node::Protocol;

/// Canonical bytes of one flow: protocol, listener port, client address, client port.
///
/// The node's own address is not in it, so a client's flow gets one answer through every address of
/// every node. IPv4-mapped IPv6 addresses count as IPv4; scope ids are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowKey {
    bytes: [u8; FlowKey::LENGTH],
}

impl FlowKey {
    const LENGTH: usize = 21;

    /// The default key: the 5-tuple less the node's address.
    pub fn five_tuple(protocol: Protocol, listener_port: u16, client: SocketAddr) -> FlowKey {
        let mut bytes = [0; FlowKey::LENGTH];
        bytes[0] = match protocol {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        };
        bytes[1..3].copy_from_slice(&listener_port.to_be_bytes());
        bytes[3..19].copy_from_slice(&mapped(client.ip()));
        bytes[19..21].copy_from_slice(&client.port().to_be_bytes());
        FlowKey { bytes }
    }

    /// The keyed hash that finds the table's row.
    pub fn hash(&self, seed: Seed) -> u64 {
        guideway_maglev::hash(seed, &self.bytes)
    }

    /// The canonical bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(client: &str) -> FlowKey {
        FlowKey::five_tuple(Protocol::Tcp, 5432, client.parse().expect("an address"))
    }

    /// These bytes decide which endpoint a flow reaches: another layout would move every flow of a cluster that is
    /// being upgraded.
    #[test]
    fn bytes_are_golden() {
        let v4 = [
            6, 0x15, 0x38, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7, 0xc3, 0x50,
        ];
        assert_eq!(key("192.0.2.7:50000").as_bytes(), v4);
        let v6 = [
            6, 0x15, 0x38, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1,
        ];
        assert_eq!(key("[2001:db8::1]:1").as_bytes(), v6);
    }

    #[test]
    fn one_client_has_one_key() {
        assert_eq!(key("[::ffff:192.0.2.7]:50000"), key("192.0.2.7:50000"));
        assert_eq!(key("[fe80::1%3]:1"), key("[fe80::1]:1"));
    }

    #[test]
    fn every_part_counts() {
        let base = key("192.0.2.7:50000");
        assert_ne!(base, key("192.0.2.8:50000"));
        assert_ne!(base, key("192.0.2.7:50001"));
        let client = "192.0.2.7:50000".parse().expect("an address");
        assert_ne!(base, FlowKey::five_tuple(Protocol::Tcp, 5433, client));
        let seed = Seed([7; 16]);
        assert_eq!(base.hash(seed), guideway_maglev::hash(seed, base.as_bytes()));
    }
}
