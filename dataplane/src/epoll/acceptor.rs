//! The listening sockets of one thread.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use guideway_model::Plan;
use guideway_model::node::SocketKey;
use guideway_model::plan::Listener;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;

use crate::core::time::Micros;
use crate::epoll::sessions::Sessions;
use crate::epoll::token::Token;
use crate::lane::Lane;
use crate::shared::Shared;
use crate::sockets;

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
    lane: Rc<Lane>,
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

    /// A listening socket has connections waiting.
    pub(super) fn accept(&mut self, place: u32, sessions: &mut Sessions) {
        let Some(Some(acceptor)) = self.places.get(place as usize) else {
            return;
        };
        let pauses = match take(&self.shared, acceptor, BATCH, sessions) {
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
        for place in 0..self.places.len() {
            let Some(Some(acceptor)) = self.places.get_mut(place) else {
                continue;
            };
            match listener(plan, acceptor.key) {
                Some(listener) => acceptor.lane = Lane::of(listener, plan.seed, Some(&acceptor.lane)),
                None => self.close(place, sessions),
            }
        }
        self.plan = Some(Arc::clone(plan));
    }

    /// Accepts on these sockets from here on.
    pub(super) fn listen(&mut self, key: SocketKey, sockets: Vec<OwnedFd>) {
        let Some(plan) = &self.plan else { return };
        let Some(listener) = listener(plan, key) else { return };
        let lane = Lane::of(listener, plan.seed, None);
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
            let acceptor = Some(Acceptor {
                key,
                socket,
                lane: Rc::clone(&lane),
            });
            match self.places.get_mut(free) {
                Some(place) => *place = acceptor,
                None => self.places.push(acceptor),
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

/// Takes connections until the queue is empty, `most` are taken, or something runs out.
fn take(shared: &Shared, acceptor: &Acceptor, most: usize, sessions: &mut Sessions) -> Taken {
    for _ in 0..most {
        if !sessions.has_spare() {
            return Taken::Shortage;
        }
        if shared.sessions.fetch_add(1, Ordering::AcqRel) >= shared.capacity.load(Ordering::Relaxed) {
            shared.sessions.fetch_sub(1, Ordering::AcqRel);
            return Taken::Full;
        }
        let errno = match sockets::accept(&acceptor.socket) {
            Ok((socket, client)) => {
                sessions.admit(&acceptor.lane, socket, client);
                continue;
            }
            Err(errno) => errno,
        };
        shared.sessions.fetch_sub(1, Ordering::AcqRel);
        match errno {
            Errno::AGAIN => return Taken::Empty,
            Errno::INTR => {}
            errno => {
                shared.metrics.accept_error(errno);
                if sockets::is_shortage(errno) {
                    return Taken::Shortage;
                }
            }
        }
    }
    Taken::Batch
}

fn listener(plan: &Plan, key: SocketKey) -> Option<&Listener> {
    let place = plan
        .listeners
        .binary_search_by_key(&key, |listener| listener.socket)
        .ok()?;
    plan.listeners.get(place)
}
