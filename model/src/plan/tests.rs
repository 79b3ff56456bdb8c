//! Plans: what is served, and what is shared with the plan before.

use std::num::NonZeroUsize;

use guideway_maglev::TableSize;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::compile::compile_sized;
use super::{Entry, Listener, ListenerService, Plan, Pool, Route, Standing, compile};
use crate::fixture::{World, backend, gateway, route, service, slice, socket, socket_at, tcp};
use crate::kind::Kind;
use crate::state::State;

mod names;
mod oracle;
mod phases;
mod policies;

/// A plan with small tables.
pub(crate) fn compile_small(state: &State, previous: Option<&Plan>) -> Plan {
    compile_sized(state, previous, (NonZeroUsize::MIN, None), TableSize::SMALLEST)
}

/// The one route of an opaque listener.
fn carrier(listener: &Listener) -> Option<&Route> {
    listener.service.routes().first().copied()
}

fn pool(plan: &Plan) -> &Pool {
    assert_eq!(plan.listeners.len(), 1);
    &carrier(&plan.listeners[0]).expect("a route").pool
}

/// `address` or `reject`, with where it comes from, in the order of the table.
fn entries(pool: &Pool) -> Vec<String> {
    pool.entries
        .iter()
        .map(|entry| match entry {
            Entry::Endpoint { address, origin, .. } => format!("{address} {origin}"),
            Entry::Reject { origin } => format!("reject {origin}"),
        })
        .collect()
}

fn entries_of(world: &World) -> Vec<String> {
    entries(pool(&compile_small(&world.state, None)))
}

/// A Gateway with one listener and a route to `refs`.
fn world_with(refs: Value) -> World {
    let mut world = World::new();
    world.create(gateway("g", json!([tcp("pg", 5432)])));
    world.create(route("r", "g", refs));
    world
}

fn to_s() -> Value {
    json!([{"name": "s", "port": 80}])
}

#[test]
fn listeners_name_who_asked_and_what_carries() {
    let mut world = World::new();
    let mut json = gateway(
        "g",
        json!([tcp("pg", 5432), {"name": "web", "port": 80, "protocol": "HTTP"}]),
    );
    json["spec"]["addresses"] = json!([{"value": "10.0.0.2"}, {"value": "10.0.0.1"}]);
    world.create(json);
    let plan = compile_small(&world.state, None);
    assert_eq!(
        (plan.generation, plan.prepared),
        (world.state.active_generation(), None)
    );
    assert_eq!(plan.seed, world.state.seed());
    let sockets: Vec<_> = plan.listeners.iter().map(|listener| listener.socket).collect();
    assert_eq!(sockets, [socket_at("10.0.0.1", 5432), socket_at("10.0.0.2", 5432)]);
    assert!(plan.listeners.iter().all(|listener| carrier(listener).is_none()));
    let ListenerService::Opaque(listener) = &plan.listeners[0].service else {
        panic!("a TCP listener is opaque");
    };
    let name = &listener.name;
    assert_eq!(
        (name.namespace.as_str(), name.gateway.as_str(), name.listener.as_str()),
        ("default", "g", "pg")
    );

    world.create(route("second", "g", to_s()));
    let plan = compile_small(&world.state, None);
    let pools: Vec<_> = plan
        .listeners
        .iter()
        .map(|listener| carrier(listener).cloned().expect("a route"))
        .collect();
    assert_eq!(pools[0].name, "second");
    assert!(
        std::sync::Arc::ptr_eq(&pools[0].pool, &pools[1].pool),
        "one route, one pool"
    );
    assert_eq!(pools[0].pool.id.route.0, "uid-2");
}

#[test]
fn the_oldest_route_carries() {
    let mut world = world_with(to_s());
    world.create(route("a", "g", json!([{"name": "no", "port": 1}])));
    let oldest = |world: &World| {
        let plan = compile_small(&world.state, None);
        carrier(&plan.listeners[0]).expect("a route").name.clone()
    };
    assert_eq!(oldest(&world), "r");
    world.delete(Kind::TcpRoute, "default", "r");
    assert_eq!(oldest(&world), "a");
}

