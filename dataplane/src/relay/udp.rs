//! The UDP flows of one thread.
//!
//! A datagram's way to an endpoint: taken from a [`Door`] in a batch, its flow found or opened, and sent on the flow's own
//! connected socket, together with the others of that flow in the batch. A reply's way back: taken from that socket into
//! the [`Outbox`], and sent from the door at the end of the round, or when the outbox is full, together with all others.
//! What cannot be sent at once is dropped and counted: a queue would only make it late.
//!
//! Sockets are level-triggered, so that one receive a round is enough where one datagram is what comes.

mod carrier;
mod door;
mod ledger;
mod opening;
mod outbox;
mod pins;
mod plans;
mod record;
mod rows;

use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::SendFlags;

use crate::core::flow::{Event, Expiry, Step};
use crate::core::flow_id::FlowId;
use crate::core::flow_table::FlowTable;
use crate::core::reason::CloseReason;
use crate::core::session::Side;
use crate::core::slab::{Key, Slab};
use crate::core::time::Micros;
use crate::core::wheel::Wheel;
use crate::descriptors::OF_FLOW;
use crate::relay::udp::carrier::Carrier;
use crate::relay::udp::door::Door;
use crate::relay::udp::ledger::{FlowLedger, drop_reason};
use crate::relay::udp::outbox::{Outbox, Reply};
use crate::relay::udp::record::Record;
use crate::ring::Ring;
use crate::shared::Shared;
use crate::sockets;
use crate::udp::dispatch::{self, Dispatch, Envelope, Post, Report};
use crate::udp::intake::{BATCH, Intake};
use crate::udp::sockets::{is_icmp, receive_together};

/// Batches taken from one door before others have their turn.
const BATCHES: usize = 4;
/// Receives from one flow's socket before others have their turn, where datagrams come faster than rounds.
const TURN: usize = 16;

/// The UDP flows of one thread, and what they need to move.
pub(super) struct Flows {
    shared: Arc<Shared>,
    epoll: Arc<OwnedFd>,
    seat: usize,
    plan: Option<Arc<guideway_model::Plan>>,
    quiescing: bool,
    doors: Slab<Door>,
    records: Slab<Record>,
    table: FlowTable,
    wheel: Wheel,
    ledger: FlowLedger,
    intake: Intake,
    outbox: Outbox,
    dispatch: Dispatch,
    /// Where an io_uring carries the datagrams.
    carrier: Option<Carrier>,
    /// What a batch has for flows, in the order in which it came.
    pieces: Vec<Piece>,
    /// Datagrams for one flow, and the post that is made of them.
    gathered: Vec<Range<usize>>,
    post: Post,
    /// Rounds so far.
    round: u32,
    /// The next slot to be looked at after a change of plan.
    sweep: Option<u32>,
}

/// What was received at once for one flow.
#[derive(Debug)]
struct Piece {
    /// `None` once it is sent.
    flow: Option<Key>,
    place: Range<usize>,
    segment: Option<u16>,
}

/// What comes in for a flow.
#[derive(Clone, Debug)]
struct Arrival {
    door: Key,
    id: FlowId,
    /// In the intake, unless another thread has handed it over.
    place: Range<usize>,
    segment: Option<u16>,
    handed: bool,
}

impl Arrival {
    fn datagrams(&self) -> u32 {
        u32::try_from(dispatch::count(self.place.len(), self.segment)).unwrap_or(u32::MAX)
    }
}

impl Flows {
    /// Flows of a thread, whose datagrams `ring` carries if there is one, system calls otherwise.
    pub(super) fn new(shared: &Arc<Shared>, epoll: Arc<OwnedFd>, seat: usize, ring: Option<Ring>) -> Flows {
        let ledger = FlowLedger::new(shared);
        Flows {
            shared: Arc::clone(shared),
            epoll,
            seat,
            plan: None,
            quiescing: false,
            doors: Slab::default(),
            records: Slab::default(),
            table: FlowTable::default(),
            wheel: Wheel::new(ledger.now),
            ledger,
            intake: Intake::new(),
            outbox: Outbox::new(),
            dispatch: Dispatch::new(),
            carrier: ring.map(|ring| Carrier::new(ring, shared.metrics.ring_buffers_exhausted.clone())),
            pieces: Vec::with_capacity(BATCH),
            gathered: Vec::new(),
            post: Post::default(),
            round: 0,
            sweep: None,
        }
    }

    /// Sockets of its flows.
    pub(super) fn descriptors(&self) -> u64 {
        let parting = self.carrier.as_ref().map_or(0, Carrier::sockets);
        (self.records.len() + parting) as u64 * OF_FLOW
    }

    /// A round of events begins.
    pub(super) fn begin_round(&mut self, now: Micros) {
        self.ledger.now = now;
        self.round = self.round.wrapping_add(1);
    }

