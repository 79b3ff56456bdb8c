//! Addresses and control messages as the kernel lays them out: plain bytes in memory, read and written without pointers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// A `sockaddr_in` or `sockaddr_in6`.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(crate) struct Name(pub(crate) [u8; Name::ROOM]);

/// Control messages of one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(8))]
pub(crate) struct Control {
    pub(crate) bytes: [u8; Control::ROOM],
    pub(crate) length: usize,
}

/// `cmsghdr`: length, level, type.
const HEADER: usize = size_of::<usize>() + 8;

impl Name {
    /// `sockaddr_in6` has 28 bytes.
    pub(crate) const ROOM: usize = 32;
    pub(crate) const EMPTY: Name = Name([0; Name::ROOM]);

    /// The kernel's form of an address, and its length.
    pub(crate) fn of(address: SocketAddr) -> (Name, u32) {
        let mut bytes = [0; Name::ROOM];
        bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
        match address {
            SocketAddr::V4(address) => {
                bytes[..2].copy_from_slice(&family(libc::AF_INET));
                bytes[4..8].copy_from_slice(&address.ip().octets());
                (Name(bytes), 16)
            }
            SocketAddr::V6(address) => {
                bytes[..2].copy_from_slice(&family(libc::AF_INET6));
                bytes[8..24].copy_from_slice(&address.ip().octets());
                bytes[24..28].copy_from_slice(&address.scope_id().to_ne_bytes());
                (Name(bytes), 28)
            }
        }
    }

    /// The address; `None` if it is neither IPv4 nor IPv6.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        let bytes = &self.0;
        let port = u16::from_be_bytes([bytes[2], bytes[3]]);
        let found = [bytes[0], bytes[1]];
        if found == family(libc::AF_INET) {
            let address = Ipv4Addr::new(bytes[4], bytes[5], bytes[6], bytes[7]);
            Some((address, port).into())
        } else if found == family(libc::AF_INET6) {
            let address = Ipv6Addr::from(first::<16>(&bytes[8..])?);
            let scope = u32::from_ne_bytes(first(&bytes[24..])?);
            Some(SocketAddrV6::new(address, port, 0, scope).into())
        } else {
            None
        }
    }
}

impl Control {
    /// Enough for one packet information and one segment size, with room to spare.
    pub(crate) const ROOM: usize = 96;
    pub(crate) const EMPTY: Control = Control {
        bytes: [0; Control::ROOM],
        length: 0,
    };

    /// Says which address a datagram leaves from.
    pub(crate) fn push_source(&mut self, source: IpAddr) {
        match source {
            // `in_pktinfo`: interface, local address, destination.
            IpAddr::V4(address) => {
                let mut data = [0; 12];
                data[4..8].copy_from_slice(&address.octets());
                self.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &data);
            }
            // `in6_pktinfo`: address, interface.
            IpAddr::V6(address) => {
                let mut data = [0; 20];
                data[..16].copy_from_slice(&address.octets());
                self.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &data);
            }
        }
    }

    /// Says into which size the bytes are to be cut.
    pub(crate) fn push_segment(&mut self, segment: u16) {
        self.push(libc::SOL_UDP, libc::UDP_SEGMENT, &segment.to_ne_bytes());
    }

    /// The address that a received datagram was sent to, if it was asked for.
    pub(crate) fn dialled(&self) -> Option<IpAddr> {
        self.messages().find_map(|(level, kind, data)| match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                first::<4>(data.get(4..)?).map(|octets| Ipv4Addr::from(octets).into())
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => first::<16>(data).map(|octets| Ipv6Addr::from(octets).into()),
            _ => None,
        })
    }

    /// The size of each datagram, if several were received as one.
    pub(crate) fn segment(&self) -> Option<u16> {
        self.messages().find_map(|(level, kind, data)| match (level, kind) {
            (libc::SOL_UDP, libc::UDP_GRO) => u16::try_from(i32::from_ne_bytes(first(data)?)).ok(),
            _ => None,
        })
    }

    fn push(&mut self, level: i32, kind: i32, data: &[u8]) {
        let length = HEADER + data.len();
        let end = self.length + aligned(length);
        let Some(space) = self.bytes.get_mut(self.length..end) else {
            return;
        };
        space.fill(0);
        space[..size_of::<usize>()].copy_from_slice(&length.to_ne_bytes());
        space[HEADER - 8..HEADER - 4].copy_from_slice(&level.to_ne_bytes());
        space[HEADER - 4..HEADER].copy_from_slice(&kind.to_ne_bytes());
        space[HEADER..length].copy_from_slice(data);
        self.length = end;
    }

    fn messages(&self) -> impl Iterator<Item = (i32, i32, &[u8])> {
        let mut rest = self.bytes.get(..self.length).unwrap_or_default();
        std::iter::from_fn(move || {
            let length = usize::from_ne_bytes(first(rest)?);
            let level = i32::from_ne_bytes(first(rest.get(HEADER - 8..)?)?);
            let kind = i32::from_ne_bytes(first(rest.get(HEADER - 4..)?)?);
            let data = rest.get(HEADER..length)?;
            rest = rest.get(aligned(length)..).unwrap_or_default();
            Some((level, kind, data))
        })
    }
}

/// Control messages begin where a word does.
fn aligned(length: usize) -> usize {
    length.next_multiple_of(size_of::<usize>())
}

fn first<const COUNT: usize>(bytes: &[u8]) -> Option<[u8; COUNT]> {
    bytes.first_chunk().copied()
}

fn family(family: i32) -> [u8; 2] {
    u16::try_from(family).unwrap_or(0).to_ne_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back() {
        for (text, expected) in [("192.0.2.1:53", 16), ("[2001:db8::7]:65535", 28), ("[fe80::1%9]:1", 28)] {
            let address: SocketAddr = text.parse().expect("address");
            let (name, length) = Name::of(address);
            assert_eq!(length, expected);
            assert_eq!(name.address(), Some(address));
        }
        assert_eq!(Name::EMPTY.address(), None);
    }

    #[test]
    fn control_messages_are_found_among_others() {
        for address in ["192.0.2.1", "2001:db8::7"] {
            let address: IpAddr = address.parse().expect("address");
            let mut control = Control::EMPTY;
            control.push(libc::SOL_SOCKET, libc::SCM_TIMESTAMP, &[1; 16]);
            control.push(libc::SOL_UDP, libc::UDP_GRO, &1200i32.to_ne_bytes());
            control.push_source(address);
            assert_eq!(control.dialled(), Some(address));
            assert_eq!(control.segment(), Some(1200));
        }
    }

    #[test]
    fn nonsense_is_not_read_beyond_its_end() {
        for length in 0..Control::ROOM {
            for said in [0, 1, 15, 16, 17, 95, 96, 97, usize::MAX] {
                let mut control = Control::EMPTY;
                control.length = length;
                control.bytes[..8].copy_from_slice(&said.to_ne_bytes());
                assert!(control.messages().count() <= Control::ROOM);
            }
        }
    }
}