#[test]
fn services_lead_to_their_ready_endpoints() {
    let mut world = world_with(to_s());
    assert_eq!(
        entries_of(&world),
        ["reject Service default/s: there is no such Service"]
    );
    world.create(service("s", 80));
    assert_eq!(
        entries_of(&world),
        ["reject Service/default/s: it has no ready endpoint with weight"]
    );
    let mut json = slice(
        "e1",
        "s",
        8080,
        &["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"],
    );
    json["endpoints"][1]["conditions"] = json!({"ready": false});
    json["endpoints"][2]["conditions"] = json!({"ready": true, "serving": false, "terminating": true});
    json["endpoints"][3]["conditions"] = json!({"ready": true, "serving": false});
    json["endpoints"][4]["addresses"] = json!(["10.0.0.6", "10.0.0.7"]);
    world.create(json);
    let expected = [
        "10.0.0.1:8080 Service/default/s",
        "10.0.0.4:8080 Service/default/s",
        "10.0.0.6:8080 Service/default/s",
    ];
    assert_eq!(entries_of(&world), expected);
    // The same endpoint in a second slice is the same endpoint; a slice of another Service is none of ours.
    world.create(slice("e2", "s", 8080, &["10.0.0.1"]));
    world.create(slice("e3", "other", 8080, &["10.0.0.9"]));
    assert_eq!(entries_of(&world), expected);
    let mut json = slice("e4", "s", 8081, &["fd00::1"]);
    json["addressType"] = json!("IPv6");
    world.create(json);
    let mut json = slice("e5", "s", 8081, &["name.example.com"]);
    json["addressType"] = json!("FQDN");
    world.create(json);
    assert_eq!(entries_of(&world)[3..], ["[fd00::1]:8081 Service/default/s"]);
}

