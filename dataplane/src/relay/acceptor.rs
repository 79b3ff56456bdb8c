//! The listening sockets of one thread.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use guideway_model::Plan;
use guideway_model::node::SocketKey;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;

use crate::core::time::Micros;
use crate::relay::service::Service;
use crate::relay::sessions::Sessions;
use crate::relay::token::Token;
use crate::shared::{Admission, Shared};
use crate::sockets;
use crate::sockets::tuning::Tuning;

/// Connections taken from one socket before others have their turn.
const BATCH: usize = 64;
/// How long a socket is left alone when there are no descriptors, or no sessions to be had.
const PAUSE: Duration = Duration::from_millis(50);

/// The listening sockets of one thread.
#[derive(Debug)]
pub(super) struct Acceptors {
    shared: Arc<Shared>,
    epoll: Arc<OwnedFd>,
    plan: Option<Arc<Plan>>,
    /// A place keeps its number while its socket is open.
    places: Vec<Option<Acceptor>>,
    /// Places left alone until a time, the earliest first.
    paused: Vec<(u32, Micros)>,
}

#[derive(Debug)]
struct Acceptor {
    key: SocketKey,
    socket: OwnedFd,
    service: Service,
    /// Connections that are likely to wait at one event; see [`Acceptors::accept`].
    expected: usize,
}

impl Acceptor {
    /// Gives the socket what its clients are to inherit, if that is something else than `previous`.
    fn tune(&self, previous: Tuning) {
        let tuning = self.service.client_tuning();
        if tuning != previous
            && let Err(errno) = tuning.retune(&self.socket, sockets::local_address(&self.socket))
        {
            tracing::error!(%errno, "keepalive and user timeout cannot be set; new clients of this listener go without");
        }
    }
}

/// What taking connections came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// The queue is empty.
    Empty,
    /// The batch is full; the queue may hold more.
    Batch,
    /// No descriptor or memory.
    Shortage,
    /// No session.
    Full,
}

impl Acceptors {
    pub(super) fn new(shared: &Arc<Shared>, epoll: Arc<OwnedFd>) -> Acceptors {
        Acceptors {
            shared: Arc::clone(shared),
            epoll,
            plan: None,
            places: Vec::new(),
            paused: Vec::new(),
        }
    }

    /// A listening socket has connections waiting. Only as many are taken as are likely to be there, since the call that
    /// finds none costs as much as one that does; what is left over shows at the next wait.
    pub(super) fn accept(&mut self, place: u32, sessions: &mut Sessions) {
        let Some(Some(acceptor)) = self.places.get_mut(place as usize) else {
            return;
        };
        let (taken, count) = take(&self.shared, acceptor, acceptor.expected, sessions);
        acceptor.expected = match taken {
            Taken::Batch => (acceptor.expected * 2).min(BATCH),
            Taken::Empty | Taken::Shortage | Taken::Full => count.max(1),
        };
        let pauses = match taken {
            Taken::Empty | Taken::Batch => return,
            Taken::Shortage => &self.shared.metrics.pauses_shortage,
            Taken::Full => &self.shared.metrics.pauses_sessions,
        };
        pauses.increment(1);
        self.watch(place, EventFlags::empty());
        self.paused.push((place, sessions.ledger.now.after(PAUSE)));
    }

    /// Watches sockets again whose pause is over.
    pub(super) fn resume(&mut self, now: Micros) {
        let over = self.paused.iter().take_while(|(_, until)| *until <= now).count();
        for (place, _) in self.paused.drain(..over).collect::<Vec<_>>() {
            self.watch(place, EventFlags::IN);
        }
    }

    /// When [`Acceptors::resume`] has something to do.
    pub(super) fn next_resume(&self) -> Option<Micros> {
        self.paused.first().map(|(_, until)| *until)
    }

