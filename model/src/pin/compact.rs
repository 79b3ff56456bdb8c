//! The binary form of pins in the log and in snapshots, written into JSON as base64.
//!
//! One byte for the form, the endpoints that are named, then a row for each pin. Numbers are LEB128, everything else is
//! big-endian:
//!
//! ```text
//! endpoints   count, then for each: 4 or 6, the address, the port
//! change      pool, flow, 0 to release or the place of the endpoint plus 1
//! hold        pool less that of the row before, flow, place of the endpoint, serial less the floor
//! flow        protocol number (bit 7: client-IP, bit 6: IPv4), listener port, address, client port (not for client-IP)
//! ```
//!
//! Endpoints come first, then for holds the floor of their serials, then rows to the end. With ten thousand pools the row
//! of an IPv6 flow takes at most 25 bytes in the log and 32 in a snapshot (34 and 43 in base64), one of IPv4 takes 12
//! less. An endpoint adds 19 bytes, or 7, once for all rows that name it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::{PinChange, PinKey, PoolNumber};
use crate::flow::FlowKey;

/// The form that is written, and the only one that is read.
const FORM: u8 = 1;
const RELEASE: u64 = 0;

const V4: u8 = 4;
const V6: u8 = 6;
const CLIENT_IP: u8 = 0x80;
const SHORT: u8 = 0x40;
/// Where an IPv4 address stands in the 16 bytes that map it.
const MAPPED_PREFIX: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// Pins in binary form that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CompactError {
    #[error("pins are not base64")]
    NoBase64,
    #[error("pins are in form {0}, this binary reads form {FORM}")]
    UnknownForm(u8),
    #[error("pins are cut short")]
    CutShort,
    #[error("a number among pins is too large")]
    TooLarge,
    #[error("an endpoint of pins has neither an IPv4 nor an IPv6 address")]
    NoAddress,
    #[error("a flow of pins is none that a client can have")]
    NoFlow,
    #[error("a pin names an endpoint that is not listed")]
    NoEndpoint,
}

/// One hold as a snapshot has it: key, endpoint and serial.
pub(crate) type Row = (PinKey, SocketAddr, u64);

/// Changes of a batch, for serde.
pub(crate) mod changes {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::pin::PinChange;

    pub(crate) fn serialize<S: Serializer>(changes: &[PinChange], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::write_changes(changes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PinChange>, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        super::read_changes(&text).map_err(D::Error::custom)
    }
}

/// Changes in their order.
pub(crate) fn write_changes(changes: &[PinChange]) -> String {
    let mut places = Places::of(changes.iter().filter_map(|change| change.endpoint));
    let mut bytes = places.header();
    for change in changes {
        number(&mut bytes, change.key.pool.0.into());
        flow(&mut bytes, &change.key.flow);
        let endpoint = change.endpoint.map_or(RELEASE, |endpoint| places.place(endpoint) + 1);
        number(&mut bytes, endpoint);
    }
    STANDARD_NO_PAD.encode(bytes)
}

pub(crate) fn read_changes(text: &str) -> Result<Vec<PinChange>, CompactError> {
    let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| CompactError::NoBase64)?;
    let mut reader = Reader(&bytes);
    let endpoints = reader.header()?;
    let mut changes = Vec::new();
    while !reader.0.is_empty() {
        let pool = reader.pool(PoolNumber(0))?;
        let key = PinKey {
            pool,
            flow: reader.flow()?,
        };
        let endpoint = match reader.number()?.checked_sub(1) {
            None => None,
            Some(place) => Some(endpoint_at(&endpoints, place)?),
        };
        changes.push(PinChange { key, endpoint });
    }
    Ok(changes)
}

/// Holds in the order of their keys.
pub(crate) fn write_rows(rows: &[Row]) -> String {
    let mut places = Places::of(rows.iter().map(|(_, endpoint, _)| *endpoint));
    let floor = rows.iter().map(|(.., serial)| *serial).min().unwrap_or(0);
    let mut bytes = places.header();
    number(&mut bytes, floor);
    let mut before = PoolNumber(0);
    for (key, endpoint, serial) in rows {
        number(&mut bytes, key.pool.0.saturating_sub(before.0).into());
        before = key.pool;
        flow(&mut bytes, &key.flow);
        number(&mut bytes, places.place(*endpoint));
        number(&mut bytes, serial - floor);
    }
    STANDARD_NO_PAD.encode(bytes)
}

pub(crate) fn read_rows(text: &str) -> Result<Vec<Row>, CompactError> {
    let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| CompactError::NoBase64)?;
    let mut reader = Reader(&bytes);
    let endpoints = reader.header()?;
    let floor = reader.number()?;
    let mut before = PoolNumber(0);
    let mut rows = Vec::new();
    while !reader.0.is_empty() {
        let pool = reader.pool(before)?;
        before = pool;
        let key = PinKey {
            pool,
            flow: reader.flow()?,
        };
        let endpoint = endpoint_at(&endpoints, reader.number()?)?;
        let serial = floor.checked_add(reader.number()?).ok_or(CompactError::TooLarge)?;
        rows.push((key, endpoint, serial));
    }
    Ok(rows)
}

