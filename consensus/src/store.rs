//! The store of one node: log, vote and snapshots on disk.
//!
//! ```text
//! data_dir/store/        sled: entries, small records, chunks of snapshots
//! data_dir/acknowledged  how far the store has promised (see `mark`)
//! ```
//! One thread per store writes the log (`writer`); snapshots are written by whoever makes or receives one. A failed
//! write or sync is final: everything after it fails too, until the store is opened again and checked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::database::Database;
pub(crate) use self::log::LogStore;
use self::mark::MarkFile;
pub(crate) use self::snapshot::{CHUNK_LIMIT, Snapshots, StoredSnapshot};

#[cfg(test)]
mod bounded;
mod check;
#[cfg(test)]
mod damage;
mod database;
mod log;
mod mark;
mod meta;
pub(crate) mod record;
mod snapshot;
#[cfg(test)]
mod suite;
mod writer;

/// The database's folder in the data folder.
pub(crate) const FOLDER: &str = "store";
/// The mark's file in the data folder.
pub(crate) const MARK: &str = "acknowledged";

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// A file cannot be read or written.
    #[error("{path:?}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    /// Something that was acknowledged is not there, or cannot be read.
    #[error("{path:?} is damaged at log index {index}: {problem}")]
    Corrupted { path: PathBuf, index: u64, problem: String },
}

/// An open store.
pub(crate) struct Store {
    pub(crate) log: LogStore,
    pub(crate) snapshots: Arc<Snapshots>,
    database: Arc<Database>,
    writer: writer::Handle,
}

impl Store {
    /// Opens and checks the store in `data_dir`; makes it if `fresh`. Blocks on the disk.
    pub(crate) fn open(data_dir: &Path, fresh: bool) -> Result<Store, OpenError> {
        let mark_path = data_dir.join(MARK);
        let path = data_dir.join(FOLDER);
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io { path, source }
        };
        if fresh && !mark_path.exists() {
            MarkFile::create(&mark_path).map_err(io(&mark_path))?;
        }
        let mark = MarkFile::open(&mark_path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::InvalidData => OpenError::Corrupted {
                path: mark_path.clone(),
                index: 0,
                problem: source.to_string(),
            },
            _ => io(&mark_path)(source),
        })?;
        let promised = mark.promise();
        // Said first: what sled finds in damaged files may end the process in ways that no error survives.
        tracing::info!(?path, last = ?promised.last, vote = ?promised.vote, "the store has acknowledged this; it is opened");
        let damaged = |source: std::io::Error| check::damaged(&path, promised, source);
        let database = Arc::new(Database::open(&path).map_err(damaged)?);
        let found = check::check(&database, promised)?;
        let snapshots = Snapshots::new(database.clone(), found.manifest.clone());
        let (log, writer) = log::open(database.clone(), mark, found);
        Ok(Store {
            log,
            snapshots,
            database,
            writer,
        })
    }

    /// Waits for what is being written, syncs and lets go of the files, whoever still has a handle. Blocks on the disk.
    pub(crate) fn close(self) {
        self.writer.stop();
        self.database.close();
    }
}
