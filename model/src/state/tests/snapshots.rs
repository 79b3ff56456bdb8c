//! Snapshot records: their bytes, and what is refused.

use std::net::SocketAddr;

use serde_json::json;

use crate::command::Command;
use crate::fixture::{
    World, backend, busy, gateway, key, namespace, object, route, service, slice, socket, socket_at, tcp,
};
use crate::flow::FlowKey;
use crate::kind::Kind;
use crate::node::{BindResult, Incarnation, NodeId, Protocol};
use crate::object::Object;
use crate::outcome::Outcome;
use crate::pin::{PinBatch, PinChange, PinKey};
use crate::plan::tests::compile_small;
use crate::state::{SnapshotDecodeError, State};

/// One of everything that a snapshot holds.
fn world() -> World {
    world_at(State::LEVEL)
}

fn world_at(level: u32) -> World {
    let mut world = World::at_level(level);
    world.create(namespace("apps", json!({"team": "apps"})));
    world.create(service("s", 5432));
    world.create(slice("s-1", "s", 15432, &["10.0.0.1", "10.0.0.2"]));
    world.create(backend(
        "b",
        json!([{"hostname": "db.example.com", "port": 5432}, {"ip": "10.0.0.3", "port": 1}]),
    ));
    let mut json = gateway(
        "g",
        json!([tcp("pg", 5432), {"name": "web", "port": 80, "protocol": "HTTP"}]),
    );
    json["spec"]["addresses"] = json!([{"value": "10.1.0.1"}]);
    world.create(json);
    world.create(gateway("h", json!([tcp("pg", 5432)])));
    world.create(route(
        "r",
        "g",
        json!([{"name": "s", "port": 5432}, {"name": "missing", "port": 1, "weight": 3}]),
    ));
    world.add_node("b");
    world.report(1, socket_at("10.1.0.1", 5432), Some(BindResult::Bound));
    world.report(2, socket_at("10.1.0.1", 5432), Some(busy("10.1.0.1:5432")));
    world.report(2, socket(5432), Some(BindResult::Bound));
    world.resolve("db.example.com", &["10.0.0.9", "2001:db8::9"]);
    world
}

/// In the middle of a preparation, with pins, orphans, a grace and a change that waits.
fn moving_world() -> World {
    let mut world = world_at(State::TWO_PHASES);
    world.by_hand = true;
    let at = |addresses: &[&str]| slice("s-1", "s", 15432, addresses);
    let hold = |world: &mut World, node, sequence, client: &str, endpoint: &str| {
        let route = key(Kind::TcpRoute, "default", "r");
        let pool = world.state.pool_number(&route).expect("a pool");
        let client = client.parse().expect("an address");
        let flow = FlowKey::five_tuple(Protocol::Tcp, 5432, client);
        let endpoint = Some(endpoint.parse().expect("an address"));
        let key = PinKey { pool, flow };
        let outcome = world.apply(Command::Pins(PinBatch {
            node: NodeId(node),
            incarnation: Incarnation(1),
            sequence,
            changes: vec![PinChange { key, endpoint }],
        }));
        assert_eq!(outcome, Outcome::Done);
    };
    hold(&mut world, 2, 1, "192.0.2.7:50000", "10.0.0.1:15432");
    hold(&mut world, 2, 2, "[2001:db8::7]:50000", "10.0.0.1:15432");
    world.node_down(2, 1);
    world.replace(at(&["10.0.0.2"]));
    world.prepare();
    world.add_node("c");
    world.replace(at(&["10.0.0.2", "10.0.0.3"]));
    world.prepared(3, 1);
    world.replace(at(&["10.0.0.4"]));
    hold(&mut world, 1, 9, "192.0.2.7:50000", "10.0.0.2:15432");
    world
}

fn records(state: &State) -> Vec<Vec<u8>> {
    state.snapshot_records().collect()
}

fn restore(records: &[Vec<u8>]) -> Result<State, SnapshotDecodeError> {
    State::from_snapshot_records(records.iter().map(Vec::as_slice))
}

#[test]
fn bytes_are_golden() {
    let golden = include_str!("../../../testdata/snapshot-v1.txt");
    let actual: String = records(&world_at(1).state)
        .into_iter()
        .map(|record| String::from_utf8(record).expect("JSON") + "\n")
        .collect();
    assert!(actual == golden, "the records have changed; they are now:\n{actual}");
    let records: Vec<Vec<u8>> = golden.lines().map(|line| line.as_bytes().to_vec()).collect();
    let restored = restore(&records).expect("golden records can be read");
    assert_eq!(restored.index(), world_at(1).state.index());
}

