//! The session machine: which operation comes next, given what has completed.
//!
//! ```text
//!   greet ──▶ Greeting ── Refused, Ended, Reset, Killed ─▶ Closed
//!                │ Greeted
//!                │ ConnectFailed, another endpoint              each half, from one side to the other:
//!                │  ┌──────┐                                         Received          Filled
//!                ▼  ▼      │                               Receiving ────▶ Sending   Filling ────▶ Draining
//!   start ──▶ Dialing ─────┘                                   ▲  ◀──────────┘ │ bulk  ▲ ◀───────────┘ │
//!                │ Connected                                   │     Sent      └───────┤    Drained    │
//!                ▼                                             ◀── Unspliced ──────────┘               │
//!            Relaying (two halves) ── both Ended ─▶ Closed     ◀────────────── Drained, no longer bulk ┘
//!                └── Reset, Idle, Killed ─────────▶ Closed     Receiving, Filling ── Ended ──▶ Ended
//! ```
//!
//! A session of a TLS port begins with a greeting: what the client says first tells where it goes. Where TLS ends at this
//! node, the greeting is the whole handshake, `Connect` includes the handshake with the endpoint, and the bytes that are
//! received and sent are those inside.
//!
//! The machine asks for operations ([`Op`]) and is handed completions ([`Event`]). It holds no descriptor and no
//! bytes and never learns what carries it:
//!
//! - A readiness driver tries each operation at once. One that would block simply stays outstanding, and the driver
//!   asks [`Session::outstanding`] what to try again when the socket becomes ready.
//! - A completion driver submits each operation and hands over its completion. Bytes that a multishot receive brings
//!   before they are asked for wait in the driver, and complete the next `Receive` at once; so do the bytes of a send
//!   that was linked to the connect.
//!
//! An operation is complete when all of its bytes are gone: what a short send leaves over is the driver's to repeat.

use crate::core::expiry::{Expiry, Moments, Phase, Timeouts};
use crate::core::reason::CloseReason;
use crate::core::selection::Attempt;
use crate::core::time::Micros;

/// One of the two connections of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Accepted from the client.
    Client,
    /// Made to the endpoint.
    Endpoint,
}

impl Side {
    /// Both, in the order of their indexes.
    pub const BOTH: [Side; 2] = [Side::Client, Side::Endpoint];

    /// The one across.
    pub const fn other(self) -> Side {
        match self {
            Side::Client => Side::Endpoint,
            Side::Endpoint => Side::Client,
        }
    }

    /// 0 or 1, for arrays of two.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// What the machine asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Hear what the client says first, as far as it decides where the session goes; completes with `Greeted`, `Refused`,
    /// `Ended` or `Reset`.
    Greet,
    /// Connect to an endpoint; completes with `Connected` or `ConnectFailed`.
    Connect(Attempt),
    /// Receive bytes from a side; completes with `Received`, `Ended` or `Reset`.
    Receive {
        /// The sender.
        from: Side,
    },
    /// Send the bytes received from the other side; completes with `Sent` or `Reset`.
    Send {
        /// The receiver.
        to: Side,
    },
    /// Splice bytes from a side into a pipe; completes with `Filled`, `Unspliced` or `Reset`.
    Fill {
        /// The sender.
        from: Side,
    },
    /// Splice the pipe's bytes to a side; completes with `Drained` or `Reset`.
    Drain {
        /// The receiver.
        to: Side,
    },
    /// Pass the end of the stream on; has no completion.
    Shutdown {
        /// The receiver.
        to: Side,
    },
    /// Close both connections and free the session; has no completion.
    Close {
        /// Why.
        reason: CloseReason,
        /// Reset what is still open: the stream did not end in order, and a FIN would say that it did.
        reset: bool,
    },
}

