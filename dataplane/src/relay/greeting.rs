//! The greeting of a session on a TLS port: its ClientHello, where that leads, and the handshake if TLS ends here.
//!
//! Who is refused for a handshake that cannot be is told by an alert and a FIN. If he has said more in the meantime, the
//! kernel makes a reset of it. Who asks for a name that leads nowhere, says nothing, or finds no endpoint is reset as on
//! every other port: the Gateway API's conformance suite takes an alert for an answer, and a rejection for a FIN or reset.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use rustls::server::Accepted;
use rustls::{ProtocolVersion, ServerConfig};

use crate::core::hello::{self, Greeting, Version};
use crate::core::reason::CloseReason;
use crate::core::session::{Event, Session, Side};
use crate::core::slab::Key;
use crate::lane::First;
use crate::relay::record::{Dial, Flight, Kept, Record};
use crate::relay::sealed::{Flushed, flush};
use crate::relay::sessions::Sessions;
use crate::relay::tls::{Stage, Tls};
use crate::relay::transfer::{Pulled, SCARCE_BYTES, pull, push};
use crate::tls::door::{Door, Ending, Way};
use crate::tls::outcome::Outcome;
use crate::tls::stream::Stream;

/// A fatal alert of a server that has not answered yet (RFC 8446, 5.1 and 6), less its description.
const ALERT: [u8; 6] = [21, 3, 3, 0, 2, 2];
/// There is nothing to make a handshake with.
const HANDSHAKE_FAILURE: u8 = 40;

impl Sessions {
    /// Takes in a connection to a TLS port; the caller has counted it into the shared number of sessions.
    pub(super) fn greet_client(&mut self, door: &Rc<Door>, socket: OwnedFd, client: SocketAddr) {
        let account = self.ledger.await_listener(&door.tally, client);
        let (machine, ops) = Session::greet();
        let mut record = Record::new(machine, account, &door.terms, socket);
        record.tls = Some(Box::new(Tls::new(door, self.ledger.now)));
        self.begin(record, ops);
    }

    /// Goes on with the greeting.
    pub(super) fn greet(&mut self, key: Key) -> Option<Event> {
        if !self.records.get_mut(key)?.link.is_armed() {
            self.time_greeting(key);
        }
        match self.records.get_mut(key)?.tls.as_ref()?.stage {
            Stage::Hello(..) => self.read_hello(key),
            Stage::Handshake(_) => self.shake_hands(key),
            Stage::Dialing(_) | Stage::Settled => None,
        }
    }

    /// The greeting took too long.
    pub(super) fn greeting_expired(&mut self, key: Key) {
        self.count_failed_greeting(key, Outcome::Timeout);
        let event = refused(CloseReason::HelloTimeout, false);
        self.tell(key, event);
    }

    fn read_hello(&mut self, key: Key) -> Option<Event> {
        loop {
            let record = self.records.get_mut(key)?;
            let Stage::Hello(_, reader) = &mut record.tls.as_mut()?.stage else {
                return None;
            };
            let scarce = self.transfer.shared.buffers.is_spent();
            if scarce && reader.taken() > SCARCE_BYTES {
                return Some(refused(CloseReason::Overload, false));
            }
            let limit = reader.room().min(self.transfer.scratch.len());
            let scratch = &mut self.transfer.scratch[..limit];
            let bytes = match pull(&mut record.client, scratch) {
                Pulled::Bytes(bytes) => bytes,
                Pulled::Nothing => return None,
                Pulled::End if reader.taken() == 0 => return Some(Event::Ended { side: Side::Client }),
                Pulled::End => return Some(refused(CloseReason::BadHello, false)),
                Pulled::Lost => return Some(Event::Reset { side: Side::Client }),
            };
            let held = reader.taken();
            match reader.read(&scratch[..bytes]) {
                Ok(None) => self.transfer.shared.buffers.take(bytes),
                Ok(Some(greeting)) => {
                    self.transfer.shared.buffers.give(held);
                    return self.follow(key, greeting);
                }
                Err(bad) => return self.refuse(key, CloseReason::BadHello, &bad.alert),
            }
        }
    }

