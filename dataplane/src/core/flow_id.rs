//! What tells one UDP flow from another.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use guideway_maglev::Seed;

/// The client and the address that it dialled. IPv4 addresses are kept in their mapped form.
///
/// A client that dials two addresses of one listener has two flows, since each must be answered from its own address.
/// The scope of a link-local client is part of it: the same address behind two links is two clients.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId {
    bytes: [u8; FlowId::LENGTH],
}

impl FlowId {
    const LENGTH: usize = 40;

    /// The flow of `client` toward `dialled`; both of one family.
    pub fn new(client: SocketAddr, dialled: SocketAddr) -> FlowId {
        let mut bytes = [0; FlowId::LENGTH];
        bytes[..16].copy_from_slice(&octets(client.ip()));
        bytes[16..32].copy_from_slice(&octets(dialled.ip()));
        bytes[32..34].copy_from_slice(&client.port().to_be_bytes());
        bytes[34..36].copy_from_slice(&dialled.port().to_be_bytes());
        if let SocketAddr::V6(client) = client {
            bytes[36..].copy_from_slice(&client.scope_id().to_be_bytes());
        }
        FlowId { bytes }
    }

    /// The client.
    pub fn client(&self) -> SocketAddr {
        let port = u16::from_be_bytes([self.bytes[32], self.bytes[33]]);
        let mut scope = [0; 4];
        scope.copy_from_slice(&self.bytes[36..]);
        match self.address(0) {
            IpAddr::V4(address) => SocketAddr::from((address, port)),
            IpAddr::V6(address) => SocketAddrV6::new(address, port, 0, u32::from_be_bytes(scope)).into(),
        }
    }

    /// The address that the client dialled.
    pub fn dialled(&self) -> SocketAddr {
        SocketAddr::new(self.address(16), u16::from_be_bytes([self.bytes[34], self.bytes[35]]))
    }

    /// The keyed hash under which the flow is found.
    pub fn hash(&self, seed: Seed) -> u64 {
        guideway_maglev::hash(seed, &self.bytes)
    }

    fn address(&self, at: usize) -> IpAddr {
        let mut octets = [0; 16];
        octets.copy_from_slice(&self.bytes[at..at + 16]);
        Ipv6Addr::from(octets).to_canonical()
    }
}

impl fmt::Debug for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.client(), self.dialled())
    }
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(client: &str, dialled: &str) -> FlowId {
        FlowId::new(client.parse().expect("client"), dialled.parse().expect("dialled"))
    }

    #[test]
    fn both_addresses_come_back() {
        for (client, dialled) in [
            ("192.0.2.7:50000", "198.51.100.1:53"),
            ("[2001:db8::1]:1", "[2001:db8::2]:65535"),
            ("[fe80::1%3]:9", "[fe80::2]:53"),
        ] {
            let id = id(client, dialled);
            assert_eq!(id.client().to_string(), client);
            assert_eq!(id.dialled().to_string(), dialled);
        }
    }

    #[test]
    fn every_part_tells_flows_apart() {
        let seed = Seed([1; 16]);
        let ids = [
            id("[fe80::1%3]:9", "[fe80::2]:53"),
            id("[fe80::1%4]:9", "[fe80::2]:53"),
            id("[fe80::3%3]:9", "[fe80::2]:53"),
            id("[fe80::1%3]:8", "[fe80::2]:53"),
            id("[fe80::1%3]:9", "[fe80::4]:53"),
            id("[fe80::1%3]:9", "[fe80::2]:54"),
        ];
        let hashes: std::collections::BTreeSet<u64> = ids.iter().map(|id| id.hash(seed)).collect();
        assert_eq!(hashes.len(), ids.len());
        assert_ne!(ids[0].hash(seed), ids[0].hash(Seed([2; 16])));
    }
}
