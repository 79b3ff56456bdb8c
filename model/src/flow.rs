//! Flow keys: the canonical bytes that are hashed to choose an endpoint.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

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

/// What a flow key says, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowParts {
    /// Protocol of the sessions.
    pub protocol: Protocol,
    /// Port of the listener.
    pub listener_port: u16,
    /// Address of the client; under client-IP affinity the masked one.
    pub client: IpAddr,
    /// Port of the client; `None` under client-IP affinity.
    pub client_port: Option<u16>,
}

impl FlowKey {
    /// How many bytes a key has.
    pub const LENGTH: usize = 21;

    /// Set in the first byte of keys of client-IP affinity.
    const CLIENT_IP: u8 = 0x80;

    /// The default key: the 5-tuple less the node's address.
    pub fn five_tuple(protocol: Protocol, listener_port: u16, client: SocketAddr) -> FlowKey {
        let mut bytes = [0; FlowKey::LENGTH];
        bytes[0] = number_of(protocol);
        bytes[1..3].copy_from_slice(&listener_port.to_be_bytes());
        bytes[3..19].copy_from_slice(&mapped(client.ip()));
        bytes[19..21].copy_from_slice(&client.port().to_be_bytes());
        FlowKey { bytes }
    }

    /// The key of client-IP affinity: protocol, listener port and the first `prefix` bits of the client's address. No
    /// default key is equal to one, since the highest bit of the protocol is set.
    pub fn client_ip(protocol: Protocol, listener_port: u16, client: IpAddr, prefix: u8) -> FlowKey {
        let masked = match client.to_canonical() {
            IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(
                v4.to_bits() & u32::MAX.checked_shl(32u32.saturating_sub(prefix.into())).unwrap_or(0),
            )),
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(
                v6.to_bits() & u128::MAX.checked_shl(128u32.saturating_sub(prefix.into())).unwrap_or(0),
            )),
        };
        let mut key = FlowKey::five_tuple(protocol, listener_port, SocketAddr::new(masked, 0));
        key.bytes[0] |= FlowKey::CLIENT_IP;
        key
    }

    /// The key with these canonical bytes; `None` if no key has them.
    pub fn from_bytes(bytes: [u8; FlowKey::LENGTH]) -> Option<FlowKey> {
        let key = FlowKey { bytes };
        let parts = key.parts()?;
        let client = SocketAddr::new(parts.client, parts.client_port.unwrap_or(0));
        let mut canonical = FlowKey::five_tuple(parts.protocol, parts.listener_port, client);
        canonical.bytes[0] |= bytes[0] & FlowKey::CLIENT_IP;
        (canonical == key).then_some(key)
    }

    /// What the key says; `None` only for bytes that no constructor makes.
    pub fn parts(&self) -> Option<FlowParts> {
        let [number, p0, p1, address @ .., c0, c1] = self.bytes;
        let protocol = [Protocol::Tcp, Protocol::Udp].into_iter();
        let mut protocol = protocol.filter(|protocol| number_of(*protocol) == number & !FlowKey::CLIENT_IP);
        let address: [u8; 16] = address;
        let by_client_ip = number & FlowKey::CLIENT_IP != 0;
        Some(FlowParts {
            protocol: protocol.next()?,
            listener_port: u16::from_be_bytes([p0, p1]),
            client: IpAddr::V6(Ipv6Addr::from(address)).to_canonical(),
            client_port: (!by_client_ip).then_some(u16::from_be_bytes([c0, c1])),
        })
    }

    /// The keyed hash that finds the table's row.
    pub fn hash(&self, seed: Seed) -> u64 {
        guideway_maglev::hash(seed, &self.bytes)
    }

    /// The canonical bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn bytes(&self) -> [u8; FlowKey::LENGTH] {
        self.bytes
    }
}

/// The protocol's number at IANA.
fn number_of(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
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

    #[test]
    fn a_key_says_what_it_was_made_of() {
        let parts = key("192.0.2.7:50000").parts().expect("a key");
        assert_eq!((parts.protocol, parts.listener_port), (Protocol::Tcp, 5432));
        assert_eq!(parts.client.to_string(), "192.0.2.7");
        assert_eq!(parts.client_port, Some(50000));
        let client = "2001:db8:1:2:3::4".parse().expect("an address");
        let masked = FlowKey::client_ip(Protocol::Udp, 53, client, 48);
        let parts = masked.parts().expect("a key");
        assert_eq!((parts.protocol, parts.client_port), (Protocol::Udp, None));
        assert_eq!(parts.client.to_string(), "2001:db8:1::");
        for key in [key("192.0.2.7:50000"), key("[2001:db8::1]:1"), masked] {
            assert_eq!(FlowKey::from_bytes(key.bytes), Some(key));
        }
        let mut strange = masked.bytes;
        strange[20] = 1;
        assert_eq!(FlowKey::from_bytes(strange), None, "a client without port has one");
        assert_eq!(FlowKey::from_bytes([0; FlowKey::LENGTH]), None);
    }
}
