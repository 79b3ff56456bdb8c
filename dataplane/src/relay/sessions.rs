//! The sessions of one thread: what an event, a timer or an order means for one of them, and the operations that follow.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;

use crate::account::{Ledger, Sockets};
use crate::core::reason::CloseReason;
use crate::core::selection::{Attempt, ConnectFailure};
use crate::core::session::{Event, Op, Ops, Session, Side, State};
use crate::core::slab::{Key, Slab};
use crate::core::wheel::Wheel;
use crate::lane::{First, Lane};
use crate::relay::record::{Dial, Flight, Port, Ready, Record};
use crate::relay::reserve::Reserve;
use crate::relay::sealed;
use crate::relay::streams::Streams;
use crate::relay::tls::Stage;
use crate::relay::token::Token;
use crate::relay::transfer::Transfer;
use crate::shared::Shared;
use crate::sockets;

/// Operations that one session may do before the others have their turn.
const TURN: u32 = 32;

/// What a socket is watched for that has room to send.
const ARRIVALS: EventFlags = EventFlags::IN
    .union(EventFlags::RDHUP)
    .union(EventFlags::PRI)
    .union(EventFlags::ET);
/// What any other is watched for.
pub(super) const EVENTS: EventFlags = ARRIVALS.union(EventFlags::OUT);

/// The sessions of one thread, and what they need to move.
#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) shared: Arc<Shared>,
    pub(super) seat: usize,
    pub(super) epoll: Arc<OwnedFd>,
    pub(super) records: Slab<Record>,
    pub(super) wheel: Wheel,
    pub(super) transfer: Transfer,
    pub(super) ledger: Ledger,
    /// Sessions that have used up their turn; each at most once.
    waiting: VecDeque<Key>,
    reserve: Reserve,
    pub(super) streams: Streams,
    /// Sockets toward endpoints.
    dialed: u64,
}

impl Sessions {
    pub(super) fn new(shared: &Arc<Shared>, seat: usize, epoll: Arc<OwnedFd>, has_ring: bool) -> Sessions {
        let ledger = Ledger::new(shared);
        let threshold = has_ring.then_some(shared.config.ring_after);
        Sessions {
            shared: Arc::clone(shared),
            seat,
            epoll,
            records: Slab::default(),
            wheel: Wheel::new(ledger.now),
            transfer: Transfer::new(shared),
            ledger,
            waiting: VecDeque::new(),
            reserve: Reserve::default(),
            streams: Streams::new(threshold, shared.metrics.ring_sessions.clone()),
            dialed: 0,
        }
    }

    /// Takes in a connection that a client made; the caller has counted it into the shared number of sessions, and has
    /// been promised its descriptors.
    pub(super) fn admit(&mut self, lane: &Rc<Lane>, socket: OwnedFd, client: SocketAddr) {
        let account = self.ledger.open(&lane.tally, client);
        let (hash, choice) = lane.choose(client, &self.shared, self.ledger.now);
        let First { attempt, held } = match choice {
            Ok(first) => first,
            Err(reason) => {
                sockets::reset_on_close(&socket);
                let sockets = Sockets {
                    client: &socket,
                    endpoint: None,
                    hello: None,
                };
                self.ledger.close(&account, reason, sockets);
                drop(socket);
                self.gone();
                return;
            }
        };
        let (machine, ops) = Session::start(attempt);
        let mut record = Record::new(machine, account, &lane.terms, socket);
        record.held = held;
        record.dial = Some(Dial {
            lane: Rc::clone(lane),
            hash,
            attempt,
        });
        self.begin(record, ops);
    }

    /// Takes a session in and does its first operations.
    pub(super) fn begin(&mut self, record: Record, ops: Ops) {
        let key = self.records.insert(record);
        let token = Token::Session(key, Side::Client);
        let registered = self.records.get_mut(key).map(|record| {
            epoll::add(
                &*self.epoll,
                &record.client.socket,
                EventData::new_u64(token.encode()),
                ARRIVALS,
            )
        });
        match registered {
            Some(Ok(())) => self.run(key, ops),
            Some(Err(_)) | None => self.tell(key, Event::Killed(CloseReason::Overload)),
        }
    }

