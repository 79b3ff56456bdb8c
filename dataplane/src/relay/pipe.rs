//! Splice pipes: leased while bytes are in them, kept ready between leases, bounded over all threads.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::pipe::PipeFlags;

use crate::core::time::Micros;
use crate::shared::Shared;

/// Room in a pipe. Smaller ones make splicing dearer than copying.
pub(super) const PIPE_BYTES: usize = 1 << 20;
/// Empty pipes that a thread keeps; more are closed.
const KEPT: usize = 8;
/// After the kernel has refused a pipe, none is asked for until this much later.
const REFUSAL_PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

/// A pipe of [`PIPE_BYTES`].
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) read: OwnedFd,
    pub(super) write: OwnedFd,
}

/// One thread's pipes.
#[derive(Debug)]
pub(super) struct Pipes {
    shared: Arc<Shared>,
    kept: Vec<Pipe>,
    refused_until: Micros,
}

impl Pipes {
    pub(super) fn new(shared: Arc<Shared>) -> Pipes {
        Pipes {
            shared,
            kept: Vec::new(),
            refused_until: Micros(0),
        }
    }

    /// An empty pipe; `None` when all are in use or the kernel allows no more.
    pub(super) fn lease(&mut self, now: Micros) -> Option<Pipe> {
        if let Some(pipe) = self.kept.pop() {
            return Some(pipe);
        }
        if now < self.refused_until || !self.shared.pipes.try_take_one() {
            return None;
        }
        match create() {
            Ok(pipe) => Some(pipe),
            Err(errno) => {
                self.shared.pipes.give(1);
                self.refused_until = now.after(REFUSAL_PAUSE);
                tracing::debug!(%errno, "no splice pipe of 1 MiB; bulk transfers are copied");
                None
            }
        }
    }

    /// Takes back an empty pipe.
    pub(super) fn give_back(&mut self, pipe: Pipe) {
        if self.kept.len() < KEPT {
            self.kept.push(pipe);
        } else {
            self.discard(pipe);
        }
    }

    /// Closes a pipe that may hold bytes.
    pub(super) fn discard(&mut self, pipe: Pipe) {
        drop(pipe);
        self.shared.pipes.give(1);
    }
}

fn create() -> Result<Pipe, rustix::io::Errno> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
    rustix::pipe::fcntl_setpipe_size(&write, PIPE_BYTES)?;
    Ok(Pipe { read, write })
}
