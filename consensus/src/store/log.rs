//! The log as openraft sees it: entries can be read at once, are acknowledged when they are on the disk.
//!
//! The tail of the log is kept in memory: what is not yet in the database, and beyond that as much as
//! [`TAIL_BYTES`] holds, so that replication and apply seldom read the disk.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{Stream, TryStreamExt};
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use tokio::sync::{mpsc, oneshot};

use super::check::Found;
use super::database::Database;
use super::mark::MarkFile;
use super::record;
use super::writer::{self, Command};
use crate::raft_types::{Entry, LogId, Types, Vote};

/// How much of the tail is kept in memory once it is on the disk.
const TAIL_BYTES: usize = 8 << 20;

/// Bytes of entries that are handed out at once for replication; at least one entry is.
const REPLICATION_BYTES: usize = 1 << 20;

/// Commands waiting for the writer; when there are so many, openraft waits with the next.
const WRITER_QUEUE: usize = 256;

/// A handle on the log.
#[derive(Clone)]
pub(crate) struct LogStore {
    pub(super) shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
}

/// What readers, openraft and the writer share.
pub(super) struct Shared {
    pub(super) database: Arc<Database>,
    tail: Mutex<Tail>,
    /// Bytes of entries in the database.
    pub(super) bytes: AtomicU64,
}

struct Tail {
    vote: Option<Vote>,
    committed: Option<LogId>,
    purged: Option<LogId>,
    last: Option<LogId>,
    entries: BTreeMap<u64, Entry>,
    bytes: usize,
}

/// Starts the writer of a store that was found whole.
pub(super) fn open(database: Arc<Database>, mark: MarkFile, found: Found) -> (LogStore, writer::Handle) {
    let shared = Arc::new(Shared {
        database,
        tail: Mutex::new(Tail {
            vote: found.vote,
            committed: found.committed,
            purged: found.purged,
            last: found.last,
            entries: BTreeMap::new(),
            bytes: 0,
        }),
        bytes: AtomicU64::new(found.bytes),
    });
    let (commands, queue) = mpsc::channel(WRITER_QUEUE);
    let writer = writer::start(
        shared.clone(),
        mark,
        found.last,
        found.vote,
        found.purged,
        queue,
        commands.clone(),
    );
    (LogStore { shared, commands }, writer)
}

impl LogStore {
    /// Bytes of the entries that are kept.
    pub(crate) fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    async fn send(&self, command: Command) -> io::Result<()> {
        self.commands.send(command).await.map_err(|_| writer::stopped())
    }

    async fn send_and_wait(&self, make: impl FnOnce(writer::Done) -> Command) -> io::Result<()> {
        let (done, answer) = oneshot::channel();
        self.send(make(done)).await?;
        answer.await.map_err(|_| writer::stopped())?
    }

    /// Entries of `range`, at most about `limit` bytes of them but at least one.
    async fn read(&self, range: impl RangeBounds<u64> + Send, limit: usize) -> io::Result<Vec<Entry>> {
        let (start, end) = bounds(&range);
        let (start, disk_end, memory) = {
            let tail = self.shared.tail();
            let start = start.max(tail.purged.map_or(0, |purged| purged.index + 1));
            let end = end.min(tail.last.map_or(0, |last| last.index + 1));
            if start >= end {
                return Ok(Vec::new());
            }
            let first_in_memory = tail.entries.keys().next().copied().unwrap_or(u64::MAX);
            let disk_end = end.min(first_in_memory);
            let from = start.max(first_in_memory);
            let memory = if from < end {
                limited(tail.entries.range(from..end).map(|(_, entry)| entry), limit)
            } else {
                Vec::new()
            };
            (start, disk_end, memory)
        };
        if start >= disk_end {
            return Ok(memory);
        }
        let shared = self.shared.clone();
        let read = tokio::task::spawn_blocking(move || shared.read_database(start, disk_end, limit));
        let (mut entries, room) = read.await.map_err(io::Error::other)??;
        if room {
            entries.extend(memory);
        }
        Ok(entries)
    }
}