    /// The client's socket is full, or may become so where nobody waits for a send: from here on events tell when it has
    /// room. Without it every session would begin with an event that says what goes without saying.
    pub(super) fn watch_room(&mut self, key: Key) {
        let Some(record) = self.records.get_mut(key) else {
            return;
        };
        if std::mem::replace(&mut record.client.tells_room, true) {
            return;
        }
        let token = EventData::new_u64(Token::Session(key, Side::Client).encode());
        if let Err(errno) = epoll::modify(&*self.epoll, &record.client.socket, token, EVENTS) {
            tracing::warn!(%errno, "a client's socket cannot be watched for room; its session may stand still");
        }
    }

    /// Whether there are sockets in reserve; makes them if they can be had again.
    pub(super) fn has_reserve(&mut self) -> bool {
        self.reserve.fill()
    }

    /// Descriptors of sessions.
    pub(super) fn descriptors(&self) -> u64 {
        self.records.len() as u64 + self.dialed
    }

    /// A socket of a session is ready for something.
    pub(super) fn ready(&mut self, key: Key, side: Side, event: EventFlags) {
        let Some(record) = self.records.get_mut(key) else {
            return;
        };
        if record.carried.is_some() {
            return;
        }
        let machine = record.machine;
        let Some(port) = record.port(side) else { return };
        port.ready.note(event);
        if record.is_sealed(side) && event.contains(EventFlags::OUT) && !self.send_last_words(key, side) {
            return;
        }
        match (machine.state(), side) {
            (State::Dialing, Side::Endpoint) => self.dialed(key, event),
            (State::Greeting | State::Dialing | State::Relaying { .. } | State::Closed, _) => {
                let ops = machine.outstanding(side);
                // A receive that is outstanding finds the error after the bytes before it; no one else would.
                if event.contains(EventFlags::ERR) && ops.0.is_none() {
                    self.tell(key, Event::Reset { side });
                } else {
                    self.run(key, ops);
                }
            }
        }
    }

    /// Gives each session that had used up its turn another one.
    pub(super) fn resume(&mut self) {
        for _ in 0..self.waiting.len() {
            let Some(key) = self.waiting.pop_front() else { return };
            if let Some(record) = self.records.get_mut(key) {
                record.queued = false;
            }
            for side in Side::BOTH {
                if let Some(record) = self.records.get_mut(key)
                    && record.carried.is_none()
                {
                    let ops = record.machine.outstanding(side);
                    self.run(key, ops);
                }
            }
        }
    }

