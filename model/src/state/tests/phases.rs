//! A generation on its way in: every state that its preparation can be in, and everything that can happen to it.

use serde_json::json;

use crate::command::Command;
use crate::fixture::{World, backend, deletion, gateway, key, refused, route, service, slice, tcp};
use crate::kind::Kind;
use crate::meta::ConditionStatus;
use crate::node::{BindResult, Incarnation, NodeId};
use crate::outcome::{Outcome, Refusal};
use crate::plan::tests::compile_small;
use crate::state::State;

/// Nodes 1 and 2 are live; `r` leads to `.1` and `.2`, and so does `q`.
fn idle() -> World {
    let mut world = World::new();
    world.add_node("b");
    world.by_hand = true;
    world.create(gateway("g", json!([tcp("pg", 5432)])));
    for (route_name, service_name) in [("r", "s"), ("q", "t")] {
        world.create(service(service_name, 80));
        world.create(route(route_name, "g", json!([{"name": service_name, "port": 80}])));
        world.create(slice(service_name, service_name, 80, &["10.0.0.1", "10.0.0.2"]));
    }
    world
}

/// `r` is to lead to `.1` and `.3`; node 1 has prepared that, node 2 has not.
fn preparing() -> World {
    let mut world = idle();
    world.replace(slice("s", "s", 80, &["10.0.0.1", "10.0.0.3"]));
    assert_eq!(world.prepared(1, 1), Outcome::Done);
    world
}

/// Meanwhile it is to lead to `.4` too, and so is `q`.
fn waiting() -> World {
    let mut world = preparing();
    world.replace(slice("s", "s", 80, &["10.0.0.1", "10.0.0.3", "10.0.0.4"]));
    world.replace(slice("t", "t", 80, &["10.0.0.1", "10.0.0.2", "10.0.0.4"]));
    world
}

/// Where the generations stand: active, prepared and for whom it waits, pools that wait for the next one, graces.
fn stand(state: &State) -> String {
    let mut stand = format!("{} active", state.active_generation());
    if let Some(prepared) = state.prepared_generation() {
        let nodes: Vec<u64> = state.preparing_nodes().iter().map(|node| node.0).collect();
        stand += &format!(", {prepared} prepared but for {nodes:?}");
    }
    if !state.pools.waiting.is_empty() {
        stand += &format!(", {} waiting", state.pools.waiting.len());
    }
    for (generation, _) in state.graces() {
        stand += &format!(", grace of {generation}");
    }
    stand
}

/// A listener is in no table, so what is being prepared for routes says nothing of it: a Gateway is programmed as soon as the
/// nodes listen, and stays so while the endpoints behind it change.
#[test]
fn a_gateway_is_programmed_whatever_is_being_prepared() {
    let mut world = idle();
    let programmed = |world: &World| {
        let status = &world.gateway("g").status;
        let found = status
            .conditions
            .iter()
            .find(|condition| condition.condition_type == "Programmed");
        let found = found.expect("a condition");
        (found.status, found.reason.clone(), found.observed_generation)
    };
    let bind = |world: &mut World| {
        let sockets: Vec<_> = compile_small(&world.state, None).listeners;
        for listener in sockets {
            for node in [1, 2] {
                world.report(node, listener.socket, Some(BindResult::Bound));
            }
        }
    };
    bind(&mut world);
    let is = |generation: i64| (ConditionStatus::True, "Programmed".to_owned(), generation);
    assert_eq!(programmed(&world), is(1));
    changed(&mut world);
    assert!(world.state.prepared_generation().is_some());
    assert_eq!(programmed(&world), is(1), "no node has ceased to listen");
    world.replace(gateway("g", json!([tcp("pg", 5432), tcp("other", 5433)])));
    assert_eq!(programmed(&world).1, "Pending", "no node listens on the new port yet");
    bind(&mut world);
    assert_eq!(programmed(&world), is(2));
    assert!(world.state.prepared_generation().is_some(), "no node has prepared");
}

fn changed(world: &mut World) {
    world.replace(slice("s", "s", 80, &["10.0.0.1", "10.0.0.5"]));
}

fn unchanged(world: &mut World) {
    world.create(route("other", "g", json!([{"name": "s", "port": 80}])));
    world.create(backend("b", json!([{"ip": "10.0.0.9", "port": 1}])));
}

fn changed_back(world: &mut World) {
    world.replace(slice("s", "s", 80, &["10.0.0.1", "10.0.0.2"]));
    world.replace(slice("t", "t", 80, &["10.0.0.1", "10.0.0.2"]));
}

fn route_deleted(world: &mut World) {
    world.delete(Kind::TcpRoute, "default", "r");
}

fn prepared(world: &mut World) {
    assert_eq!(world.prepared(2, 1), Outcome::Done);
}

