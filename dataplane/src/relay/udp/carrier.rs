//! Flows whose datagrams an io_uring carries.
//!
//! Each door and each flow has one receive outstanding, which goes on by itself. What has come is looked at in batches: a
//! batch's datagrams are found their flows, what leaves is gathered, and all of it is handed over with one call, which
//! also brings the next batch. Only then may the kernel have the batch's buffers back.
//!
//! A socket is kept open until the kernel is done with its receive, or a send that was not handed over yet could leave by
//! another that has got the same number.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use metrics::Counter;
use rustix::io::Errno;

use super::{Arrival, Flows};
use crate::core::flow::{Event, Step};
use crate::core::flow_id::FlowId;
use crate::core::reason::CloseReason;
use crate::core::session::Side;
use crate::core::slab::Key;
use crate::relay::token::Token;
use crate::relay::udp::ledger::drop_reason;
use crate::relay::udp::outbox::Reply;
use crate::relay::udp::record::Record;
use crate::ring::{Completion, Datagrams, Ring, Sent, Telling};
use crate::udp::dispatch::{self, Envelope, Post, Report};
use crate::udp::ports::Lease;
use crate::udp::sockets::{is_icmp, receive_together};

/// Buffers that a round has used after which they are given back before the thread waits.
const MANY: usize = 64;
/// How long a cancelled receive is waited for before the thread looks again.
const SOON: Duration = Duration::from_millis(10);

/// What a thread's flows have in a ring.
#[derive(Debug)]
pub(super) struct Carrier {
    ring: Ring,
    /// Completions that are to be looked at.
    pending: Vec<Completion>,
    /// Those of connections.
    streams: Vec<Completion>,
    batch: Vec<Completion>,
    /// Messages that did not go.
    failed: Vec<(u32, Errno)>,
    /// Buffers that were looked at; the kernel gets them back when what leaves of them is handed over.
    spent: Vec<u16>,
    /// Receives that ended and are to be asked for again.
    ended: Vec<Token>,
    /// Flows that are over, by the word of their receive, until that has ended.
    leaving: BTreeMap<u64, Leaving>,
    /// Those without a receive, until what was asked for is handed over.
    left: Vec<Leaving>,
    /// For messages that are sent a second time.
    post: Post,
    /// Whether the ring watches the thread's epoll instance, and what it has said of it.
    watch: Watch,
    /// Receives that stopped for want of buffers.
    exhausted: Counter,
}

/// What is known of the epoll instance, in which everything but datagrams is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watch {
    /// Nothing.
    Unasked,
    /// It is being watched.
    Asked,
    /// It has events.
    Ready,
}

/// What a flow that is over still has.
#[derive(Debug)]
struct Leaving {
    socket: OwnedFd,
    endpoint: SocketAddr,
    lease: Lease,
}

impl Carrier {
    pub(super) fn new(ring: Ring, exhausted: Counter) -> Carrier {
        Carrier {
            ring,
            pending: Vec::new(),
            streams: Vec::new(),
            batch: Vec::new(),
            failed: Vec::new(),
            spent: Vec::new(),
            ended: Vec::new(),
            leaving: BTreeMap::new(),
            left: Vec::new(),
            post: Post::default(),
            watch: Watch::Unasked,
            exhausted,
        }
    }

    /// Sockets of flows that are over.
    pub(super) fn sockets(&self) -> usize {
        self.leaving.len() + self.left.len()
    }

    /// What was received and not yet given back.
    pub(super) fn bytes(&self) -> &[u8] {
        self.ring.bytes()
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty() || !self.ended.is_empty()
    }

    /// Hands over what was asked for, and takes the completions that are there.
    fn enter(&mut self) {
        self.enter_for(Duration::ZERO);
    }

    /// The same; waits for a completion, at most this long.
    fn enter_for(&mut self, longest: Duration) {
        self.ring.enter(longest);
        self.reap();
        while self.ring.queued() > 0 {
            self.ring.enter(Duration::ZERO);
            self.reap();
        }
    }

    fn reap(&mut self) {
        let first = self.pending.len();
        self.ring.reap(&mut self.pending);
        let (failed, watch, exhausted) = (&mut self.failed, &mut self.watch, &self.exhausted);
        let streams = &mut self.streams;
        let is_own = |completion: &mut Completion| match Token::decode(completion.word) {
            Token::Sent(number) => {
                failed.extend(completion.result.err().map(|errno| (number, errno)));
                true
            }
            Token::Wake => {
                *watch = Watch::Ready;
                true
            }
            Token::Session(..) | Token::Relayed(_) => {
                streams.push(*completion);
                true
            }
            _ => {
                if completion.result == Err(Errno::NOBUFS) {
                    exhausted.increment(1);
                }
                false
            }
        };
        self.pending.extract_if(first.., is_own).for_each(drop);
    }

