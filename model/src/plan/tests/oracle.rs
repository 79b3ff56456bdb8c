//! Plans against a slow reading of the specification, straight from the objects: every listener is compared with every
//! other one, every name with every pattern.

use std::collections::BTreeSet;

use proptest::prelude::*;

use self::candidates::{Candidate, candidates};
use self::names::{best, labels};
use self::routes::{carrier, check_pool};
use super::compile_small;
use crate::command::Proposal;
use crate::fixture::preparations;
use crate::node::SocketKey;
use crate::plan::{ListenerService, Plan, Unmatched};
use crate::resource::AnyRoute;
use crate::state::State;
use crate::state::tests::universe::{Step, fitting_steps, steps};

mod candidates;
mod names;
mod routes;

/// Names that clients ask for.
const ASKED: [Option<&str>; 8] = [
    None,
    Some("a.test"),
    Some("b.test"),
    Some("A.Test"),
    Some("a.b.test"),
    Some("x.b.test"),
    Some("x.test"),
    Some("test"),
];

fn check(state: &State, plan: &Plan) {
    let all = candidates(state);
    let winners: Vec<&Candidate<'_>> = all
        .iter()
        .filter(|candidate| candidate.sockets().iter().all(|socket| !candidate.loses(socket, &all)))
        .collect();
    let sockets: BTreeSet<SocketKey> = winners.iter().flat_map(|winner| winner.sockets()).collect();
    let served: Vec<SocketKey> = plan.listeners.iter().map(|listener| listener.socket).collect();
    assert_eq!(served, sockets.into_iter().collect::<Vec<_>>());
    for listener in &plan.listeners {
        let here: Vec<&&Candidate<'_>> = winners
            .iter()
            .filter(|winner| winner.sockets().contains(&listener.socket))
            .collect();
        match &listener.service {
            ListenerService::Opaque(opaque) => {
                assert_eq!(here.len(), 1);
                assert_eq!(opaque.name.listener, here[0].listener.name);
                let expected = carrier(state, here[0], None);
                let found = opaque.route.as_ref();
                let name = |route: &AnyRoute<'_>| (route.metadata.namespace.clone(), route.metadata.name.clone());
                let names = found.map(|found| (found.namespace.clone(), found.name.clone()));
                assert_eq!(names, expected.as_ref().map(name));
                if let Some((found, expected)) = found.zip(expected) {
                    check_pool(state, &expected, &found.pool);
                }
            }
            ListenerService::Tls(port) => {
                let patterns: Vec<Vec<String>> = here
                    .iter()
                    .map(|winner| labels(winner.listener.hostname.as_ref()))
                    .collect();
                for asked in ASKED {
                    let chosen = best(patterns.iter().zip(&here), asked);
                    let expected = chosen.map(|chosen| (chosen, carrier(state, chosen, asked)));
                    match (port.find(asked), expected) {
                        (Err(Unmatched::Listener), None) => {}
                        (Err(Unmatched::Route(place)), Some((chosen, None))) => {
                            assert_eq!(port.listeners[place].name.listener, chosen.listener.name);
                        }
                        (Ok((found, route)), Some((chosen, Some(expected)))) => {
                            assert_eq!(found.name.listener, chosen.listener.name);
                            let name = (&route.namespace, &route.name);
                            assert_eq!(name, (&expected.metadata.namespace, &expected.metadata.name));
                            check_pool(state, &expected, &route.pool);
                        }
                        (found, expected) => panic!("{asked:?}: {found:?}, and not {:?}", expected.is_some()),
                    }
                }
            }
        }
    }
}

fn check_all(steps: Vec<Step>) {
    let mut state = State::default();
    let mut time = 1_000_000_000;
    let mut plan = None;
    for (number, step) in steps.into_iter().enumerate() {
        let proposal = step.propose(&state, &mut time);
        state.apply(proposal);
        if number % 8 == 0 {
            let state = activated(&state);
            let next = compile_small(&state, plan.as_ref());
            check(&state, &next);
            plan = Some(next);
        }
    }
    let state = activated(&state);
    check(&state, &compile_small(&state, plan.as_ref()));
}

/// What becomes of a state when all nodes prepare what is wanted.
fn activated(state: &State) -> State {
    let mut state = state.clone();
    while state.prepared_generation().is_some() {
        for command in preparations(&state) {
            let time = state.time();
            state.apply(Proposal { time, command });
        }
    }
    state
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn plans_say_what_a_slow_reading_of_the_objects_says(steps in steps(30, 100)) {
        check_all(steps);
    }

    #[test]
    fn so_they_do_where_most_objects_fit_together(steps in fitting_steps(30, 90)) {
        check_all(steps);
    }
}
