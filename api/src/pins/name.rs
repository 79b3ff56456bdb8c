//! Names of pins: `POOL-PROTOCOL-PORT-CLIENT-PORT`, such as `7-udp-53-192.0.2.7-50000`. The name is the key, so it stays
//! the same for as long as the pin is there, and any node can read it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use guideway_model::flow::{FlowKey, FlowParts};
use guideway_model::node::Protocol;
use guideway_model::pin::{PinKey, PoolNumber};

/// Writes and reads the name of a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PinName {
    /// What is pinned.
    pub(super) key: PinKey,
    /// What the key says.
    pub(super) parts: FlowParts,
}

/// Stands for the port where all ports are meant; no port is called so.
const ANY: &str = "any";

impl fmt::Display for PinName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = &self.parts;
        let protocol = match parts.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        write!(f, "{}-{protocol}-{}-", self.key.pool.0, parts.listener_port)?;
        match parts.client {
            IpAddr::V4(v4) => write!(f, "{v4}-")?,
            // Names have no colons.
            IpAddr::V6(v6) => write!(f, "{:032x}-", v6.to_bits())?,
        }
        match parts.client_port {
            Some(port) => write!(f, "{port}"),
            None => f.write_str(ANY),
        }
    }
}

impl PinName {
    /// The name of a key; `None` only for bytes that are no flow key.
    pub(super) fn of(key: PinKey) -> Option<PinName> {
        let parts = key.flow.parts()?;
        Some(PinName { key, parts })
    }

    /// Reads what is written so, and nothing else.
    pub(super) fn parse(name: &str) -> Option<PinName> {
        let mut parts = name.split('-');
        let pool = PoolNumber(parts.next()?.parse().ok()?);
        let protocol = match parts.next()? {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => return None,
        };
        let port = parts.next()?.parse().ok()?;
        let client = match parts.next()? {
            digits if digits.len() == 32 => IpAddr::V6(Ipv6Addr::from_bits(u128::from_str_radix(digits, 16).ok()?)),
            dotted => IpAddr::V4(dotted.parse().ok()?),
        };
        let flow = match parts.next()? {
            // The mask has been put on.
            ANY => FlowKey::client_ip(protocol, port, client, u8::MAX),
            digits => FlowKey::five_tuple(protocol, port, SocketAddr::new(client, digits.parse().ok()?)),
        };
        let read = PinName::of(PinKey { pool, flow })?;
        (read.to_string() == name).then_some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(flow: FlowKey) -> PinName {
        let pool = PoolNumber(7);
        PinName::of(PinKey { pool, flow }).expect("a key")
    }

    #[test]
    fn names_are_read_back() {
        let flow = |client: &str| FlowKey::five_tuple(Protocol::Udp, 53, client.parse().expect("address"));
        let of_ip =
            |client: &str, prefix| FlowKey::client_ip(Protocol::Tcp, 443, client.parse().expect("address"), prefix);
        for (flow, name) in [
            (flow("192.0.2.7:50000"), "7-udp-53-192.0.2.7-50000"),
            (flow("[2001:db8::1]:1"), "7-udp-53-20010db8000000000000000000000001-1"),
            (of_ip("192.0.2.7", 24), "7-tcp-443-192.0.2.0-any"),
            (
                of_ip("2001:db8::1", 56),
                "7-tcp-443-20010db8000000000000000000000000-any",
            ),
            (of_ip("0.0.0.0", 0), "7-tcp-443-0.0.0.0-any"),
        ] {
            assert_eq!(key(flow).to_string(), name);
            assert_eq!(PinName::parse(name), Some(key(flow)));
        }
    }

    #[test]
    fn nothing_else_is_a_name() {
        let long = "7".repeat(10_000);
        for name in [
            "",
            "7",
            "7-udp-53-192.0.2.7",
            "7-udp-53-192.0.2.7-50000-1",
            "+7-udp-53-192.0.2.7-50000",
            "07-udp-53-192.0.2.7-50000",
            "7-sctp-53-192.0.2.7-50000",
            "7-udp-99999-192.0.2.7-50000",
            "7-udp-53-20010DB8000000000000000000000001-1",
            "7-udp-53-00000000000000000000ffffc0000207-1",
            long.as_str(),
        ] {
            assert_eq!(PinName::parse(name), None, "{name}");
        }
    }
}