    /// Goes where a ClientHello leads.
    fn follow(&mut self, key: Key, greeting: Greeting) -> Option<Event> {
        let record = self.records.get_mut(key)?;
        let tls = record.tls.as_mut()?;
        let Stage::Hello(door, _) = &tls.stage else { return None };
        let Greeting {
            hello,
            accepted,
            bytes,
            unread,
        } = greeting;
        // What has changed while the client spoke counts.
        let way = door.newest().way(hello.name.as_deref());
        let named = hello.name.is_some();
        tls.hello = Some(Arc::new(hello));
        tls.since = self.ledger.now;
        let way = match way {
            Ok(way) => way,
            Err(nowhere) => {
                if let Some(tally) = nowhere.tally {
                    tls.stage = Stage::Settled;
                    self.ledger.routed(&mut record.account, &tally);
                }
                let reason = if named {
                    CloseReason::NoSniMatch
                } else {
                    CloseReason::NoSni
                };
                return Some(refused(reason, false));
            }
        };
        tls.stage = Stage::Settled;
        self.ledger.routed(&mut record.account, &way.lane.tally);
        let (hash, choice) = way.lane.choose(record.account.client, &self.shared, self.ledger.now);
        let First { attempt, held } = match choice {
            Ok(first) => first,
            Err(reason) => return Some(refused(reason, false)),
        };
        record.held = held;
        record.terms = Rc::clone(&way.lane.terms);
        record.dial = Some(Dial {
            lane: Rc::clone(&way.lane),
            hash,
            attempt,
        });
        if let Err(errno) = way.lane.client_tuning().tune(&record.client.socket) {
            tracing::debug!(%errno, "keepalive and user timeout cannot be set; a client goes without");
        }
        match &way.ending {
            Ending::Endpoint => self.pass_through(key, bytes),
            Ending::Here(config) => {
                self.begin_handshake(key, &way);
                let Some(config) = config else {
                    self.count_failed_greeting(key, Outcome::NoCertificate);
                    return self.refuse(key, CloseReason::HandshakeFailed, &alert(HANDSHAKE_FAILURE));
                };
                let after = bytes.get(bytes.len() - unread..).unwrap_or_default();
                self.answer(key, accepted, after, config)
            }
        }
    }

    /// TLS ends at the endpoint, which is given the bytes as they came.
    fn pass_through(&mut self, key: Key, bytes: Vec<u8>) -> Option<Event> {
        let record = self.records.get_mut(key)?;
        let attempt = record.dial.as_ref()?.attempt;
        self.ledger.relayed(&mut record.account, Side::Client, bytes.len());
        self.transfer.shared.buffers.take(bytes.len());
        record.flights[Side::Client.index()] = Flight::Kept(Kept {
            bytes: bytes.into_boxed_slice(),
            sent: 0,
        });
        Some(Event::Greeted(attempt))
    }

    /// TLS ends here. The timer was set for the most patient listener of the port; this one may be less so.
    fn begin_handshake(&mut self, key: Key, way: &Rc<Way>) {
        if let Some(record) = self.records.get_mut(key)
            && let Some(tls) = &mut record.tls
        {
            tls.stage = Stage::Handshake(Rc::clone(way));
        }
        self.watch_room(key);
        self.time_greeting(key);
    }