#[test]
fn bytes_of_phases_are_golden() {
    let golden = include_str!("../../../testdata/snapshot-v2.txt");
    let state = moving_world().state;
    let is_new = |record: &&String| !record.starts_with("={\"Object") && !record.starts_with("={\"Resolved");
    let actual = records(&state).into_iter();
    let actual: Vec<String> = actual.map(|record| String::from_utf8(record).expect("JSON")).collect();
    let actual: String = actual
        .iter()
        .filter(is_new)
        .map(|record| record.to_owned() + "\n")
        .collect();
    assert!(actual == golden, "the records have changed; they are now:\n{actual}");
}

#[test]
fn a_restored_state_prepares_and_expires_as_if_nothing_had_happened() {
    let mut one = moving_world();
    let mut other = one.clone();
    other.state = restore(&records(&one.state)).expect("just written");
    assert_eq!(compile_small(&other.state, None), compile_small(&one.state, None));
    for world in [&mut one, &mut other] {
        assert_eq!(
            (world.state.active_generation(), world.state.prepared_generation()),
            (1, Some(2))
        );
        assert_eq!(world.state.preparing_nodes(), [NodeId(1)]);
        world.prepared(1, 1);
        assert_eq!(world.state.prepared_generation(), Some(3), "what waited");
    }
    assert_eq!(records(&one.state), records(&other.state));
    for world in [&mut one, &mut other] {
        world.wait(100);
        world.expire();
        let pins: Vec<_> = world.state.pins().iter().map(|(_, holds)| holds.len()).collect();
        assert_eq!(pins, [1], "those of the lost node have ended");
        world.prepare();
    }
    assert_eq!(records(&one.state), records(&other.state));
}

#[test]
fn what_an_older_binary_wrote_leads_to_pools_too() {
    let old = world_at(1);
    let restored = restore(&records(&old.state)).expect("just written");
    let wanted = |state: &State| state.pool(&key(Kind::TcpRoute, "default", "r")).cloned();
    assert!(wanted(&restored).is_some_and(|record| record.active.len() == 3));
    assert_eq!(wanted(&restored), wanted(&old.state));
    assert_eq!(compile_small(&restored, None), compile_small(&old.state, None));
}

#[test]
fn phases_that_are_damaged_are_refused() {
    let whole = records(&moving_world().state);
    let text: Vec<String> = whole
        .into_iter()
        .map(|record| String::from_utf8(record).expect("JSON"))
        .collect();
    let find = |start: &str| {
        text.iter()
            .position(|record| record.starts_with(start))
            .expect("a record")
    };
    let (phases, pool, holds) = (find("={\"Phases"), find("={\"Pool"), find("={\"Holds"));
    let problem = |change: &dyn Fn(&mut Vec<String>)| {
        let mut records = text.clone();
        change(&mut records);
        let records: Vec<Vec<u8>> = records.into_iter().map(String::into_bytes).collect();
        restore(&records).expect_err("it was read").to_string()
    };
    let replaced = |place: usize, from: &'static str, to: &'static str| {
        let record = text[place].replace(from, to);
        assert_ne!(record, text[place]);
        problem(&move |records| records[place].clone_from(&record))
    };
    let without = |place: usize| {
        problem(&move |records| {
            records.remove(place);
        })
    };
    assert!(without(phases).contains("no generations"));
    assert!(without(pool).contains("1 pools, 0 were found"));
    assert!(without(holds).contains("holds"));
    let twice = problem(&|records| records.push(records[phases].clone()));
    assert!(twice.contains("second time"), "{twice}");
    let twice = problem(&|records| records.push(records[holds].clone()));
    assert!(twice.contains("twice"), "{twice}");
    assert!(replaced(pool, "\"name\":\"r\"", "\"name\":\"x\"").contains("not in the snapshot"));
    assert!(replaced(pool, "10.0.0.1:15432", "10.0.0.0:15432").contains("10.0.0.1:15432, which pool"));
    assert!(replaced(pool, "{\"Reject\":1}", "{\"Endpoint\":\"10.0.0.0:1\"}").contains("out of order"));
    assert!(replaced(phases, "\"last_serial\":3", "\"last_serial\":2").contains("too new"));
    let record = text[holds].replace("\"holds\":\"", "\"holds\":\"*");
    assert!(problem(&|records| records[holds].clone_from(&record)).contains("base64"));
}

#[test]
fn many_pins_are_grouped() {
    let mut world = world();
    let pool = world
        .state
        .pool_number(&key(Kind::TcpRoute, "default", "r"))
        .expect("a pool");
    for sequence in 1..=3_u16 {
        let client = |port| SocketAddr::from(([192, 0, 2, u8::try_from(sequence).expect("small")], port));
        let change = |port| PinChange {
            key: PinKey {
                pool,
                flow: FlowKey::five_tuple(Protocol::Tcp, 5432, client(port)),
            },
            endpoint: "10.0.0.2:15432".parse().ok(),
        };
        let outcome = world.apply(Command::Pins(PinBatch {
            node: NodeId(1),
            incarnation: Incarnation(1),
            sequence: sequence.into(),
            changes: (1..=4000).map(change).collect(),
        }));
        assert_eq!(outcome, Outcome::Done);
    }
    let written = records(&world.state);
    let holds = written.iter().filter(|record| record.starts_with(b"={\"Holds"));
    assert_eq!(holds.clone().count(), 3);
    let bytes: usize = holds.map(Vec::len).sum();
    assert!(bytes <= 12_000 * 24, "{bytes} bytes for 12000 pins");
    let restored = restore(&written).expect("just written");
    assert_eq!(records(&restored), written);
    assert_eq!(restored.pins().len(), 12_000);
}

