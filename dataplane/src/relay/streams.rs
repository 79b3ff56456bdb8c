//! Connections that an io_uring carries: those of sessions that have exchanged a few messages and are likely to exchange
//! more, on a thread that finds several of them ready at a time.
//!
//! Both sockets of such a session have a receive outstanding, which goes on by itself; what comes is sent to the other side
//! with the next call into the ring, which brings the next messages. That is all that happens here: whatever is not a
//! message that leaves at once (an end, a reset, a receiver without room, bulk, the end of the session by a timer or an
//! order) sends the session back to readiness events, where it is dealt with. A session comes back when its receives have
//! ended and everything that they brought has left or is kept in its flights; until then it is *departing*.
//!
//! Of one half of a session, one message at most is handed over in a round: a second would overtake the rest of a first
//! that found too little room.

mod departure;

use std::collections::VecDeque;

use metrics::Gauge;
use rustix::event::epoll;
use rustix::io::Errno;

use self::departure::Departure;
use crate::core::session::{Half, Side, State};
use crate::core::slab::Key;
use crate::relay::record::{Port, Ready, Record};
use crate::relay::sessions::Sessions;
use crate::relay::token::Token;
use crate::ring::{Completion, Ring};

/// Events of a round that make it worth while to hand things over together: a message alone costs less by system calls.
const CROWD: usize = 4;
/// Receives in a row that fill their buffers before bytes are taken for a bulk transfer.
const BULK_RUN: u8 = 2;
/// What a thread has in its ring for connections.
#[derive(Debug)]
pub(super) struct Streams {
    /// Messages that a session exchanges before the ring carries it; `None` where there is no ring.
    threshold: Option<u8>,
    /// So many things happened in this round that others are likely to leave together with a message.
    crowded: bool,
    /// Which wait of the thread is the last.
    round: u32,
    /// What was handed over since the last wait.
    sends: Vec<Sending>,
    /// Messages that came while another of their half was leaving, the oldest first.
    early: VecDeque<Message>,
    /// Sessions that are likely to exchange more.
    newcomers: Vec<Key>,
    /// Sessions that are to go back to readiness events.
    departing: Vec<Key>,
    /// Receives that ran out of buffers.
    starved: Vec<(Key, Side)>,
    /// Buffers that nobody looks at any more.
    spent: Vec<u16>,
    /// Sessions in the ring.
    count: usize,
    carried: Gauge,
}

/// Bytes that were received.
#[derive(Clone, Copy, Debug)]
struct Message {
    key: Key,
    from: Side,
    buffer: u16,
    length: u32,
}

/// A message on its way out.
type Sending = Message;

/// What a session has in the ring.
#[derive(Debug, Default)]
pub(super) struct Carried {
    /// A receive from the side is outstanding.
    armed: [bool; 2],
    /// The last round in which a message of the half was handed over, or put off.
    busy: [u32; 2],
    /// Receives in a row that filled their buffers.
    full: [u8; 2],
    departing: Option<Departure>,
}

/// How close a session is to being carried by the ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Inclination {
    /// Messages in a row that were none of bulk.
    messages: u8,
    /// How often it was sent back.
    reluctance: u8,
    /// It is among the newcomers.
    asked: bool,
}

impl Streams {
    pub(super) fn new(threshold: Option<u8>, carried: Gauge) -> Streams {
        Streams {
            threshold,
            crowded: false,
            round: 0,
            sends: Vec::new(),
            early: VecDeque::new(),
            newcomers: Vec::new(),
            departing: Vec::new(),
            starved: Vec::new(),
            spent: Vec::new(),
            count: 0,
            carried,
        }
    }
}

impl Sessions {
    /// Whether the thread has to wait in the ring.
    pub(super) fn waits_in_ring(&self) -> bool {
        self.streams.count > 0
    }

    /// A round begins in which so many sockets are ready.
    pub(super) fn begin_round(&mut self, events: usize) {
        self.streams.crowded = events >= CROWD;
    }

    /// Whether there is something to do for the ring's sessions before anything new comes.
    pub(super) fn has_streams_waiting(&self) -> bool {
        let streams = &self.streams;
        let is_back = |key: &Key| {
            let carried = self.records.get(*key).and_then(|record| record.carried.as_ref());
            carried.is_none_or(|carried| carried.armed == [false, false])
        };
        !(streams.early.is_empty() && streams.starved.is_empty() && streams.newcomers.is_empty())
            || streams.departing.iter().any(is_back)
    }

