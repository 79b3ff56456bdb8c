//! TLS that goes on to the endpoint, of sessions whose client's TLS ends here.

use rustix::io::Errno;
use rustls::ClientConnection;

use crate::core::selection::ConnectFailure;
use crate::core::session::{Event, Side};
use crate::core::slab::Key;
use crate::relay::sealed::{Flushed, flush};
use crate::relay::sessions::Sessions;
use crate::relay::tls::Stage;
use crate::relay::transfer::{Pulled, pull};
use crate::tls::credentials::Trust;
use crate::tls::outcome::Outcome;
use crate::tls::stream::Stream;

impl Sessions {
    /// An endpoint accepted: done, unless TLS goes on to it.
    pub(super) fn reached(&mut self, key: Key) -> Option<Event> {
        let record = self.records.get_mut(key)?;
        let Some(tls) = &mut record.tls else {
            return self.connected(key);
        };
        let Stage::Dialing(way) = &tls.stage else {
            return self.connected(key);
        };
        let dial = record.dial.as_ref()?;
        let Some(upstream) = dial.lane.upstream_tls(dial.attempt) else {
            return self.connected(key);
        };
        tls.since = self.ledger.now;
        let connection = match way.credentials.trust(upstream) {
            Some(Trust { name, config }) => ClientConnection::new(config, name).ok(),
            None => None,
        };
        let Some(connection) = connection else {
            return self.secure_failed(key, Outcome::Certificate);
        };
        tls.streams[Side::Endpoint.index()] = Some(Box::new(Stream::new(connection)));
        self.secure(key)
    }

    /// Goes on with the handshake with an endpoint.
    pub(super) fn secure(&mut self, key: Key) -> Option<Event> {
        loop {
            let record = self.records.get_mut(key)?;
            let (stream, port) = record.sealed(Side::Endpoint)?;
            if flush(stream, port) == Flushed::Lost {
                return self.secure_failed(key, Outcome::Closed);
            }
            if !stream.is_handshaking() {
                let since = record.tls.as_ref()?.since;
                self.ledger
                    .handshaken(&record.account, Side::Endpoint, Outcome::Ok, since);
                return self.connected(key);
            }
            let scratch = &mut self.transfer.scratch[..Stream::TAKEN];
            match pull(port, scratch) {
                Pulled::Bytes(bytes) => {
                    if let Err(error) = stream.take(&scratch[..bytes]) {
                        tracing::debug!(%error, "an endpoint's handshake failed");
                        flush(stream, port);
                        return self.secure_failed(key, Outcome::from(&error));
                    }
                }
                Pulled::Nothing => return None,
                Pulled::End | Pulled::Lost => return self.secure_failed(key, Outcome::Closed),
            }
        }
    }

    /// An attempt took too long.
    pub(super) fn dial_timed_out(&mut self, key: Key) -> Option<Event> {
        let record = self.records.get_mut(key)?;
        if record.is_sealed(Side::Endpoint) {
            let since = record.tls.as_ref()?.since;
            self.ledger
                .handshaken(&record.account, Side::Endpoint, Outcome::Timeout, since);
        }
        self.dial_failed(key, Errno::TIMEDOUT)
    }

    fn secure_failed(&mut self, key: Key, outcome: Outcome) -> Option<Event> {
        let record = self.records.get_mut(key)?;
        let since = record.tls.as_ref()?.since;
        self.ledger.handshaken(&record.account, Side::Endpoint, outcome, since);
        self.attempt_failed(key, ConnectFailure::HandshakeFailed, None)
    }
}