#[test]
fn a_restored_state_goes_on_as_if_nothing_had_happened() {
    let mut world = world();
    let mut restored = restore(&records(&world.state)).expect("just written");
    assert_eq!(records(&restored), records(&world.state));
    assert_eq!(restored.time(), world.state.time());
    assert_eq!(restored.seed(), world.state.seed());
    let revision = world.state.revision();
    assert_eq!(restored.changes_since(revision).expect("from here on").count(), 0);
    assert!(restored.changes_since(revision - 1).is_err());
    std::mem::swap(&mut world.state, &mut restored);
    world.create(route("other", "g", json!([])));
    std::mem::swap(&mut world.state, &mut restored);
    world.create(route("other", "h", json!([])));
    assert_ne!(records(&restored), records(&world.state));
}

#[test]
fn long_objects_are_cut_and_joined() {
    let mut world = World::new();
    let addresses: Vec<String> = (0..1000)
        .map(|number| format!("10.0.{}.{}", number / 250, number % 250))
        .collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let mut json = slice("long", "s", 1, &addresses);
    for endpoint in json["endpoints"].as_array_mut().expect("endpoints") {
        endpoint["hostname"] = json!("x".repeat(1000));
    }
    world.create(json);
    let written = records(&world.state);
    assert!(written.iter().all(|record| record.len() <= 256 * 1024 + 1));
    assert!(written.iter().any(|record| record[0] == b'+'));
    let restored = restore(&written).expect("just written");
    let long = key(Kind::EndpointSlice, "default", "long");
    assert_eq!(restored.get(&long), world.state.get(&long));
    assert!(matches!(restored.get(&long), Some(Object::EndpointSlice(_))));
}

#[test]
fn many_binds_and_names_are_grouped() {
    let mut world = World::new();
    let endpoints: Vec<_> = (0..300)
        .map(|number| json!({"hostname": format!("n{number}.test"), "port": 1}))
        .collect();
    world.create(backend("b", json!(endpoints)));
    for number in 0..300 {
        world.resolve(&format!("n{number}.test"), &["10.0.0.1"]);
    }
    for (name, first) in [("g", 1), ("h", 65), ("i", 129)] {
        let listeners: Vec<_> = (first..first + 64).map(|port| tcp(&format!("l{port}"), port)).collect();
        world.create(gateway(name, json!(listeners)));
    }
    for port in 1..193 {
        world.report(1, socket(port), Some(BindResult::Bound));
    }
    let restored = restore(&records(&world.state)).expect("just written");
    assert_eq!(records(&restored), records(&world.state));
    assert_eq!(restored.node(NodeId(1)).map(|node| node.binds.len()), Some(192));
}

#[test]
fn what_is_damaged_is_refused() {
    let whole = records(&world().state);
    let problem = |records: &[Vec<u8>]| match restore(records) {
        Ok(_) => panic!("it was read"),
        Err(error) => error.to_string(),
    };
    assert!(problem(&[]).contains("there is no header"));
    assert!(problem(&whole[1..]).contains("a header must come first"));
    assert!(problem(&whole[..whole.len() - 1]).contains("pools"));
    let twice = [whole.clone(), whole.clone()].concat();
    assert!(problem(&twice).contains("second header"));
    let mut cut = whole.clone();
    cut[3].truncate(20);
    assert!(problem(&cut).starts_with("snapshot record 3: "));
    cut[3].clear();
    assert!(problem(&cut).contains("empty"));
    cut[3] = b"?{}".to_vec();
    assert!(problem(&cut).contains("0x3f"));
    let mut continued = whole.clone();
    let last = continued.len() - 1;
    continued[last][0] = b'+';
    assert!(problem(&continued).contains("goes on"));
    let text = String::from_utf8(whole[0].clone()).expect("JSON");
    let newer = text.replace("\"version\":2", "\"version\":3,\"more\":true");
    let mut records = whole;
    records[0] = newer.into_bytes();
    let message = problem(&records);
    assert!(
        message.contains("version 3") && message.contains("version 2"),
        "{message}"
    );
}

#[test]
fn an_object_that_is_not_there_is_not_invented() {
    let restored = restore(&records(&State::default())).expect("an empty state");
    assert!(!restored.is_initialised());
    assert_eq!(restored.object_count(), 0);
    let object = object(service("s", 1));
    assert!(restored.get(&object.key()).is_none());
}
