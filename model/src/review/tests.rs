//! Reviews say what the plan does, and why.

use serde_json::{Value, json};

use super::*;
use crate::fixture::{World, backend, gateway, object, route, service, slice, tcp, tls, tls_route, udp, udp_route};
use crate::kind::Kind;
use crate::plan::compile;
use crate::plan::tests::compile_small;

fn name(gateway: &str, listener: &str) -> ReviewListener {
    ReviewListener::Named(ListenerName {
        namespace: "default".to_owned(),
        gateway: gateway.to_owned(),
        listener: listener.to_owned(),
    })
}

fn ask(listener: ReviewListener, client: &str) -> ReviewRequest {
    ReviewRequest {
        listener,
        client: client.parse().expect("an address"),
        sni: None,
        without: Vec::new(),
    }
}

fn to_s() -> Value {
    json!([{"name": "s", "port": 80}])
}

fn world() -> World {
    let mut world = World::new();
    world.create(gateway("g", json!([tcp("pg", 5432), udp("dns", 53), tcp("bare", 99)])));
    world.create(service("s", 80));
    world.create(slice("e", "s", 80, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]));
    let mut json = route("r", "g", to_s());
    json["spec"]["parentRefs"][0]["sectionName"] = json!("pg");
    world.create(json);
    let endpoints = json!([{"ip": "10.0.1.1", "port": 53}, {"ip": "10.0.1.2", "port": 53}]);
    world.create(backend("b", endpoints));
    let refs = json!([{"group": "guideway.dev", "kind": "Backend", "name": "b"}]);
    world.create(udp_route("u", "g", refs));
    world
}

#[test]
fn a_review_says_what_the_plan_does() {
    let world = world();
    let plan = compile_small(&world.state, None);
    let listener = plan
        .listeners
        .iter()
        .find(|listener| listener.socket.port == 5432)
        .expect("served");
    let (socket, pool) = (listener.socket, &listener.service.routes()[0].pool);
    for port in 1..200 {
        let request = ask(name("g", "pg"), &format!("192.0.2.7:{port}"));
        let review = review(&world.state, &plan, &request);
        let hash = pool.flow_key(socket, request.client).hash(plan.seed);
        let chosen = pool.choose(KeyKind::Relayed, hash, None).expect("an endpoint");
        let Entry::Endpoint { address, .. } = &pool.entries[usize::from(chosen.entry)] else {
            panic!("an endpoint");
        };
        assert_eq!((review.endpoint, review.why), (Some(*address), Some(Why::Table)));
        assert_eq!(review.row, u64::try_from(pool.table.row(hash)).ok());
    }
}

#[test]
fn the_chain_of_reasons_reads_well() {
    let world = world();
    let plan = compile(&world.state, None);
    let found = review(&world.state, &plan, &ask(name("g", "pg"), "[::ffff:192.0.2.7]:50000"));
    let endpoint = found.endpoint.expect("an endpoint");
    let row = found.row.expect("a row");
    let generation = plan.generation;
    assert_eq!(found.steps[..5], [
        "listener \"pg\" of Gateway default/g has TCP port 5432".to_owned(),
        "TCPRoute default/r carries all of it".to_owned(),
        "affinity is FiveTuple: the client's address and port, 192.0.2.7:50000, are hashed for a connection, which its own \
         socket holds and which needs no pin".to_owned(),
        format!("row {row} of 65537 in the table of generation {generation} names {endpoint} of Service/default/s"),
        format!("so it goes to {endpoint} of Service/default/s: the active table says so"),
    ]);
    assert!(found.steps[5].starts_with("if a node cannot connect there, the next along is 10.0.0."));
    assert_eq!(found.route.as_deref(), Some("default/r"));

    // The same by port, and a flow.
    let port = ReviewListener::Port {
        protocol: Protocol::Udp,
        port: 53,
    };
    let found = review(&world.state, &plan, &ask(port, "192.0.2.7:50000"));
    assert_eq!(found.steps[1], "UDPRoute default/u carries all of it");
    assert_eq!(found.steps[3], "no pin names it");
    let json = serde_json::to_value(&found).expect("JSON");
    assert_eq!(json["why"], "table");
}

#[test]
fn what_goes_nowhere_says_so() {
    let mut world = world();
    let plan = compile_small(&world.state, None);
    let last = |world: &World, plan: &Plan, listener: ReviewListener| {
        let found = review(&world.state, plan, &ask(listener, "192.0.2.7:1"));
        assert_eq!((found.endpoint, found.why), (None, None));
        found.steps.last().cloned().expect("a step")
    };
    let unknown = last(&world, &plan, name("g", "web"));
    assert_eq!(
        unknown,
        "listener \"web\" of Gateway default/g is not served: there is nothing to connect to"
    );
    let closed = ReviewListener::Port {
        protocol: Protocol::Tcp,
        port: 1,
    };
    assert_eq!(
        last(&world, &plan, closed),
        "TCP port 1 is not served: there is nothing to connect to"
    );
    let bare = last(&world, &plan, name("g", "bare"));
    assert_eq!(bare, "no route is attached to it: the session is closed");
    world.replace(slice("e", "s", 80, &[]));
    let plan = compile_small(&world.state, None);
    let refused = last(&world, &plan, name("g", "pg"));
    assert!(refused.starts_with("so it is refused: "), "{refused}");
}