fn prepared_again(world: &mut World) {
    assert_eq!(world.prepared(1, 1), Outcome::Done);
}

fn prepared_another(world: &mut World) {
    let generation = 7;
    let (node, incarnation) = (NodeId(2), Incarnation(1));
    let outcome = world.apply(Command::Prepared {
        node,
        incarnation,
        generation,
    });
    assert_eq!(outcome, Outcome::Done);
}

fn prepared_by_a_start_before(world: &mut World) {
    assert_eq!(refused(world.prepared(2, 9)), Refusal::StaleIncarnation(NodeId(2)));
}

fn prepared_by_a_stranger(world: &mut World) {
    assert_eq!(refused(world.prepared(9, 1)), Refusal::UnknownNode(NodeId(9)));
}

fn passed_over(world: &mut World) {
    assert_eq!(world.pass_over(2), Outcome::Done);
}

fn passed_over_though_prepared(world: &mut World) {
    assert_eq!(world.pass_over(1), Outcome::Done);
}

fn down(world: &mut World) {
    assert_eq!(world.node_down(2, 1), Outcome::Done);
}

fn prepared_one_down(world: &mut World) {
    assert_eq!(world.node_down(1, 1), Outcome::Done);
}

fn all_down(world: &mut World) {
    prepared_one_down(world);
    down(world);
}

fn back_again(world: &mut World) {
    world.node_up(2, 1, "b");
}

fn restarted(world: &mut World) {
    world.node_up(2, 2, "b");
}

fn prepared_one_restarted(world: &mut World) {
    world.node_up(1, 2, "a");
}

fn joined(world: &mut World) {
    world.add_node("c");
}

fn removed(world: &mut World) {
    assert_eq!(world.apply(Command::RemoveNode { node: NodeId(2) }), Outcome::Done);
}

fn expired(world: &mut World) {
    world.wait(100);
    assert_eq!(world.expire(), Outcome::Done);
}

/// An event, and where the generations stand after it from `idle`, `preparing` and `waiting`.
type Row = (&'static str, fn(&mut World), [&'static str; 3]);

const IDLE: &str = "0 active";
const PREPARING: &str = "0 active, 1 prepared but for [2]";
const WAITING: &str = "0 active, 1 prepared but for [2], 2 waiting";

const TABLE: [Row; 20] = [
    (
        "changed",
        changed,
        [
            "0 active, 1 prepared but for [1, 2]",
            "0 active, 1 prepared but for [2], 1 waiting",
            WAITING,
        ],
    ),
    ("unchanged", unchanged, [IDLE, PREPARING, WAITING]),
    (
        "changed back",
        changed_back,
        [
            IDLE,
            "0 active, 1 prepared but for [2], 1 waiting",
            "0 active, 1 prepared but for [2], 1 waiting",
        ],
    ),
    (
        "route deleted",
        route_deleted,
        [IDLE, PREPARING, "0 active, 1 prepared but for [2], 1 waiting"],
    ),
    (
        "prepared",
        prepared,
        [IDLE, "1 active", "1 active, 2 prepared but for [1, 2]"],
    ),
    ("prepared again", prepared_again, [IDLE, PREPARING, WAITING]),
    ("prepared another", prepared_another, [IDLE, PREPARING, WAITING]),
    (
        "prepared by a start before",
        prepared_by_a_start_before,
        [IDLE, PREPARING, WAITING],
    ),
    (
        "prepared by a stranger",
        prepared_by_a_stranger,
        [IDLE, PREPARING, WAITING],
    ),
    (
        "passed over",
        passed_over,
        [
            IDLE,
            "1 active, grace of 0",
            "1 active, 2 prepared but for [1, 2], grace of 0",
        ],
    ),
    (
        "passed over though prepared",
        passed_over_though_prepared,
        [IDLE, PREPARING, WAITING],
    ),
    (
        "down",
        down,
        [
            "0 active, grace of 0",
            "1 active, grace of 0",
            "1 active, 2 prepared but for [1], grace of 0",
        ],
    ),
    (
        "prepared one down",
        prepared_one_down,
        [
            "0 active, grace of 0",
            "0 active, 1 prepared but for [2], grace of 0",
            "0 active, 1 prepared but for [2], 2 waiting, grace of 0",
        ],
    ),
    (
        "all down",
        all_down,
        ["0 active, grace of 0", "1 active, grace of 0", "2 active, grace of 0"],
    ),
    ("back again", back_again, [IDLE, PREPARING, WAITING]),
    (
        "restarted",
        restarted,
        [
            "0 active, grace of 0",
            "0 active, 1 prepared but for [2], grace of 0",
            "0 active, 1 prepared but for [2], 2 waiting, grace of 0",
        ],
    ),
    (
        "prepared one restarted",
        prepared_one_restarted,
        [
            "0 active, grace of 0",
            "0 active, 1 prepared but for [1, 2], grace of 0",
            "0 active, 1 prepared but for [1, 2], 2 waiting, grace of 0",
        ],
    ),
    (
        "joined",
        joined,
        [
            IDLE,
            "0 active, 1 prepared but for [2, 3]",
            "0 active, 1 prepared but for [2, 3], 2 waiting",
        ],
    ),
    (
        "removed",
        removed,
        [
            "0 active, grace of 0",
            "1 active, grace of 0",
            "1 active, 2 prepared but for [1], grace of 0",
        ],
    ),
    ("expired", expired, [IDLE, PREPARING, WAITING]),
];

