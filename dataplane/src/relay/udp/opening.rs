//! How flows come to be and end.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::event::epoll::{self, EventData, EventFlags};

use super::{Arrival, Flows};
use crate::core::drops::DropReason;
use crate::core::flow::{Choice, Event, Flow, Step};
use crate::core::flow_id::FlowId;
use crate::core::reason::CloseReason;
use crate::core::selection::{self, Attempt, ConnectFailure};
use crate::core::session::Side;
use crate::core::slab::Key;
use crate::core::wheel::Link;
use crate::lane::First;
use crate::metrics::tally::EndpointTally;
use crate::relay::token::Token;
use crate::relay::udp::door::FlowLane;
use crate::relay::udp::record::{Pin, Record};
use crate::shared::Admission;
use crate::sockets;
use crate::udp::directory::Owner;
use crate::udp::handover::Handed;
use crate::udp::ports::Lease;

/// An endpoint that was connected to.
struct Dialed {
    attempt: Attempt,
    endpoint: Rc<EndpointTally>,
    socket: OwnedFd,
    lease: Lease,
}

/// Where a flow goes first.
struct Chosen {
    /// The hash that chose.
    hash: u64,
    first: First,
}

impl Flows {
    /// The flow that datagrams belong to, found or opened; `None` if they went another way.
    pub(super) fn meet(&mut self, arrival: &Arrival) -> Option<Key> {
        let hash = arrival.id.hash(self.shared.udp.seed);
        let Some(key) = self.find(arrival.id, hash) else {
            return self.meet_new(arrival, hash, None);
        };
        let record = self.records.get(key)?;
        let current = record.door == arrival.door && self.is_current(record);
        if !current && !self.refresh(key, arrival.door) {
            return self.meet_new(arrival, hash, None);
        }
        let now = self.ledger.now;
        let record = self.records.get_mut(key)?;
        match record.flow.on(Event::Datagrams(arrival.datagrams()), now) {
            Step::Choose(choice) => self.choose_anew(arrival, key, choice),
            Step::Nothing | Step::Forward | Step::Deliver | Step::DeliverLast | Step::Close(_) => {
                record.bytes[Side::Client.index()] += arrival.place.len() as u64;
                self.ledger
                    .taken(&record.lane, Side::Client, arrival.datagrams(), arrival.place.len());
                Some(key)
            }
        }
    }

    /// Ends a flow.
    pub(in crate::relay) fn close(&mut self, key: Key, reason: CloseReason) {
        self.tell_closed(key, reason);
        self.wheel.disarm(&mut self.records, key.index);
        let Some(record) = self.records.remove(key) else { return };
        self.table.remove(record.hash, key.index);
        self.ledger.closed(&record, reason);
        // The flows of a node that stops go on through others, which find them by their pins.
        if reason != CloseReason::NodeShutdown {
            self.unpin(&record);
        }
        self.forget(&record.lane, record.id, record.hash);
        self.part(key, record);
    }

    /// Opens a flow for datagrams of which this thread knows none, unless another thread does.
    fn meet_new(&mut self, arrival: &Arrival, hash: u64, chosen: Option<Chosen>) -> Option<Key> {
        let lane = Rc::clone(&self.doors.get(arrival.door)?.lane);
        match self.shared.udp.directory.claim(arrival.id, hash, self.seat) {
            Owner::Asker => {}
            Owner::Other(seat) => {
                self.hand_over(arrival, &lane, seat);
                return None;
            }
        }
        let opened = self.admit(arrival, &lane).and_then(|()| {
            let opened = self.open(arrival, Rc::clone(&lane), hash, chosen);
            if opened.is_err() {
                lane.census.leave(arrival.id.client().ip());
                self.shared.flow_over();
            }
            opened
        });
        match opened {
            Ok(key) => Some(key),
            Err(reason) => {
                self.shared.udp.directory.release(arrival.id, hash);
                let datagrams = arrival.datagrams() as usize;
                self.ledger.dropped(&lane, DropReason::refused(reason), datagrams);
                None
            }
        }
    }

    /// Gives datagrams to the thread that has their flow.
    fn hand_over(&mut self, arrival: &Arrival, lane: &FlowLane, seat: usize) {
        let datagrams = arrival.datagrams();
        // What was handed over is not handed on: two threads that each think the other has a flow would never end.
        if arrival.handed {
            self.ledger.dropped(lane, DropReason::HandoverLost, datagrams as usize);
            return;
        }
        let listener = self.doors.get(arrival.door).map(|door| door.listener);
        let handed = listener.map(|listener| Handed {
            listener,
            id: arrival.id,
            bytes: self.received()[arrival.place.clone()].into(),
            segment: arrival.segment,
        });
        let ring = self.shared.udp.rings.get(seat);
        if let (Some(handed), Some(ring)) = (handed, ring)
            && ring.push(handed)
        {
            self.shared.seats[seat].rouse();
            self.ledger.handed_over(lane, datagrams);
        } else {
            self.ledger.dropped(lane, DropReason::HandoverFull, datagrams as usize);
        }
    }

    /// Counts a new flow in, or says why it may not be. New flows are shed, those that live are not.
    fn admit(&self, arrival: &Arrival, lane: &FlowLane) -> Result<(), CloseReason> {
        if self.quiescing {
            return Err(CloseReason::NodeShutdown);
        }
        if self.shared.flow_begins() != Admission::Granted {
            return Err(CloseReason::Overload);
        }
        if !lane.census.admit(arrival.id.client().ip(), lane.limits) {
            self.shared.flow_over();
            return Err(CloseReason::FlowLimit);
        }
        Ok(())
    }

