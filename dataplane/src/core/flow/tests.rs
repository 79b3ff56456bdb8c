//! Every pair of state and event, and the counting in between.

use super::*;

const TERMS: Terms = Terms {
    idle: Duration::from_secs(60),
    replies: 0,
    one_way: false,
};
const NOW: Micros = Micros(5_000_000);

fn flow(state: State) -> Flow {
    Flow {
        state,
        ..Flow::open(TERMS, Micros(0))
    }
}

#[test]
fn every_state_knows_every_event() {
    use Event as E;
    let answering = |errors| State::Answering { errors };
    let killed = E::Killed(CloseReason::NodeShutdown);
    let shutdown = Step::Close(CloseReason::NodeShutdown);
    let closed = Step::Close(CloseReason::ListenerClosed);
    let table = [
        (answering(2), E::Datagrams(1), answering(2), Step::Forward),
        (answering(2), E::Replies(1), answering(0), Step::Deliver),
        (answering(0), E::Error, answering(1), Step::Nothing),
        (answering(1), E::Error, answering(2), Step::Nothing),
        (answering(2), E::Error, State::Silent, Step::Nothing),
        (answering(1), E::Removed, State::Removed, Step::Nothing),
        (answering(1), E::Restored, answering(1), Step::Nothing),
        (answering(1), E::Kept, answering(1), Step::Nothing),
        (answering(1), E::Unserved, answering(1), closed),
        (answering(1), killed, answering(1), shutdown),
        (
            State::Silent,
            E::Datagrams(1),
            State::Silent,
            Step::Choose(Choice::Next),
        ),
        (State::Silent, E::Replies(1), answering(0), Step::Deliver),
        (State::Silent, E::Error, State::Silent, Step::Nothing),
        (State::Silent, E::Removed, State::Removed, Step::Nothing),
        (State::Silent, E::Restored, State::Silent, Step::Nothing),
        (State::Silent, E::Kept, answering(0), Step::Nothing),
        (State::Silent, E::Unserved, State::Silent, closed),
        (State::Silent, killed, State::Silent, shutdown),
        (
            State::Removed,
            E::Datagrams(1),
            State::Removed,
            Step::Choose(Choice::Anew),
        ),
        (State::Removed, E::Replies(1), State::Removed, Step::Deliver),
        (State::Removed, E::Error, State::Removed, Step::Nothing),
        (State::Removed, E::Removed, State::Removed, Step::Nothing),
        (State::Removed, E::Restored, answering(0), Step::Nothing),
        (State::Removed, E::Kept, answering(0), Step::Nothing),
        (State::Removed, E::Unserved, State::Removed, closed),
        (State::Removed, killed, State::Removed, shutdown),
    ];
    for (before, event, after, step) in table {
        let mut flow = flow(before);
        assert_eq!(flow.on(event, NOW), step, "{before:?} on {event:?}");
        assert_eq!(flow.state(), after, "{before:?} on {event:?}");
    }
}

#[test]
fn a_one_way_flow_does_not_mind_errors() {
    let terms = Terms { one_way: true, ..TERMS };
    let mut flow = Flow::open(terms, NOW);
    for _ in 0..100 {
        assert_eq!(flow.on(Event::Error, NOW), Step::Nothing);
    }
    assert_eq!(flow.on(Event::Datagrams(1), NOW), Step::Forward);
}

#[test]
fn expected_replies_are_counted_for_each_datagram_of_the_client() {
    let terms = Terms { replies: 2, ..TERMS };
    let mut flow = Flow::open(terms, NOW);
    // A reply that no one asked for does not end the flow.
    assert_eq!(flow.on(Event::Replies(0), NOW), Step::Deliver);
    flow.on(Event::Datagrams(2), NOW);
    for _ in 0..3 {
        assert_eq!(flow.on(Event::Replies(1), NOW), Step::Deliver);
    }
    assert_eq!(flow.on(Event::Replies(1), NOW), Step::DeliverLast);
    assert_eq!(flow.datagrams(), [2, 4]);
}

#[test]
fn only_datagrams_put_the_end_off() {
    let mut flow = Flow::open(TERMS, Micros(0));
    let at = |seconds| Micros(0).after(Duration::from_secs(seconds));
    assert_eq!(flow.expiry(at(59)), Expiry::Later(at(60)));
    flow.on(Event::Datagrams(1), at(10));
    flow.on(Event::Replies(1), at(20));
    flow.on(Event::Error, at(70));
    assert_eq!(flow.expiry(at(79)), Expiry::Later(at(80)));
    assert_eq!(flow.expiry(at(80)), Expiry::Idle);
}

#[test]
fn terms_that_end_a_flow_earlier_say_so() {
    let mut flow = Flow::open(TERMS, Micros(0));
    let shorter = Terms {
        idle: Duration::from_secs(1),
        ..TERMS
    };
    assert!(flow.set_terms(shorter));
    assert!(!flow.set_terms(TERMS));
    assert_eq!(flow.deadline(), Micros(60_000_000));
}

#[test]
fn settings_give_terms_and_leave_the_rest_to_the_node() {
    let idle = Duration::from_secs(7);
    assert_eq!(Terms::new(&UdpSettings::default(), idle).idle, idle);
    let settings = UdpSettings {
        idle_timeout: Some(Duration::from_secs(1)),
        one_way: true,
        expected_replies: Some(4),
    };
    let terms = Terms::new(&settings, idle);
    assert_eq!(
        (terms.idle, terms.one_way, terms.replies),
        (Duration::from_secs(1), true, 4)
    );
}
