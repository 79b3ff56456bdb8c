//! The mark: what this store has acknowledged, kept outside of the database that must hold it.
//!
//! A database that finds damage in its own file may fall back to an earlier state and look whole. Raft breaks when that
//! happens to an entry or a vote that was acknowledged, so the store writes down beside the database how far it has
//! promised, and refuses to start with less.
//!
//! The file has two slots that are written in turn, so that a torn write leaves the other. A slot is written after the
//! database was synced and before the promise is given, which survives any death of the process. It is synced with each
//! vote, at a clean stop, and at most once a second otherwise: what a power cut can take from the mark is the last second
//! of it, in which the database's own sync is the only guard. Before the log is cut back the mark is lowered and synced.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::raft_types::{LeaderId, LogId, Vote};

/// How far the mark's own sync may lag.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

const MAGIC: &[u8; 8] = b"gw-mark1";
/// One sector, so that a slot is torn as a whole or not at all on most disks.
const SLOT: usize = 512;
const USED: usize = 8 + 8 + 1 + 24 + 1 + 17 + 4;

/// What has been promised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Promise {
    /// The last entry that is in the log, or was and is purged.
    pub(crate) last: Option<LogId>,
    /// The vote.
    pub(crate) vote: Option<Vote>,
}

/// The open file.
#[derive(Debug)]
pub(crate) struct MarkFile {
    file: File,
    sequence: u64,
    promise: Promise,
    unsynced_since: Option<Instant>,
}

impl MarkFile {
    /// Makes the file, with nothing promised.
    pub(crate) fn create(path: &Path) -> io::Result<MarkFile> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        file.set_len(2 * SLOT as u64)?;
        let mut mark = MarkFile {
            file,
            sequence: 0,
            promise: Promise::default(),
            unsynced_since: None,
        };
        mark.write(Promise::default())?;
        mark.sync()?;
        Ok(mark)
    }

    /// Opens the file and reads the newer of its whole slots.
    pub(crate) fn open(path: &Path) -> io::Result<MarkFile> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let newest = [0, 1]
            .into_iter()
            .filter_map(|slot| {
                let mut bytes = [0; SLOT];
                file.read_exact_at(&mut bytes, slot * SLOT as u64).ok()?;
                decode(&bytes)
            })
            .max_by_key(|(sequence, _)| *sequence);
        let Some((sequence, promise)) = newest else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "neither slot of the mark is whole, so what was acknowledged is not known",
            ));
        };
        Ok(MarkFile {
            file,
            sequence,
            promise,
            unsynced_since: None,
        })
    }

    /// What has been promised.
    pub(crate) fn promise(&self) -> Promise {
        self.promise
    }

    /// Writes a promise; syncs it if the last sync is long ago.
    pub(crate) fn advance(&mut self, promise: Promise) -> io::Result<()> {
        if promise == self.promise {
            return Ok(());
        }
        self.write(promise)?;
        if self.unsynced_since.is_some_and(|since| since.elapsed() > SYNC_INTERVAL) {
            self.sync()?;
        }
        Ok(())
    }

    /// Writes a promise and syncs it: for a vote, and before the log is cut back.
    pub(crate) fn set(&mut self, promise: Promise) -> io::Result<()> {
        self.write(promise)?;
        self.sync()
    }

    /// Syncs what was written.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.unsynced_since = None;
        Ok(())
    }

    fn write(&mut self, promise: Promise) -> io::Result<()> {
        self.sequence += 1;
        let slot = self.sequence % 2;
        self.file
            .write_all_at(&encode(self.sequence, promise), slot * SLOT as u64)?;
        self.promise = promise;
        self.unsynced_since.get_or_insert_with(Instant::now);
        Ok(())
    }
}

fn encode(sequence: u64, promise: Promise) -> [u8; SLOT] {
    let mut bytes = Vec::with_capacity(SLOT);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.push(u8::from(promise.last.is_some()));
    let last = promise
        .last
        .map_or([0; 3], |last| [last.leader_id.term, last.leader_id.node_id, last.index]);
    for number in last {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.push(match promise.vote {
        None => 0,
        Some(Vote { committed: false, .. }) => 1,
        Some(Vote { committed: true, .. }) => 2,
    });
    let leader = promise
        .vote
        .map_or([0; 2], |vote| [vote.leader_id.term, vote.leader_id.node_id]);
    for number in leader {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.push(0);
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_be_bytes());
    let mut slot = [0; SLOT];
    slot[..USED].copy_from_slice(&bytes);
    slot
}

fn decode(slot: &[u8; SLOT]) -> Option<(u64, Promise)> {
    let number = |at: usize| slot[at..at + 8].try_into().map(u64::from_be_bytes).ok();
    let checksum = slot[USED - 4..USED].try_into().map(u32::from_be_bytes).ok()?;
    if &slot[..8] != MAGIC || checksum != crc32fast::hash(&slot[..USED - 4]) {
        return None;
    }
    let leader = |at: usize| {
        Some(LeaderId {
            term: number(at)?,
            node_id: number(at + 8)?,
        })
    };
    let last = LogId {
        leader_id: leader(17)?,
        index: number(33)?,
    };
    let vote = Vote {
        leader_id: leader(42)?,
        committed: slot[41] == 2,
    };
    Some((
        number(8)?,
        Promise {
            last: (slot[16] == 1).then_some(last),
            vote: (slot[41] != 0).then_some(vote),
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promise(index: u64) -> Promise {
        let leader_id = LeaderId { term: 3, node_id: 2 };
        Promise {
            last: Some(LogId { leader_id, index }),
            vote: Some(Vote {
                leader_id,
                committed: true,
            }),
        }
    }

    #[test]
    fn the_last_promise_is_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mark");
        let mut mark = MarkFile::create(&path).expect("created");
        assert_eq!(mark.promise(), Promise::default());
        for index in 1..=5 {
            mark.advance(promise(index)).expect("written");
        }
        assert_eq!(MarkFile::open(&path).expect("opened").promise(), promise(5));
    }

    #[test]
    fn a_torn_slot_leaves_the_promise_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mark");
        let mut mark = MarkFile::create(&path).expect("created");
        mark.advance(promise(1)).expect("written");
        mark.advance(promise(2)).expect("written");
        let newest = (mark.sequence % 2) * SLOT as u64;
        mark.file.write_all_at(&[0xff; 20], newest + 10).expect("damaged");
        assert_eq!(MarkFile::open(&path).expect("opened").promise(), promise(1));
        mark.file
            .write_all_at(&[0xff; 20], SLOT as u64 - newest + 10)
            .expect("damaged");
        assert!(MarkFile::open(&path).is_err());
    }
}
