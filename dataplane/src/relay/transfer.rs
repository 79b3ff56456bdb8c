//! Moving bytes: receive, send, and the two halves of a splice, each tried at once.
//!
//! `None` means that the operation would block and stays outstanding until the socket is ready again.

use std::num::NonZeroU32;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::pipe::SpliceFlags;

use crate::account::Ledger;
use crate::core::session::{Event, Side};
use crate::relay::pipe::{PIPE_BYTES, Pipes};
use crate::relay::record::{Flight, Kept, Port, Ready, Record};
use crate::shared::Shared;
use crate::sockets;

/// The scratch buffer of a thread, and so the most that one receive takes.
pub(super) const SCRATCH_BYTES: usize = 256 << 10;
/// The most that one receive takes when the buffers for slow receivers are used up.
pub(super) const SCARCE_BYTES: usize = 4 << 10;
/// As many bytes in one receive make a transfer bulk: splicing is cheaper from here on.
const BULK_BYTES: usize = 64 << 10;
/// As many bytes in one splice keep it bulk. Fewer than it takes to begin, or the gaps of a busy machine would send a
/// transfer back to copying again and again.
const STILL_BULK_BYTES: usize = 16 << 10;

const SPLICE: SpliceFlags = SpliceFlags::MOVE.union(SpliceFlags::NONBLOCK);

/// What one thread moves bytes with.
#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) shared: Arc<Shared>,
    pub(super) scratch: Box<[u8]>,
    pipes: Pipes,
}

impl Transfer {
    pub(super) fn new(shared: &Arc<Shared>) -> Transfer {
        Transfer {
            shared: Arc::clone(shared),
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            pipes: Pipes::new(Arc::clone(shared)),
        }
    }

    /// Takes bytes from a side into the scratch buffer. The send that follows must be the next operation.
    pub(super) fn receive(&mut self, record: &mut Record, from: Side, ledger: &mut Ledger) -> Option<Event> {
        if record.is_sealed(from) {
            return self.receive_sealed(record, from, ledger);
        }
        let limit = if self.shared.buffers.is_spent() {
            SCARCE_BYTES
        } else {
            SCRATCH_BYTES
        };
        match pull(record.port(from)?, &mut self.scratch[..limit]) {
            Pulled::Bytes(bytes) => {
                ledger.relayed(&mut record.account, from, bytes);
                record.flights[from.index()] = Flight::Scratch(bytes);
                Some(Event::Received {
                    from,
                    bulk: bytes >= BULK_BYTES && record.is_spliceable(),
                })
            }
            Pulled::Nothing => None,
            Pulled::End => Some(Event::Ended { side: from }),
            Pulled::Lost => Some(Event::Reset { side: from }),
        }
    }

    /// Gives a side the bytes that the other half received; what it does not take is kept for it.
    pub(super) fn send(&mut self, record: &mut Record, to: Side) -> Option<Event> {
        if record.is_sealed(to) {
            return self.send_sealed(record, to);
        }
        let half = to.other().index();
        let flight = std::mem::take(&mut record.flights[half]);
        let received = record.account.bytes[half];
        let port = record.port(to)?;
        let (kept, outcome) = match flight {
            Flight::Scratch(length) => {
                port.before_send(length, received == length as u64);
                let outcome = push(port, &self.scratch[..length]);
                let left = outcome.map_or(0, |sent| length - sent);
                let kept = (left > 0).then(|| self.keep(length - left, length));
                (kept, outcome.map(|_| left))
            }
            Flight::Kept(mut kept) => {
                port.before_send(kept.bytes.len(), false);
                let outcome = push(port, &kept.bytes[kept.sent..]);
                kept.sent += outcome.unwrap_or(0);
                let left = kept.bytes.len() - kept.sent;
                if outcome.is_err() || left == 0 {
                    self.shared.buffers.give(kept.bytes.len());
                    (None, outcome.map(|_| 0))
                } else {
                    (Some(kept), outcome.map(|_| left))
                }
            }
            // Nothing is in flight only when an earlier send failed, and then the socket is marked as broken.
            Flight::Empty | Flight::Piped(..) | Flight::Sealed(_) => return Some(Event::Reset { side: to }),
        };
        if let Some(kept) = kept {
            record.flights[half] = Flight::Kept(kept);
        }
        match outcome {
            Ok(0) => Some(Event::Sent { to }),
            Ok(_) => None,
            Err(_) => Some(Event::Reset { side: to }),
        }
    }

