//! The thread that writes the log of one store.
//!
//! Who lives here: one thread, which owns the mark. It takes what is waiting, writes all of it, syncs once, moves the
//! mark and acknowledges all of it. It ends when it is told to stop or the last handle is gone; nothing that was
//! acknowledged depends on how it ends. Purged entries are removed in slices between other work.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Instant;

use bytes::BytesMut;
use openraft::storage::IOFlushed;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use super::log::Shared;
use super::mark::{MarkFile, Promise};
use super::{meta, record};
use crate::metrics;
use crate::raft_types::{Entry, LogId, Types, Vote};

/// Commands that are acknowledged by one sync at most.
const GROUP: usize = 64;

/// Purged entries that are removed before the queue is looked at again.
const PURGE_SLICE: u64 = 128;

/// Where the outcome of a command goes.
pub(super) type Done = oneshot::Sender<io::Result<()>>;

/// What the writer is told.
pub(super) enum Command {
    Append {
        entries: Vec<Entry>,
        callback: IOFlushed<Types>,
    },
    Vote {
        vote: Vote,
        done: Done,
    },
    Committed {
        committed: Option<LogId>,
    },
    Truncate {
        after: Option<LogId>,
        done: Done,
    },
    Purge {
        upto: LogId,
    },
    Stop,
}

/// The running writer.
pub(super) struct Handle {
    thread: JoinHandle<()>,
    commands: mpsc::Sender<Command>,
}

impl Handle {
    /// Has the writer finish what is queued, sync and end; waits for it.
    pub(super) fn stop(self) {
        // A writer that has ended, for whatever reason, needs no telling.
        drop(self.commands.blocking_send(Command::Stop));
        if self.thread.join().is_err() {
            tracing::error!("the writer of the log panicked");
        }
    }
}

/// The error of every command after the writer has ended.
pub(super) fn stopped() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the writer of the log has stopped")
}

/// Starts the writer.
pub(super) fn start(
    shared: Arc<Shared>,
    mark: MarkFile,
    last: Option<LogId>,
    vote: Option<Vote>,
    purged: Option<LogId>,
    queue: mpsc::Receiver<Command>,
    commands: mpsc::Sender<Command>,
) -> Handle {
    let mut writer = Writer {
        shared,
        mark,
        last,
        vote,
        purge: None,
        failed: None,
    };
    // Entries that an earlier start had purged and not yet removed.
    if let Some(purged) = purged {
        writer.start_purge(purged.index);
    }
    let thread = std::thread::Builder::new()
        .name("guideway-log".to_owned())
        .spawn(move || writer.run(queue));
    let thread = thread.unwrap_or_else(|error| {
        // Without its writer every call on the store fails with `stopped`, which is how the node learns of it.
        tracing::error!(%error, "the writer of the log cannot be started");
        std::thread::spawn(|| {})
    });
    Handle { thread, commands }
}

struct Writer {
    shared: Arc<Shared>,
    mark: MarkFile,
    last: Option<LogId>,
    vote: Option<Vote>,
    /// Purged entries that are still there: the next to remove and the last.
    purge: Option<(u64, u64)>,
    failed: Option<(io::ErrorKind, String)>,
}

enum Acknowledgement {
    Append(IOFlushed<Types>),
    Done(Done),
}

