//! Bytes of a log entry: the same on disk and between nodes. Versioned and checksummed.
//!
//! ```text
//! version  kind  term  node  index  body length  body  CRC-32 of all before
//!    1      1     8     8      8         4         n     4
//! ```
//! Numbers are big-endian. The body of a normal entry is a proposal as the model encodes it, that of a membership
//! entry is JSON.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::raft_types::{Entry, EntryPayload, LeaderId, LogId, Payload};

/// Length of a record less its body.
pub(crate) const OVERHEAD: usize = HEADER + 4;

/// Longest body; a proposal that is longer is refused before it gets here.
pub(crate) const BODY_LIMIT: usize = 16 << 20;

const VERSION: u8 = 1;
const HEADER: usize = 1 + 1 + 8 + 8 + 8 + 4;
const BLANK: u8 = 0;
const NORMAL: u8 = 1;
const MEMBERSHIP: u8 = 2;

/// A record that is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("the record ends after {found} bytes, {wanted} were announced")]
    Short { found: usize, wanted: usize },
    #[error("record version {0} is not known to this release")]
    Version(u8),
    #[error("entry kind {0} is not known to this release")]
    Kind(u8),
    #[error("checksum {found:08x} was stored, the bytes have {computed:08x}")]
    Checksum { found: u32, computed: u32 },
    #[error("the body is {0} bytes long, more than any entry may have")]
    TooLong(usize),
    #[error("the membership cannot be read: {0}")]
    Membership(String),
}

/// Appends the record of `entry` to `out`.
pub(crate) fn encode(entry: &Entry, out: &mut BytesMut) {
    let start = out.len();
    let (kind, body) = match &entry.payload {
        EntryPayload::Blank => (BLANK, Bytes::new()),
        EntryPayload::Normal(payload) => (NORMAL, payload.0.clone()),
        EntryPayload::Membership(membership) => {
            // A set of numbers with addresses always has a JSON form.
            (
                MEMBERSHIP,
                Bytes::from(serde_json::to_vec(membership).unwrap_or_default()),
            )
        }
    };
    out.reserve(OVERHEAD + body.len());
    out.put_u8(VERSION);
    out.put_u8(kind);
    out.put_u64(entry.log_id.leader_id.term);
    out.put_u64(entry.log_id.leader_id.node_id);
    out.put_u64(entry.log_id.index);
    out.put_u32(u32::try_from(body.len()).unwrap_or(u32::MAX));
    out.put_slice(&body);
    let checksum = crc32fast::hash(&out[start..]);
    out.put_u32(checksum);
}

/// Takes one record off the front of `input`.
pub(crate) fn decode(input: &mut Bytes) -> Result<Entry, RecordError> {
    if input.len() < OVERHEAD {
        return Err(RecordError::Short {
            found: input.len(),
            wanted: OVERHEAD,
        });
    }
    let mut header = &input[..HEADER];
    let version = header.get_u8();
    if version != VERSION {
        return Err(RecordError::Version(version));
    }
    let kind = header.get_u8();
    let leader_id = LeaderId {
        term: header.get_u64(),
        node_id: header.get_u64(),
    };
    let log_id = LogId {
        leader_id,
        index: header.get_u64(),
    };
    let length = usize::try_from(header.get_u32()).unwrap_or(usize::MAX);
    if length > BODY_LIMIT {
        return Err(RecordError::TooLong(length));
    }
    if input.len() < OVERHEAD + length {
        return Err(RecordError::Short {
            found: input.len(),
            wanted: OVERHEAD + length,
        });
    }
    let mut record = input.split_to(OVERHEAD + length);
    let computed = crc32fast::hash(&record[..HEADER + length]);
    let found = (&record[HEADER + length..]).get_u32();
    if found != computed {
        return Err(RecordError::Checksum { found, computed });
    }
    record.advance(HEADER);
    record.truncate(length);
    let payload = match kind {
        BLANK => EntryPayload::Blank,
        NORMAL => EntryPayload::Normal(Payload(record)),
        MEMBERSHIP => EntryPayload::Membership(
            serde_json::from_slice(&record).map_err(|error| RecordError::Membership(error.to_string()))?,
        ),
        other => return Err(RecordError::Kind(other)),
    };
    Ok(Entry { log_id, payload })
}

/// Length of the record of `entry`, without making it; exact for all but membership entries, which are rare and small.
pub(crate) fn encoded_length(entry: &Entry) -> usize {
    OVERHEAD
        + match &entry.payload {
            EntryPayload::Normal(payload) => payload.0.len(),
            EntryPayload::Blank | EntryPayload::Membership(_) => 0,
        }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use openraft::impls::BasicNode;

    use super::*;
    use crate::raft_types::Membership;

    fn entries() -> Vec<Entry> {
        let nodes = BTreeMap::from([(7, BasicNode::new("127.0.0.1:1"))]);
        let membership = Membership::new(vec![BTreeSet::from([7])], nodes).expect("a member with an address");
        [
            EntryPayload::Blank,
            EntryPayload::Normal(Payload(Bytes::from_static(b"a proposal"))),
            EntryPayload::Membership(membership),
        ]
        .into_iter()
        .zip(3..)
        .map(|(payload, index)| Entry {
            log_id: LogId {
                leader_id: LeaderId { term: 5, node_id: 7 },
                index,
            },
            payload,
        })
        .collect()
    }

    #[test]
    fn records_follow_each_other_and_come_back() {
        let mut bytes = BytesMut::new();
        for entry in entries() {
            encode(&entry, &mut bytes);
        }
        let mut bytes = bytes.freeze();
        for entry in entries() {
            assert_eq!(decode(&mut bytes), Ok(entry));
        }
        assert!(bytes.is_empty());
    }

    #[test]
    fn golden_bytes_of_version_1() {
        let mut bytes = BytesMut::new();
        encode(&entries()[1], &mut bytes);
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            text,
            "0101000000000000000500000000000000070000000000000004\
             0000000a612070726f706f73616c4520ec75"
        );
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        for entry in entries() {
            let mut record = BytesMut::new();
            encode(&entry, &mut record);
            for position in 0..record.len() {
                for bit in 0..8 {
                    let mut damaged = record.clone();
                    damaged[position] ^= 1 << bit;
                    assert!(decode(&mut damaged.freeze()).is_err(), "byte {position} bit {bit}");
                }
                let mut cut = record.clone();
                cut.truncate(position);
                assert!(decode(&mut cut.freeze()).is_err(), "cut at {position}");
            }
        }
    }
}