/// What the machine is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The client has said where it wants to go.
    Greeted(Attempt),
    /// What the client said leads nowhere, or took too long.
    Refused {
        /// Why.
        reason: CloseReason,
        /// It was told so: its connection ends in order.
        told: bool,
    },
    /// The endpoint accepted the connection.
    Connected {
        /// Bytes of the greeting wait to be sent to it.
        greeted: bool,
    },
    /// It did not, or not in time.
    ConnectFailed {
        /// What to try next; `None` ends the session.
        next: Option<Attempt>,
        /// The reason if it ends.
        reason: CloseReason,
    },
    /// Bytes are here.
    Received {
        /// The sender.
        from: Side,
        /// So many at once that splicing pays.
        bulk: bool,
    },
    /// All of them are sent.
    Sent {
        /// The receiver.
        to: Side,
    },
    /// Bytes are in the pipe.
    Filled {
        /// The sender.
        from: Side,
        /// So many at once that splicing still pays.
        bulk: bool,
    },
    /// All of them are out.
    Drained {
        /// The receiver.
        to: Side,
    },
    /// No pipe can be had, or the splice ended with nothing, which may be an end or a reset: receive decides.
    Unspliced {
        /// The sender.
        from: Side,
    },
    /// The side sent its FIN, and every byte before it has been received.
    Ended {
        /// Which.
        side: Side,
    },
    /// The side was reset or lost. May come without an operation outstanding on it.
    Reset {
        /// Which.
        side: Side,
    },
    /// No byte moved for the idle timeout.
    Idle,
    /// The data plane ends the session.
    Killed(CloseReason),
}

/// Up to two operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ops(pub Option<Op>, pub Option<Op>);

impl Ops {
    /// Nothing to do.
    pub const NONE: Ops = Ops(None, None);

    const fn one(op: Op) -> Ops {
        Ops(Some(op), None)
    }
}

/// What one half does: it carries bytes from its side to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// `Receive` is outstanding.
    Receiving,
    /// `Send` is outstanding.
    Sending {
        /// Splice next.
        bulk: bool,
    },
    /// `Fill` is outstanding.
    Filling,
    /// `Drain` is outstanding.
    Draining {
        /// Splice on.
        bulk: bool,
    },
    /// The side ended; the end was passed on.
    Ended,
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// `Greet` is outstanding.
    Greeting,
    /// `Connect` is outstanding.
    Dialing,
    /// Bytes flow.
    Relaying {
        /// From the client, from the endpoint.
        halves: [Half; 2],
        /// Whose end came first.
        first_end: Option<Side>,
    },
    /// `Close` was asked for.
    Closed,
}

/// The machine of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    state: State,
}

impl Session {
    /// A session that was admitted and dials its first endpoint.
    pub fn start(attempt: Attempt) -> (Session, Ops) {
        let session = Session { state: State::Dialing };
        (session, Ops::one(Op::Connect(attempt)))
    }

