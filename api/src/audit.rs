//! The audit log: who did what, from where, and what came of it; one JSON line each.
//!
//! Who lives here: one thread, which owns the file. Lines reach it through a bounded queue. A write takes its place in the
//! queue before it is proposed; while the queue is full it waits, and then it is refused, so that nothing is done that
//! could not be written down. The thread ends, everything written, when the last [`AuditLog`] is dropped.

mod file;
mod record;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::metrics::{self, AuditLoss};
use crate::status::Status;
use file::RotatedFile;

pub(crate) use record::{Event, Record};

/// Where the audit log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditConfig {
    /// The file that is appended to.
    pub path: PathBuf,
    /// Bytes at which it is put aside as `PATH.1`, that as `PATH.2`, and so on.
    pub max_bytes: u64,
    /// Files put aside that are kept; older ones are deleted.
    pub kept_files: u32,
    /// Lines that wait to be written at most; beyond it requests wait for [`AuditConfig::patience`].
    pub queue: usize,
    /// How long a request waits for a place in the queue; then it is refused with 503.
    pub patience: Duration,
    /// Name of the node, in every line.
    pub node: String,
}

/// The audit log cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the audit log {} cannot be opened: {source}", path.display())]
pub struct AuditError {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

/// The audit log of one server. Clones write to the same file.
#[derive(Clone, Debug)]
pub struct AuditLog(Option<Arc<Open>>);

#[derive(Debug)]
struct Open {
    node: String,
    patience: Duration,
    /// `None` only while it is dropped.
    lines: Option<mpsc::Sender<String>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// A place in the queue, for one line.
pub(crate) struct Slot(Option<(mpsc::OwnedPermit<String>, Arc<Open>)>);

impl AuditLog {
    /// Opens the file and starts the thread that writes it.
    ///
    /// # Errors
    /// The file cannot be opened, or no thread can be started.
    pub fn open(config: AuditConfig) -> Result<AuditLog, AuditError> {
        let failed = |source| AuditError {
            path: config.path.clone(),
            source,
        };
        let file = RotatedFile::open(&config.path, config.max_bytes, config.kept_files).map_err(failed)?;
        let (lines, queue) = mpsc::channel(config.queue.max(1));
        let writer = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || write_all(file, queue))
            .map_err(failed)?;
        Ok(AuditLog(Some(Arc::new(Open {
            node: config.node,
            patience: config.patience,
            lines: Some(lines),
            writer: Mutex::new(Some(writer)),
        }))))
    }

    /// None: nothing is written.
    pub fn off() -> AuditLog {
        AuditLog(None)
    }

    /// A place for the line of a request that is about to be carried out.
    pub(crate) async fn admit(&self) -> Result<Slot, Status> {
        let Some(open) = &self.0 else {
            return Ok(Slot(None));
        };
        open.place().await.map(|permit| Slot(Some((permit, Arc::clone(open))))).ok_or_else(|| {
            metrics::refused(metrics::Bound::Audit);
            Status::unavailable(
                "the audit log takes no more lines now, and nothing is done that it does not hold; nothing was written, \
                 try again, and see that the disk of the audit log keeps up",
            )
        })
    }

    /// Writes a line about a request that is refused anyway; without a place in time, the line is lost and counted.
    pub(crate) async fn note(&self, record: Record) {
        let Some(open) = &self.0 else { return };
        match open.place().await {
            Some(permit) => {
                permit.send(record.line(&open.node));
            }
            None => metrics::audit_lost(AuditLoss::Queue),
        }
    }
}

impl Slot {
    /// Writes the line.
    pub(crate) fn write(self, record: Record) {
        if let Some((permit, open)) = self.0 {
            permit.send(record.line(&open.node));
        }
    }
}

impl Open {
    async fn place(&self) -> Option<mpsc::OwnedPermit<String>> {
        let lines = self.lines.clone()?;
        tokio::time::timeout(self.patience, lines.reserve_owned())
            .await
            .ok()?
            .ok()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.lines = None;
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if writer.is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the thread of the audit log panicked; lines may be missing at its end");
        }
    }
}

fn write_all(mut file: RotatedFile, mut queue: mpsc::Receiver<String>) {
    let mut failing = false;
    while let Some(line) = queue.blocking_recv() {
        match file.append(&line) {
            Ok(()) => {
                metrics::audit_written();
                failing = false;
            }
            Err(error) => {
                metrics::audit_lost(AuditLoss::Write);
                if !failing {
                    tracing::error!(%error, "the audit log cannot be written; lines are lost until it can");
                }
                failing = true;
            }
        }
    }
}

#[cfg(test)]
mod tests;