    /// Takes a plan over: each socket learns where its sessions go now, and those without a listener are closed.
    pub(super) fn adopt(&mut self, plan: &Arc<Plan>, sessions: &mut Sessions) {
        sessions.ledger.generation = u32::try_from(plan.generation).unwrap_or(u32::MAX);
        for place in 0..self.places.len() {
            let Some(Some(acceptor)) = self.places.get_mut(place) else {
                continue;
            };
            match Service::of(plan, acceptor.key, Some(&acceptor.service), &self.shared) {
                Some(service) => {
                    let previous = acceptor.service.client_tuning();
                    acceptor.service = service;
                    acceptor.tune(previous);
                }
                None => self.close(place, sessions),
            }
        }
        self.plan = Some(Arc::clone(plan));
    }

    /// Accepts on these sockets from here on.
    pub(super) fn listen(&mut self, key: SocketKey, sockets: Vec<OwnedFd>) {
        let Some(plan) = &self.plan else { return };
        let Some(service) = Service::of(plan, key, None, &self.shared) else {
            return;
        };
        for socket in sockets {
            let free = self
                .places
                .iter()
                .position(Option::is_none)
                .unwrap_or(self.places.len());
            let Ok(place) = u32::try_from(free) else { return };
            let token = Token::Listener(place).encode();
            if let Err(errno) = epoll::add(&*self.epoll, &socket, EventData::new_u64(token), EventFlags::IN) {
                tracing::error!(%errno, "a listening socket cannot be watched; its share of clients is refused");
                continue;
            }
            let acceptor = Acceptor {
                key,
                socket,
                service: service.clone(),
                expected: 1,
            };
            acceptor.tune(Tuning::default());
            match self.places.get_mut(free) {
                Some(place) => *place = Some(acceptor),
                None => self.places.push(Some(acceptor)),
            }
        }
    }

    /// Closes every socket.
    pub(super) fn close_all(&mut self, sessions: &mut Sessions) {
        for place in 0..self.places.len() {
            self.close(place, sessions);
        }
        self.plan = None;
    }

    /// Takes what clients have already connected, then closes the socket.
    fn close(&mut self, place: usize, sessions: &mut Sessions) {
        let Some(acceptor) = self.places.get_mut(place).and_then(Option::take) else {
            return;
        };
        self.paused.retain(|(paused, _)| *paused as usize != place);
        // No more than the queue can hold: new clients must not keep a listener that is to go.
        let queue = usize::try_from(self.shared.config.backlog).unwrap_or(usize::MAX);
        take(&self.shared, &acceptor, queue, sessions);
    }

    fn watch(&self, place: u32, events: EventFlags) {
        let Some(Some(acceptor)) = self.places.get(place as usize) else {
            return;
        };
        let token = Token::Listener(place).encode();
        if let Err(errno) = epoll::modify(&*self.epoll, &acceptor.socket, EventData::new_u64(token), events) {
            tracing::error!(%errno, "a listening socket cannot be watched any more");
        }
    }
}

/// Takes connections until the queue is empty, `most` were asked for, or something runs out; with how many were taken.
fn take(shared: &Shared, acceptor: &Acceptor, most: usize, sessions: &mut Sessions) -> (Taken, usize) {
    let mut count = 0;
    for _ in 0..most {
        if !sessions.has_reserve() {
            return (Taken::Shortage, count);
        }
        match shared.session_begins() {
            Admission::Granted => {}
            Admission::Shortage => return (Taken::Shortage, count),
            Admission::Full => return (Taken::Full, count),
        }
        let errno = match sockets::accept(&acceptor.socket) {
            Ok((socket, client)) => {
                count += 1;
                match &acceptor.service {
                    Service::Opaque(lane) => sessions.admit(lane, socket, client),
                    Service::Tls(door) => sessions.greet_client(door, socket, client),
                }
                continue;
            }
            Err(errno) => errno,
        };
        shared.session_over();
        match errno {
            Errno::AGAIN => return (Taken::Empty, count),
            Errno::INTR => {}
            errno => {
                shared.metrics.accept_error(errno);
                if sockets::is_shortage(errno) {
                    if errno == Errno::MFILE {
                        shared.seats[sessions.seat].holds(sessions.descriptors());
                        shared.descriptors.exhausted(&shared.seats);
                    }
                    return (Taken::Shortage, count);
                }
            }
        }
    }
    (Taken::Batch, count)
}
