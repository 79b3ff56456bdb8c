//! Places of listeners in the merged list of a Gateway (GEP-1713): the oldest ListenerSets have them, whatever happened
//! before and in whatever order.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::oracle::check_derived;
use crate::command::Command;
use crate::fixture::{World, gateway, key, listener_set, replacement, summary, tcp};
use crate::kind::Kind;
use crate::node::SocketKey;
use crate::object::Object;
use crate::plan::compile;
use crate::state::State;

/// Listeners of the Gateway itself.
const OWN: usize = 30;
/// Sets, of which not all have a place when most of them are large.
const SETS: usize = 22;

fn open_gateway() -> Value {
    let own: Vec<Value> = (0..OWN)
        .map(|number| tcp(&format!("own{number}"), port(SETS, number)))
        .collect();
    let mut json = gateway("g", own.into());
    json["spec"]["allowedListeners"] = json!({"namespaces": {"from": "Same"}});
    json
}

fn set(number: usize, size: usize) -> Value {
    let listeners: Vec<Value> = (0..size)
        .map(|place| tcp(&format!("l{place}"), port(number, place)))
        .collect();
    listener_set(&format!("x{number:02}"), "g", listeners.into())
}

/// No two listeners want the same port.
fn port(set: usize, place: usize) -> u16 {
    u16::try_from(1 + set * 64 + place).expect("small")
}

fn any_size() -> impl Strategy<Value = usize> {
    prop_oneof![1 => Just(1_usize), 2 => 40_usize..=64, 2 => Just(64)]
}

/// For each set, the names of its listeners that are accepted.
fn accepted(state: &State) -> BTreeMap<String, Vec<String>> {
    let sets = state.list(Kind::ListenerSet, None, None);
    let sets = sets.filter_map(|object| match object {
        Object::ListenerSet(set) => Some(set),
        _ => None,
    });
    sets.map(|set| {
        let accepted = set.status.listeners.iter().filter(|listener| {
            let accepted = &summary(&listener.conditions)[0];
            assert!(
                ["Accepted=True/Accepted", "Accepted=False/TooManyListeners"].contains(&accepted.as_str()),
                "{accepted}"
            );
            accepted == "Accepted=True/Accepted"
        });
        let names = accepted.map(|listener| listener.name.clone()).collect();
        (set.metadata.name.clone(), names)
    })
    .collect()
}

/// The same by the words of the specification.
fn expected(state: &State) -> BTreeMap<String, Vec<String>> {
    let mut sets: Vec<_> = state
        .list(Kind::ListenerSet, None, None)
        .filter_map(|object| match object {
            Object::ListenerSet(set) => Some(set),
            _ => None,
        })
        .collect();
    sets.sort_by_key(|set| {
        let meta = &set.metadata;
        (meta.creation_timestamp, meta.namespace.clone(), meta.name.clone())
    });
    let is_there = state.get(&key(Kind::Gateway, "default", "g")).is_some();
    let merged = sets.iter().flat_map(|set| {
        let listeners = set.spec.listeners.iter();
        listeners.map(|listener| (set.metadata.name.clone(), listener.name.clone()))
    });
    let mut expected: BTreeMap<String, Vec<String>> =
        sets.iter().map(|set| (set.metadata.name.clone(), Vec::new())).collect();
    for (set, listener) in merged.take(if is_there { State::MERGED_LISTENERS - OWN } else { 0 }) {
        expected.entry(set).or_default().push(listener);
    }
    expected
}

fn check(state: &State) {
    let expected = expected(state);
    if state.get(&key(Kind::Gateway, "default", "g")).is_some() {
        assert_eq!(accepted(state), expected);
    }
    let placed: usize = expected.values().map(Vec::len).sum();
    let served = compile(state, None).listeners.len();
    let gateways = state.list(Kind::Gateway, None, None).count();
    assert_eq!(served, placed + gateways * OWN);
    let wanted: usize = state
        .list(Kind::ListenerSet, None, None)
        .map(|object| match object {
            Object::ListenerSet(set) => set.spec.listeners.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(
        state.listeners_beyond(),
        if gateways == 0 { 0 } else { wanted - placed }
    );
}

/// What is done to a set, or to the Gateway.
#[derive(Clone, Debug)]
enum Change {
    Put { number: usize, size: usize },
    Delete { number: usize },
    Gateway,
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        8 => (0..SETS, any_size()).prop_map(|(number, size)| Change::Put { number, size }),
        3 => (0..SETS).prop_map(|number| Change::Delete { number }),
        1 => Just(Change::Gateway),
    ]
}

fn delete(world: &mut World, kind: Kind, name: &str) -> bool {
    let is_there = world.state.get(&key(kind, "default", name)).is_some();
    if is_there {
        world.delete(kind, "default", name);
    }
    is_there
}

fn make(world: &mut World, change: Change, same_second: bool) {
    let command = match change {
        Change::Put { number, size } => {
            let json = set(number, size);
            let is_there = world
                .state
                .get(&key(Kind::ListenerSet, "default", &format!("x{number:02}")))
                .is_some();
            if is_there {
                replacement(json)
            } else {
                world.creation(json)
            }
        }
        Change::Delete { number } => {
            delete(world, Kind::ListenerSet, &format!("x{number:02}"));
            return;
        }
        Change::Gateway => {
            if delete(world, Kind::Gateway, "g") {
                return;
            }
            world.creation(open_gateway())
        }
    };
    if same_second {
        world.apply_in_same_second(command);
    } else {
        world.apply(command);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn the_oldest_have_the_places(
        sizes in prop::collection::vec(any_size(), SETS),
        changes in prop::collection::vec((any_change(), any::<bool>()), 1..24),
    ) {
        let mut world = World::new();
        world.create(open_gateway());
        for (number, size) in sizes.into_iter().enumerate() {
            make(&mut world, Change::Put { number, size }, number % 3 == 1);
        }
        check(&world.state);
        for (change, same_second) in changes {
            make(&mut world, change, same_second);
            check(&world.state);
        }
        check_derived(&world.state, world.state.time());
    }

    #[test]
    fn the_order_of_writes_in_one_second_does_not_matter(
        sizes in prop::collection::vec(any_size(), SETS),
        order in Just((0..=SETS).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let commands = |world: &mut World| -> Vec<Command> {
            let sets = sizes.iter().enumerate().map(|(number, size)| set(number, *size));
            let all = sets.chain([open_gateway()]);
            all.map(|json| world.creation(json)).collect()
        };
        let (mut straight, mut shuffled) = (World::new(), World::new());
        for command in commands(&mut straight) {
            straight.apply_in_same_second(command);
        }
        let commands = commands(&mut shuffled);
        for place in order {
            shuffled.apply_in_same_second(commands[place].clone());
        }
        prop_assert_eq!(accepted(&straight.state), accepted(&shuffled.state));
        let served = |world: &World| -> Vec<SocketKey> {
            let plan = compile(&world.state, None);
            plan.listeners.iter().map(|listener| listener.socket).collect()
        };
        prop_assert_eq!(served(&straight), served(&shuffled));
        check(&shuffled.state);
    }
}
