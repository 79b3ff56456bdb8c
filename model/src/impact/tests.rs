//! What changes mean, by the table of endpoints and sessions.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::fixture::{World, gateway, object, route, service, slice, tcp, udp, udp_route};
use crate::kind::Kind;
use crate::plan::tests::compile_small;
use crate::session::{LocalSessionId, SessionState};

const ALL: [&str; 3] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];

/// TCPRoute `t` and UDPRoute `u` to three endpoints of Service `s`.
fn world() -> World {
    let mut world = World::new();
    world.create(gateway("g", json!([tcp("tcp", 1), udp("udp", 2)])));
    world.create(json!({"kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [
        {"name": "t", "port": 80}, {"name": "u", "port": 80, "protocol": "UDP"},
    ]}}));
    world.create(endpoints(&ALL));
    let refs = || json!([{"name": "s", "port": 80}]);
    world.create(route("t", "g", refs()));
    world.create(udp_route("u", "g", refs()));
    world
}

fn endpoints(addresses: &[&str]) -> Value {
    let mut json = slice("e", "s", 80, addresses);
    json["ports"] = json!([{"name": "t", "port": 80}, {"name": "u", "port": 80, "protocol": "UDP"}]);
    json
}

fn terminating(address: &str) -> Value {
    let mut json = endpoints(&ALL);
    for endpoint in json["endpoints"].as_array_mut().expect("endpoints") {
        if endpoint["addresses"][0] == address {
            endpoint["conditions"] = json!({"terminating": true});
        }
    }
    json
}

/// A session of each client port, where the plan sends it.
fn sessions(plan: &Plan, listener: &str) -> Vec<SessionRow> {
    let found = carriers(plan).find(|(_, name, _)| name.listener == listener);
    let (socket, name, route) = found.expect("a carrier");
    let rows = (1_u16..400).map(|port| {
        let client = SocketAddr::new("192.0.2.7".parse().expect("an address"), port);
        let hash = route.pool.flow_key(socket, client).hash(plan.seed);
        let choice = route.pool.by_tables(hash).expect("an endpoint");
        let Entry::Endpoint { address, .. } = &route.pool.entries[usize::from(choice.entry)] else {
            panic!("an endpoint");
        };
        SessionRow {
            id: LocalSessionId {
                protocol: socket.protocol,
                seat: 0,
                index: port.into(),
                generation: 0,
            },
            listener: Arc::new(name.clone()),
            route: Arc::from(format!("{}/{}", route.namespace, route.name)),
            client,
            endpoint: Some(*address),
            why: Some(choice.why),
            sni: None,
            alpn: None,
            state: SessionState::Established,
            age: Duration::ZERO,
            idle: Duration::ZERO,
            bytes: [0; 2],
            packets: [0; 2],
        }
    });
    rows.collect()
}

/// The counts of TCP and UDP sessions when `json` is applied, and what it means for tables.
fn effects(world: &World, json: Value) -> ([EffectCounts; 2], Impact) {
    let before = compile_small(&world.state, None);
    let after = world.state.foresee_object(object(json)).expect("allowed");
    let after = compile_small(&after, Some(&before));
    let comparison = Comparison::new(&before, &after);
    let counts = ["tcp", "udp"].map(|listener| comparison.count(&sessions(&before, listener)));
    (counts, comparison.impact())
}

const STAY: EffectCounts = EffectCounts {
    stays: 399,
    pinned: 0,
    moved: 0,
    closed: 0,
};

fn at(plan: &Plan, ip: &str) -> u64 {
    let there = |row: &&SessionRow| row.endpoint.is_some_and(|endpoint| endpoint.ip().to_string() == ip);
    u64::try_from(sessions(plan, "udp").iter().filter(there).count()).expect("few")
}

#[test]
fn the_same_means_nothing() {
    let world = world();
    let (counts, impact) = effects(&world, endpoints(&["10.0.0.3", "10.0.0.2", "10.0.0.1"]));
    assert_eq!(counts, [STAY, STAY]);
    assert_eq!(impact, Impact::default());
}

