//! The only module that names sled.
//!
//! Three trees: `log` (entries), `meta` (small records) and `snapshot` (chunks). What sled 0.34 needs from its user:
//! - Its `flush` waits for `sync_file_range`, which leaves the disk's cache and the file's size out. [`Database::sync`]
//!   calls `fdatasync` on the same file after it. The folder is synced once, when the files are made.
//! - A page that is longer than a quarter of a segment goes into a file of its own that sled never syncs. Values are
//!   therefore split into pieces, so that a page full of them stays below that.
//! - It gives the space of removed pages back to itself, not to the file system: the file stays as large as it has been.
//!   1 000 000 entries of 400 bytes, written and purged, leave 21 MiB when 10 000 are kept and 408 MiB (peak: 200 000).
//! - It may panic when its files are damaged; [`Database::open`] turns that into an error.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

/// Segment size; a quarter of it bounds a page.
const SEGMENT: usize = 2 << 20;

/// Longest piece of a value. sled splits a leaf that has more than 16 items the next time it passes by, so 20 pieces
/// must fit into a page.
const PIECE: usize = 16 << 10;
const _: () = assert!(20 * (PIECE + 64) < SEGMENT / 4);

/// Memory for pages; the log's tail is kept in memory elsewhere.
const CACHE: u64 = 16 << 20;

/// How long [`Database::open`] waits for the lock that threads of a database closed a moment ago may still hold.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// An open database. All calls block on the disk.
pub(crate) struct Database {
    path: PathBuf,
    file: File,
    trees: RwLock<Option<Trees>>,
}

#[derive(Clone)]
struct Trees {
    database: sled::Db,
    log: sled::Tree,
    meta: sled::Tree,
    snapshot: sled::Tree,
}

impl Database {
    /// Opens the database in `path`, making it if it is not there.
    pub(crate) fn open(path: &Path) -> io::Result<Database> {
        let deadline = Instant::now() + LOCK_PATIENCE;
        let trees = loop {
            // Damaged files can make sled panic. It has then no thread and no lock left that outlives the unwinding.
            let opened = std::panic::catch_unwind(AssertUnwindSafe(|| open_trees(path)))
                .unwrap_or_else(|panic| Err(io::Error::new(io::ErrorKind::InvalidData, panic_text(panic.as_ref()))));
            match opened {
                Err(error) if error.to_string().contains("could not acquire lock") && Instant::now() < deadline => {
                    std::thread::park_timeout(Duration::from_millis(20));
                }
                other => break other?,
            }
        };
        let file = File::open(path.join("db"))?;
        let database = Database {
            path: path.to_owned(),
            file,
            trees: RwLock::new(Some(trees)),
        };
        database.sync()?;
        File::open(path)?.sync_all()?;
        if let Some(parent) = path.parent() {
            File::open(parent)?.sync_all()?;
        }
        Ok(database)
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns when all that was written before is on the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.trees()?.database.flush()?;
        self.file.sync_data()
    }

    /// Lets go of the files. Calls that are under way finish, later ones fail.
    pub(crate) fn close(&self) {
        drop(self.trees.write().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Writes a small record.
    pub(crate) fn put_meta(&self, key: &str, value: &[u8]) -> io::Result<()> {
        self.trees()?.meta.insert(key, value)?;
        Ok(())
    }

    /// Reads a small record.
    pub(crate) fn meta(&self, key: &str) -> io::Result<Option<Bytes>> {
        Ok(self.trees()?.meta.get(key)?.map(|value| Bytes::copy_from_slice(&value)))
    }

    /// Writes the record of an entry.
    pub(crate) fn put_entry(&self, index: u64, record: &[u8]) -> io::Result<()> {
        put_pieces(&self.trees()?.log, &index.to_be_bytes(), record)
    }

    /// Removes an entry; returns the length of its record, 0 if there was none.
    pub(crate) fn remove_entry(&self, index: u64) -> io::Result<u64> {
        remove_pieces(&self.trees()?.log, &index.to_be_bytes())
    }

    /// Records of the entries that are there, from `index` on, in order.
    pub(crate) fn entries_from(
        &self,
        index: u64,
    ) -> io::Result<impl Iterator<Item = io::Result<(u64, Bytes)>> + use<>> {
        let range = self.trees()?.log.range(index.to_be_bytes()..);
        Ok(Joined {
            pieces: range,
            next: None,
        }
        .map(|joined| {
            let (key, record) = joined?;
            let index = key.as_slice().try_into().map(u64::from_be_bytes);
            index
                .map(|index| (index, record))
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a key of the log is not 8 bytes long"))
        }))
    }

    /// The number of the first entry that is there.
    pub(crate) fn first_index(&self) -> io::Result<Option<u64>> {
        let first = self.trees()?.log.first()?;
        Ok(first.and_then(|(key, _)| Some(u64::from_be_bytes(key.get(..8)?.try_into().ok()?))))
    }

    /// Writes a chunk of a snapshot.
    pub(crate) fn put_chunk(&self, snapshot: u64, chunk: u32, bytes: &[u8]) -> io::Result<()> {
        put_pieces(&self.trees()?.snapshot, &chunk_key(snapshot, chunk), bytes)
    }

    /// Reads a chunk of a snapshot.
    pub(crate) fn chunk(&self, snapshot: u64, chunk: u32) -> io::Result<Option<Bytes>> {
        let pieces = self.trees()?.snapshot.scan_prefix(chunk_key(snapshot, chunk));
        let mut joined = Joined { pieces, next: None };
        Ok(joined.next().transpose()?.map(|(_, bytes)| bytes))
    }

    /// Removes every snapshot but those.
    pub(crate) fn remove_other_snapshots(&self, keep: &BTreeSet<u64>) -> io::Result<()> {
        let tree = self.trees()?.snapshot;
        let mut next = tree.first()?;
        while let Some((key, _)) = next {
            let snapshot = key.get(..8).and_then(|id| id.try_into().ok()).map(u64::from_be_bytes);
            match snapshot {
                Some(snapshot) if keep.contains(&snapshot) => {
                    next = match snapshot.checked_add(1) {
                        Some(after) => tree.range(after.to_be_bytes()..).next().transpose()?,
                        None => None,
                    };
                }
                _ => {
                    tree.remove(&key)?;
                    next = tree.get_gt(&key)?;
                }
            }
        }
        Ok(())
    }

    fn trees(&self) -> io::Result<Trees> {
        let trees = self.trees.read().unwrap_or_else(PoisonError::into_inner);
        trees
            .clone()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "the store is closed"))
    }
}