#[test]
fn endpoints_that_shut_down_keep_what_they_have_until_none_is_ready() {
    let mut world = world_with(to_s());
    world.create(service("s", 80));
    let with = |conditions: [Value; 4]| {
        let mut json = slice("e1", "s", 80, &["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]);
        for (endpoint, conditions) in conditions.into_iter().enumerate() {
            json["endpoints"][endpoint]["conditions"] = conditions;
        }
        json
    };
    let standings = |world: &World| {
        let plan = compile_small(&world.state, None);
        let pool = pool(&plan);
        let addresses = (1..=4).map(|number| format!("10.0.0.{number}:80").parse().expect("an address"));
        let standings = addresses.map(|address| pool.entry(address).and_then(|entry| pool.standing(entry)));
        standings.collect::<Vec<_>>()
    };
    let going = || json!({"terminating": true});
    let gone = || json!({"ready": false, "serving": false, "terminating": true});
    world.create(with([
        json!({}),
        going(),
        gone(),
        json!({"ready": false, "serving": true, "terminating": true}),
    ]));
    let (ready, draining) = (Some(Standing::Ready), Some(Standing::Draining));
    assert_eq!(standings(&world), [ready, draining, None, draining]);
    // Not ready is no drain: what it has is chosen anew.
    world.replace(with([json!({}), json!({"ready": false}), gone(), gone()]));
    assert_eq!(standings(&world), [ready, None, None, None]);
    // None is ready: rather one that will go than none.
    world.replace(with([json!({"ready": false}), going(), gone(), going()]));
    assert_eq!(standings(&world), [None, ready, None, ready]);
    // What another slice says is ready is ready.
    world.create(slice("e2", "s", 80, &["10.0.0.2"]));
    assert_eq!(standings(&world), [None, ready, None, draining]);
}

#[test]
fn ports_are_matched_by_name() {
    let mut world = world_with(to_s());
    world.create(json!({
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {"ports": [
            {"name": "sql", "port": 80, "targetPort": 9999},
            {"name": "sql-udp", "port": 80, "protocol": "UDP"},
            {"name": "metrics", "port": 81, "targetPort": "sql"},
        ]},
    }));
    let mut json = slice("e", "s", 0, &["10.0.0.1"]);
    json["ports"] = json!([
        {"name": "metrics", "port": 1},
        {"name": "sql", "port": 2},
        {"name": "sql", "port": 3, "protocol": "UDP"},
        {"name": "sql"},
        {"port": 4},
    ]);
    world.create(json);
    assert_eq!(entries_of(&world), ["10.0.0.1:2 Service/default/s"]);
    let before = compile_small(&world.state, None);
    world.replace(json!({
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {"ports": [{"name": "metrics", "port": 80}]},
    }));
    let after = compile_small(&world.state, Some(&before));
    assert_eq!(entries(pool(&after)), ["10.0.0.1:1 Service/default/s"]);
}

#[test]
fn backends_lead_to_addresses_and_names() {
    let refs = json!([{"group": "guideway.dev", "kind": "Backend", "name": "b"}]);
    let mut world = world_with(refs);
    let endpoints = json!([
        {"ip": "10.0.0.1", "port": 1, "weight": 0},
        {"ip": "::ffff:10.0.0.2", "port": 1},
        {"hostname": "DB.example.com", "port": 2},
    ]);
    world.create(backend("b", endpoints));
    // What has no weight keeps the sessions that it has, and comes last.
    let weightless = "10.0.0.1:1 Backend/default/b";
    assert_eq!(entries_of(&world), ["10.0.0.2:1 Backend/default/b", weightless]);
    world.resolve("db.example.com", &["10.0.0.8", "10.0.0.7"]);
    assert_eq!(
        entries_of(&world),
        [
            "10.0.0.2:1 Backend/default/b",
            "10.0.0.7:2 Backend/default/b",
            "10.0.0.8:2 Backend/default/b",
            weightless
        ]
    );
    let refs = json!([{"group": "guideway.dev", "kind": "Backend", "name": "b", "port": 2}]);
    world.replace(route("r", "g", refs));
    assert_eq!(entries_of(&world).len(), 2);
    world.resolve("db.example.com", &[]);
    assert_eq!(
        entries_of(&world),
        ["reject Backend/default/b: it has no ready endpoint with weight"]
    );
}

#[test]
fn an_address_that_no_message_shows_counts_too() {
    let world = |last: &str| {
        let mut world = world_with(json!([{"group": "guideway.dev", "kind": "Backend", "name": "b"}]));
        world.create(backend("b", json!([{"hostname": "many.test", "port": 1}])));
        let first: Vec<String> = (1..20).map(|number| format!("10.0.0.{number}")).collect();
        let addresses: Vec<&str> = first.iter().map(String::as_str).chain([last]).collect();
        world.resolve("many.test", &addresses);
        (world, first)
    };
    let (mut one, first) = world("10.0.0.100");
    let before = compile_small(&one.state, None);
    // Another cluster that differs in nothing that an object shows.
    let (other, _) = world("10.0.0.101");
    assert_eq!(
        compile_small(&other.state, Some(&before)),
        compile_small(&other.state, None)
    );
    // The same cluster later: the plan differs, so its generation has risen.
    let addresses: Vec<&str> = first.iter().map(String::as_str).chain(["10.0.0.101"]).collect();
    one.resolve("many.test", &addresses);
    let after = compile_small(&one.state, Some(&before));
    assert_eq!(entries(pool(&after)), entries(pool(&compile_small(&other.state, None))));
    assert_ne!(after.listeners, before.listeners);
    assert!(after.generation > before.generation);
}

#[test]
fn weight_zero_gets_nothing_and_all_zero_refuses_everything() {
    let mut world =
        world_with(json!([{"name": "s", "port": 80, "weight": 0}, {"name": "no", "port": 80, "weight": 0}]));
    world.create(service("s", 80));
    world.create(slice("e", "s", 80, &["10.0.0.1"]));
    let plan = compile_small(&world.state, None);
    assert_eq!(pool(&plan).table.choose(1), None);
    // What has no weight keeps the sessions that it has.
    let endpoint = pool(&plan).entry("10.0.0.1:80".parse().expect("an address"));
    let standing = endpoint.and_then(|entry| pool(&plan).standing(entry));
    assert_eq!((pool(&plan).entries.len(), standing), (1, Some(Standing::Draining)));
    world.replace(route(
        "r",
        "g",
        json!([{"name": "s", "port": 80, "weight": 1}, {"name": "no", "port": 80, "weight": 0}]),
    ));
    assert_eq!(entries_of(&world), ["10.0.0.1:80 Service/default/s"]);
    // No refs at all: nothing to choose either.
    world.replace(route("r", "g", json!([])));
    assert!(entries_of(&world).is_empty());
}

#[test]
fn only_the_table_that_is_touched_is_built() {
    let mut world = World::new();
    for number in 0_u16..4 {
        let name = format!("n{number}");
        world.create(gateway(&name, json!([tcp("pg", 100 + number)])));
        world.create(service(&name, 80));
        world.create(slice(&name, &name, 80, &["10.0.0.1", "10.0.0.2"]));
        world.create(route(&name, &name, json!([{"name": name, "port": 80}])));
    }
    let first = compile_small(&world.state, None);
    assert_eq!(first.tables_built(None), 4);
    let again = compile_small(&world.state, Some(&first));
    assert_eq!((again.tables_built(Some(&first)), &again), (0, &first));

    world.replace(slice("n2", "n2", 80, &["10.0.0.1", "10.0.0.3"]));
    let second = compile_small(&world.state, Some(&first));
    assert_eq!(second.tables_built(Some(&first)), 1);
    assert_eq!(second, compile_small(&world.state, None));
    assert!(second.generation > first.generation);

    // What does not touch the endpoints builds nothing: order, labels, status, another slice for the same endpoints.
    world.replace(slice("n2", "n2", 80, &["10.0.0.3", "10.0.0.1"]));
    world.create(slice("n2-b", "n2", 80, &["10.0.0.3"]));
    let mut labelled = service("n1", 80);
    labelled["metadata"]["labels"] = json!({"a": "b"});
    world.replace(labelled);
    world.report(1, socket(100), Some(crate::node::BindResult::Bound));
    let third = compile_small(&world.state, Some(&second));
    assert_eq!(third.tables_built(Some(&second)), 0);
    // Twice the weight of the only ref chooses alike; a second ref does not.
    let n0 = |weight: u32| json!({"name": "n0", "port": 80, "weight": weight});
    world.replace(route("n0", "n0", json!([n0(2)])));
    assert_eq!(compile_small(&world.state, Some(&third)).tables_built(Some(&third)), 0);
    world.replace(route("n0", "n0", json!([n0(2), {"name": "no", "port": 80}])));
    assert_eq!(compile_small(&world.state, Some(&third)).tables_built(Some(&third)), 1);
    // Another cluster's plan, or one with tables of another size, is no help.
    let other_size = compile(&world.state, Some(&third));
    assert_eq!(other_size.tables_built(Some(&third)), 4);
    assert_eq!(other_size, compile(&world.state, None));
}

#[test]
fn tables_survive_a_snapshot() {
    let mut world = world_with(to_s());
    world.create(service("s", 80));
    world.create(slice("e", "s", 80, &["10.0.0.1"]));
    let plan = compile_small(&world.state, None);
    let records: Vec<Vec<u8>> = world.state.snapshot_records().collect();
    let restored = State::from_snapshot_records(records.iter().map(Vec::as_slice)).expect("just written");
    let after = compile_small(&restored, Some(&plan));
    assert_eq!(after, plan);
    assert_eq!(after.tables_built(Some(&plan)), 0);
}

#[test]
fn threads_make_no_difference() {
    let mut world = World::new();
    for number in 0_u16..12 {
        let name = format!("n{number}");
        world.create(gateway(&name, json!([tcp("pg", 100 + number)])));
        world.create(service(&name, 80));
        world.create(slice(&name, &name, 80, &["10.0.0.1", "10.0.0.2"]));
        world.create(route(&name, &name, json!([{"name": name, "port": 80}])));
    }
    let alone = compile_small(&world.state, None);
    for threads in [2, 5, 64] {
        let threads = NonZeroUsize::new(threads).expect("not zero");
        assert_eq!(
            compile_sized(&world.state, None, (threads, None), TableSize::SMALLEST),
            alone
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Gateway API, TCPRoute: "if an invalid backend is requested to have 80% of connections, then 80% of connections
    /// must be rejected".
    #[test]
    fn an_invalid_ref_keeps_its_share(good in 1_u32..1000, missing in 1_u32..1000, empty in 1_u32..1000) {
        let mut world = world_with(json!([
            {"name": "s", "port": 80, "weight": good},
            {"name": "missing", "port": 80, "weight": missing},
            {"name": "empty", "port": 80, "weight": empty},
        ]));
        world.create(service("s", 80));
        world.create(service("empty", 80));
        world.create(slice("e", "s", 80, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]));
        let plan = compile_small(&world.state, None);
        let pool = pool(&plan);
        let shares = pool.table.shares();
        let rejected: usize = pool
            .entries
            .iter()
            .zip(shares)
            .filter(|(entry, _)| matches!(entry, Entry::Reject { .. }))
            .map(|(_, rows)| rows)
            .sum();
        let rows = u64::try_from(pool.table.rows().len()).expect("few");
        let total = u64::from(good + missing + empty);
        let wanted = rows * u64::from(missing + empty) / total;
        let found = u64::try_from(rejected).expect("few");
        // Each of the five targets has its share rounded up or down, and one row at least.
        prop_assert!(found.abs_diff(wanted) <= 5, "{found} of {rows} rows, not {wanted}");
    }
}