#[test]
fn every_event_in_every_state() {
    let states: [fn() -> World; 3] = [idle, preparing, waiting];
    for (event, happen, expected) in TABLE {
        for ((state, before), expected) in states.into_iter().zip([IDLE, PREPARING, WAITING]).zip(expected) {
            let mut world = state();
            assert_eq!(stand(&world.state), before);
            happen(&mut world);
            assert_eq!(stand(&world.state), expected, "{event}, {before}");
        }
    }
}

#[test]
fn a_node_that_was_passed_over_prepares_when_it_starts_again() {
    let mut world = preparing();
    world.add_node("c");
    passed_over(&mut world);
    assert_eq!(stand(&world.state), "0 active, 1 prepared but for [3], grace of 0");
    world.node_up(2, 2, "b");
    assert_eq!(stand(&world.state), "0 active, 1 prepared but for [2, 3], grace of 0");
    assert_eq!(world.prepared(3, 1), Outcome::Done);
    assert_eq!(world.prepared(2, 2), Outcome::Done);
    assert_eq!(stand(&world.state), "1 active, grace of 0");
}

#[test]
fn a_pool_without_endpoints_changes_at_once() {
    let mut world = idle();
    world.replace(slice("s", "s", 80, &[]));
    assert_eq!(stand(&world.state), "0 active, 1 prepared but for [1, 2]");
    world.prepare();
    assert_eq!(stand(&world.state), "1 active");
    world.replace(slice("s", "s", 80, &["10.0.0.7"]));
    assert_eq!(stand(&world.state), "1 active");
    let record = world.state.pool(&key(Kind::TcpRoute, "default", "r")).expect("a pool");
    assert_eq!((record.active.len(), record.since), (1, 1));
}

#[test]
fn numbers_of_pools_are_given_once() {
    let mut world = idle();
    let number = |world: &World, name| world.state.pool_number(&key(Kind::TcpRoute, "default", name));
    let first = number(&world, "r").expect("a number");
    assert_eq!(
        world.state.pool_route(first),
        Some((key(Kind::TcpRoute, "default", "r"), 0))
    );
    world.replace(slice("s", "s", 80, &["10.0.0.1", "10.0.0.3"]));
    world.replace(route("r", "g", json!([{"name": "t", "port": 80}])));
    assert_eq!(number(&world, "r"), Some(first), "it stays the same through edits");
    world.apply(deletion(Kind::TcpRoute, "default", "r"));
    assert_eq!((world.state.pool_route(first), number(&world, "r")), (None, None));
    world.create(route("r", "g", json!([{"name": "s", "port": 80}])));
    assert!(number(&world, "r") > Some(first));
    // The one of that name that was being prepared is gone with what was prepared of it.
    world.prepare();
    assert_eq!(stand(&world.state), "1 active");
}

#[test]
fn graces_are_few_and_the_oldest_goes_first() {
    let mut world = idle();
    world.by_hand = false;
    for number in 0..6_u8 {
        world.node_up(2, u64::from(number) + 2, "b");
        world.replace(slice("s", "s", 80, &["10.0.0.1", &format!("10.0.1.{number}")]));
    }
    assert_eq!(
        stand(&world.state),
        "6 active, grace of 5, grace of 4, grace of 3, grace of 2"
    );
    assert_eq!(world.state.graces_dropped(), 2);
    let past = |world: &World| {
        let record = world.state.pool(&key(Kind::TcpRoute, "default", "r")).expect("a pool");
        record.past.iter().map(|past| past.since).collect::<Vec<_>>()
    };
    assert_eq!(past(&world), [2, 3, 4, 5]);
    // Another loss at the active generation, and then the time of the others is over.
    world.wait(50);
    world.node_up(2, 9, "b");
    assert_eq!(past(&world), [3, 4, 5], "the oldest of five was dropped");
    world.wait(20);
    world.expire();
    assert_eq!(stand(&world.state), "6 active, grace of 6");
    assert_eq!(past(&world), [0; 0]);
    world.wait(60);
    world.expire();
    assert_eq!(stand(&world.state), "6 active");
    assert_eq!(world.state.next_expiry(), None);
}