    /// Asks for what comes to a socket.
    fn receive(&mut self, socket: &OwnedFd, telling: Telling, word: u64) {
        while self.ring.receive(socket, telling, word).is_err() {
            self.enter();
        }
    }

    fn cancel(&mut self, word: u64) {
        while self.ring.cancel(word).is_err() {
            self.enter();
        }
    }
}

impl Flows {
    /// Whether the thread has to wait in the ring: datagrams are waited for nowhere else.
    pub(in crate::relay) fn waits_in_ring(&self) -> bool {
        let is_idle = |carrier: &Carrier| carrier.sockets() == 0 && carrier.pending.is_empty();
        let carrier = self.carrier.as_ref();
        carrier.is_some_and(|carrier| !(self.doors.is_empty() && self.records.is_empty() && is_idle(carrier)))
    }

    /// The thread's ring, and what it has said of connections.
    pub(in crate::relay) fn ring(&mut self) -> Option<(&mut Ring, &mut Vec<Completion>)> {
        let carrier = self.carrier.as_mut()?;
        Some((&mut carrier.ring, &mut carrier.streams))
    }

    /// Hands over what was asked for in the round before, and waits for what comes, at most this long; gives whether
    /// there are events in the epoll instance. One call does both, so the buffers of a round are given back after the
    /// wait; what may not wait for that was settled before.
    pub(in crate::relay) fn wait(&mut self, longest: Duration) -> bool {
        let Some(carrier) = &mut self.carrier else { return true };
        if carrier.watch == Watch::Unasked {
            while carrier.ring.watch(&self.epoll, Token::Wake.encode()).is_err() {
                carrier.enter();
            }
            carrier.watch = Watch::Asked;
        }
        carrier.enter_for(longest);
        self.settled(true);
        let Some(carrier) = &mut self.carrier else { return true };
        let is_ready = carrier.watch == Watch::Ready;
        if is_ready {
            carrier.watch = Watch::Unasked;
        }
        is_ready
    }

    /// Takes what has come, and gathers what is to leave.
    pub(in crate::relay) fn collect(&mut self) {
        let Some(carrier) = &mut self.carrier else { return };
        if carrier.pending.is_empty() {
            return;
        }
        let mut batch = std::mem::take(&mut carrier.batch);
        std::mem::swap(&mut batch, &mut carrier.pending);
        for completion in batch.drain(..) {
            match Token::decode(completion.word) {
                Token::Door(place) => self.come(place, completion),
                Token::Flow(key) => self.answered(key, completion),
                _ => {}
            }
        }
        if let Some(carrier) = &mut self.carrier {
            carrier.batch = batch;
        }
        self.forward(None);
        self.send_replies();
    }

    /// Hands over at once what others may wait for: ports that flows had, and most of the buffers.
    pub(super) fn settle_rest(&mut self) {
        let is_pressing = |carrier: &Carrier| !carrier.left.is_empty() || carrier.spent.len() >= MANY;
        if self.carrier.as_ref().is_some_and(is_pressing) {
            self.settle(true);
        }
    }

    /// Asks for what comes to a door.
    pub(super) fn arm_door(&mut self, door: Key) {
        if let (Some(carrier), Some(found)) = (&mut self.carrier, self.doors.get(door)) {
            carrier.receive(&found.socket, Telling::Sender, Token::Door(door.index).encode());
        }
    }

    /// Takes a door's socket back from the kernel. What it has received and was not looked at is lost, like what waits in
    /// any socket that is closed.
    pub(super) fn disarm_door(&mut self, door: Key) {
        self.settle(false);
        let Some(carrier) = &mut self.carrier else { return };
        let word = Token::Door(door.index).encode();
        let mut ended = carrier.ended.extract_if(.., |token| token.encode() == word).count() > 0;
        if !ended {
            carrier.cancel(word);
            carrier.enter();
        }
        while !ended {
            let spent = &mut carrier.spent;
            let is_its = |completion: &mut Completion| {
                let its = completion.word == word;
                if its {
                    spent.extend(completion.buffer);
                    ended |= !completion.more;
                }
                its
            };
            carrier.pending.extract_if(.., is_its).for_each(drop);
            if !ended {
                carrier.enter_for(SOON);
            }
        }
    }