impl Writer {
    fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        while let Some(first) = self.next(&mut queue) {
            let mut group = Vec::new();
            let mut stop = false;
            let mut needs_sync = false;
            let mut next = Some(first);
            while let Some(command) = next {
                stop |= matches!(command, Command::Stop);
                needs_sync |= !matches!(command, Command::Committed { .. });
                self.write(command, &mut group);
                next = if stop || group.len() >= GROUP {
                    None
                } else {
                    queue.try_recv().ok()
                };
            }
            if needs_sync {
                self.settle(stop);
            }
            self.acknowledge(group);
            if stop {
                break;
            }
        }
    }

    /// The next command; removes purged entries while there is none.
    fn next(&mut self, queue: &mut mpsc::Receiver<Command>) -> Option<Command> {
        while self.purge.is_some() && self.failed.is_none() {
            match queue.try_recv() {
                Ok(command) => return Some(command),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {
                    let outcome = self.purge_slice();
                    self.note(outcome);
                }
            }
        }
        queue.blocking_recv()
    }

    fn write(&mut self, command: Command, group: &mut Vec<Acknowledgement>) {
        let outcome = match command {
            Command::Append { entries, callback } => {
                group.push(Acknowledgement::Append(callback));
                self.unless_failed(|writer| writer.append(&entries))
            }
            Command::Vote { vote, done } => {
                group.push(Acknowledgement::Done(done));
                self.vote = Some(vote);
                self.unless_failed(|writer| meta::put(&writer.shared.database, meta::VOTE, &vote))
            }
            Command::Committed { committed } => {
                self.unless_failed(|writer| meta::put(&writer.shared.database, meta::COMMITTED, &committed))
            }
            Command::Truncate { after, done } => {
                group.push(Acknowledgement::Done(done));
                self.unless_failed(|writer| writer.truncate(after))
            }
            Command::Purge { upto } => self.unless_failed(|writer| writer.begin_purge(upto)),
            Command::Stop => Ok(()),
        };
        self.note(outcome);
    }

    fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        let mut bytes = BytesMut::new();
        for entry in entries {
            bytes.clear();
            record::encode(entry, &mut bytes);
            self.shared.database.put_entry(entry.log_id.index, &bytes)?;
            self.shared.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        if let Some(last) = entries.last() {
            self.last = Some(last.log_id);
            self.shared.wrote(last.log_id.index);
        }
        Ok(())
    }

    fn truncate(&mut self, after: Option<LogId>) -> io::Result<()> {
        let promise = self.mark.promise();
        if promise.last > after {
            self.mark.set(Promise { last: after, ..promise })?;
        }
        let last = self.last;
        self.last = last.min(after);
        let first = after.map_or(0, |after| after.index + 1);
        for index in (first..=last.map_or(0, |last| last.index)).rev() {
            self.remove(index)?;
        }
        Ok(())
    }

    fn begin_purge(&mut self, upto: LogId) -> io::Result<()> {
        meta::put(&self.shared.database, meta::PURGED, &upto)?;
        // A snapshot from the leader may be far ahead of the log: what is not there need not be removed.
        let present = self.last.map_or(0, |last| last.index);
        self.last = self.last.max(Some(upto));
        self.start_purge(upto.index.min(present));
        Ok(())
    }

    fn start_purge(&mut self, upto: u64) {
        match self.shared.database.first_index() {
            Ok(first) => self.purge = first.filter(|first| *first <= upto).map(|first| (first, upto)),
            Err(error) => self.note(Err(error)),
        }
    }

    fn purge_slice(&mut self) -> io::Result<()> {
        let Some((next, upto)) = self.purge else {
            return Ok(());
        };
        let end = upto.saturating_add(1).min(next + PURGE_SLICE);
        for index in next..end {
            self.remove(index)?;
        }
        self.purge = (end <= upto).then_some((end, upto));
        Ok(())
    }

    fn remove(&self, index: u64) -> io::Result<()> {
        let bytes = self.shared.database.remove_entry(index)?;
        self.shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Syncs what was written and moves the mark.
    fn settle(&mut self, stopping: bool) {
        let outcome = self.unless_failed(|writer| {
            let began = Instant::now();
            writer.shared.database.sync()?;
            metrics::fsync(began.elapsed());
            let promise = Promise {
                last: writer.last,
                vote: writer.vote,
            };
            if promise.vote == writer.mark.promise().vote && !stopping {
                writer.mark.advance(promise)
            } else {
                writer.mark.set(promise)
            }
        });
        self.note(outcome);
    }

    fn acknowledge(&self, group: Vec<Acknowledgement>) {
        for acknowledgement in group {
            let outcome = match &self.failed {
                None => Ok(()),
                Some((kind, problem)) => Err(io::Error::new(*kind, problem.clone())),
            };
            match acknowledgement {
                Acknowledgement::Append(callback) => callback.io_completed(outcome),
                // Whoever asked may have gone away; what was written stays.
                Acknowledgement::Done(done) => drop(done.send(outcome)),
            }
        }
    }

    fn unless_failed(&mut self, work: impl FnOnce(&mut Writer) -> io::Result<()>) -> io::Result<()> {
        match &self.failed {
            None => work(self),
            Some(_) => Ok(()),
        }
    }

    fn note(&mut self, outcome: io::Result<()>) {
        if let Err(error) = outcome {
            tracing::error!(path = ?self.shared.database.path(), %error, "the log cannot be written");
            self.failed = Some((error.kind(), error.to_string()));
        }
    }
}
