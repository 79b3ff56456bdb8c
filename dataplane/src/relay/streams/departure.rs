//! Sessions on their way back from the ring to readiness events.

use rustix::event::epoll::{self, EventData};
use rustix::io::Errno;

use crate::core::reason::CloseReason;
use crate::core::session::{Event, Side};
use crate::core::slab::Key;
use crate::relay::record::{Flight, Kept, Ready, Record};
use crate::relay::sessions::{EVENTS, Sessions};
use crate::relay::token::Token;
use crate::ring::Ring;
use crate::shared::Shared;

/// A session that was sent back so many times has to exchange 2^this times as many messages before it is carried again.
const MOST_RELUCTANT: u8 = 5;

/// A session on its way back.
#[derive(Debug, Default)]
pub(super) struct Departure {
    /// Its receives have been told to end.
    pub(super) cancelled: bool,
    /// What it is to be told then.
    pub(super) then: Option<Event>,
    /// What came meanwhile, of each half.
    pub(super) held: [Vec<u8>; 2],
}

impl Sessions {
    /// Ends the ring's part in a session, which then is told of `then`.
    pub(in crate::relay) fn depart(&mut self, key: Key, then: Option<Event>) {
        let Some(record) = self.records.get_mut(key) else {
            return;
        };
        let Some(carried) = &mut record.carried else { return };
        match &mut carried.departing {
            Some(departure) => departure.then = departure.then.or(then),
            None => {
                carried.departing = Some(Departure {
                    then,
                    ..Departure::default()
                });
                self.streams.departing.push(key);
            }
        }
    }

    /// A message has not left, or only in part.
    pub(super) fn not_sent(&mut self, ring: &Ring, number: u32, result: Result<u32, Errno>) {
        let Some(sending) = self.streams.sends.get(number as usize).copied() else {
            return;
        };
        let Some(record) = self.records.get_mut(sending.key) else {
            return;
        };
        let bytes = ring.stream(sending.buffer, sending.length);
        let half = sending.from.index();
        match result {
            Ok(_) | Err(Errno::AGAIN) => {
                let rest = bytes.get(result.unwrap_or(0) as usize..).unwrap_or_default();
                self.shared.buffers.take(rest.len());
                record.flights[half] = Flight::Kept(Kept {
                    bytes: Box::from(rest),
                    sent: 0,
                });
            }
            // The receiver is lost. It may have said something before, and a receive tells of it.
            Err(_) => {
                if let Some(port) = record.port(sending.from.other()) {
                    port.ready.set(Ready::BROKEN);
                }
            }
        }
        // What is still outstanding is the send; nothing else can be asked for by this.
        let _ = record.machine.on(Event::Received {
            from: sending.from,
            bulk: false,
        });
        self.depart(sending.key, None);
    }

    /// Gives sessions back to readiness events whose receives have ended and whose messages have left.
    pub(super) fn let_go(&mut self) {
        let round = self.streams.round;
        let mut departing = std::mem::take(&mut self.streams.departing);
        departing.retain(|key| {
            let carried = self.records.get(*key).and_then(|record| record.carried.as_ref());
            let Some(carried) = carried else { return false };
            let is_back = carried.armed == [false, false] && carried.busy.iter().all(|busy| *busy != round);
            if is_back {
                self.come_back(*key);
            }
            !is_back
        });
        // Those that came meanwhile are behind.
        departing.append(&mut self.streams.departing);
        self.streams.departing = departing;
    }

    fn come_back(&mut self, key: Key) {
        let Some(record) = self.records.get_mut(key) else {
            return;
        };
        let Some(carried) = record.carried.take() else { return };
        self.streams.count -= 1;
        self.streams.carried.decrement(1.0);
        let reluctance = &mut record.inclination.reluctance;
        *reluctance = (*reluctance + 1).min(MOST_RELUCTANT);
        let departure = carried.departing.unwrap_or_default();
        for (side, held) in Side::BOTH.into_iter().zip(departure.held) {
            record.hold(side, held, &self.shared);
        }
        let mut watched = true;
        for side in Side::BOTH {
            let token = EventData::new_u64(Token::Session(key, side).encode());
            if let Some(port) = record.port(side) {
                port.ready.set(Ready::READABLE);
                port.ready.set(Ready::WRITABLE);
                port.tells_room = true;
                watched &= epoll::add(&*self.epoll, &port.socket, token, EVENTS).is_ok();
            }
        }
        if !watched {
            return self.tell(key, Event::Killed(CloseReason::Overload));
        }
        for side in Side::BOTH {
            if let Some(record) = self.records.get(key) {
                let ops = record.machine.outstanding(side);
                self.run(key, ops);
            }
        }
        if let Some(event) = departure.then {
            self.tell(key, event);
        }
    }
}

impl Record {
    /// Keeps bytes that came while the session was on its way back, behind those of its half that wait already.
    fn hold(&mut self, from: Side, held: Vec<u8>, shared: &Shared) {
        if held.is_empty() {
            return;
        }
        shared.buffers.take(held.len());
        let flight = &mut self.flights[from.index()];
        *flight = match std::mem::take(flight) {
            Flight::Kept(kept) => {
                let bytes = [&kept.bytes[kept.sent..], &held].concat();
                shared.buffers.give(kept.sent);
                Flight::Kept(Kept {
                    bytes: bytes.into_boxed_slice(),
                    sent: 0,
                })
            }
            Flight::Empty | Flight::Scratch(_) | Flight::Sealed(_) | Flight::Piped(..) => {
                let _ = self.machine.on(Event::Received { from, bulk: false });
                Flight::Kept(Kept {
                    bytes: held.into_boxed_slice(),
                    sent: 0,
                })
            }
        };
    }
}
