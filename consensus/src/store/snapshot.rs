//! Snapshots: chunks of at most 1 MiB, then a manifest; the snapshot before is kept until the manifest is on the disk.
//!
//! A snapshot is the records of the state, each after its length (32 bits, big-endian), cut into chunks without regard
//! for where records end. Each chunk starts with the CRC-32 of what follows.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use guideway_model::State;
use serde::{Deserialize, Serialize};

use super::database::Database;
use super::meta;
use crate::raft_types::SnapshotMeta;

/// Longest chunk, its checksum included.
pub(crate) const CHUNK_LIMIT: usize = 512 << 10;

const CHECKSUM: usize = 4;

/// What the store knows about its current snapshot; written after all of its chunks are on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// Number of the snapshot in this store.
    pub(crate) id: u64,
    /// What it covers.
    pub(crate) meta: SnapshotMeta,
    /// How many chunks it has.
    pub(crate) chunks: u32,
    /// How many bytes they have.
    pub(crate) bytes: u64,
}

/// The snapshots of one store.
pub(crate) struct Snapshots {
    database: Arc<Database>,
    ledger: Mutex<Ledger>,
}

struct Ledger {
    current: Option<Manifest>,
    next_id: u64,
    /// Handles on each snapshot that is being written, read or sent.
    held: BTreeMap<u64, usize>,
}

/// A whole snapshot in a store; its chunks stay for as long as a handle does.
pub(crate) struct StoredSnapshot {
    snapshots: Arc<Snapshots>,
    id: u64,
    chunks: u32,
    bytes: u64,
}

/// A snapshot that is being written; unfinished, it is cleared away before the next one.
pub(crate) struct SnapshotWriter {
    stored: StoredSnapshot,
    buffer: Vec<u8>,
}

impl Snapshots {
    /// The snapshots in `database`; `current` is what its manifest says.
    pub(crate) fn new(database: Arc<Database>, current: Option<Manifest>) -> Arc<Snapshots> {
        let next_id = current.as_ref().map_or(1, |manifest| manifest.id.saturating_add(1));
        Arc::new(Snapshots {
            database,
            ledger: Mutex::new(Ledger {
                current,
                next_id,
                held: BTreeMap::new(),
            }),
        })
    }

    /// The current snapshot.
    pub(crate) fn current(self: &Arc<Self>) -> Option<(SnapshotMeta, StoredSnapshot)> {
        let mut ledger = self.ledger();
        let manifest = ledger.current.clone()?;
        *ledger.held.entry(manifest.id).or_default() += 1;
        let stored = StoredSnapshot {
            snapshots: self.clone(),
            id: manifest.id,
            chunks: manifest.chunks,
            bytes: manifest.bytes,
        };
        Some((manifest.meta, stored))
    }

    /// Starts to write a snapshot. Blocks on the disk.
    pub(crate) fn begin(self: &Arc<Self>) -> io::Result<SnapshotWriter> {
        self.clear_away()?;
        let mut ledger = self.ledger();
        let id = ledger.next_id;
        ledger.next_id += 1;
        ledger.held.insert(id, 1);
        Ok(SnapshotWriter {
            stored: StoredSnapshot {
                snapshots: self.clone(),
                id,
                chunks: 0,
                bytes: 0,
            },
            buffer: Vec::new(),
        })
    }

    /// Makes `stored` the current snapshot; copies it first if it is in another store. Blocks on the disk.
    pub(crate) fn publish(self: &Arc<Self>, meta: &SnapshotMeta, stored: &StoredSnapshot) -> io::Result<()> {
        if !Arc::ptr_eq(self, &stored.snapshots) {
            let mut copy = self.begin()?;
            for number in 0..stored.chunks {
                copy.push_chunk(&stored.chunk(number)?)?;
            }
            return self.publish(meta, &copy.finish()?);
        }
        let manifest = Manifest {
            id: stored.id,
            meta: meta.clone(),
            chunks: stored.chunks,
            bytes: stored.bytes,
        };
        if self.ledger().current.as_ref() == Some(&manifest) {
            return Ok(());
        }
        self.database.sync()?;
        meta::put(&self.database, meta::MANIFEST, &manifest)?;
        self.database.sync()?;
        self.ledger().current = Some(manifest);
        self.clear_away()
    }

