//! Moving bytes where TLS ends at this node: what is received is opened, what is sent is sealed.
//!
//! A peer that ends its stream says so first inside of TLS (close_notify). That is passed on like a FIN, and a FIN to it is
//! passed on as close_notify and FIN. A FIN alone may be anyone's who wants the other side to believe in an end that is
//! none, so it counts as a reset.

use std::io::{self, IoSlice, Write};

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags};

use crate::account::Ledger;
use crate::core::session::{Event, Side};
use crate::relay::record::{Flight, Port, Ready, Record};
use crate::relay::transfer::{Pulled, SCARCE_BYTES, SCRATCH_BYTES, Transfer, pull, retry};
use crate::sockets;
use crate::tls::stream::Stream;

/// Ciphertext taken from a socket at once.
const SEALED_BYTES: usize = 64 << 10;
/// Receives that bring no whole record until the others have their turn.
const ROUNDS: usize = 8;

/// What became of ciphertext that was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flushed {
    /// All of it is out.
    All,
    /// Some waits for room.
    Some,
    /// The socket is lost.
    Lost,
}

impl Transfer {
    /// Takes bytes from a side into the scratch buffer, opened.
    pub(super) fn receive_sealed(&mut self, record: &mut Record, from: Side, ledger: &mut Ledger) -> Option<Event> {
        let limit = if self.shared.buffers.is_spent() {
            SCARCE_BYTES
        } else {
            SEALED_BYTES
        };
        // The send that follows finds the plaintext at the beginning.
        let (plaintext, ciphertext) = self.scratch.split_at_mut(SCRATCH_BYTES / 2);
        let (stream, port) = record.sealed(from)?;
        let mut length = stream.read(&mut plaintext[..limit]);
        for _ in 0..ROUNDS {
            if length > 0 {
                ledger.relayed(&mut record.account, from, length);
                record.flights[from.index()] = Flight::Scratch(length);
                return Some(Event::Received { from, bulk: false });
            }
            if stream.has_peer_ended() {
                return Some(Event::Ended { side: from });
            }
            match pull(port, &mut ciphertext[..limit]) {
                Pulled::Bytes(bytes) => match stream.open(&ciphertext[..bytes], plaintext) {
                    Ok(opened) => length = opened,
                    Err(error) => {
                        tracing::debug!(%error, ?from, "a TLS session is broken");
                        flush(stream, port);
                        return Some(Event::Reset { side: from });
                    }
                },
                Pulled::Nothing => return None,
                Pulled::End | Pulled::Lost => return Some(Event::Reset { side: from }),
            }
            // Answers of TLS itself; what does not go out now goes with the next that does.
            flush(stream, port);
        }
        None
    }

    /// Gives a side the bytes that the other half received, sealed.
    pub(super) fn send_sealed(&mut self, record: &mut Record, to: Side) -> Option<Event> {
        let half = to.other().index();
        let flight = std::mem::take(&mut record.flights[half]);
        let (stream, port) = record.sealed(to)?;
        let (length, waited) = match flight {
            Flight::Scratch(length) => match stream.seal(&self.scratch[..length]) {
                Ok(()) => (length, 0),
                Err(_) => return Some(Event::Reset { side: to }),
            },
            Flight::Sealed(length) => (length, length),
            // Bytes of a greeting and pipes are for endpoints that TLS does not end before.
            flight @ (Flight::Empty | Flight::Kept(_) | Flight::Piped(..)) => {
                self.abandon(flight);
                return Some(Event::Reset { side: to });
            }
        };
        let flushed = flush(stream, port);
        if flushed == Flushed::Some {
            self.shared.buffers.take(length - waited);
            record.flights[half] = Flight::Sealed(length);
            return None;
        }
        self.shared.buffers.give(waited);
        match flushed {
            Flushed::All => Some(Event::Sent { to }),
            Flushed::Some | Flushed::Lost => Some(Event::Reset { side: to }),
        }
    }
}

/// Sends what TLS has to send, as far as the socket takes it.
pub(super) fn flush(stream: &mut Stream, port: &mut Port) -> Flushed {
    if !stream.has_ciphertext() {
        return Flushed::All;
    }
    if !port.ready.any(Ready::WRITABLE) {
        return Flushed::Some;
    }
    match stream.flush(&mut Outlet(port)) {
        Ok(()) => Flushed::All,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Flushed::Some,
        Err(_) => Flushed::Lost,
    }
}

/// Says to a side that nothing follows; `false` if that has to wait.
pub(super) fn end(record: &mut Record, to: Side) -> bool {
    let Some((stream, port)) = record.sealed(to) else {
        return true;
    };
    stream.end();
    let waits = flush(stream, port) == Flushed::Some;
    if !waits {
        sockets::end_stream(&port.socket);
    }
    if let Some(due) = record.fin_due(to) {
        *due = waits;
    }
    !waits
}

/// A socket as a place to write to.
struct Outlet<'a>(&'a mut Port);

impl Write for Outlet<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let sent = retry(|| {
            let mut nothing = SendAncillaryBuffer::default();
            rustix::net::sendmsg(&self.0.socket, pieces, &mut nothing, SendFlags::NOSIGNAL)
        });
        if sent == Err(Errno::AGAIN) {
            self.0.ready.clear(Ready::WRITABLE);
        }
        Ok(sent?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