    fn open(
        &mut self,
        arrival: &Arrival,
        lane: Rc<FlowLane>,
        hash: u64,
        chosen: Option<Chosen>,
    ) -> Result<Key, CloseReason> {
        let now = self.ledger.now;
        let chosen = match chosen {
            Some(chosen) => chosen,
            None => {
                let (hash, first) = lane.lane.choose(arrival.id.client(), &self.shared, now);
                Chosen { hash, first: first? }
            }
        };
        let place = lane.lane.place(chosen.hash, self.ledger.generation);
        let First { attempt, mut held } = chosen.first;
        let dialed = match self.dial(&lane, chosen.hash, hash, attempt) {
            Ok(dialed) => dialed,
            Err((tries, reason)) => {
                self.ledger.failed(&lane, arrival.id, tries, reason);
                return Err(reason);
            }
        };
        if let Some(held) = &mut held {
            held.settle(dialed.endpoint.address, dialed.attempt.number > 1, now);
        }
        let mut flow = Flow::open(lane.terms(dialed.attempt.entry, &self.shared), now);
        flow.on(Event::Datagrams(arrival.datagrams()), now);
        let deadline = flow.deadline();
        self.ledger
            .taken(&lane, Side::Client, arrival.datagrams(), arrival.place.len());
        let key = self.records.insert(Record {
            id: arrival.id,
            hash,
            flow,
            door: arrival.door,
            lane,
            attempt: dialed.attempt,
            place,
            endpoint: dialed.endpoint,
            socket: dialed.socket,
            lease: dialed.lease,
            link: Link::default(),
            opened: now,
            bytes: [arrival.place.len() as u64, 0],
            singly: [false; 2],
            together: false,
            round: self.round.wrapping_sub(2),
            armed: false,
            pin: Pin::None,
            held,
        });
        self.table.insert(hash, key.index);
        self.wheel.arm(&mut self.records, key.index, deadline);
        self.pin_opened(key);
        self.tell_opened(key);
        if let Some(record) = self.records.get(key) {
            self.ledger.opened(record);
        }
        if self.carrier.is_some() {
            self.arm_flow(key);
        } else if let Some(record) = self.records.get(key) {
            let token = EventData::new_u64(Token::Flow(key).encode());
            if let Err(errno) = epoll::add(&*self.epoll, &record.socket, token, EventFlags::IN) {
                tracing::warn!(%errno, "the socket of a UDP flow cannot be watched; its replies are lost");
            }
        }
        Ok(key)
    }

    /// Connects to an endpoint, the next one where that fails. An error comes with the endpoints tried.
    fn dial(&mut self, lane: &FlowLane, choice: u64, hash: u64, first: Attempt) -> Result<Dialed, (u8, CloseReason)> {
        let sources = &self.shared.sources;
        let mut attempt = first;
        loop {
            let endpoint = lane.lane.endpoint(attempt, &self.shared.timeouts);
            let endpoint = endpoint.ok_or((0, CloseReason::NoEndpoint))?.tally;
            let source = sources.choose(endpoint.address, choice, attempt.sources_tried);
            self.ledger.attempted(lane, &endpoint, attempt.number);
            let errno = match self.shared.udp.ports.connect(endpoint.address, source, hash) {
                Ok((socket, lease)) => {
                    return Ok(Dialed {
                        attempt,
                        endpoint,
                        socket,
                        lease,
                    });
                }
                Err(errno) => errno,
            };
            let failure = sockets::connect_failure(errno);
            self.ledger.connect_failed(&endpoint, failure);
            let most = first
                .number
                .saturating_add(self.shared.config.max_tries)
                .saturating_sub(1);
            match lane.lane.next(choice, attempt, failure, sources, most) {
                Some(next) => attempt = next,
                None => {
                    let reason = match failure {
                        ConnectFailure::NoLocalPort => CloseReason::PortsExhausted,
                        _ => failure.reason(),
                    };
                    return Err((attempt.number, reason));
                }
            }
        }
    }

    /// A flow lost its endpoint and its client has sent more: closes it and opens another.
    fn choose_anew(&mut self, arrival: &Arrival, key: Key, choice: Choice) -> Option<Key> {
        let record = self.records.get(key)?;
        let (lane, hash) = (&record.lane.lane, record.hash);
        let (choice_hash, first) = lane.choose(arrival.id.client(), &self.shared, self.ledger.now);
        let next = match choice {
            Choice::Anew => None,
            Choice::Next => {
                let sources = &self.shared.sources;
                lane.next(choice_hash, record.attempt, ConnectFailure::Refused, sources, u8::MAX)
            }
        };
        let chosen = match (first, next) {
            (Ok(first), Some(attempt)) => Some(First { attempt, ..first }),
            (Err(_), Some(attempt)) => Some(First { attempt, held: None }),
            (first, None) => first.ok(),
        };
        let address = |attempt: Attempt| -> Option<SocketAddr> { selection::address(lane.pool()?, attempt.entry) };
        if chosen.as_ref().and_then(|first| address(first.attempt)) == Some(record.endpoint.address) {
            let record = self.records.get_mut(key)?;
            record.flow.on(Event::Kept, self.ledger.now);
            return self.meet(arrival);
        }
        self.close(key, CloseReason::EndpointGone);
        let chosen = chosen.map(|first| Chosen {
            hash: choice_hash,
            first,
        });
        self.meet_new(arrival, hash, chosen)
    }

    fn forget(&self, lane: &FlowLane, id: FlowId, hash: u64) {
        self.shared.udp.directory.release(id, hash);
        lane.census.leave(id.client().ip());
        self.shared.flow_over();
    }
}