    /// Asks for what comes to a flow's socket.
    pub(super) fn arm_flow(&mut self, key: Key) {
        if let (Some(carrier), Some(record)) = (&mut self.carrier, self.records.get_mut(key)) {
            carrier.receive(&record.socket, Telling::Control, Token::Flow(key).encode());
            record.armed = true;
        }
    }

    /// Closes the socket of a flow that is over, and lets others have its port.
    pub(super) fn part(&mut self, key: Key, record: Record) {
        // Its client's affinity entry has one session less.
        drop(record.held);
        let leaving = Leaving {
            socket: record.socket,
            endpoint: record.endpoint.address,
            lease: record.lease,
        };
        match &mut self.carrier {
            None => self.let_go(leaving),
            Some(carrier) if record.armed => {
                let word = Token::Flow(key).encode();
                carrier.cancel(word);
                carrier.leaving.insert(word, leaving);
            }
            Some(carrier) => carrier.left.push(leaving),
        }
    }

    /// The thread ends, and the ring with it.
    pub(super) fn part_all(&mut self) {
        for index in 0..self.doors.slots() {
            if let Some(door) = self.doors.key(index) {
                self.disarm_door(door);
            }
        }
        self.settle(true);
        let Some(mut carrier) = self.carrier.take() else { return };
        let leaving = std::mem::take(&mut carrier.leaving);
        for leaving in leaving.into_values().chain(std::mem::take(&mut carrier.left)) {
            self.let_go(leaving);
        }
    }

    /// Whoever gets the port next can have it: its socket is closed.
    fn let_go(&self, leaving: Leaving) {
        drop(leaving.socket);
        self.shared.udp.ports.release(leaving.endpoint, leaving.lease);
    }

    /// Puts the messages of the post into the ring: replies that leave by a door, or what goes to the endpoint of a flow.
    /// Bytes lie in the ring's buffers.
    pub(super) fn post_to_ring(&mut self, door: Option<Key>, flow_of: impl Fn(&Flows, usize) -> Option<Key>) {
        for number in 0..self.post.len() {
            let Some((tag, outline)) = self.post.message(number) else {
                return;
            };
            let Some(flow) = flow_of(self, tag) else { continue };
            let sent = Sent {
                flow,
                door,
                to: outline.to,
                from: outline.from,
                segment: outline.segment,
                datagrams: Datagrams::of(outline.datagrams),
            };
            // Once more after the ring has been emptied.
            for _ in 0..2 {
                let socket = match door {
                    Some(door) => self.doors.get(door).map(|door| &door.socket),
                    None => self.records.get(flow).map(|record| &record.socket),
                };
                let (Some(carrier), Some(socket)) = (&mut self.carrier, socket) else {
                    break;
                };
                let word = |number| Token::Sent(number).encode();
                if carrier.ring.send(socket, &sent, word).is_ok() {
                    break;
                }
                self.settle(false);
            }
        }
    }

    /// Hands over what was asked for; with `recycle` everything that was received has been looked at, and its buffers may
    /// be used again.
    fn settle(&mut self, recycle: bool) {
        if let Some(carrier) = &mut self.carrier {
            carrier.enter();
            self.settled(recycle);
        }
    }

    /// What was asked for is handed over.
    fn settled(&mut self, recycle: bool) {
        self.send_again();
        let Some(carrier) = &mut self.carrier else { return };
        carrier.ring.clear();
        for leaving in std::mem::take(&mut carrier.left) {
            self.let_go(leaving);
        }
        if !recycle {
            return;
        }
        let Some(carrier) = &mut self.carrier else { return };
        if !carrier.spent.is_empty() {
            carrier.ring.give_back(&mut carrier.spent);
        }
        if carrier.ended.is_empty() {
            return;
        }
        for token in std::mem::take(&mut carrier.ended) {
            match token {
                Token::Door(place) => {
                    if let Some(key) = self.doors.key(place) {
                        self.arm_door(key);
                    }
                }
                Token::Flow(key) => self.arm_flow(key),
                _ => {}
            }
        }
    }

