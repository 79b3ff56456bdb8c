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
