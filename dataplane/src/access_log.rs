//! The access log: relay threads hand lines over in batches, one thread formats and writes them.
//!
//! Who lives here: the thread `access-log`, which owns the output. It ends when every relay thread has dropped its
//! [`Batch`] and the queue is empty, so nothing that was handed over is lost at shutdown. When the queue is full, or the
//! output cannot be written, lines are dropped and counted; a relay thread never waits. A file that was moved away is
//! opened anew within a second.

pub(crate) mod line;
mod output;

use std::io;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use metrics::Counter;

use crate::access_log::line::Line;
use crate::access_log::output::{LogFile, Output};
use crate::clock::Clock;
use crate::config::{AccessLogConfig, AccessLogTarget};
use crate::plane::StartError;

/// Lines in a batch; a full one is handed over at once, others a few times a second.
const BATCH: usize = 64;
/// Batches that may wait for the writer: 16 384 lines. Beyond them lines are dropped and counted.
const QUEUE: usize = 256;
/// How often the writer looks whether its file was moved away.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

/// The way to the writer.
#[derive(Debug)]
pub(crate) struct AccessLog {
    queue: Mutex<Option<SyncSender<Vec<Line>>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl AccessLog {
    /// Opens the output and starts the writer; `None` if the log is off.
    pub(crate) fn open(
        config: &AccessLogConfig,
        clock: Clock,
        dropped: Counter,
    ) -> Result<Option<AccessLog>, StartError> {
        let output = match &config.target {
            AccessLogTarget::Off => return Ok(None),
            AccessLogTarget::Stdout => Output::Stdout(io::stdout()),
            AccessLogTarget::File(path) => {
                Output::File(LogFile::open(path).map_err(|source| StartError::AccessLog {
                    path: path.clone(),
                    source,
                })?)
            }
        };
        let (sender, receiver) = sync_channel(QUEUE);
        let writer = std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_lines(&receiver, output, clock, &dropped))
            .map_err(|source| StartError::Resource {
                what: "the access log's thread",
                source,
            })?;
        Ok(Some(AccessLog {
            queue: Mutex::new(Some(sender)),
            writer: Mutex::new(Some(writer)),
        }))
    }

    /// One relay thread's way to the writer.
    pub(crate) fn batch(&self, dropped: Counter) -> Batch {
        Batch {
            queue: self.queue.lock().ok().and_then(|queue| queue.clone()),
            lines: Vec::with_capacity(BATCH),
            dropped,
        }
    }

    /// Waits until the writer has written all; call when no relay thread lives.
    pub(crate) fn finish(&self) {
        if let Ok(mut queue) = self.queue.lock() {
            queue.take();
        }
        let writer = self.writer.lock().ok().and_then(|mut writer| writer.take());
        if writer.is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the access log's writer panicked; its last lines are lost");
        }
    }
}

/// Lines of one relay thread that were not handed over yet.
#[derive(Debug)]
pub(crate) struct Batch {
    queue: Option<SyncSender<Vec<Line>>>,
    lines: Vec<Line>,
    dropped: Counter,
}

impl Batch {
    pub(crate) fn push(&mut self, line: Line) {
        self.lines.push(line);
        if self.lines.len() >= BATCH {
            self.flush();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(crate) fn flush(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        let lines = std::mem::replace(&mut self.lines, Vec::with_capacity(BATCH));
        let count = lines.len() as u64;
        if self.queue.as_ref().is_none_or(|queue| queue.try_send(lines).is_err()) {
            self.dropped.increment(count);
        }
    }
}

fn write_lines(queue: &Receiver<Vec<Line>>, mut output: Output, clock: Clock, dropped: &Counter) {
    let mut text = Vec::new();
    let mut failing = false;
    let mut follow_at = clock.now().after(FOLLOW_INTERVAL);
    loop {
        let lines = match queue.recv_timeout(follow_at.since(clock.now())) {
            Ok(lines) => lines,
            Err(RecvTimeoutError::Timeout) => Vec::new(),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if clock.now() >= follow_at {
            output.follow();
            follow_at = clock.now().after(FOLLOW_INTERVAL);
        }
        text.clear();
        for line in &lines {
            line.write(&mut text);
        }
        match output.write(&text) {
            Ok(()) => failing = failing && lines.is_empty(),
            Err(error) => {
                dropped.increment(lines.len() as u64);
                if !failing {
                    tracing::error!(%error, "the access log cannot be written; lines are dropped and counted");
                }
                failing = true;
            }
        }
    }
}