    /// A session that was admitted and goes where its client's greeting says.
    pub fn greet() -> (Session, Ops) {
        let session = Session { state: State::Greeting };
        (session, Ops::one(Op::Greet))
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Takes a completion and answers with what to do next. A completion that the state does not wait for (of an
    /// operation overtaken by a close) changes nothing.
    pub fn on(&mut self, event: Event) -> Ops {
        match self.state {
            State::Greeting => self.on_greeting(event),
            State::Dialing => self.on_dialing(event),
            State::Relaying { halves, first_end } => self.on_relaying(halves, first_end, event),
            State::Closed => Ops::NONE,
        }
    }

    /// The operations outstanding on a side: at most one that takes bytes from it and one that gives bytes to it.
    pub fn outstanding(&self, side: Side) -> Ops {
        match self.state {
            State::Greeting if side == Side::Client => Ops::one(Op::Greet),
            State::Greeting | State::Dialing | State::Closed => Ops::NONE,
            State::Relaying { halves, .. } => Ops(
                match halves[side.index()] {
                    Half::Receiving => Some(Op::Receive { from: side }),
                    Half::Filling => Some(Op::Fill { from: side }),
                    Half::Sending { .. } | Half::Draining { .. } | Half::Ended => None,
                },
                match halves[side.other().index()] {
                    Half::Sending { .. } => Some(Op::Send { to: side }),
                    Half::Draining { .. } => Some(Op::Drain { to: side }),
                    Half::Receiving | Half::Filling | Half::Ended => None,
                },
            ),
        }
    }

    /// What the timer means at `now`.
    pub fn expiry(&self, timeouts: &Timeouts, moments: &Moments, now: Micros) -> Expiry {
        let phase = match self.state {
            State::Greeting => Phase::Greeting,
            State::Dialing => Phase::Dialing,
            State::Relaying { .. } | State::Closed => Phase::Relaying,
        };
        timeouts.expiry(phase, moments, now)
    }

    fn on_greeting(&mut self, event: Event) -> Ops {
        match event {
            Event::Greeted(attempt) => {
                self.state = State::Dialing;
                Ops::one(Op::Connect(attempt))
            }
            Event::Refused { reason, told: true } => self.finish(reason),
            Event::Refused { reason, told: false } => self.abort(reason),
            Event::Ended { side: Side::Client } => self.finish(CloseReason::ClientFin),
            Event::Reset { side: Side::Client } => self.abort(CloseReason::ClientRst),
            Event::Killed(reason) => self.abort(reason),
            Event::Connected { .. }
            | Event::ConnectFailed { .. }
            | Event::Received { .. }
            | Event::Sent { .. }
            | Event::Filled { .. }
            | Event::Drained { .. }
            | Event::Unspliced { .. }
            | Event::Ended { side: Side::Endpoint }
            | Event::Reset { side: Side::Endpoint }
            | Event::Idle => Ops::NONE,
        }
    }

    fn on_dialing(&mut self, event: Event) -> Ops {
        match event {
            Event::Connected { greeted } => {
                let client = if greeted {
                    Half::Sending { bulk: false }
                } else {
                    Half::Receiving
                };
                self.state = State::Relaying {
                    halves: [client, Half::Receiving],
                    first_end: None,
                };
                // The endpoint first: it may have said its last words already, and a send to it would cut them off.
                Ops(
                    Some(Op::Receive { from: Side::Endpoint }),
                    client.operation(Side::Client),
                )
            }
            Event::ConnectFailed { next: Some(next), .. } => Ops::one(Op::Connect(next)),
            Event::ConnectFailed { next: None, reason } => self.abort(reason),
            Event::Reset { side: Side::Client } => self.abort(CloseReason::ClientRst),
            Event::Killed(reason) => self.abort(reason),
            Event::Greeted(_)
            | Event::Refused { .. }
            | Event::Received { .. }
            | Event::Sent { .. }
            | Event::Filled { .. }
            | Event::Drained { .. }
            | Event::Unspliced { .. }
            | Event::Ended { .. }
            | Event::Reset { side: Side::Endpoint }
            | Event::Idle => Ops::NONE,
        }
    }

    fn on_relaying(&mut self, halves: [Half; 2], first_end: Option<Side>, event: Event) -> Ops {
        match event {
            Event::Received { from, bulk } => self.step(from, HalfEvent::Received { bulk }),
            Event::Sent { to } => self.step(to.other(), HalfEvent::Sent),
            Event::Filled { from, bulk } => self.step(from, HalfEvent::Filled { bulk }),
            Event::Drained { to } => self.step(to.other(), HalfEvent::Drained),
            Event::Unspliced { from } => self.step(from, HalfEvent::Unspliced),
            Event::Ended { side } => self.end(halves, first_end, side),
            Event::Reset { side: Side::Client } => self.abort(CloseReason::ClientRst),
            Event::Reset { side: Side::Endpoint } => self.abort(CloseReason::BackendRst),
            Event::Idle => self.abort(CloseReason::IdleTimeout),
            Event::Killed(reason) => self.abort(reason),
            Event::Greeted(_) | Event::Refused { .. } | Event::Connected { .. } | Event::ConnectFailed { .. } => {
                Ops::NONE
            }
        }
    }

    fn step(&mut self, from: Side, event: HalfEvent) -> Ops {
        let State::Relaying { halves, .. } = &mut self.state else {
            return Ops::NONE;
        };
        let half = &mut halves[from.index()];
        match half.on(event) {
            Some(next) => {
                *half = next;
                Ops(next.operation(from), None)
            }
            None => Ops::NONE,
        }
    }

    fn end(&mut self, mut halves: [Half; 2], first_end: Option<Side>, side: Side) -> Ops {
        match halves[side.index()] {
            Half::Receiving | Half::Filling => {}
            Half::Sending { .. } | Half::Draining { .. } | Half::Ended => return Ops::NONE,
        }
        halves[side.index()] = Half::Ended;
        let first = first_end.unwrap_or(side);
        if halves[side.other().index()] == Half::Ended {
            return self.finish(match first {
                Side::Client => CloseReason::ClientFin,
                Side::Endpoint => CloseReason::BackendFin,
            });
        }
        self.state = State::Relaying {
            halves,
            first_end: Some(first),
        };
        Ops::one(Op::Shutdown { to: side.other() })
    }

    fn finish(&mut self, reason: CloseReason) -> Ops {
        self.state = State::Closed;
        Ops::one(Op::Close { reason, reset: false })
    }

    fn abort(&mut self, reason: CloseReason) -> Ops {
        self.state = State::Closed;
        Ops::one(Op::Close { reason, reset: true })
    }
}

/// What happens to one half.
#[derive(Clone, Copy)]
enum HalfEvent {
    Received { bulk: bool },
    Sent,
    Filled { bulk: bool },
    Drained,
    Unspliced,
}

impl Half {
    /// The next state; `None` if this one does not wait for the event.
    fn on(self, event: HalfEvent) -> Option<Half> {
        match (self, event) {
            (Half::Receiving, HalfEvent::Received { bulk }) => Some(Half::Sending { bulk }),
            (Half::Filling, HalfEvent::Filled { bulk }) => Some(Half::Draining { bulk }),
            (Half::Filling, HalfEvent::Unspliced) => Some(Half::Receiving),
            (Half::Sending { bulk: true }, HalfEvent::Sent) => Some(Half::Filling),
            (Half::Sending { bulk: false }, HalfEvent::Sent) => Some(Half::Receiving),
            (Half::Draining { bulk: true }, HalfEvent::Drained) => Some(Half::Filling),
            (Half::Draining { bulk: false }, HalfEvent::Drained) => Some(Half::Receiving),
            (
                Half::Receiving,
                HalfEvent::Sent | HalfEvent::Filled { .. } | HalfEvent::Drained | HalfEvent::Unspliced,
            )
            | (
                Half::Sending { .. },
                HalfEvent::Received { .. } | HalfEvent::Filled { .. } | HalfEvent::Drained | HalfEvent::Unspliced,
            )
            | (Half::Filling, HalfEvent::Received { .. } | HalfEvent::Sent | HalfEvent::Drained)
            | (
                Half::Draining { .. },
                HalfEvent::Received { .. } | HalfEvent::Sent | HalfEvent::Filled { .. } | HalfEvent::Unspliced,
            )
            | (
                Half::Ended,
                HalfEvent::Received { .. }
                | HalfEvent::Sent
                | HalfEvent::Filled { .. }
                | HalfEvent::Drained
                | HalfEvent::Unspliced,
            ) => None,
        }
    }

    /// The operation that this state of the half from `from` waits for.
    fn operation(self, from: Side) -> Option<Op> {
        match self {
            Half::Receiving => Some(Op::Receive { from }),
            Half::Sending { .. } => Some(Op::Send { to: from.other() }),
            Half::Filling => Some(Op::Fill { from }),
            Half::Draining { .. } => Some(Op::Drain { to: from.other() }),
            Half::Ended => None,
        }
    }
}

#[cfg(test)]
mod tests;
