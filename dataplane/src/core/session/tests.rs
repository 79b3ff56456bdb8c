//! Every pair of state and event, against tables written out by hand.

use guideway_model::plan::Why;

use super::*;

const FIRST: Attempt = Attempt {
    entry: 4,
    first: 4,
    number: 1,
    sources_tried: 0,
    why: Why::Table,
};
const SECOND: Attempt = Attempt {
    entry: 2,
    first: 4,
    number: 2,
    sources_tried: 0,
    why: Why::Redispatch,
};

const HALVES: [Half; 7] = [
    Half::Receiving,
    Half::Sending { bulk: false },
    Half::Sending { bulk: true },
    Half::Filling,
    Half::Draining { bulk: false },
    Half::Draining { bulk: true },
    Half::Ended,
];

/// What can happen to the half that carries bytes from `from`.
fn half_events(from: Side) -> [Event; 8] {
    let to = from.other();
    [
        Event::Received { from, bulk: false },
        Event::Received { from, bulk: true },
        Event::Sent { to },
        Event::Filled { from, bulk: false },
        Event::Filled { from, bulk: true },
        Event::Drained { to },
        Event::Unspliced { from },
        Event::Ended { side: from },
    ]
}

/// What ends a session whatever its halves do, with the reason.
fn aborts() -> [(Event, CloseReason); 5] {
    [
        (Event::Reset { side: Side::Client }, CloseReason::ClientRst),
        (Event::Reset { side: Side::Endpoint }, CloseReason::BackendRst),
        (Event::Idle, CloseReason::IdleTimeout),
        (Event::Killed(CloseReason::NodeShutdown), CloseReason::NodeShutdown),
        (Event::Killed(CloseReason::Overload), CloseReason::Overload),
    ]
}

fn greeting_events() -> [Event; 3] {
    [
        Event::Greeted(SECOND),
        Event::Refused {
            reason: CloseReason::NoSniMatch,
            told: true,
        },
        Event::Refused {
            reason: CloseReason::HelloTimeout,
            told: false,
        },
    ]
}

fn dial_events() -> [Event; 4] {
    [
        Event::Connected { greeted: false },
        Event::Connected { greeted: true },
        Event::ConnectFailed {
            next: Some(SECOND),
            reason: CloseReason::ConnectFailed,
        },
        Event::ConnectFailed {
            next: None,
            reason: CloseReason::ConnectFailed,
        },
    ]
}

fn every_event() -> Vec<Event> {
    let mut events: Vec<Event> = Side::BOTH.into_iter().flat_map(half_events).collect();
    events.extend(aborts().map(|(event, _)| event));
    events.extend(dial_events());
    events.extend(greeting_events());
    events
}

fn relaying(client: Half, endpoint: Half, first_end: Option<Side>) -> Session {
    Session {
        state: State::Relaying {
            halves: [client, endpoint],
            first_end,
        },
    }
}

fn close(reason: CloseReason, reset: bool) -> Ops {
    Ops(Some(Op::Close { reason, reset }), None)
}

#[test]
fn a_session_starts_by_dialing() {
    let (session, ops) = Session::start(FIRST);
    assert_eq!(session.state(), State::Dialing);
    assert_eq!(ops, Ops(Some(Op::Connect(FIRST)), None));
}

#[test]
fn greeting() {
    for event in every_event() {
        let (mut session, ops) = Session::greet();
        assert_eq!(ops, Ops(Some(Op::Greet), None));
        let (state, ops) = match event {
            Event::Greeted(attempt) => (State::Dialing, Ops(Some(Op::Connect(attempt)), None)),
            Event::Refused { reason, told } => (State::Closed, close(reason, !told)),
            Event::Ended { side: Side::Client } => (State::Closed, close(CloseReason::ClientFin, false)),
            Event::Reset { side: Side::Client } => (State::Closed, close(CloseReason::ClientRst, true)),
            Event::Killed(reason) => (State::Closed, close(reason, true)),
            _ => (State::Greeting, Ops::NONE),
        };
        assert_eq!(session.on(event), ops, "{event:?}");
        assert_eq!(session.state(), state, "{event:?}");
    }
}

#[test]
fn dialing() {
    let connected = |client: Half, op: Op| {
        let state = State::Relaying {
            halves: [client, Half::Receiving],
            first_end: None,
        };
        (state, Ops(Some(Op::Receive { from: Side::Endpoint }), Some(op)))
    };
    for event in every_event() {
        let (mut session, _) = Session::start(FIRST);
        let (state, ops) = match event {
            Event::Connected { greeted: false } => connected(Half::Receiving, Op::Receive { from: Side::Client }),
            Event::Connected { greeted: true } => {
                connected(Half::Sending { bulk: false }, Op::Send { to: Side::Endpoint })
            }
            Event::ConnectFailed { next: Some(next), .. } => (State::Dialing, Ops(Some(Op::Connect(next)), None)),
            Event::ConnectFailed { next: None, reason } | Event::Killed(reason) => (State::Closed, close(reason, true)),
            Event::Reset { side: Side::Client } => (State::Closed, close(CloseReason::ClientRst, true)),
            _ => (State::Dialing, Ops::NONE),
        };
        assert_eq!(session.on(event), ops, "{event:?}");
        assert_eq!(session.state(), state, "{event:?}");
    }
}