fn open_trees(path: &Path) -> io::Result<Trees> {
    let database = sled::Config::new()
        .path(path)
        .cache_capacity(CACHE)
        .segment_size(SEGMENT)
        .flush_every_ms(None)
        .open()?;
    Ok(Trees {
        log: database.open_tree("log")?,
        meta: database.open_tree("meta")?,
        snapshot: database.open_tree("snapshot")?,
        database,
    })
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("sled gave up on its files: {}", text.unwrap_or("no reason given"))
}

fn chunk_key(snapshot: u64, chunk: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&snapshot.to_be_bytes());
    key[8..].copy_from_slice(&chunk.to_be_bytes());
    key
}

fn put_pieces(tree: &sled::Tree, key: &[u8], value: &[u8]) -> io::Result<()> {
    for (number, piece) in (0u16..).zip(value.chunks(PIECE)) {
        tree.insert([key, &number.to_be_bytes()].concat(), piece)?;
    }
    Ok(())
}

fn remove_pieces(tree: &sled::Tree, key: &[u8]) -> io::Result<u64> {
    let mut bytes = 0;
    for number in 0u16.. {
        let removed = tree.remove([key, &number.to_be_bytes()].concat())?;
        bytes += removed.as_ref().map_or(0, |piece| piece.len() as u64);
        if removed.is_none_or(|piece| piece.len() < PIECE) {
            break;
        }
    }
    Ok(bytes)
}

/// Joins the pieces of values again: the key less the number of the piece, and the value.
struct Joined {
    pieces: sled::Iter,
    next: Option<(sled::IVec, sled::IVec)>,
}

impl Iterator for Joined {
    type Item = io::Result<(Vec<u8>, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        let (key, piece) = match self.next.take() {
            Some(piece) => piece,
            None => match self.pieces.next()? {
                Ok(piece) => piece,
                Err(error) => return Some(Err(error.into())),
            },
        };
        let stem = key.get(..key.len().saturating_sub(2)).unwrap_or_default().to_vec();
        let mut value = BytesMut::from(&*piece);
        loop {
            match self.pieces.next() {
                Some(Ok((key, piece))) if key.starts_with(&stem) && key.len() == stem.len() + 2 => {
                    value.extend_from_slice(&piece);
                }
                Some(Ok(piece)) => {
                    self.next = Some(piece);
                    return Some(Ok((stem, value.freeze())));
                }
                Some(Err(error)) => return Some(Err(error.into())),
                None => return Some(Ok((stem, value.freeze()))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(length: usize) -> Vec<u8> {
        (0..length)
            .map(|position| position.to_le_bytes()[0] ^ position.to_le_bytes()[1])
            .collect()
    }

    #[test]
    fn values_of_every_length_come_back_and_none_becomes_a_blob() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("store");
        let lengths = [1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 2 << 20];
        let database = Database::open(&path).expect("opened");
        for round in 0..20 {
            for (index, length) in (0..).zip(lengths) {
                database.put_entry(round * 10 + index, &value(length)).expect("written");
            }
        }
        database.sync().expect("synced");
        database.close();
        assert!(database.put_entry(0, b"late").is_err());

        let database = Database::open(&path).expect("opened again");
        let entries: Vec<_> = database
            .entries_from(10)
            .expect("read")
            .collect::<Result<_, _>>()
            .expect("whole");
        assert_eq!(entries.len(), 19 * lengths.len());
        for (index, record) in entries {
            let length = lengths[usize::try_from(index % 10).expect("small")];
            assert!(record == value(length), "entry {index}");
            assert_eq!(database.remove_entry(index).expect("removed"), length as u64);
        }
        assert_eq!(database.first_index().expect("read"), Some(0));
        assert_eq!(std::fs::read_dir(path.join("blobs")).expect("a folder").count(), 0);
    }

    #[test]
    fn a_locked_folder_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let _first = Database::open(folder.path()).expect("opened");
        assert!(Database::open(folder.path()).is_err());
    }
}