    /// Answers a ClientHello, and takes what came after it.
    fn answer(&mut self, key: Key, hello: Accepted, after: &[u8], config: &Arc<ServerConfig>) -> Option<Event> {
        let connection = match hello.into_connection(Arc::clone(config)) {
            Ok(connection) => connection,
            Err((error, told)) => {
                self.count_failed_greeting(key, Outcome::from(&error));
                return self.refuse(key, CloseReason::HandshakeFailed, &hello::bytes_of(told));
            }
        };
        let mut stream = Box::new(Stream::new(connection));
        let taken = stream.take(after);
        let tls = self.records.get_mut(key)?.tls.as_mut()?;
        tls.streams[Side::Client.index()] = Some(stream);
        match taken {
            Ok(()) => self.shake_hands(key),
            Err(error) => self.break_off(key, &error),
        }
    }

    fn shake_hands(&mut self, key: Key) -> Option<Event> {
        loop {
            let record = self.records.get_mut(key)?;
            let (stream, port) = record.sealed(Side::Client)?;
            if flush(stream, port) == Flushed::Lost {
                self.count_failed_greeting(key, Outcome::Closed);
                return Some(Event::Reset { side: Side::Client });
            }
            if !stream.is_handshaking() {
                return self.shaken_hands(key);
            }
            let scratch = &mut self.transfer.scratch[..Stream::TAKEN];
            match pull(port, scratch) {
                Pulled::Bytes(bytes) => {
                    if let Err(error) = stream.take(&scratch[..bytes]) {
                        return self.break_off(key, &error);
                    }
                }
                Pulled::Nothing => return None,
                Pulled::End => {
                    self.count_failed_greeting(key, Outcome::Closed);
                    return Some(refused(CloseReason::HandshakeFailed, false));
                }
                Pulled::Lost => {
                    self.count_failed_greeting(key, Outcome::Closed);
                    return Some(Event::Reset { side: Side::Client });
                }
            }
        }
    }

    /// The handshake with the client is done.
    fn shaken_hands(&mut self, key: Key) -> Option<Event> {
        let record = self.records.get_mut(key)?;
        let tls = record.tls.as_mut()?;
        let agreed = tls.streams[Side::Client.index()].as_ref()?.version();
        if let Some(hello) = tls.hello.as_mut().and_then(Arc::get_mut) {
            hello.version = match agreed {
                Some(ProtocolVersion::TLSv1_2) => Version::Tls12,
                Some(_) | None => Version::Tls13,
            };
        }
        if let Stage::Handshake(way) = &tls.stage {
            tls.stage = Stage::Dialing(Rc::clone(way));
        }
        let since = tls.since;
        self.ledger
            .handshaken(&record.account, Side::Client, Outcome::Ok, since);
        Some(match self.first_attempt(key)? {
            Ok(attempt) => Event::Greeted(attempt),
            Err(reason) => refused(reason, false),
        })
    }

    /// The handshake failed for what the client said: what TLS answers is sent.
    fn break_off(&mut self, key: Key, error: &rustls::Error) -> Option<Event> {
        tracing::debug!(%error, "a client's handshake failed");
        self.count_failed_greeting(key, Outcome::from(error));
        let (stream, port) = self.records.get_mut(key)?.sealed(Side::Client)?;
        let told = flush(stream, port) == Flushed::All;
        Some(refused(CloseReason::HandshakeFailed, told))
    }

    fn count_failed_greeting(&mut self, key: Key, outcome: Outcome) {
        if let Some(record) = self.records.get_mut(key)
            && let Some(tls) = &record.tls
            && matches!(tls.stage, Stage::Handshake(_))
        {
            self.ledger
                .handshaken(&record.account, Side::Client, outcome, tls.since);
        }
    }

    fn refuse(&mut self, key: Key, reason: CloseReason, alert: &[u8]) -> Option<Event> {
        let port = &mut self.records.get_mut(key)?.client;
        let told = !alert.is_empty() && push(port, alert) == Ok(alert.len());
        Some(refused(reason, told))
    }
}

fn refused(reason: CloseReason, told: bool) -> Event {
    Event::Refused { reason, told }
}

fn alert(description: u8) -> [u8; 7] {
    let [kind, major, minor, high, low, level] = ALERT;
    [kind, major, minor, high, low, level, description]
}