/// The address that is meant, as tables and flows have it: IPv4-mapped is IPv4, without scope.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The endpoints that are named, in their order, each with its place.
struct Places(BTreeMap<SocketAddr, u64>);

impl Places {
    fn of(endpoints: impl Iterator<Item = SocketAddr>) -> Places {
        let mut places: BTreeMap<SocketAddr, u64> = endpoints.map(|endpoint| (canonical(endpoint), 0)).collect();
        for (place, number) in places.values_mut().zip(0..) {
            *place = number;
        }
        Places(places)
    }

    fn place(&mut self, endpoint: SocketAddr) -> u64 {
        self.0.get(&canonical(endpoint)).copied().unwrap_or_default()
    }

    fn header(&self) -> Vec<u8> {
        let mut bytes = vec![FORM];
        number(&mut bytes, self.0.len() as u64);
        for endpoint in self.0.keys() {
            match endpoint.ip() {
                IpAddr::V4(ip) => {
                    bytes.push(V4);
                    bytes.extend_from_slice(&ip.octets());
                }
                IpAddr::V6(ip) => {
                    bytes.push(V6);
                    bytes.extend_from_slice(&ip.octets());
                }
            }
            bytes.extend_from_slice(&endpoint.port().to_be_bytes());
        }
        bytes
    }
}

fn number(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = number.to_le_bytes()[0] & 0x7f;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn flow(bytes: &mut Vec<u8>, key: &FlowKey) {
    let [head, p0, p1, address @ .., c0, c1] = key.bytes();
    let (prefix, v4) = address.split_at(MAPPED_PREFIX.len());
    let is_short = prefix == MAPPED_PREFIX;
    bytes.push(if is_short { head | SHORT } else { head });
    bytes.extend_from_slice(&[p0, p1]);
    bytes.extend_from_slice(if is_short { v4 } else { &address });
    if head & CLIENT_IP == 0 {
        bytes.extend_from_slice(&[c0, c1]);
    }
}

fn endpoint_at(endpoints: &[SocketAddr], place: u64) -> Result<SocketAddr, CompactError> {
    let place = usize::try_from(place).map_err(|_| CompactError::NoEndpoint)?;
    endpoints.get(place).copied().ok_or(CompactError::NoEndpoint)
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    /// The endpoints. What is made room for is bounded by what is there.
    fn header(&mut self) -> Result<Vec<SocketAddr>, CompactError> {
        let [form] = self.array()?;
        if form != FORM {
            return Err(CompactError::UnknownForm(form));
        }
        let count = self.number()?;
        let mut endpoints = Vec::new();
        for _ in 0..count {
            endpoints.push(self.endpoint()?);
        }
        Ok(endpoints)
    }

    fn endpoint(&mut self) -> Result<SocketAddr, CompactError> {
        let ip = match self.array()? {
            [V4] => IpAddr::V4(Ipv4Addr::from(self.array::<4>()?)),
            [V6] => IpAddr::V6(Ipv6Addr::from(self.array::<16>()?)),
            _ => return Err(CompactError::NoAddress),
        };
        let port = u16::from_be_bytes(self.array()?);
        Ok(canonical(SocketAddr::new(ip, port)))
    }

    fn pool(&mut self, before: PoolNumber) -> Result<PoolNumber, CompactError> {
        let more = u32::try_from(self.number()?).map_err(|_| CompactError::TooLarge)?;
        let pool = before.0.checked_add(more);
        pool.map(PoolNumber).ok_or(CompactError::TooLarge)
    }

    fn flow(&mut self) -> Result<FlowKey, CompactError> {
        let mut key = [0; FlowKey::LENGTH];
        let [head] = self.array()?;
        key[0] = head & !SHORT;
        key[1..3].copy_from_slice(&self.array::<2>()?);
        if head & SHORT == 0 {
            key[3..19].copy_from_slice(&self.array::<16>()?);
        } else {
            key[3..15].copy_from_slice(&MAPPED_PREFIX);
            key[15..19].copy_from_slice(&self.array::<4>()?);
        }
        if head & CLIENT_IP == 0 {
            key[19..].copy_from_slice(&self.array::<2>()?);
        }
        FlowKey::from_bytes(key).ok_or(CompactError::NoFlow)
    }

    fn number(&mut self) -> Result<u64, CompactError> {
        let mut number = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let [byte] = self.array()?;
            let part = u64::from(byte & 0x7f);
            let shifted = part << shift;
            if shifted >> shift != part {
                return Err(CompactError::TooLarge);
            }
            number |= shifted;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(CompactError::TooLarge)
    }

    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], CompactError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(CompactError::CutShort)?;
        self.0 = rest;
        Ok(*array)
    }
}