    /// A door has datagrams.
    pub(super) fn receive(&mut self, place: u32) {
        let Some(key) = self.doors.key(place) else { return };
        for _ in 0..BATCHES {
            let Some(door) = self.doors.get(key) else { return };
            let (address, port) = (door.address.ip(), door.address.port());
            let count = match self.intake.receive(&door.socket) {
                Ok(count) => count,
                Err(Errno::INTR) => continue,
                // Empty; another error is about a single datagram and told once.
                Err(_) => return,
            };
            for index in 0..count {
                let Some(received) = self.intake.received(index) else {
                    continue;
                };
                let dialled = SocketAddr::new(received.dialled.unwrap_or(address), port);
                self.take_in(Arrival {
                    door: key,
                    id: FlowId::new(received.client, dialled),
                    place: received.place,
                    segment: received.segment,
                    handed: false,
                });
            }
            self.forward(None);
            if count < BATCH {
                return;
            }
        }
    }

    /// Other threads have received datagrams of this one's flows.
    pub(super) fn take_handed(&mut self) {
        while let Some(handed) = self.shared.udp.rings[self.seat].pop() {
            let dialled = handed.id.dialled();
            let found = (0..self.doors.slots()).find(|index| {
                let door = self.doors.tenant(*index);
                door.is_some_and(|door| door.listener == handed.listener && door.address.is_ipv4() == dialled.is_ipv4())
            });
            // Without a door the listener is gone, and the flow with it.
            let Some(door) = found.and_then(|index| self.doors.key(index)) else {
                continue;
            };
            self.take_in(Arrival {
                door,
                id: handed.id,
                place: 0..handed.bytes.len(),
                segment: handed.segment,
                handed: true,
            });
            self.forward(Some(&handed.bytes));
        }
    }

    /// The socket of a flow is ready for something.
    pub(super) fn reply(&mut self, key: Key, event: EventFlags) {
        let now = self.ledger.now;
        let Some(record) = self.records.get_mut(key) else {
            return;
        };
        if event.contains(EventFlags::ERR) && sockets::take_error(&record.socket).is_some() {
            self.ledger.icmp(&record.endpoint);
            record.flow.on(Event::Error, now);
        }
        if !event.contains(EventFlags::IN) {
            return;
        }
        // One that was ready in the round before, too, is likely to hold more than one datagram.
        let turn = if record.round.wrapping_add(1) == self.round {
            TURN
        } else {
            1
        };
        record.round = self.round;
        for count in 0..turn {
            if self.outbox.is_full() {
                self.send_replies();
            }
            let Some(record) = self.records.get_mut(key) else {
                return;
            };
            let (place, segment) = match self.outbox.receive(&record.socket, record.together) {
                Ok(received) => received,
                Err(errno) if is_icmp(errno) => {
                    self.ledger.icmp(&record.endpoint);
                    record.flow.on(Event::Error, now);
                    continue;
                }
                Err(Errno::INTR) => continue,
                Err(_) => return,
            };
            if count > 0 && !record.together {
                record.together = true;
                receive_together(&record.socket);
            }
            let datagrams = u32::try_from(dispatch::count(place.len(), segment)).unwrap_or(u32::MAX);
            let step = record.flow.on(Event::Replies(datagrams), now);
            record.bytes[Side::Endpoint.index()] += place.len() as u64;
            self.ledger.taken(&record.lane, Side::Endpoint, datagrams, place.len());
            self.outbox.push(Reply {
                flow: key,
                door: record.door,
                id: record.id,
                place,
                segment,
                singly: record.singly[Side::Client.index()],
            });
            if step == Step::DeliverLast {
                self.close(key, CloseReason::RepliesDone);
                return;
            }
        }
    }

    /// A round of events ends.
    pub(super) fn end_round(&mut self) {
        self.send_replies();
        self.expire();
        self.sweep();
        self.settle_rest();
        if self
            .ledger
            .flush_deadline()
            .is_some_and(|deadline| deadline <= self.ledger.now)
        {
            self.ledger.flush();
        }
    }

