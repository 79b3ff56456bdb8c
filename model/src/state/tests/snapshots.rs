//! Snapshot records: their bytes, and what is refused.

use serde_json::json;

use crate::fixture::{
    World, backend, busy, gateway, key, namespace, object, route, service, slice, socket, socket_at, tcp,
};
use crate::kind::Kind;
use crate::node::BindResult;
use crate::object::Object;
use crate::state::{SnapshotDecodeError, State};

/// One of everything that a snapshot holds.
fn world() -> World {
    let mut world = World::new();
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

fn records(state: &State) -> Vec<Vec<u8>> {
    state.snapshot_records().collect()
}

fn restore(records: &[Vec<u8>]) -> Result<State, SnapshotDecodeError> {
    State::from_snapshot_records(records.iter().map(Vec::as_slice))
}

#[test]
fn bytes_are_golden() {
    let golden = include_str!("../../../testdata/snapshot-v1.txt");
    let actual: String = records(&world().state)
        .into_iter()
        .map(|record| String::from_utf8(record).expect("JSON") + "\n")
        .collect();
    assert!(actual == golden, "the records have changed; they are now:\n{actual}");
    let records: Vec<Vec<u8>> = golden.lines().map(|line| line.as_bytes().to_vec()).collect();
    let restored = restore(&records).expect("golden records can be read");
    assert_eq!(restored.index(), world().state.index());
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
    assert_eq!(restored.node(crate::NodeId(1)).map(|node| node.binds.len()), Some(192));
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
    assert!(problem(&whole[..whole.len() - 1]).contains("objects"));
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
    let newer = text.replace("\"version\":1", "\"version\":2,\"more\":true");
    let mut records = whole;
    records[0] = newer.into_bytes();
    let message = problem(&records);
    assert!(
        message.contains("version 2") && message.contains("version 1"),
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