    /// Takes bytes from a side into a pipe.
    pub(super) fn fill(&mut self, record: &mut Record, from: Side, ledger: &mut Ledger) -> Option<Event> {
        let port = record.port(from)?;
        if port.ready.any(Ready::AT_END) {
            return Some(Event::Unspliced { from });
        }
        if !port.ready.any(Ready::READABLE) {
            return None;
        }
        let Some(pipe) = self.pipes.lease(ledger.now) else {
            return Some(Event::Unspliced { from });
        };
        let filled = retry(|| rustix::pipe::splice(&port.socket, None, &pipe.write, None, PIPE_BYTES, SPLICE));
        match filled.map(|bytes| NonZeroU32::new(u32::try_from(bytes).unwrap_or(0))) {
            Ok(Some(bytes)) => {
                let length = bytes.get() as usize;
                ledger.relayed(&mut record.account, from, length);
                record.flights[from.index()] = Flight::Piped(pipe, bytes);
                Some(Event::Filled {
                    from,
                    bulk: length >= STILL_BULK_BYTES,
                })
            }
            // An end, a reset, or urgent data in the way.
            Ok(None) => {
                self.pipes.give_back(pipe);
                Some(Event::Unspliced { from })
            }
            Err(Errno::AGAIN) => {
                port.ready.clear(Ready::READABLE);
                self.pipes.give_back(pipe);
                None
            }
            Err(Errno::INVAL) => {
                self.pipes.give_back(pipe);
                Some(Event::Unspliced { from })
            }
            Err(_) => {
                self.pipes.give_back(pipe);
                Some(Event::Reset { side: from })
            }
        }
    }

    /// Gives a side what is in the pipe.
    pub(super) fn drain(&mut self, record: &mut Record, to: Side) -> Option<Event> {
        let half = to.other().index();
        let flight = std::mem::take(&mut record.flights[half]);
        let port = record.port(to)?;
        let Flight::Piped(pipe, mut left) = flight else {
            // Its pipe was discarded when a splice into the socket failed.
            return Some(Event::Reset { side: to });
        };
        port.before_send(left.get() as usize, false);
        loop {
            if !port.ready.any(Ready::WRITABLE) {
                record.flights[half] = Flight::Piped(pipe, left);
                return None;
            }
            let wanted = left.get() as usize;
            match retry(|| rustix::pipe::splice(&pipe.read, None, &port.socket, None, wanted, SPLICE)) {
                Ok(bytes) => match NonZeroU32::new(left.get().saturating_sub(u32::try_from(bytes).unwrap_or(0))) {
                    Some(rest) => left = rest,
                    None => {
                        self.pipes.give_back(pipe);
                        return Some(Event::Drained { to });
                    }
                },
                Err(Errno::AGAIN) => port.ready.clear(Ready::WRITABLE),
                Err(_) => {
                    self.pipes.discard(pipe);
                    return Some(Event::Reset { side: to });
                }
            }
        }
    }

    /// Frees what a session that is being closed still had in flight.
    pub(super) fn abandon(&mut self, flight: Flight) {
        match flight {
            Flight::Empty | Flight::Scratch(_) => {}
            Flight::Kept(kept) => self.shared.buffers.give(kept.bytes.len()),
            Flight::Sealed(length) => self.shared.buffers.give(length),
            Flight::Piped(pipe, _) => self.pipes.discard(pipe),
        }
    }

    fn keep(&self, sent: usize, length: usize) -> Kept {
        let bytes = Box::from(&self.scratch[sent..length]);
        self.shared.buffers.take(length - sent);
        Kept { bytes, sent: 0 }
    }
}

/// What a receive found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pulled {
    /// This many bytes.
    Bytes(usize),
    /// Nothing yet.
    Nothing,
    /// The end, in order.
    End,
    /// A reset, or a connection that is lost.
    Lost,
}

/// Receives what there is, as much as the buffer takes.
pub(super) fn pull(port: &mut Port, buffer: &mut [u8]) -> Pulled {
    if port.ready.any(Ready::AT_END) {
        return end(port);
    }
    if !port.ready.any(Ready::READABLE) {
        return Pulled::Nothing;
    }
    match retry(|| rustix::net::recv(&port.socket, &mut *buffer, RecvFlags::empty())) {
        Ok((_, 0)) => end(port),
        Ok((_, bytes)) => {
            if bytes < buffer.len() && !port.ready.any(Ready::DOUBTFUL) {
                // All there was, and if the FIN was there too, then nothing can follow it.
                port.ready.clear(Ready::READABLE);
                if port.ready.any(Ready::HUNG_UP) {
                    port.ready.set(Ready::AT_END);
                }
            }
            Pulled::Bytes(bytes)
        }
        Err(Errno::AGAIN) if !port.ready.any(Ready::BROKEN) => {
            port.ready.clear(Ready::READABLE);
            Pulled::Nothing
        }
        Err(_) => Pulled::Lost,
    }
}

/// Sends what the socket takes; a full socket takes 0.
pub(super) fn push(port: &mut Port, bytes: &[u8]) -> Result<usize, Errno> {
    if !port.ready.any(Ready::WRITABLE) {
        return Ok(0);
    }
    match retry(|| rustix::net::send(&port.socket, bytes, SendFlags::NOSIGNAL)) {
        Ok(sent) => {
            if sent < bytes.len() {
                port.ready.clear(Ready::WRITABLE);
            }
            Ok(sent)
        }
        Err(Errno::AGAIN) => {
            port.ready.clear(Ready::WRITABLE);
            Ok(0)
        }
        Err(errno) => Err(errno),
    }
}

/// A receive found nothing more: an end in order, unless the socket has an error to tell or a send on it failed.
fn end(port: &Port) -> Pulled {
    let lost =
        port.ready.any(Ready::BROKEN) || (port.ready.any(Ready::FAULT) && sockets::take_error(&port.socket).is_some());
    if lost { Pulled::Lost } else { Pulled::End }
}

/// Repeats a call that a signal interrupted.
pub(super) fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            outcome => return outcome,
        }
    }
}