    fn clear_away(&self) -> io::Result<()> {
        let keep: BTreeSet<u64> = {
            let ledger = self.ledger();
            let current = ledger.current.as_ref().map(|manifest| manifest.id);
            ledger.held.keys().copied().chain(current).collect()
        };
        self.database.remove_other_snapshots(&keep)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SnapshotWriter {
    /// Appends one record of the state. Blocks on the disk.
    pub(crate) fn push_record(&mut self, record: &[u8]) -> io::Result<()> {
        let length = u32::try_from(record.len())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a snapshot record is 4 GiB long or longer"))?;
        self.buffer.extend_from_slice(&length.to_be_bytes());
        self.buffer.extend_from_slice(record);
        while self.buffer.len() >= CHUNK_LIMIT - CHECKSUM {
            let rest = self.buffer.split_off(CHUNK_LIMIT - CHECKSUM);
            self.flush_buffer()?;
            self.buffer = rest;
        }
        Ok(())
    }

    /// Appends one chunk as [`StoredSnapshot::chunk`] gave it. Blocks on the disk.
    pub(crate) fn push_chunk(&mut self, chunk: &[u8]) -> io::Result<()> {
        check_chunk(chunk, self.stored.chunks)?;
        let stored = &mut self.stored;
        stored.snapshots.database.put_chunk(stored.id, stored.chunks, chunk)?;
        stored.chunks += 1;
        stored.bytes += chunk.len() as u64;
        Ok(())
    }

    /// Ends the snapshot. It is on the disk for good when it is published.
    pub(crate) fn finish(mut self) -> io::Result<StoredSnapshot> {
        if !self.buffer.is_empty() {
            self.flush_buffer()?;
        }
        Ok(self.stored)
    }

    fn flush_buffer(&mut self) -> io::Result<()> {
        let body = std::mem::take(&mut self.buffer);
        let chunk = [&crc32fast::hash(&body).to_be_bytes(), body.as_slice()].concat();
        self.push_chunk(&chunk)
    }
}

impl StoredSnapshot {
    /// How many chunks there are.
    pub(crate) fn chunks(&self) -> u32 {
        self.chunks
    }

    /// How many bytes there are.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// One chunk with its checksum, checked. Blocks on the disk.
    pub(crate) fn chunk(&self, number: u32) -> io::Result<Bytes> {
        let chunk = self.snapshots.database.chunk(self.id, number)?.ok_or_else(|| {
            let problem = format!("chunk {number} of {} of the snapshot is missing", self.chunks);
            io::Error::new(io::ErrorKind::InvalidData, problem)
        })?;
        check_chunk(&chunk, number)?;
        Ok(chunk)
    }

    /// The state in the snapshot. Holds the whole snapshot in memory beside it. Blocks on the disk.
    pub(crate) fn read_state(&self) -> io::Result<State> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.bytes).unwrap_or_default());
        for number in 0..self.chunks {
            bytes.extend_from_slice(&self.chunk(number)?[CHECKSUM..]);
        }
        let mut rest = bytes.as_slice();
        let mut records = Vec::new();
        while !rest.is_empty() {
            let length = rest.try_get_u32().ok().and_then(|length| usize::try_from(length).ok());
            let record = length.and_then(|length| rest.split_at_checked(length));
            let Some((record, after)) = record else {
                let problem = format!("record {} of the snapshot is cut off", records.len());
                return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
            };
            records.push(record);
            rest = after;
        }
        State::from_snapshot_records(records).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

impl Drop for StoredSnapshot {
    fn drop(&mut self) {
        let mut ledger = self.snapshots.ledger();
        if let Some(handles) = ledger.held.get_mut(&self.id) {
            *handles -= 1;
            if *handles == 0 {
                ledger.held.remove(&self.id);
            }
        }
    }
}

pub(crate) fn check_chunk(chunk: &[u8], number: u32) -> io::Result<()> {
    let whole = chunk.len() <= CHUNK_LIMIT
        && chunk
            .split_first_chunk::<CHECKSUM>()
            .is_some_and(|(checksum, body)| u32::from_be_bytes(*checksum) == crc32fast::hash(body));
    if whole {
        return Ok(());
    }
    let problem = format!("chunk {number} of the snapshot has a wrong checksum or length");
    Err(io::Error::new(io::ErrorKind::InvalidData, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshots(path: &std::path::Path) -> Arc<Snapshots> {
        let database = Arc::new(Database::open(path).expect("opened"));
        let manifest = meta::get(&database, meta::MANIFEST).expect("read");
        Snapshots::new(database, manifest)
    }

    fn write(snapshots: &Arc<Snapshots>, filler: u8) -> StoredSnapshot {
        let mut writer = snapshots.begin().expect("begun");
        for length in [10, 3 * CHUNK_LIMIT, 0, 7] {
            writer.push_record(&vec![filler; length]).expect("written");
        }
        writer.finish().expect("finished")
    }

    #[test]
    fn the_one_before_stays_until_the_next_is_published_and_while_it_is_held() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = snapshots(folder.path());
        let meta = SnapshotMeta::default();
        let first = write(&store, 1);
        assert_eq!(first.chunks(), 4);
        store.publish(&meta, &first).expect("published");
        drop(first);

        let (_, held) = store.current().expect("the first");
        drop(write(&store, 2));
        let third = write(&store, 3);
        store.publish(&meta, &third).expect("published");
        assert_eq!(held.chunk(0).expect("still there")[CHECKSUM + 4], 1);
        drop((held, third));

        let fourth = write(&store, 4);
        store.publish(&meta, &fourth).expect("published");
        let database = store.database.clone();
        for (id, there) in [(1, false), (2, false), (3, false), (4, true)] {
            assert_eq!(database.chunk(id, 0).expect("read").is_some(), there, "snapshot {id}");
        }
        drop(fourth);
        database.close();
        let (_, current) = snapshots(folder.path()).current().expect("the fourth");
        assert_eq!(current.chunk(3).expect("there").last(), Some(&4));
    }

    #[test]
    fn a_snapshot_of_another_store_is_copied() {
        let (here, there) = (
            tempfile::tempdir().expect("a folder"),
            tempfile::tempdir().expect("a folder"),
        );
        let source = write(&snapshots(there.path()), 9);
        let store = snapshots(here.path());
        store.publish(&SnapshotMeta::default(), &source).expect("published");
        let (_, copy) = store.current().expect("the copy");
        assert_eq!((copy.chunks(), copy.bytes()), (source.chunks(), source.bytes()));
        assert_eq!(copy.chunk(2).expect("there"), source.chunk(2).expect("there"));
    }

    #[test]
    fn a_damaged_chunk_is_not_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = snapshots(folder.path());
        let stored = write(&store, 5);
        let mut chunk = stored.chunk(1).expect("there").to_vec();
        chunk[100] ^= 1;
        assert!(store.begin().expect("begun").push_chunk(&chunk).is_err());
        store.database.put_chunk(stored.id, 1, &chunk).expect("damaged");
        assert!(stored.chunk(1).is_err());
        assert!(stored.read_state().is_err());
    }
}