    /// A session has received a message, or is connected: it may be one for the ring.
    pub(super) fn consider(&mut self, key: Key, bytes: usize) {
        let Some(threshold) = self.streams.threshold else {
            return;
        };
        if !self.streams.crowded && threshold > 0 {
            return;
        }
        let Some(record) = self.records.get_mut(key) else {
            return;
        };
        let inclination = &mut record.inclination;
        if bytes >= Ring::MESSAGE_BYTES as usize {
            inclination.messages = 0;
            return;
        }
        inclination.messages = inclination.messages.saturating_add(1);
        let wanted = threshold.saturating_mul(1 << inclination.reluctance);
        if inclination.messages >= wanted && !inclination.asked {
            inclination.asked = true;
            self.streams.newcomers.push(key);
        }
    }

    /// Hands to the ring what was decided in this round. The next wait has to be in the ring.
    pub(super) fn hand_over(&mut self, ring: &mut Ring) {
        while let Some(key) = self.streams.newcomers.pop() {
            self.take_up(key, ring);
        }
        for place in 0..self.streams.departing.len() {
            let Some(key) = self.streams.departing.get(place).copied() else {
                return;
            };
            let Some(carried) = self.records.get_mut(key).and_then(|record| record.carried.as_mut()) else {
                continue;
            };
            let Some(departure) = &mut carried.departing else {
                continue;
            };
            if departure.cancelled || ring.room() < 2 {
                continue;
            }
            let armed = Side::BOTH.into_iter().filter(|side| carried.armed[side.index()]);
            departure.cancelled = armed
                .map(|side| ring.cancel(Token::Session(key, side).encode()))
                .all(|asked| asked.is_ok());
        }
    }

    /// Takes what the ring says of connections after a wait, in which everything handed over before was done.
    pub(super) fn carry(&mut self, ring: &mut Ring, completions: &mut Vec<Completion>) {
        if self.streams.count == 0 {
            debug_assert!(completions.is_empty(), "the ring speaks of connections that it has not");
            return;
        }
        self.streams.round = self.streams.round.wrapping_add(1);
        for completion in &*completions {
            if let Token::Relayed(number) = Token::decode(completion.word) {
                self.not_sent(ring, number, completion.result);
            }
        }
        let Streams { sends, spent, .. } = &mut self.streams;
        spent.extend(sends.drain(..).map(|sending| sending.buffer));
        ring.give_back_streams(&mut self.streams.spent);
        for (key, side) in std::mem::take(&mut self.streams.starved) {
            self.receive_on(key, side, ring);
        }
        for _ in 0..self.streams.early.len() {
            if let Some(message) = self.streams.early.pop_front() {
                self.pass_on(message, ring);
            }
        }
        for completion in completions.drain(..) {
            if let Token::Session(key, side) = Token::decode(completion.word) {
                self.received(key, side, completion, ring);
            }
        }
        self.let_go();
    }

    /// Gives a session to the ring, if it is still one for it.
    fn take_up(&mut self, key: Key, ring: &mut Ring) {
        let Some(record) = self.records.get_mut(key) else {
            return;
        };
        record.inclination.asked = false;
        record.inclination.messages = 0;
        let carries = record.is_plain() && ring.room() >= 2;
        let (true, Some(endpoint)) = (carries, &mut record.endpoint) else {
            return;
        };
        let mut armed = [false; 2];
        for (side, port) in [(Side::Client, &mut record.client), (Side::Endpoint, endpoint)] {
            port.before_send(usize::MAX, false);
            // Readiness events would only be in the way.
            let deleted = epoll::delete(&*self.epoll, &port.socket);
            let asked = ring.receive_stream(&port.socket, Token::Session(key, side).encode());
            armed[side.index()] = deleted.is_ok() && asked.is_ok();
        }
        debug_assert_eq!(armed, [true, true], "there is room, and the sockets were watched");
        record.carried = Some(Box::new(Carried {
            armed,
            busy: [self.streams.round.wrapping_sub(1); 2],
            ..Carried::default()
        }));
        self.streams.count += 1;
        self.streams.carried.increment(1.0);
    }