    /// Whether a session waits for its turn.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty() || self.has_streams_waiting()
    }

    /// Ends every session.
    pub(super) fn kill_all(&mut self, reason: CloseReason) {
        for index in 0..self.records.slots() {
            if let Some(key) = self.records.key(index) {
                self.tell(key, Event::Killed(reason));
            }
        }
    }

    pub(super) fn tell(&mut self, key: Key, event: Event) {
        let Some(record) = self.records.get_mut(key) else {
            return;
        };
        if record.carried.is_some() {
            self.depart(key, Some(event));
        } else if let Some(reason) = record.leaving() {
            self.close(key, reason, true);
        } else {
            let ops = record.machine.on(event);
            self.run(key, ops);
        }
    }

    /// Does operations, and those that their completions ask for, until all that are left would block.
    pub(super) fn run(&mut self, key: Key, ops: Ops) {
        // The operation that a completion asks for is done before any other, since received bytes lie in the scratch
        // buffer until they are sent. Each operation leads to two at most, and only a connect to two: four places.
        let mut stack = [ops.1, ops.0, None, None];
        let mut top = 2;
        let mut turn = TURN;
        while top > 0 {
            top -= 1;
            let Some(op) = stack[top].take() else { continue };
            let Some(record) = self.records.get_mut(key) else {
                return;
            };
            let event = match op {
                Op::Receive { .. } | Op::Fill { .. } if turn == 0 => {
                    self.wait_for_turn(key);
                    continue;
                }
                Op::Greet => self.greet(key),
                Op::Receive { from } => {
                    let received = self.transfer.receive(record, from, &mut self.ledger);
                    if let Flight::Scratch(bytes) = record.flights[from.index()] {
                        self.consider(key, bytes);
                    }
                    received
                }
                Op::Fill { from } => self.transfer.fill(record, from, &mut self.ledger),
                Op::Send { to } => self.transfer.send(record, to),
                Op::Drain { to } => self.transfer.drain(record, to),
                Op::Shutdown { to } => {
                    if record.is_sealed(to) {
                        sealed::end(record, to);
                    } else if let Some(port) = record.port(to) {
                        sockets::end_stream(&port.socket);
                    }
                    None
                }
                Op::Connect(attempt) => self.connect(key, attempt),
                Op::Close { reason, reset } => {
                    self.close(key, reason, reset);
                    return;
                }
            };
            turn = turn.saturating_sub(1);
            let Some(record) = self.records.get_mut(key) else {
                return;
            };
            let Some(event) = event else {
                // What TLS has opened so far is no whole record, and the socket holds more.
                if let Op::Receive { from } = op
                    && record.port(from).is_some_and(|port| port.ready.any(Ready::READABLE))
                {
                    self.wait_for_turn(key);
                }
                if let Op::Send { to: Side::Client } | Op::Drain { to: Side::Client } = op {
                    self.watch_room(key);
                }
                continue;
            };
            let next = match (op, event) {
                (Op::Send { .. } | Op::Drain { .. }, Event::Reset { side }) => after_failed_send(record, side),
                (_, event) => record.machine.on(event),
            };
            for op in [next.1, next.0] {
                stack[top] = op;
                top += usize::from(op.is_some());
            }
        }
    }

    /// Puts a session among those that have used up their turn.
    fn wait_for_turn(&mut self, key: Key) {
        if let Some(record) = self.records.get_mut(key)
            && !record.queued
        {
            record.queued = true;
            self.waiting.push_back(key);
        }
    }

    /// Begins an attempt.
    fn connect(&mut self, key: Key, attempt: Attempt) -> Option<Event> {
        let record = self.records.get_mut(key)?;
        let dial = record.dial.as_mut()?;
        dial.attempt = attempt;
        let hash = dial.hash;
        let reach = dial.lane.endpoint(attempt, &self.shared.timeouts)?;
        let address = reach.tally.address;
        if record.account.tries == 0 {
            record.account.place = dial.lane.place(hash, self.ledger.generation);
        }
        self.ledger.dialing(&mut record.account, reach.tally, attempt);
        record.terms = reach.terms;
        let tuning = record.terms.tuning;
        self.time_dial(key);
        let source = self.shared.sources.choose(address, hash, attempt.sources_tried);
        let token = Token::Session(key, Side::Endpoint);
        let socket = self.reserve.socket(address).and_then(|socket| {
            tuning.tune(&socket)?;
            sockets::connect(&socket, address, source)?;
            epoll::add(&*self.epoll, &socket, EventData::new_u64(token.encode()), EVENTS)?;
            Ok(socket)
        });
        match socket {
            Ok(socket) => {
                let record = self.records.get_mut(key)?;
                record.endpoint = Some(Port::endpoint(socket));
                self.dialed += 1;
                self.ledger.port_taken(&record.account);
                None
            }
            Err(errno) => self.dial_failed(key, errno),
        }
    }

    /// The endpoint's socket has something to say while it is dialed.
    fn dialed(&mut self, key: Key, event: EventFlags) {
        let Some(record) = self.records.get_mut(key) else {
            return;
        };
        if record.is_sealed(Side::Endpoint) {
            let event = self.secure(key);
            return self.tell_if(key, event);
        }
        let Some(port) = &mut record.endpoint else { return };
        let lost = event.intersects(EventFlags::ERR | EventFlags::HUP);
        let event = match lost.then(|| sockets::take_error(&port.socket)).flatten() {
            // Accepted, and reset since (before, it would be a refusal): what it sent first is still relayed.
            Some(Errno::CONNRESET | Errno::PIPE) => {
                port.ready.set(Ready::BROKEN);
                self.reached(key)
            }
            Some(errno) => self.dial_failed(key, errno),
            None if event.contains(EventFlags::OUT) => self.reached(key),
            None => None,
        };
        self.tell_if(key, event);
    }

    fn tell_if(&mut self, key: Key, event: Option<Event>) {
        if let Some(event) = event {
            self.tell(key, event);
        }
    }

    /// An endpoint accepted, and where TLS goes on to it, the handshake is done.
    pub(super) fn connected(&mut self, key: Key) -> Option<Event> {
        let now = self.ledger.now;
        let record = self.records.get_mut(key)?;
        record.dial = None;
        if let (Some(held), Some(endpoint)) = (&mut record.held, &record.account.endpoint) {
            held.settle(endpoint.address, record.account.tries > 1, now);
        }
        if let Some(tls) = &mut record.tls {
            tls.stage = Stage::Settled;
        }
        let greeted = matches!(record.flights[Side::Client.index()], Flight::Kept(_));
        let sockets = Sockets {
            client: &record.client.socket,
            endpoint: record.endpoint.as_ref().map(|port| &port.socket),
            hello: record.tls.as_ref().and_then(|tls| tls.hello.as_ref()),
        };
        self.ledger.connected(&mut record.account, sockets);
        self.tell_opened(key);
        self.time_relay(key);
        self.consider(key, 0);
        Some(Event::Connected { greeted })
    }

    /// An attempt failed: what to try next.
    pub(super) fn dial_failed(&mut self, key: Key, errno: Errno) -> Option<Event> {
        self.attempt_failed(key, sockets::connect_failure(errno), Some(errno))
    }

    /// An attempt failed, whoever says so: what to try next.
    pub(super) fn attempt_failed(&mut self, key: Key, failure: ConnectFailure, errno: Option<Errno>) -> Option<Event> {
        let record = self.records.get_mut(key)?;
        record.renew();
        let dial = record.dial.as_ref()?;
        let sources = &self.shared.sources;
        let next = dial
            .lane
            .next(dial.hash, dial.attempt, failure, sources, self.shared.config.max_tries);
        if record.endpoint.take().is_some() {
            self.dialed -= 1;
            self.ledger.port_freed(&record.account);
        }
        if let Some(tls) = &mut record.tls {
            tls.streams[Side::Endpoint.index()] = None;
        }
        self.ledger.dial_failed(&mut record.account, failure, errno);
        Some(Event::ConnectFailed {
            next,
            reason: failure.reason(),
        })
    }

    pub(super) fn close(&mut self, key: Key, reason: CloseReason, reset: bool) {
        if !reset && self.lingers(key, reason) {
            return;
        }
        self.tell_closed(key, reason);
        self.wheel.disarm(&mut self.records, key.index);
        let Some(record) = self.records.remove(key) else { return };
        if let Some(held) = record.unrouted() {
            self.shared.buffers.give(held);
            self.ledger.unrouted(&record.account);
        }
        let sockets = record.sockets();
        if reset {
            sockets::reset_on_close(sockets.client);
            if let Some(endpoint) = sockets.endpoint {
                sockets::reset_on_close(endpoint);
            }
        }
        self.ledger.close(&record.account, reason, sockets);
        if record.endpoint.is_some() {
            self.dialed -= 1;
            self.ledger.port_freed(&record.account);
        }
        for flight in record.flights {
            self.transfer.abandon(flight);
        }
        self.gone();
    }

    fn gone(&self) {
        self.shared.session_over();
    }
}

/// What follows a send that failed. The reset that its receiver sent may have overtaken the receiver's last bytes: those
/// are received first, as far as they can be passed on at once.
fn after_failed_send(record: &mut Record, side: Side) -> Ops {
    if let Some(receive) = record.machine.outstanding(side).0
        && let Some(port) = record.port(side)
        && !port.ready.any(Ready::BROKEN)
    {
        port.ready.set(Ready::BROKEN);
        port.ready.set(Ready::READABLE);
        return Ops(Some(receive), None);
    }
    record.machine.on(Event::Reset { side })
}