#[test]
fn an_endpoint_that_comes_pins_the_flows_it_would_take() {
    let world = world();
    let ([tcp, udp], impact) = effects(&world, endpoints(&["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]));
    assert_eq!(tcp, STAY);
    assert_eq!((udp.moved, udp.closed), (0, 0));
    // A quarter of the rows; of 399 flows that is 100, give or take.
    assert!((60..150).contains(&udp.pinned), "{udp:?}");
    let routes: Vec<&str> = impact.pools.iter().map(|pool| pool.route.as_str()).collect();
    assert_eq!(routes, ["default/t", "default/u"]);
    for pool in impact.pools {
        assert_eq!(pool.rows, 4093);
        assert!((1023..1200).contains(&pool.moved_rows), "{pool:?}");
        assert!(pool.endpoints_gone.is_empty() && pool.endpoints_draining.is_empty());
    }
}

#[test]
fn an_endpoint_that_goes_moves_its_flows_and_cuts_no_connection() {
    let world = world();
    let before = compile_small(&world.state, None);
    let ([tcp, udp], impact) = effects(&world, endpoints(&["10.0.0.1", "10.0.0.2"]));
    assert_eq!(tcp, STAY);
    assert_eq!(udp.moved, at(&before, "10.0.0.3"));
    assert_eq!(udp.closed, 0);
    let gone: SocketAddr = "10.0.0.3:80".parse().expect("an address");
    assert_eq!(impact.pools[0].endpoints_gone, [gone]);
    // The last ones go: connections live on, flows have nowhere to go.
    let ([tcp, udp], _) = effects(&world, endpoints(&[]));
    assert_eq!(tcp, STAY);
    assert_eq!(udp.closed, 399);
}

#[test]
fn an_endpoint_that_drains_keeps_its_flows_by_pins() {
    let world = world();
    let before = compile_small(&world.state, None);
    for json in [
        terminating("10.0.0.3"),
        json!({"kind": "Drain", "metadata": {"name": "d"},
               "spec": {"target": {"endpoint": {"ip": "10.0.0.3", "port": 80}}}}),
    ] {
        let ([tcp, udp], impact) = effects(&world, json);
        assert_eq!(tcp, STAY);
        assert_eq!((udp.moved, udp.closed), (0, 0));
        assert!(udp.pinned >= at(&before, "10.0.0.3"), "{udp:?}");
        let draining: SocketAddr = "10.0.0.3:80".parse().expect("an address");
        assert_eq!(impact.pools[1].endpoints_draining, [draining]);
        assert!(impact.pools[1].endpoints_gone.is_empty());
    }
    let (counts, impact) = effects(
        &world,
        json!({"kind": "Drain", "metadata": {"name": "d"},
               "spec": {"target": {"endpoint": {"ip": "10.0.0.3", "port": 80}}, "udp": "Rechoose"}}),
    );
    assert_eq!(counts[1].moved, at(&before, "10.0.0.3"));
    assert_eq!(impact.pools[1].endpoints_gone.len(), 1);
}

#[test]
fn what_is_deleted_closes_flows_alone() {
    let world = world();
    let before = compile_small(&world.state, None);
    for kind in [Kind::TcpRoute, Kind::UdpRoute] {
        let name = if kind == Kind::TcpRoute { "t" } else { "u" };
        let after = world.state.foresee(crate::fixture::deletion(kind, "default", name));
        let after = compile_small(&after.expect("allowed"), Some(&before));
        let comparison = Comparison::new(&before, &after);
        assert_eq!(comparison.count(&sessions(&before, "tcp")), STAY);
        let udp = comparison.count(&sessions(&before, "udp"));
        assert_eq!(udp.closed, if kind == Kind::UdpRoute { 399 } else { 0 });
        assert_eq!(comparison.impact().routes_gone, [format!("default/{name}")]);
    }
    let (counts, impact) = effects(&world, gateway("g", json!([tcp("tcp", 1)])));
    assert_eq!((counts[0], counts[1].closed), (STAY, 399));
    assert_eq!(impact.listeners_gone[0].listener, "udp");
    let mut sum = counts[0];
    sum += counts[1];
    assert_eq!((sum.stays, sum.closed), (399, 399));
}

#[test]
fn clients_that_are_all_replicated_are_not_pinned_anew() {
    let mut world = world();
    world.create(service("other", 1));
    world.create(
        json!({"kind": "BackendTrafficPolicy", "metadata": {"name": "p"}, "spec": {
            "targetRefs": [{"group": "", "kind": "Service", "name": "s"}],
            "affinity": {"type": "ClientIP", "replication": "Always"},
        }}),
    );
    let (counts, _) = effects(&world, endpoints(&["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]));
    assert_eq!(counts, [STAY, STAY]);
}
