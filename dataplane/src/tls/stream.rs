//! One TLS connection of a session, without its socket.

use std::fmt;
use std::io::{self, Read, Write};

use rustls::{Connection, Error};

/// One TLS connection: ciphertext and plaintext go in and come out. What it holds between two calls is bounded by what it
/// was given: one partial record, plaintext that was not yet read, and ciphertext that was not yet taken.
pub(crate) struct Stream {
    connection: Connection,
    peer_ended: bool,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("handshaking", &self.connection.is_handshaking())
            .field("peer_ended", &self.peer_ended)
            .finish_non_exhaustive()
    }
}

impl Stream {
    /// Ciphertext that may be given to [`Stream::take`] at once: as much plaintext may wait inside.
    pub(crate) const TAKEN: usize = 16 << 10;

    pub(crate) fn new(connection: impl Into<Connection>) -> Stream {
        let mut connection = connection.into();
        // The sender of plaintext waits until all is taken, so the bound is the most that is sent at once.
        connection.set_buffer_limit(None);
        Stream {
            connection,
            peer_ended: false,
        }
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// The version agreed on.
    pub(crate) fn version(&self) -> Option<rustls::ProtocolVersion> {
        self.connection.protocol_version()
    }

    /// Takes ciphertext. Plaintext in it waits inside.
    pub(crate) fn take(&mut self, ciphertext: &[u8]) -> Result<(), Error> {
        let mut left = ciphertext;
        self.advance()?;
        while !left.is_empty() && self.push(&mut left)? {}
        Ok(())
    }

    /// Takes ciphertext, and gives the plaintext in it, which `plaintext` must have room for: no plaintext is longer than its
    /// ciphertext.
    pub(crate) fn open(&mut self, ciphertext: &[u8], plaintext: &mut [u8]) -> Result<usize, Error> {
        let mut left = ciphertext;
        let mut length = self.read(plaintext);
        while !left.is_empty() && self.push(&mut left)? {
            length += self.read(&mut plaintext[length..]);
        }
        Ok(length)
    }

    /// Gives plaintext that waits inside.
    pub(crate) fn read(&mut self, plaintext: &mut [u8]) -> usize {
        let mut length = 0;
        while length < plaintext.len() {
            match self.connection.reader().read(&mut plaintext[length..]) {
                Ok(0) | Err(_) => break,
                Ok(count) => length += count,
            }
        }
        length
    }

    /// Whether the peer has said that nothing follows (close_notify). Plaintext before it may still wait inside.
    pub(crate) fn has_peer_ended(&self) -> bool {
        self.peer_ended
    }

    /// Takes plaintext to be sent.
    pub(crate) fn seal(&mut self, plaintext: &[u8]) -> io::Result<()> {
        self.connection.writer().write_all(plaintext)
    }

    /// Says that nothing follows (close_notify).
    pub(crate) fn end(&mut self) {
        self.connection.send_close_notify();
    }

    /// Whether ciphertext is to be sent.
    pub(crate) fn has_ciphertext(&self) -> bool {
        self.connection.wants_write()
    }

    /// Gives ciphertext away as long as it is taken.
    pub(crate) fn flush(&mut self, outlet: &mut dyn Write) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(outlet)?;
        }
        Ok(())
    }

    /// Takes some; `false` if no more is wanted after the peer's end.
    fn push(&mut self, ciphertext: &mut &[u8]) -> Result<bool, Error> {
        let taken = self.connection.read_tls(ciphertext);
        self.advance()?;
        match taken {
            Ok(0) => Ok(false),
            Ok(_) => Ok(true),
            // It holds as much as it ever will: a record, or a handshake message, beyond what the protocol allows.
            Err(_) => Err(Error::General("too long for a record or handshake message".into())),
        }
    }

    fn advance(&mut self) -> Result<(), Error> {
        self.peer_ended |= self.connection.process_new_packets()?.peer_has_closed();
        Ok(())
    }
}
