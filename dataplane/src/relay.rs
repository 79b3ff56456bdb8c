//! The relay threads: each around one epoll instance and, where the driver is io_uring, one ring that carries datagrams
//! and the messages of sessions that exchange many. A thread that has something in its ring waits there; the ring watches the
//! epoll instance.
//!
//! Who lives here: the threads `relay-0`, `relay-1`, ..., each of which owns its listening sockets, its sessions with
//! their sockets, its timers and its counters. A thread ends when it is ordered to, after it has closed them all. A panic
//! in one ends the process.
//!
//! Listening sockets are level-triggered. The sockets of a session are registered edge-triggered, once but for clients that
//! turn out slow; after that, what is known of their readiness is kept in the session, and a system call is made only when
//! it can be expected to do something.

mod acceptor;
mod greeting;
mod inspection;
mod parting;
mod pipe;
mod record;
mod renewal;
mod reserve;
mod rows;
mod sealed;
mod securing;
mod service;
mod sessions;
mod streams;
mod timers;
mod tls;
mod token;
mod transfer;
mod udp;

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use guideway_model::node::Protocol;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

use crate::config::Driver;
use crate::control::watchdog::AbortOnPanic;
use crate::core::reason::CloseReason;
use crate::core::time::Micros;
use crate::relay::acceptor::Acceptors;
use crate::relay::inspection::Inspections;
use crate::relay::sessions::Sessions;
use crate::relay::token::Token;
use crate::relay::udp::Flows;
use crate::ring::Ring;
use crate::shared::{Order, Seat, Shared};

/// Events taken at once.
const EVENTS: usize = 256;
/// How long the ring is waited for, at a time, when a thread ends.
const SOON: Duration = Duration::from_millis(10);
/// A thread without work still shows that it is alive this often.
const IDLE_BEAT: Duration = Duration::from_secs(1);

/// Starts the relay thread of one seat.
pub(crate) fn spawn(shared: &Arc<Shared>, seat: usize) -> std::io::Result<JoinHandle<()>> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let wake = &shared.seats[seat].wake;
    epoll::add(&epoll, wake, EventData::new_u64(Token::Wake.encode()), EventFlags::IN)?;
    let shared = Arc::clone(shared);
    std::thread::Builder::new()
        .name(format!("relay-{seat}"))
        .spawn(move || {
            let _guard = AbortOnPanic;
            RelayThread::new(shared, seat, Arc::new(epoll)).run();
        })
}

struct RelayThread {
    shared: Arc<Shared>,
    seat: usize,
    epoll: Arc<OwnedFd>,
    acceptors: Acceptors,
    sessions: Sessions,
    flows: Flows,
    inspections: Inspections,
    quiescing: bool,
    finished: bool,
}

impl RelayThread {
    fn new(shared: Arc<Shared>, seat: usize, epoll: Arc<OwnedFd>) -> RelayThread {
        let ring = ring(&shared);
        RelayThread {
            acceptors: Acceptors::new(&shared, Arc::clone(&epoll)),
            sessions: Sessions::new(&shared, seat, Arc::clone(&epoll), ring.is_some()),
            flows: Flows::new(&shared, Arc::clone(&epoll), seat, ring),
            inspections: Inspections::default(),
            shared,
            seat,
            epoll,
            quiescing: false,
            finished: false,
        }
    }

    fn run(&mut self) {
        let mut events = [const { MaybeUninit::uninit() }; EVENTS];
        while !self.finished {
            let ready = self.wait(&mut events);
            self.sessions.ledger.now = self.shared.clock.now();
            self.flows.begin_round(self.sessions.ledger.now);
            self.seat().beat();
            self.carry(ready.len());
            let mut woken = false;
            for event in ready {
                match Token::decode(event.data.u64()) {
                    Token::Session(key, side) => self.sessions.ready(key, side, event.flags),
                    Token::Listener(place) => self.acceptors.accept(place, &mut self.sessions),
                    Token::Wake => woken = true,
                    Token::Flow(key) => self.flows.reply(key, event.flags),
                    Token::Door(place) => self.flows.receive(place),
                    Token::Sent(_) | Token::Relayed(_) => {}
                }
            }
            self.flows.collect();
            self.sessions.resume();
            self.sessions.expire();
            self.acceptors.resume(self.sessions.ledger.now);
            if woken {
                self.follow_orders();
                self.flows.take_handed();
            }
            self.inspect();
            self.flows.end_round();
            self.hand_over();
            self.settle();
        }
    }