/// The next state of a half, in the order of [`half_events`]; `None` where the event is not waited for.
fn next_half(half: Half) -> [Option<Half>; 8] {
    const PLAIN: Option<Half> = Some(Half::Sending { bulk: false });
    const BULK: Option<Half> = Some(Half::Sending { bulk: true });
    const DRAIN: Option<Half> = Some(Half::Draining { bulk: false });
    const DRAIN_ON: Option<Half> = Some(Half::Draining { bulk: true });
    const AGAIN: Option<Half> = Some(Half::Receiving);
    const FILL: Option<Half> = Some(Half::Filling);
    const END: Option<Half> = Some(Half::Ended);
    match half {
        //                                  received     bulk  sent   filled bulk      drained unspliced ended
        Half::Receiving =>
        /*             */
        {
            [PLAIN, BULK, None, None, None, None, None, END]
        }
        Half::Sending { bulk: false } =>
        /**/
        {
            [None, None, AGAIN, None, None, None, None, None]
        }
        Half::Sending { bulk: true } =>
        /* */
        {
            [None, None, FILL, None, None, None, None, None]
        }
        Half::Filling =>
        /*               */
        {
            [None, None, None, DRAIN, DRAIN_ON, None, AGAIN, END]
        }
        Half::Draining { bulk: false } => [None, None, None, None, None, AGAIN, None, None],
        Half::Draining { bulk: true } => [None, None, None, None, None, FILL, None, None],
        Half::Ended => [None; 8],
    }
}

fn operation(half: Half, from: Side) -> Option<Op> {
    match half {
        Half::Receiving => Some(Op::Receive { from }),
        Half::Sending { .. } => Some(Op::Send { to: from.other() }),
        Half::Filling => Some(Op::Fill { from }),
        Half::Draining { .. } => Some(Op::Drain { to: from.other() }),
        Half::Ended => Some(Op::Shutdown { to: from.other() }),
    }
}

#[test]
fn each_half_on_each_event_beside_each_other_half() {
    for from in Side::BOTH {
        for half in HALVES {
            for beside in HALVES {
                for (event, next) in half_events(from).into_iter().zip(next_half(half)) {
                    let first_end = (beside == Half::Ended).then_some(from.other());
                    let mut halves = [beside; 2];
                    halves[from.index()] = half;
                    let before = relaying(halves[0], halves[1], first_end);
                    let mut session = before;
                    let ops = session.on(event);
                    let context = format!("{half:?} beside {beside:?}: {event:?}");
                    match next {
                        None => {
                            assert_eq!(ops, Ops::NONE, "{context}");
                            assert_eq!(session, before, "{context}");
                        }
                        Some(Half::Ended) if beside == Half::Ended => {
                            let reason = match from {
                                Side::Client => CloseReason::BackendFin,
                                Side::Endpoint => CloseReason::ClientFin,
                            };
                            assert_eq!(ops, close(reason, false), "{context}");
                            assert_eq!(session.state(), State::Closed, "{context}");
                        }
                        Some(next) => {
                            halves[from.index()] = next;
                            let first_end = first_end.or((next == Half::Ended).then_some(from));
                            assert_eq!(ops, Ops(operation(next, from), None), "{context}");
                            assert_eq!(session, relaying(halves[0], halves[1], first_end), "{context}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn each_abort_in_each_relaying_state() {
    for client in HALVES {
        for endpoint in HALVES {
            for (event, reason) in aborts() {
                let mut session = relaying(client, endpoint, None);
                assert_eq!(session.on(event), close(reason, true));
                assert_eq!(session.state(), State::Closed);
            }
            for event in dial_events().into_iter().chain(greeting_events()) {
                let mut session = relaying(client, endpoint, None);
                assert_eq!(session.on(event), Ops::NONE);
                assert_eq!(session, relaying(client, endpoint, None));
            }
        }
    }
}

#[test]
fn nothing_happens_to_a_closed_session() {
    for event in every_event() {
        let mut session = Session { state: State::Closed };
        assert_eq!(session.on(event), Ops::NONE);
        assert_eq!(session.state(), State::Closed);
    }
}

#[test]
fn outstanding_is_what_was_asked_for_and_not_completed() {
    let (greeting, _) = Session::greet();
    assert_eq!(greeting.outstanding(Side::Client), Ops(Some(Op::Greet), None));
    assert_eq!(greeting.outstanding(Side::Endpoint), Ops::NONE);
    for side in Side::BOTH {
        assert_eq!(Session::start(FIRST).0.outstanding(side), Ops::NONE);
        assert_eq!(Session { state: State::Closed }.outstanding(side), Ops::NONE);
        for client in HALVES {
            for endpoint in HALVES {
                let halves = [client, endpoint];
                let takes = operation(halves[side.index()], side)
                    .filter(|op| matches!(op, Op::Receive { .. } | Op::Fill { .. }));
                let gives = operation(halves[side.other().index()], side.other())
                    .filter(|op| matches!(op, Op::Send { .. } | Op::Drain { .. }));
                assert_eq!(relaying(client, endpoint, None).outstanding(side), Ops(takes, gives));
            }
        }
    }
}

#[test]
fn the_machine_is_small() {
    assert!(size_of::<Session>() <= 8, "{}", size_of::<Session>());
}