    /// When [`Flows::end_round`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Micros> {
        let deadlines = [self.wheel.next_deadline(), self.ledger.flush_deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// Whether there is something to do at once.
    pub(super) fn has_waiting(&self) -> bool {
        self.sweep.is_some() || self.has_pending()
    }

    /// Whether completions are yet to be looked at.
    pub(super) fn has_pending(&self) -> bool {
        self.carrier.as_ref().is_some_and(Carrier::has_pending)
    }

    /// Whether flows are yet to be looked at after a change of plan.
    pub(super) fn is_walking(&self) -> bool {
        self.sweep.is_some()
    }

    /// Where what doors have received lies.
    fn received(&self) -> &[u8] {
        match &self.carrier {
            Some(carrier) => carrier.bytes(),
            None => self.intake.bytes(),
        }
    }

    fn take_in(&mut self, arrival: Arrival) {
        if let Some(flow) = self.meet(&arrival) {
            self.pieces.push(Piece {
                flow: Some(flow),
                place: arrival.place,
                segment: arrival.segment,
            });
        }
    }

    /// Sends the pieces to their flows' endpoints; they lie in `handed`, or else in the intake.
    fn forward(&mut self, handed: Option<&[u8]>) {
        for index in 0..self.pieces.len() {
            let Some(flow) = self.pieces[index].flow else { continue };
            self.gathered.clear();
            for piece in &mut self.pieces[index..] {
                if piece.flow == Some(flow) {
                    piece.flow = None;
                    self.gathered
                        .extend(dispatch::datagrams(piece.place.clone(), piece.segment));
                }
            }
            if handed.is_none() && self.carrier.is_some() {
                let singly = self
                    .records
                    .get(flow)
                    .map(|record| record.singly[Side::Endpoint.index()]);
                let envelope = Envelope {
                    singly: singly.unwrap_or_default(),
                    ..Envelope::default()
                };
                self.post.clear();
                self.post.push(0, envelope, self.gathered.iter().cloned());
                self.post_to_ring(None, |_, _| Some(flow));
                continue;
            }
            let bytes = handed.unwrap_or_else(|| self.intake.bytes());
            let Some(record) = self.records.get_mut(flow) else {
                continue;
            };
            // The one datagram of a quiet flow needs no message around it.
            if let [place] = self.gathered.as_slice() {
                let sent = rustix::net::send(&record.socket, &bytes[place.clone()], SendFlags::DONTWAIT);
                match sent {
                    Ok(_) => continue,
                    Err(errno) if is_icmp(errno) => {
                        self.ledger.icmp(&record.endpoint);
                        record.flow.on(Event::Error, self.ledger.now);
                    }
                    Err(_) => {}
                }
            }
            let envelope = Envelope {
                singly: record.singly[Side::Endpoint.index()],
                ..Envelope::default()
            };
            self.post.clear();
            self.post.push(0, envelope, self.gathered.iter().cloned());
            let ledger = &mut self.ledger;
            self.dispatch
                .send(&record.socket, bytes, &self.post, |_, report| match report {
                    Report::Icmp => {
                        ledger.icmp(&record.endpoint);
                        record.flow.on(Event::Error, ledger.now);
                    }
                    Report::Singly => record.singly[Side::Endpoint.index()] = true,
                    Report::Failed(errno, count) => ledger.dropped(&record.lane, drop_reason(errno), count),
                });
        }
        self.pieces.clear();
    }

    /// Sends what the outbox holds.
    fn send_replies(&mut self) {
        while let Some(key) = self.outbox.next_door() {
            self.post.clear();
            self.outbox
                .fill(key, self.doors.get(key).is_some_and(Door::is_wildcard), &mut self.post);
            if self.carrier.is_some() {
                self.post_to_ring(Some(key), |flows, tag| flows.outbox.flow(tag));
                continue;
            }
            // Without its door a reply has nowhere to leave from: the listener is gone.
            let Some(door) = self.doors.get(key) else { continue };
            let (ledger, records, outbox) = (&mut self.ledger, &mut self.records, &self.outbox);
            self.dispatch
                .send(&door.socket, outbox.bytes(), &self.post, |tag, report| match report {
                    Report::Icmp => {}
                    Report::Singly => {
                        if let Some(record) = outbox.flow(tag).and_then(|flow| records.get_mut(flow)) {
                            record.singly[Side::Client.index()] = true;
                        }
                    }
                    Report::Failed(errno, count) => ledger.dropped(&door.lane, drop_reason(errno), count),
                });
        }
        self.outbox.clear();
    }

    /// Looks at every flow whose timer may have run out.
    fn expire(&mut self) {
        while let Some(index) = self.wheel.take(&mut self.records, self.ledger.now) {
            let Some(key) = self.records.key(index) else { continue };
            let Some(record) = self.records.get(key) else { continue };
            match record.flow.expiry(self.ledger.now) {
                Expiry::Later(_) => {
                    self.pin_proven(key);
                    let look = self.records.get(key).map(Record::next_look);
                    self.wheel
                        .arm(&mut self.records, index, look.unwrap_or(self.ledger.now));
                }
                Expiry::Idle => self.close(key, CloseReason::IdleTimeout),
            }
        }
    }

    /// The flow of an id, if this thread has it.
    fn find(&self, id: FlowId, hash: u64) -> Option<Key> {
        let records = &self.records;
        let is = |index| records.tenant(index).is_some_and(|record| record.id == id);
        self.table.find(hash, is).and_then(|index| records.key(index))
    }

    /// Whether a flow's lane is the one that its door has now.
    fn is_current(&self, record: &Record) -> bool {
        let door = self.doors.get(record.door);
        door.is_some_and(|door| Rc::ptr_eq(&door.lane, &record.lane))
    }
}