    /// Asks again for what comes from a side.
    fn receive_on(&mut self, key: Key, side: Side, ring: &mut Ring) {
        let Some(record) = self.records.get_mut(key) else {
            return;
        };
        let word = Token::Session(key, side).encode();
        let Some(carried) = record.carried.as_deref().filter(|carried| carried.departing.is_none()) else {
            return;
        };
        debug_assert!(!carried.armed[side.index()], "one receive at a time");
        let asked = record.port(side).map(|port| ring.receive_stream(&port.socket, word));
        match (asked, &mut record.carried) {
            (Some(Ok(())), Some(carried)) => carried.armed[side.index()] = true,
            _ => self.streams.starved.push((key, side)),
        }
    }

    /// A receive of the ring has something to say.
    fn received(&mut self, key: Key, from: Side, completion: Completion, ring: &mut Ring) {
        if let Some(buffer) = completion.buffer {
            let length = completion.result.unwrap_or(0);
            self.pass_on(
                Message {
                    key,
                    from,
                    buffer,
                    length,
                },
                ring,
            );
        }
        let Some(record) = self.records.get_mut(key) else {
            return;
        };
        let Some(carried) = &mut record.carried else { return };
        if completion.more {
            let full = &mut carried.full[from.index()];
            let fills = completion.result.is_ok_and(|length| length >= Ring::MESSAGE_BYTES);
            *full = if fills { full.saturating_add(1) } else { 0 };
            if *full >= BULK_RUN {
                self.depart(key, None);
            }
            return;
        }
        carried.armed[from.index()] = false;
        match completion.result {
            Err(Errno::NOBUFS) => {
                self.shared.metrics.ring_buffers_exhausted.increment(1);
                self.streams.starved.push((key, from));
            }
            // Ended by itself after a message: it is asked for again.
            Ok(1..) => self.streams.starved.push((key, from)),
            Err(Errno::CANCELED) => {}
            // An end, which a receive finds again.
            Ok(0) => self.depart(key, None),
            // A failure, which it does not.
            Err(_) => {
                if let Some(port) = record.port(from) {
                    port.ready.set(Ready::BROKEN);
                }
                self.depart(key, None);
            }
        }
    }

    /// Hands a message over for the other side, or keeps it for later.
    fn pass_on(&mut self, message: Message, ring: &mut Ring) {
        let Message {
            key,
            from,
            buffer,
            length,
        } = message;
        let round = self.streams.round;
        let record = self.records.get_mut(key).filter(|record| record.carried.is_some());
        let Some(record) = record else {
            self.streams.spent.push(buffer);
            return;
        };
        let Some(carried) = &mut record.carried else { return };
        let is_next = carried.busy[from.index()] != round;
        if let Some(departure) = &mut carried.departing
            && is_next
        {
            self.ledger.relayed(&mut record.account, from, length as usize);
            departure.held[from.index()].extend_from_slice(ring.stream(buffer, length));
            self.streams.spent.push(buffer);
            return;
        }
        carried.busy[from.index()] = round;
        let number = u32::try_from(self.streams.sends.len()).unwrap_or(u32::MAX);
        let word = Token::Relayed(number).encode();
        let receiver = record.port(from.other()).map(|port| &port.socket);
        match receiver
            .filter(|_| is_next)
            .map(|socket| ring.send_stream(socket, buffer, length, word))
        {
            Some(Ok(())) => {
                self.ledger.relayed(&mut record.account, from, length as usize);
                self.streams.sends.push(message);
            }
            Some(Err(_)) | None => self.streams.early.push_back(message),
        }
    }
}

impl Record {
    /// Whether nothing but messages is to be expected of the session: both sides may still send, what they have sent has
    /// left, and it passes through unseen.
    fn is_plain(&self) -> bool {
        const BOTH_RECEIVE: [Half; 2] = [Half::Receiving; 2];
        let is_quiet = |port: &Port| !port.ready.any(Ready::UNUSUAL);
        matches!(
            self.machine.state(),
            State::Relaying {
                halves: BOTH_RECEIVE,
                ..
            }
        ) && self.is_spliceable()
            && self.carried.is_none()
            && is_quiet(&self.client)
            && self.endpoint.as_ref().is_some_and(is_quiet)
    }
}
