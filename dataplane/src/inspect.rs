//! Questions about live sessions: asked by whoever looks, answered by the relay threads, a slice of their sessions each
//! round.
//!
//! Every thread that was asked has a [`Inquiry`]; what it finds goes into the [`Reply`] that all of them share, and whoever
//! asked takes it out as it comes. Nothing is kept beside the sessions themselves, so a session that no one looks at
//! costs nothing. A reply holds as many rows as there are sessions at most; one that no one waits for is not gone on with.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use guideway_model::session::{LocalSessionId, SessionDetail, SessionRow};

use crate::core::reason::CloseReason;
use crate::shared::{Order, Shared};

/// How long an answer may take; a thread that has not answered by then is counted as silent.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// What a relay thread is asked.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    /// Every session.
    List,
    /// How many sessions go to each of these.
    Count(Arc<BTreeSet<SocketAddr>>),
    /// All about one.
    Detail(LocalSessionId),
    /// Close these.
    Close(Vec<LocalSessionId>, CloseReason),
}

/// A part of an answer.
#[derive(Debug)]
pub(crate) enum Piece {
    Rows(Vec<SessionRow>),
    Counts(BTreeMap<SocketAddr, u64>),
    Detail(Box<SessionDetail>),
    Closed(usize),
}

/// A question as one thread has it. When it is dropped the thread has answered.
#[derive(Debug)]
pub(crate) struct Inquiry {
    pub(crate) question: Question,
    reply: Arc<Reply>,
    complete: bool,
}

/// What the threads have found so far.
#[derive(Debug)]
struct Reply {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    pieces: VecDeque<Piece>,
    /// Threads that have not answered.
    awaited: usize,
    /// Threads that ended before they had answered.
    broken: usize,
    /// No one waits any more.
    abandoned: bool,
}

impl Inquiry {
    /// Hands a part of the answer over; `false` if no one waits for it.
    pub(crate) fn give(&self, piece: Piece) -> bool {
        let mut state = self.reply.state();
        if !state.abandoned {
            state.pieces.push_back(piece);
            self.reply.changed.notify_one();
        }
        !state.abandoned
    }

    /// The answer is complete.
    pub(crate) fn finish(mut self) {
        self.complete = true;
    }
}

impl Drop for Inquiry {
    fn drop(&mut self) {
        let mut state = self.reply.state();
        state.awaited -= 1;
        state.broken += usize::from(!self.complete);
        self.reply.changed.notify_one();
    }
}

impl Reply {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the threads at these seats and takes in what they say; gives how many have not answered in time.
pub(crate) fn ask(shared: &Shared, questions: Vec<(usize, Question)>, mut take: impl FnMut(Piece)) -> usize {
    let reply = Arc::new(Reply {
        state: Mutex::new(State {
            awaited: questions.len(),
            ..State::default()
        }),
        changed: Condvar::new(),
    });
    for (seat, question) in questions {
        let inquiry = Inquiry {
            question,
            reply: Arc::clone(&reply),
            complete: false,
        };
        // An inquiry that no seat takes is dropped, and so answered.
        if let Some(seat) = shared.seats.get(seat) {
            seat.order(Order::Inspect(inquiry));
        }
    }
    let deadline = shared.clock.now().after(PATIENCE);
    loop {
        let mut state = reply.state();
        while state.pieces.is_empty() && state.awaited > 0 {
            let left = deadline.since(shared.clock.now());
            if left.is_zero() {
                state.abandoned = true;
                return state.awaited + state.broken;
            }
            let waited = reply.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let pieces = std::mem::take(&mut state.pieces);
        if pieces.is_empty() {
            return state.broken;
        }
        drop(state);
        pieces.into_iter().for_each(&mut take);
    }
}