    /// Waits for something to do; gives what is ready.
    fn wait<'a>(&mut self, events: &'a mut [MaybeUninit<epoll::Event>; EVENTS]) -> &'a mut [epoll::Event] {
        let mut longest = self.longest_wait();
        if self.flows.waits_in_ring() || self.sessions.waits_in_ring() {
            if !self.flows.wait(longest) {
                return &mut [];
            }
            longest = Duration::ZERO;
        }
        let longest = Timespec::try_from(longest).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        match epoll::wait(&*self.epoll, events.as_mut_slice(), Some(&longest)) {
            Ok((ready, _)) => ready,
            Err(Errno::INTR) => &mut [],
            Err(errno) => panic!("epoll_wait failed on a descriptor that only this thread owns: {errno}"),
        }
    }

    /// Takes what the ring says of connections, in a round with so many events beside.
    fn carry(&mut self, events: usize) {
        if let Some((ring, completions)) = self.flows.ring() {
            self.sessions.begin_round(events + completions.len());
            self.sessions.carry(ring, completions);
        }
    }

    /// What the ring is to do for connections.
    fn hand_over(&mut self) {
        if let Some((ring, _)) = self.flows.ring() {
            self.sessions.hand_over(ring);
        }
    }

    /// Takes every connection back from the ring.
    fn bring_back(&mut self) {
        while self.sessions.waits_in_ring() {
            self.hand_over();
            self.flows.wait(SOON);
            self.carry(0);
        }
    }

    fn seat(&self) -> &Seat {
        &self.shared.seats[self.seat]
    }

    /// How long to wait for events.
    fn longest_wait(&self) -> Duration {
        let now = self.sessions.ledger.now;
        let deadlines: [Option<Micros>; 5] = [
            Some(now.after(IDLE_BEAT)),
            self.sessions.next_deadline(),
            self.sessions.ledger.flush_deadline(),
            self.acceptors.next_resume(),
            self.flows.next_deadline(),
        ];
        let waiting = self.sessions.has_waiting() || self.flows.has_waiting() || self.inspections.has_waiting();
        let wait = match deadlines.into_iter().flatten().min() {
            Some(deadline) if !waiting => deadline.since(now),
            Some(_) | None => Duration::ZERO,
        };
        // The kernel's timers have nanoseconds, but a thread that wakes a little early would have to wait again.
        let millis = u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
        Duration::from_millis(millis)
    }

    fn follow_orders(&mut self) {
        for order in self.seat().take_orders() {
            match order {
                Order::Plan(plan) => {
                    if !self.quiescing {
                        self.acceptors.adopt(&plan, &mut self.sessions);
                        self.flows.adopt(&plan);
                    }
                    self.seat().plan_taken();
                    self.shared.inbox.ring();
                }
                Order::Listen(socket, sockets) => {
                    if !self.quiescing {
                        match socket.protocol {
                            Protocol::Tcp => self.acceptors.listen(socket, sockets),
                            Protocol::Udp => self.flows.listen(socket, sockets),
                        }
                    }
                }
                Order::Inspect(inquiry) => self.inspections.take_in(inquiry),
                Order::Quiesce => {
                    self.quiescing = true;
                    self.acceptors.close_all(&mut self.sessions);
                    self.flows.quiesce();
                }
                Order::Finish => {
                    self.acceptors.close_all(&mut self.sessions);
                    self.sessions.kill_all(CloseReason::NodeShutdown);
                    self.bring_back();
                    self.sessions.ledger.flush();
                    self.flows.finish();
                    self.finished = true;
                }
            }
        }
    }

    /// The end of a round: counters and log lines, and word to whoever waits for the last session.
    fn settle(&mut self) {
        self.seat().holds(self.sessions.descriptors());
        self.seat().holds_for_flows(self.flows.descriptors());
        if !self.flows.is_walking() && self.seat().plan_walked() {
            self.shared.inbox.ring();
        }
        if self
            .sessions
            .ledger
            .flush_deadline()
            .is_some_and(|deadline| deadline <= self.sessions.ledger.now)
        {
            self.sessions.ledger.flush();
        }
        if self.quiescing && self.shared.sessions.load(Ordering::Acquire) == 0 {
            self.shared.inbox.ring();
        }
    }
}

/// The ring of this thread, where the driver is io_uring.
fn ring(shared: &Shared) -> Option<Ring> {
    if shared.driver.driver != Driver::IoUring {
        return None;
    }
    let ring = Ring::new().inspect_err(|error| {
        shared.metrics.rings_missing.increment(1);
        tracing::warn!(%error, "this relay thread has no io_uring; it carries everything by system calls");
    });
    ring.ok()
}

#[cfg(test)]
mod tests;
