//! The flow machine: what a datagram, an error, a plan or the passing of time means for one UDP flow.
//!
//! ```text
//!             third Error in a row ┌────────┐
//!            ┌────────────────────▶│ Silent │── Datagram ─▶ Choose(Next)      the shell closes the flow with
//!            │ ◀─── Reply, Kept ───└────────┘                                 endpoint_gone and opens another
//!      ┌───────────┐                   │ Removed                              for the same client; or answers
//! ────▶│ Answering │                   ▼                                      Kept where there is no other
//!      └───────────┘── Removed ───▶┌─────────┐── Datagram ─▶ Choose(Anew)     endpoint
//!            ▲ ◀────── Restored ───│ Removed │
//!            │                     └─────────┘
//!            └─ Datagram ─▶ Forward, Reply ─▶ Deliver
//!
//!  every state: Unserved ─▶ Close(listener_closed), Killed(reason) ─▶ Close(reason), last Reply ─▶ DeliverLast
//! ```
//!
//! A flow never moves: the endpoint that it was opened with is the one that it ends with. What moves is the client,
//! from a flow that lost its endpoint to a new one.

use std::time::Duration;

use guideway_model::plan::UdpSettings;

use crate::core::reason::CloseReason;
use crate::core::time::Micros;

/// Errors in a row, with no reply between them, after which an endpoint counts as silent.
pub const ERRORS_LIMIT: u8 = 3;

/// How a flow ends, from the settings of its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// It is closed after this long without a datagram either way.
    pub idle: Duration,
    /// Replies for each datagram of the client after which it is closed; 0 is not limited.
    pub replies: u32,
    /// No reply is expected, so errors say nothing about the endpoint.
    pub one_way: bool,
}

impl Terms {
    /// The terms that `settings` make; `idle` is the node's.
    pub fn new(settings: &UdpSettings, idle: Duration) -> Terms {
        Terms {
            idle: settings.idle_timeout.unwrap_or(idle),
            replies: settings.expected_replies.unwrap_or(0),
            one_way: settings.one_way,
        }
    }
}

/// Where a flow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its endpoint takes datagrams.
    Answering {
        /// Errors since the last reply.
        errors: u8,
    },
    /// Its endpoint refused too often: the next datagram goes elsewhere.
    Silent,
    /// Its endpoint is no longer in the pool: the next datagram goes elsewhere. Late replies are delivered.
    Removed,
}

/// What happens to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The client sent this many datagrams.
    Datagrams(u32),
    /// The endpoint sent this many.
    Replies(u32),
    /// The endpoint, or a router before it, refused a datagram (ICMP).
    Error,
    /// The pool has the endpoint no more.
    Removed,
    /// The pool has it, or has it again.
    Restored,
    /// There is no other endpoint to go to.
    Kept,
    /// The listener or the route is gone.
    Unserved,
    /// The data plane ends the flow.
    Killed(CloseReason),
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Nothing,
    /// Pass the datagrams to the endpoint.
    Forward,
    /// Pass the replies to the client.
    Deliver,
    /// Pass the replies to the client and close the flow with `replies_done`.
    DeliverLast,
    /// Close the flow with `endpoint_gone`, open another for its client and pass the datagrams there.
    Choose(Choice),
    /// Close the flow.
    Close(CloseReason),
}

/// Where to begin to look for another endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// With the first of the flow.
    Anew,
    /// With the next distinct one along the table.
    Next,
}

/// What a flow's timer means when it fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Nothing came for too long.
    Idle,
    /// Nothing yet: arm again.
    Later(Micros),
}

/// The machine of one flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    state: State,
    terms: Terms,
    touched: Micros,
    datagrams: [u64; 2],
}

impl Flow {
    /// A flow whose endpoint was just chosen.
    pub fn open(terms: Terms, now: Micros) -> Flow {
        Flow {
            state: State::Answering { errors: 0 },
            terms,
            touched: now,
            datagrams: [0; 2],
        }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Datagrams taken from the client, and from the endpoint.
    pub fn datagrams(&self) -> [u64; 2] {
        self.datagrams
    }

    /// When a datagram last came, either way.
    pub fn touched(&self) -> Micros {
        self.touched
    }

    /// The terms of a newer plan. Gives whether the flow may now end earlier than its timer was armed for.
    pub fn set_terms(&mut self, terms: Terms) -> bool {
        let earlier = terms.idle < self.terms.idle;
        self.terms = terms;
        earlier
    }

    /// Takes an event and answers with what to do.
    pub fn on(&mut self, event: Event, now: Micros) -> Step {
        match (event, self.state) {
            (Event::Datagrams(count), State::Answering { .. }) => {
                self.touched = now;
                self.datagrams[0] += u64::from(count);
                Step::Forward
            }
            (Event::Datagrams(_), State::Silent) => Step::Choose(Choice::Next),
            (Event::Datagrams(_), State::Removed) => Step::Choose(Choice::Anew),
            (Event::Replies(count), State::Answering { .. } | State::Silent) => {
                self.state = State::Answering { errors: 0 };
                self.replied(count, now)
            }
            (Event::Replies(count), State::Removed) => self.replied(count, now),
            (Event::Error, State::Answering { errors }) => {
                if !self.terms.one_way {
                    let errors = errors + 1;
                    self.state = if errors < ERRORS_LIMIT {
                        State::Answering { errors }
                    } else {
                        State::Silent
                    };
                }
                Step::Nothing
            }
            (Event::Error, State::Silent | State::Removed) => Step::Nothing,
            (Event::Removed, State::Answering { .. } | State::Silent | State::Removed) => {
                self.state = State::Removed;
                Step::Nothing
            }
            (Event::Restored, State::Removed) | (Event::Kept, State::Silent | State::Removed) => {
                self.state = State::Answering { errors: 0 };
                Step::Nothing
            }
            (Event::Restored, State::Answering { .. } | State::Silent) | (Event::Kept, State::Answering { .. }) => {
                Step::Nothing
            }
            (Event::Unserved, State::Answering { .. } | State::Silent | State::Removed) => {
                Step::Close(CloseReason::ListenerClosed)
            }
            (Event::Killed(reason), State::Answering { .. } | State::Silent | State::Removed) => Step::Close(reason),
        }
    }

    /// What the timer means at `now`.
    pub fn expiry(&self, now: Micros) -> Expiry {
        let deadline = self.deadline();
        if now >= deadline {
            Expiry::Idle
        } else {
            Expiry::Later(deadline)
        }
    }

    /// When the flow is idle if nothing comes.
    pub fn deadline(&self) -> Micros {
        self.touched.after(self.terms.idle)
    }

    /// Replies are counted against the datagrams of the client: resolvers ask for A and AAAA from one port.
    fn replied(&mut self, count: u32, now: Micros) -> Step {
        self.touched = now;
        self.datagrams[1] += u64::from(count);
        let expected = self.datagrams[0].saturating_mul(u64::from(self.terms.replies));
        if expected > 0 && self.datagrams[1] >= expected {
            Step::DeliverLast
        } else {
            Step::Deliver
        }
    }
}

#[cfg(test)]
mod tests;