#[test]
fn names_of_a_tls_port_are_matched_as_the_plan_does() {
    let mut world = World::new();
    world.create(gateway(
        "g",
        json!([tls("wide", 443, "*.test"), tls("narrow", 443, "a.test")]),
    ));
    world.create(service("s", 80));
    world.create(slice("e", "s", 80, &["10.0.0.1"]));
    let mut json = tls_route("r", "g", &["*.b.test"], to_s());
    json["spec"]["parentRefs"][0]["sectionName"] = json!("wide");
    world.create(json);
    let plan = compile_small(&world.state, None);
    let ask = |sni: Option<&str>| {
        let request = ReviewRequest {
            sni: sni.map(str::to_owned),
            ..ask(name("g", "wide"), "192.0.2.7:1")
        };
        review(&world.state, &plan, &request)
    };
    let found = ask(Some("X.b.test"));
    assert!(found.endpoint.is_some());
    assert_eq!(
        found.steps[..2],
        [
            "on TCP port 443, server name \"X.b.test\" belongs to listener \"wide\" of Gateway default/g, which has *.test",
            "TLSRoute default/r carries *.b.test there, the most specific that fits",
        ]
    );
    let elsewhere = ask(Some("a.test"));
    assert_eq!(elsewhere.listener.expect("a listener").listener, "narrow");
    assert!(elsewhere.steps[1].contains("so it does not reach listener \"wide\""));
    assert!(elsewhere.steps[2].contains("less specific listeners are not asked"));
    assert!(ask(None).steps[0].contains("has a ClientHello without server name, only a.test, *.test"));
    assert!(ask(Some("c.test")).steps[1].starts_with("no route of that listener has it"));
}

#[test]
fn endpoints_are_taken_for_gone_or_drained() {
    let mut world = world();
    let plan = compile_small(&world.state, None);
    let mut request = ask(name("g", "pg"), "192.0.2.7:1");
    let first = review(&world.state, &plan, &request).endpoint.expect("an endpoint");
    request.without = vec![first];
    let second = review(&world.state, &plan, &request);
    assert_eq!(second.why, Some(Why::Leaving));
    assert_ne!(second.endpoint, Some(first));
    assert!(second.steps.contains(&format!("taken for gone: {first}")));
    assert!(
        second
            .steps
            .contains(&format!("{first} is leaving: it takes no session"))
    );
    request.without.extend(second.endpoint);
    let third = review(&world.state, &plan, &request);
    request.without.extend(third.endpoint);
    assert_eq!(review(&world.state, &plan, &request).endpoint, None);

    // With an object applied: the table without the endpoint, as it will be.
    request.without.clear();
    let target = json!({"endpoint": {"ip": first.ip(), "port": first.port()}});
    let drain = json!({"kind": "Drain", "metadata": {"name": "d"}, "spec": {"target": target}});
    let after = world.state.foresee_object(object(drain.clone())).expect("allowed");
    assert!(world.state.drains().next().is_none());
    let later = compile_small(&after, Some(&plan));
    let found = review(&after, &later, &request);
    assert_eq!(found.why, Some(Why::Table));
    assert_ne!(found.endpoint, Some(first));
    world.create(drain);
    let refused = world.state.foresee_object(object(json!({
        "kind": "Drain", "metadata": {"name": "d"},
        "spec": {"target": {"node": {"name": "a"}}},
    })));
    assert!(refused.is_err(), "its target may not change");
    let gone = crate::fixture::deletion(Kind::Service, "default", "s");
    let after = world.state.foresee(gone).expect("allowed");
    let found = review(&after, &compile_small(&after, None), &request);
    assert_eq!(found.endpoint, None);
    assert!(
        found.steps.iter().any(|step| step.contains("there is no such Service")),
        "{:?}",
        found.steps
    );
}

#[test]
fn client_addresses_are_hashed_with_affinity() {
    let mut world = world();
    let target = json!({"group": "", "kind": "Service", "name": "s"});
    let affinity = json!({"type": "ClientIP", "clientIP": {"ipv4PrefixLength": 24, "timeout": "10m"}});
    world.create(json!({"kind": "BackendTrafficPolicy", "metadata": {"name": "p"},
                        "spec": {"targetRefs": [target], "affinity": affinity}}));
    let plan = compile_small(&world.state, None);
    let ask = |client: &str| review(&world.state, &plan, &ask(name("g", "pg"), client));
    let found = ask("192.0.2.7:1");
    assert_eq!(
        found.steps[2],
        "affinity is ClientIP: the first 24 bits of 192.0.2.7 are hashed; such a client stays for 600 s after its last \
         session"
    );
    assert_eq!(
        found.steps[3],
        "no pin names it; an entry on the node that takes the session would go first"
    );
    for client in ["192.0.2.9:2", "192.0.2.255:3"] {
        assert_eq!((ask(client).endpoint, ask(client).row), (found.endpoint, found.row));
    }
}
