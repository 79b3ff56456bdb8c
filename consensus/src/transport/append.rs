//! Bytes of an append call: entries are the records that are stored.
//!
//! ```text
//! version  vote  previous entry  commit  count  records
//!    1      17         25          25      4       n
//! ```
//! A vote is term, node and whether it is committed; an entry's identity is whether there is one, term, node and index.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::raft_types::{LeaderId, LogId, Types, Vote};
use crate::store::record::{self, RecordError};

type Request = openraft::raft::AppendEntriesRequest<Types>;

const VERSION: u8 = 1;
const HEADER: usize = 1 + 17 + 25 + 25 + 4;

/// Why an append call cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AppendError {
    #[error("version {0} of the append call is not known to this release")]
    Version(u8),
    #[error("the call is cut off")]
    Short,
    #[error("entry {number} of the call: {source}")]
    Record { number: u32, source: RecordError },
    #[error("entry {number} of the call has index {found}, {wanted} was next")]
    Order { number: u32, found: u64, wanted: u64 },
}

/// The bytes of a call.
pub(crate) fn encode(request: &Request) -> Bytes {
    let records: usize = request.entries.iter().map(record::encoded_length).sum();
    let mut bytes = BytesMut::with_capacity(HEADER + records);
    bytes.put_u8(VERSION);
    bytes.put_u64(request.vote.leader_id.term);
    bytes.put_u64(request.vote.leader_id.node_id);
    bytes.put_u8(u8::from(request.vote.committed));
    put_log_id(&mut bytes, request.prev_log_id);
    put_log_id(&mut bytes, request.leader_commit);
    bytes.put_u32(u32::try_from(request.entries.len()).unwrap_or(u32::MAX));
    for entry in &request.entries {
        record::encode(entry, &mut bytes);
    }
    bytes.freeze()
}

/// The call in `bytes`.
pub(crate) fn decode(mut bytes: Bytes) -> Result<Request, AppendError> {
    if bytes.len() < HEADER {
        return Err(AppendError::Short);
    }
    let version = bytes.get_u8();
    if version != VERSION {
        return Err(AppendError::Version(version));
    }
    let vote = Vote {
        leader_id: get_leader(&mut bytes),
        committed: bytes.get_u8() != 0,
    };
    let prev_log_id = get_log_id(&mut bytes);
    let leader_commit = get_log_id(&mut bytes);
    let count = bytes.get_u32();
    // Raft takes it for granted that entries follow each other.
    let first = prev_log_id.map_or(0, |previous| previous.index.saturating_add(1));
    let entries = (0..count)
        .zip(first..)
        .map(|(number, wanted)| {
            let entry = record::decode(&mut bytes).map_err(|source| AppendError::Record { number, source })?;
            let found = entry.log_id.index;
            if found == wanted {
                Ok(entry)
            } else {
                Err(AppendError::Order { number, found, wanted })
            }
        })
        .collect::<Result<_, _>>()?;
    Ok(Request {
        vote,
        prev_log_id,
        entries,
        leader_commit,
    })
}

fn put_log_id(bytes: &mut BytesMut, log_id: Option<LogId>) {
    bytes.put_u8(u8::from(log_id.is_some()));
    let numbers = log_id.map_or([0; 3], |id| [id.leader_id.term, id.leader_id.node_id, id.index]);
    for number in numbers {
        bytes.put_u64(number);
    }
}

fn get_log_id(bytes: &mut Bytes) -> Option<LogId> {
    let there = bytes.get_u8() != 0;
    let log_id = LogId {
        leader_id: get_leader(bytes),
        index: bytes.get_u64(),
    };
    there.then_some(log_id)
}

fn get_leader(bytes: &mut Bytes) -> LeaderId {
    LeaderId {
        term: bytes.get_u64(),
        node_id: bytes.get_u64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft_types::{Entry, EntryPayload, Payload};

    #[test]
    fn a_call_comes_back_and_every_cut_is_noticed() {
        let leader_id = LeaderId { term: 3, node_id: 2 };
        let log_id = |index| LogId { leader_id, index };
        let request = Request {
            vote: Vote {
                leader_id,
                committed: true,
            },
            prev_log_id: Some(log_id(4)),
            entries: vec![
                Entry {
                    log_id: log_id(5),
                    payload: EntryPayload::Blank,
                },
                Entry {
                    log_id: log_id(6),
                    payload: EntryPayload::Normal(Payload(Bytes::from_static(b"proposal"))),
                },
            ],
            leader_commit: None,
        };
        let bytes = encode(&request);
        let decoded = decode(bytes.clone()).expect("whole");
        assert_eq!(format!("{decoded:?}"), format!("{request:?}"));
        for length in 0..bytes.len() {
            assert!(decode(bytes.slice(..length)).is_err(), "cut at {length}");
        }
        let mut disordered = request;
        disordered.entries.swap(0, 1);
        assert!(matches!(
            decode(encode(&disordered)),
            Err(AppendError::Order {
                number: 0,
                found: 6,
                wanted: 5
            })
        ));
        let mut newer = bytes.to_vec();
        newer[0] = 2;
        assert_eq!(decode(newer.into()).err(), Some(AppendError::Version(2)));
    }
}
