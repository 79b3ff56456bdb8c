//! Listeners that want the same port.

use serde_json::{Value, json};

use crate::fixture::{World, condition, gateway, route, socket_at, summary, tcp};
use crate::kind::Kind;
use crate::node::BindResult;
use crate::plan::compile;

const CONFLICT: [&str; 4] = [
    "Accepted=False/ProtocolConflict",
    "Programmed=False/ProtocolConflict",
    "ResolvedRefs=True/ResolvedRefs",
    "Conflicted=True/ProtocolConflict",
];

fn with_addresses(name: &str, listeners: Value, addresses: &[&str]) -> Value {
    let mut json = gateway(name, listeners);
    json["spec"]["addresses"] = addresses.iter().map(|address| json!({"value": address})).collect();
    json
}

#[test]
fn within_one_gateway_all_lose() {
    for protocol in ["HTTP", "HTTPS", "TLS", "TCP"] {
        let mut world = World::new();
        let listeners = json!([
            tcp("one", 80),
            {"name": "two", "port": 80, "protocol": protocol, "tls": {"mode": "Passthrough"}},
            tcp("fine", 81)
        ]);
        world.create(gateway("g", listeners));
        for listener in ["one", "two"] {
            let status = world.listener("g", listener);
            assert_eq!(summary(&status.conditions), CONFLICT, "{protocol} {listener}");
            assert!(status.supported_kinds.is_empty());
        }
        assert_eq!(
            summary(&world.gateway("g").status.conditions)[0],
            "Accepted=True/ListenersNotValid"
        );
        let plan = compile(&world.state, None);
        let ports: Vec<_> = plan.listeners.iter().map(|listener| listener.socket.port).collect();
        assert_eq!(ports, [81]);
    }
}

#[test]
fn tcp_and_udp_share_a_port() {
    let mut world = World::new();
    world.create(gateway(
        "g",
        json!([tcp("tcp", 53), {"name": "udp", "port": 53, "protocol": "UDP"}]),
    ));
    assert_eq!(
        summary(&world.listener("g", "tcp").conditions)[0],
        "Accepted=True/Accepted"
    );
    assert_eq!(
        summary(&world.listener("g", "udp").conditions)[3],
        "Conflicted=False/NoConflicts"
    );
}

#[test]
fn between_gateways_the_older_keeps_its_socket() {
    let mut world = World::new();
    world.create(gateway("z-older", json!([tcp("pg", 5432)])));
    let older = world.gateway("z-older");
    world.create(gateway("a-younger", json!([tcp("pg", 5432), tcp("other", 5433)])));
    assert_eq!(world.gateway("z-older"), older, "the older must not be touched");
    let lost = world.listener("a-younger", "pg");
    assert_eq!(summary(&lost.conditions), CONFLICT);
    assert!(
        condition(&lost.conditions, "Conflicted")
            .message
            .contains("default/z-older")
    );
    assert_eq!(
        summary(&world.gateway("a-younger").status.conditions)[0],
        "Accepted=True/ListenersNotValid"
    );

    world.delete(Kind::Gateway, "default", "z-older");
    assert_eq!(
        summary(&world.listener("a-younger", "pg").conditions)[0],
        "Accepted=True/Accepted"
    );
}

#[test]
fn gateways_with_other_addresses_do_not_meet() {
    let mut world = World::new();
    world.create(with_addresses("one", json!([tcp("pg", 5432)]), &["10.0.0.1"]));
    world.create(with_addresses("two", json!([tcp("pg", 5432)]), &["10.0.0.2"]));
    world.create(gateway("three", json!([tcp("pg", 5432)])));
    for gateway in ["one", "two", "three"] {
        assert_eq!(
            summary(&world.listener(gateway, "pg").conditions)[0],
            "Accepted=True/Accepted"
        );
    }
    assert_eq!(compile(&world.state, None).listeners.len(), 3);
}

#[test]
fn a_listener_that_loses_one_address_serves_none_and_its_claims_still_count() {
    let mut world = World::new();
    world.create(with_addresses("first", json!([tcp("pg", 1)]), &["10.0.0.1"]));
    world.create(with_addresses(
        "second",
        json!([tcp("pg", 1)]),
        &["10.0.0.1", "10.0.0.2"],
    ));
    world.create(with_addresses("third", json!([tcp("pg", 1)]), &["10.0.0.2"]));
    assert_eq!(summary(&world.listener("second", "pg").conditions), CONFLICT);
    assert_eq!(summary(&world.listener("third", "pg").conditions), CONFLICT);
    let plan = compile(&world.state, None);
    let sockets: Vec<_> = plan.listeners.iter().map(|listener| listener.socket).collect();
    assert_eq!(sockets, [socket_at("10.0.0.1", 1)]);

    world.delete(Kind::Gateway, "default", "first");
    assert_eq!(
        summary(&world.listener("second", "pg").conditions)[0],
        "Accepted=True/Accepted"
    );
    assert_eq!(summary(&world.listener("third", "pg").conditions), CONFLICT);
    assert_eq!(compile(&world.state, None).listeners.len(), 2);
}

#[test]
fn a_mapped_address_is_the_ipv4_address() {
    let mut world = World::new();
    world.create(with_addresses("one", json!([tcp("pg", 1)]), &["10.0.0.1"]));
    world.create(with_addresses("two", json!([tcp("pg", 1)]), &["::ffff:10.0.0.1"]));
    assert_eq!(summary(&world.listener("two", "pg").conditions), CONFLICT);
}

#[test]
fn routes_of_a_conflicted_listener_stay_attached() {
    let mut world = World::new();
    world.create(gateway("older", json!([tcp("pg", 5432)])));
    world.report(1, crate::fixture::socket(5432), Some(BindResult::Bound));
    world.create(gateway("younger", json!([tcp("pg", 5432)])));
    world.create(route("r", "younger", json!([{"name": "s", "port": 1}])));
    assert_eq!(summary(&world.parent("r").conditions)[0], "Accepted=True/Accepted");
    assert_eq!(world.listener("younger", "pg").attached_routes, 1);
    let plan = compile(&world.state, None);
    assert_eq!(plan.listeners.len(), 1);
    assert!(plan.listeners[0].service.routes().is_empty());
    // The younger one does not hold the socket, so what is bound there is not its address.
    assert!(world.gateway("younger").status.addresses.is_empty());
    assert_eq!(world.gateway("older").status.addresses.len(), 1);
}