    /// Looks after messages that did not go: an error that had come back for an earlier datagram is told once, and the
    /// message sent again.
    fn send_again(&mut self) {
        let Some(carrier) = &mut self.carrier else { return };
        for (number, errno) in std::mem::take(&mut carrier.failed) {
            let Some(sent) = carrier.ring.sent(number) else {
                continue;
            };
            let (socket, lane) = match sent.door {
                Some(door) => match self.doors.get(door) {
                    Some(door) => (&door.socket, &door.lane),
                    None => continue,
                },
                None => match self.records.get(sent.flow) {
                    Some(record) => (&record.socket, &record.lane),
                    None => continue,
                },
            };
            let count = sent.datagrams.places().len();
            let (mut errors, mut singly, mut lost) = (0, false, None);
            if errno == Errno::AGAIN {
                lost = Some((errno, count));
            } else {
                errors += u32::from(is_icmp(errno));
                let envelope = Envelope {
                    to: sent.to,
                    from: sent.from,
                    singly: sent.segment.is_none(),
                };
                carrier.post.clear();
                carrier.post.push(0, envelope, sent.datagrams.places().iter().cloned());
                self.dispatch
                    .send(socket, carrier.ring.bytes(), &carrier.post, |_, report| match report {
                        Report::Icmp => errors += 1,
                        Report::Singly => singly = true,
                        Report::Failed(errno, count) => lost = Some((errno, count)),
                    });
            }
            if let Some((errno, count)) = lost {
                self.ledger.dropped(lane, drop_reason(errno), count);
            }
            let side = if sent.door.is_some() {
                Side::Client
            } else {
                Side::Endpoint
            };
            let Some(record) = self.records.get_mut(sent.flow) else {
                continue;
            };
            record.singly[side.index()] |= singly;
            // What comes back to a door is about no flow in particular.
            for _ in 0..if sent.door.is_some() { 0 } else { errors } {
                self.ledger.icmp(&record.endpoint);
                record.flow.on(Event::Error, self.ledger.now);
            }
        }
    }

    /// Something came to a door.
    fn come(&mut self, place: u32, completion: Completion) {
        let Some(carrier) = &mut self.carrier else { return };
        carrier.spent.extend(completion.buffer);
        let Some(door) = self.doors.key(place) else { return };
        if !completion.more {
            carrier.ended.push(Token::Door(place));
        }
        // An error is about a single datagram and told once; without buffers the datagrams wait in the socket.
        let (Ok(length), Some(buffer)) = (completion.result, completion.buffer) else {
            return;
        };
        let received = carrier.ring.received(buffer, length, Telling::Sender);
        let (Some(found), Some(received)) = (self.doors.get(door), received) else {
            return;
        };
        let Some(client) = received.sender else { return };
        let dialled = received.control.dialled().unwrap_or(found.address.ip());
        self.take_in(Arrival {
            door,
            id: FlowId::new(client, SocketAddr::new(dialled, found.address.port())),
            segment: received
                .control
                .segment()
                .filter(|segment| usize::from(*segment) < received.bytes.len()),
            place: received.bytes,
            handed: false,
        });
    }

    /// Something came to the socket of a flow.
    fn answered(&mut self, key: Key, completion: Completion) {
        let now = self.ledger.now;
        let Some(carrier) = &mut self.carrier else { return };
        carrier.spent.extend(completion.buffer);
        let Some(record) = self.records.get_mut(key) else {
            if !completion.more
                && let Some(leaving) = carrier.leaving.remove(&completion.word)
            {
                self.let_go(leaving);
            }
            return;
        };
        if !completion.more {
            record.armed = false;
            carrier.ended.push(Token::Flow(key));
        }
        let (length, buffer) = match (completion.result, completion.buffer) {
            (Ok(length), Some(buffer)) => (length, buffer),
            (Err(errno), _) if is_icmp(errno) => {
                self.ledger.icmp(&record.endpoint);
                record.flow.on(Event::Error, now);
                return;
            }
            _ => return,
        };
        let Some(received) = carrier.ring.received(buffer, length, Telling::Control) else {
            return;
        };
        let segment = received
            .control
            .segment()
            .filter(|segment| usize::from(*segment) < received.bytes.len());
        // A second one in a batch: more are likely to come together.
        if record.round == self.round && !record.together {
            record.together = true;
            receive_together(&record.socket);
        }
        record.round = self.round;
        let datagrams = u32::try_from(dispatch::count(received.bytes.len(), segment)).unwrap_or(u32::MAX);
        let step = record.flow.on(Event::Replies(datagrams), now);
        record.bytes[Side::Endpoint.index()] += received.bytes.len() as u64;
        self.ledger
            .taken(&record.lane, Side::Endpoint, datagrams, received.bytes.len());
        self.outbox.keep(Reply {
            flow: key,
            door: record.door,
            id: record.id,
            place: received.bytes,
            segment,
            singly: record.singly[Side::Client.index()],
        });
        if step == Step::DeliverLast {
            self.close(key, CloseReason::RepliesDone);
        }
    }
}