impl Shared {
    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that entries up to `index` are in the database, so that memory can be given back.
    pub(super) fn wrote(&self, index: u64) {
        let mut tail = self.tail();
        while tail.bytes > TAIL_BYTES
            && let Some(first) = tail.entries.first_entry()
            && *first.key() <= index
        {
            let entry = first.remove();
            tail.bytes -= record::encoded_length(&entry);
        }
    }

    /// Entries that are there, and whether `limit` has room for more.
    fn read_database(&self, start: u64, end: u64, limit: usize) -> io::Result<(Vec<Entry>, bool)> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        for item in self.database.entries_from(start)? {
            let (index, mut record) = item?;
            if index >= end || bytes >= limit {
                break;
            }
            bytes += record.len();
            let entry = record::decode(&mut record)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("entry {index}: {error}")))?;
            entries.push(entry);
        }
        Ok((entries, bytes < limit))
    }
}

/// First index and the one after the last.
fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}

fn limited<'a>(entries: impl Iterator<Item = &'a Entry>, limit: usize) -> Vec<Entry> {
    let mut bytes = 0;
    entries
        .take_while(|entry| {
            let room = bytes < limit;
            bytes += record::encoded_length(entry);
            room
        })
        .cloned()
        .collect()
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, io::Error> {
        self.read(range, usize::MAX).await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.shared.tail().vote)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        let mut entries = self.read(start..end, REPLICATION_BYTES).await?;
        // Purged since it was asked for: with nothing to send, replication goes on to the snapshot.
        if entries.first().is_some_and(|first| first.log_id.index != start) {
            entries.clear();
        }
        Ok(entries)
    }

    async fn entries_stream<R>(&mut self, range: R) -> impl Stream<Item = Result<Entry, io::Error>> + OptionalSend
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let slices =
            futures_util::stream::try_unfold((self.clone(), bounds(&range)), |(log, (start, end))| async move {
                let entries = log.read(start..end, REPLICATION_BYTES).await?;
                let next = entries.last().map(|last| (log, (last.log_id.index + 1, end)));
                Ok::<_, io::Error>(next.map(|next| (futures_util::stream::iter(entries.into_iter().map(Ok)), next)))
            });
        Box::pin(slices.try_flatten())
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let tail = self.shared.tail();
        Ok(LogState {
            last_purged_log_id: tail.purged,
            last_log_id: tail.last,
        })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let vote = *vote;
        self.send_and_wait(|done| Command::Vote { vote, done }).await?;
        self.shared.tail().vote = Some(vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        self.shared.tail().committed = committed;
        self.send(Command::Committed { committed }).await
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.shared.tail().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        {
            let mut tail = self.shared.tail();
            for entry in &entries {
                tail.last = Some(entry.log_id);
                tail.bytes += record::encoded_length(entry);
                tail.entries.insert(entry.log_id.index, entry.clone());
            }
        }
        self.send(Command::Append { entries, callback }).await
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        {
            let mut tail = self.shared.tail();
            let removed = match last_log_id {
                Some(last) => tail.entries.split_off(&(last.index + 1)),
                None => std::mem::take(&mut tail.entries),
            };
            tail.bytes -= removed.values().map(record::encoded_length).sum::<usize>();
            tail.last = tail.last.min(last_log_id);
        }
        self.send_and_wait(|done| Command::Truncate {
            after: last_log_id,
            done,
        })
        .await
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        {
            let mut tail = self.shared.tail();
            let kept = tail.entries.split_off(&(log_id.index + 1));
            let removed = std::mem::replace(&mut tail.entries, kept);
            tail.bytes -= removed.values().map(record::encoded_length).sum::<usize>();
            tail.purged = Some(log_id);
            tail.last = tail.last.max(Some(log_id));
        }
        self.send(Command::Purge { upto: log_id }).await
    }
}
