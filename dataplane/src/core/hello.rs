//! The ClientHello: bytes go in as they come, and what the client asks for comes out.
//!
//! The parser is rustls' own. It keeps what it has not yet parsed, so each byte is looked at once however small the
//! pieces are in which they come. Beside it the bytes are kept as they were, to be given to the endpoint untouched.
//!
//! A client that knows nothing newer than TLS 1.1 is refused like one that does not speak TLS: the parser needs the
//! extension `signature_algorithms`, which came with TLS 1.2, and RFC 8996 asks for no less.

use std::fmt;
use std::sync::Arc;

use rustls::CipherSuite;
use rustls::server::{Accepted, AcceptedAlert, Acceptor, ClientHello};

/// Bytes that a client may send before its ClientHello is whole, record headers included. A longer one is refused.
pub const HELLO_BYTES: usize = 64 << 10;
/// Bytes of the offered protocol names that are kept for the access log; what is over is cut off.
const PROTOCOL_BYTES: usize = 255;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The server's name (SNI), lower case.
    pub name: Option<Arc<str>>,
    /// The application protocols (ALPN) that it offers, separated by commas.
    pub protocols: Option<Arc<str>>,
    /// The newest version that it offers a cipher suite of; where TLS ends here and the handshake is done, the one agreed on.
    pub version: Version,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

impl Version {
    /// The word in the access log.
    pub const fn word(self) -> &'static str {
        match self {
            Version::Tls12 => "1.2",
            Version::Tls13 => "1.3",
        }
    }
}

/// A ClientHello that is whole.
pub struct Greeting {
    /// What it asks for.
    pub hello: Hello,
    /// The connection that it begins, if TLS is to end here.
    pub accepted: Accepted,
    /// Every byte that the client has sent.
    pub bytes: Vec<u8>,
    /// Of these, the last so many are not in `accepted`.
    pub unread: usize,
}

impl fmt::Debug for Greeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Greeting")
            .field("hello", &self.hello)
            .field("bytes", &self.bytes.len())
            .field("unread", &self.unread)
            .finish_non_exhaustive()
    }
}

/// What came is no ClientHello, or too long for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadHello {
    /// The alert that tells the client; empty if there is none to tell.
    pub alert: Vec<u8>,
}

/// Takes the bytes of one client until its ClientHello is whole.
#[derive(Default)]
pub struct HelloReader {
    acceptor: Acceptor,
    bytes: Vec<u8>,
}

impl fmt::Debug for HelloReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HelloReader")
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl HelloReader {
    /// Takes the next bytes; `None` means that more are needed. After a greeting or an error it takes no more.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Option<Greeting>, BadHello> {
        let mut unread = bytes;
        while !unread.is_empty() {
            // Fails only when the parser holds as much as it ever will.
            let taken = self.acceptor.read_tls(&mut unread);
            if taken.is_err() {
                return Err(BadHello { alert: Vec::new() });
            }
            match self.acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    let unread = unread.len();
                    self.bytes.extend_from_slice(bytes);
                    return Ok(Some(Greeting {
                        hello: Hello::of(&accepted.client_hello()),
                        accepted,
                        bytes: std::mem::take(&mut self.bytes),
                        unread,
                    }));
                }
                Err((_, told)) => return Err(BadHello { alert: bytes_of(told) }),
            }
        }
        if self.bytes.len() + bytes.len() > HELLO_BYTES {
            return Err(BadHello { alert: Vec::new() });
        }
        self.bytes.extend_from_slice(bytes);
        Ok(None)
    }

    /// Bytes taken so far.
    pub fn taken(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes to give it at once at most: one more than it takes.
    pub fn room(&self) -> usize {
        HELLO_BYTES + 1 - self.bytes.len()
    }
}

/// An alert as it is sent.
pub fn bytes_of(mut alert: AcceptedAlert) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory does not fail.
    alert.write_all(&mut bytes).ok();
    bytes
}

impl Hello {
    fn of(hello: &ClientHello<'_>) -> Hello {
        let newest = hello.cipher_suites().iter().any(|suite| is_of_tls13(*suite));
        Hello {
            name: hello.server_name().map(|name| name.to_ascii_lowercase().into()),
            protocols: hello.alpn().map(|names| join(names).into()),
            version: if newest { Version::Tls13 } else { Version::Tls12 },
        }
    }
}

/// The suites of TLS 1.3 are its own, 0x13 and another byte, and a client that offers the version offers one of them
/// (RFC 8446, B.4).
fn is_of_tls13(suite: CipherSuite) -> bool {
    u16::from(suite) >> 8 == 0x13
}

fn join<'a>(names: impl Iterator<Item = &'a [u8]>) -> String {
    let mut text = String::new();
    for name in names {
        let name = String::from_utf8_lossy(name);
        if text.len() + name.len() >= PROTOCOL_BYTES {
            break;
        }
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&name);
    }
    text
}

#[cfg(test)]
mod tests;
