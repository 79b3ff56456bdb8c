//! Drains: what they empty, which are refused, and how far they are.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::command::Command;
use crate::fixture::{
    World, backend, deletion, gateway, key, object, refused, replacement, route, service, slice, status_write, stored,
    summary, tcp, udp, udp_route,
};
use crate::kind::Kind;
use crate::meta::Timestamp;
use crate::node::{Incarnation, NodeId};
use crate::object::Object;
use crate::outcome::{Outcome, Refusal};
use crate::plan::tests::compile_small;
use crate::plan::{Plan, Standing};
use crate::resource::{Drain, DrainPhase};

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn drain(name: &str, spec: Value) -> Value {
    json!({"kind": "Drain", "metadata": {"name": name}, "spec": spec})
}

fn of_endpoint(name: &str, ip: &str, port: u16) -> Value {
    drain(name, json!({"target": {"endpoint": {"ip": ip, "port": port}}}))
}

fn of_backend(name: &str, backend: &str) -> Value {
    drain(
        name,
        json!({"target": {"backend": {"namespace": "default", "name": backend}}, "force": true}),
    )
}

fn forced(mut drain: Value) -> Value {
    drain["spec"]["force"] = json!(true);
    drain
}

fn get(world: &World, name: &str) -> Arc<Drain> {
    match world.state.get(&key(Kind::Drain, "", name)) {
        Some(Object::Drain(drain)) => Arc::clone(drain),
        other => panic!("no Drain {name}: {other:?}"),
    }
}

fn conditions(world: &World, name: &str) -> Vec<String> {
    summary(&get(world, name).status.conditions)
}

fn report(world: &mut World, name: &str, remaining: &[(u64, u64)]) -> Outcome {
    let uid = get(world, name).metadata.uid.clone();
    let remaining = remaining.iter().map(|(node, sessions)| (NodeId(*node), *sessions));
    world.apply(Command::ReportDrain {
        name: name.to_owned(),
        uid,
        remaining: remaining.collect(),
    })
}

/// The causes of a refused Drain: each its field and message.
fn causes(world: &mut World, json: Value) -> Vec<(String, String)> {
    let command = world.creation(json);
    match refused(world.apply(command)) {
        Refusal::Invalid { causes, .. } => causes.into_iter().map(|cause| (cause.field, cause.message)).collect(),
        other => panic!("{other:?}"),
    }
}

fn to_backend(name: &str) -> Value {
    json!([{"group": "guideway.dev", "kind": "Backend", "name": name}])
}

/// TCPRoute `s` to two endpoints of a Service, TCPRoute `b` to the endpoints of Backend `b`, UDPRoute `u` to Backend `b`.
fn world() -> World {
    let mut world = World::new();
    world.create(gateway("g", json!([tcp("s", 1), tcp("b", 2), udp("u", 3)])));
    world.create(service("s", 80));
    world.create(slice("e", "s", 80, &["10.0.0.1", "10.0.0.2"]));
    let endpoints = json!([
        {"ip": "10.0.0.1", "port": 80},
        {"ip": "10.0.0.3", "port": 80},
        {"hostname": "db.test", "port": 81},
    ]);
    world.create(backend("b", endpoints));
    world.resolve("db.test", &["10.0.0.4"]);
    for (name, refs) in [("s", json!([{"name": "s", "port": 80}])), ("b", to_backend("b"))] {
        let mut json = route(name, "g", refs);
        json["spec"]["parentRefs"][0]["sectionName"] = json!(name);
        world.create(json);
    }
    world.create(udp_route("u", "g", to_backend("b")));
    world
}

/// What each pool makes of an endpoint, and the plan, which does not depend on the one before.
fn standings(world: &World, endpoint: &str, plan: &mut Plan) -> Vec<Option<Standing>> {
    let next = compile_small(&world.state, Some(plan));
    assert_eq!(next, compile_small(&world.state, None));
    *plan = next;
    let pools = plan.listeners.iter().map(|listener| &listener.service.routes()[0].pool);
    pools
        .map(|pool| pool.entry(address(endpoint)).and_then(|entry| pool.standing(entry)))
        .collect()
}

const READY: Option<Standing> = Some(Standing::Ready);
const DRAINING: Option<Standing> = Some(Standing::Draining);

#[test]
fn an_endpoint_is_emptied_wherever_it_is_named() {
    let mut world = world();
    let mut plan = compile_small(&world.state, None);
    assert_eq!(standings(&world, "10.0.0.1:80", &mut plan), [READY, READY, READY]);
    world.create(of_endpoint("d", "10.0.0.1", 80));
    assert_eq!(
        standings(&world, "10.0.0.1:80", &mut plan),
        [DRAINING, DRAINING, DRAINING]
    );
    assert_eq!(standings(&world, "10.0.0.2:80", &mut plan), [READY, None, None]);
    let found = world.state.is_draining(address("10.0.0.1:80")).expect("drained");
    assert_eq!(found.metadata.name, "d");
    assert!(world.state.is_draining(address("10.0.0.1:81")).is_none());
    let mut json = of_endpoint("d", "10.0.0.1", 80);
    json["spec"]["udp"] = json!("Rechoose");
    world.replace(json);
    assert_eq!(standings(&world, "10.0.0.1:80", &mut plan), [DRAINING, DRAINING, None]);
    // A second one takes over where the first is taken back.
    world.create(of_endpoint("later", "10.0.0.1", 80));
    world.delete(Kind::Drain, "", "d");
    assert_eq!(
        standings(&world, "10.0.0.1:80", &mut plan),
        [DRAINING, DRAINING, DRAINING]
    );
    world.delete(Kind::Drain, "", "later");
    assert_eq!(standings(&world, "10.0.0.1:80", &mut plan), [READY, READY, READY]);
}

#[test]
fn a_backend_is_emptied_as_it_changes() {
    let mut world = world();
    let mut plan = compile_small(&world.state, None);
    world.create(of_backend("d", "b"));
    assert_eq!(
        standings(&world, "10.0.0.1:80", &mut plan),
        [DRAINING, DRAINING, DRAINING]
    );
    assert_eq!(standings(&world, "10.0.0.4:81", &mut plan), [None, DRAINING, DRAINING]);
    let drained: Vec<SocketAddr> = world.state.drained_endpoints().into_keys().collect();
    let expected = ["10.0.0.1:80", "10.0.0.3:80", "10.0.0.4:81"].map(address);
    assert_eq!(drained, expected);
    assert_eq!(
        world.state.endpoints_of_drain("d").into_iter().collect::<Vec<_>>(),
        expected
    );
    // A name that stands for something else, and an endpoint that leaves the Backend and stays in the Service.
    world.resolve("db.test", &["10.0.0.5"]);
    assert_eq!(standings(&world, "10.0.0.5:81", &mut plan), [None, DRAINING, DRAINING]);
    assert!(world.state.is_draining(address("10.0.0.4:81")).is_none());
    world.replace(backend("b", json!([{"ip": "10.0.0.3", "port": 80}])));
    assert_eq!(standings(&world, "10.0.0.1:80", &mut plan), [READY, None, None]);
    assert_eq!(conditions(&world, "d")[0], "Accepted=True/Accepted");
    world.delete(Kind::Backend, "default", "b");
    assert!(world.state.drained_endpoints().is_empty());
    assert_eq!(conditions(&world, "d")[0], "Accepted=False/TargetNotFound");
}

#[test]
fn an_endpoint_that_leaves_every_slice_is_gone_and_its_drain_goes_on() {
    let mut world = world();
    let mut plan = compile_small(&world.state, None);
    world.create(of_endpoint("d", "10.0.0.2", 80));
    assert_eq!(report(&mut world, "d", &[(1, 5)]), Outcome::Done);
    assert_eq!(standings(&world, "10.0.0.2:80", &mut plan), [DRAINING, None, None]);
    world.replace(slice("e", "s", 80, &["10.0.0.1"]));
    // As in Kubernetes: UDP flows are chosen anew, pins end, and nothing new goes there.
    assert_eq!(standings(&world, "10.0.0.2:80", &mut plan), [None, None, None]);
    // TCP sessions live, are counted, and are closed at the deadline.
    let left = address("10.0.0.2:80");
    assert_eq!(
        world.state.endpoints_of_drain("d").into_iter().collect::<Vec<_>>(),
        [left]
    );
    assert_eq!(
        conditions(&world, "d"),
        ["Accepted=False/TargetNotFound", "Drained=False/Draining"]
    );
    assert_eq!(report(&mut world, "d", &[(1, 0)]), Outcome::Done);
    assert_eq!(get(&world, "d").status.phase, DrainPhase::Drained);
    // Back in the slice it is drained as before.
    world.replace(slice("e", "s", 80, &["10.0.0.1", "10.0.0.2"]));
    assert_eq!(standings(&world, "10.0.0.2:80", &mut plan), [DRAINING, None, None]);
}

#[test]
fn a_target_may_come_and_go() {
    let mut world = world();
    for (name, target) in [
        ("slice", json!({"endpoint": {"ip": "10.0.0.9", "port": 80}})),
        ("name", json!({"endpoint": {"ip": "10.0.0.8", "port": 81}})),
        ("port", json!({"endpoint": {"ip": "10.0.0.9", "port": 99}})),
        ("backend", json!({"backend": {"namespace": "default", "name": "new"}})),
        ("node", json!({"node": {"name": "b"}})),
    ] {
        world.create(drain(name, json!({"target": target})));
        assert_eq!(conditions(&world, name)[0], "Accepted=False/TargetNotFound", "{name}");
    }
    world.create(slice("e2", "other", 80, &["10.0.0.9"]));
    world.resolve("db.test", &["10.0.0.8"]);
    world.create(backend("new", json!([{"ip": "10.0.0.9", "port": 98}])));
    world.add_node("b");
    for name in ["slice", "name", "backend", "node"] {
        assert_eq!(conditions(&world, name)[0], "Accepted=True/Accepted", "{name}");
    }
    assert_eq!(conditions(&world, "port")[0], "Accepted=False/TargetNotFound");
    world.delete(Kind::EndpointSlice, "default", "e2");
    world.resolve("db.test", &[]);
    world.delete(Kind::Backend, "default", "new");
    assert_eq!(world.apply(Command::RemoveNode { node: NodeId(2) }), Outcome::Done);
    for name in ["slice", "name", "backend", "node"] {
        assert_eq!(conditions(&world, name)[0], "Accepted=False/TargetNotFound", "{name}");
    }
}

#[test]
fn the_last_endpoint_stays_unless_forced() {
    let mut world = world();
    world.create(of_endpoint("first", "10.0.0.1", 80));
    let second = || of_endpoint("second", "10.0.0.2", 80);
    let found = causes(&mut world, second());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "spec.target");
    assert!(
        found[0]
            .1
            .starts_with("TCPRoute default/s would be left without a ready endpoint in Service/default/s"),
        "{found:?}"
    );
    let mut plan = compile_small(&world.state, None);
    world.create(forced(second()));
    assert_eq!(standings(&world, "10.0.0.2:80", &mut plan), [DRAINING, None, None]);
    let pool = &plan.listeners[0].service.routes()[0].pool;
    assert!(pool.by_tables(1).is_err(), "its share is refused");
    // No longer forced it would be refused too; anything else may change.
    assert!(matches!(
        refused(world.apply(replacement(second()))),
        Refusal::Invalid { .. }
    ));
    let mut json = forced(second());
    json["spec"]["deadline"] = json!("1m");
    world.replace(json);
    // What is empty already is not made worse, and what has no ready endpoint by itself is none of its business.
    world.replace(slice("e", "s", 80, &[]));
    world.create(of_endpoint("third", "10.0.0.2", 80));
    // A Backend as a whole: both its routes are named.
    world.delete(Kind::Drain, "", "first");
    let mut json = of_backend("all", "b");
    json["spec"]["force"] = json!(false);
    let found = causes(&mut world, json);
    let routes: Vec<&str> = found
        .iter()
        .filter_map(|(_, message)| message.split(" would").next())
        .collect();
    assert_eq!(routes, ["TCPRoute default/b", "UDPRoute default/u"]);
}

#[test]
fn the_last_node_stays_unless_forced() {
    let mut world = World::new();
    let of = |name: &str, node: &str| drain(name, json!({"target": {"node": {"name": node}}}));
    assert!(
        causes(&mut world, of("d", "a"))[0]
            .1
            .contains("node \"a\" is the last live one")
    );
    world.add_node("b");
    world.create(of("d", "a"));
    let nodes = |world: &World| {
        let nodes = world.state.draining_nodes();
        nodes
            .map(|(id, drain)| (id.0, drain.metadata.name.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(nodes(&world), [(1, "d".to_owned())]);
    assert_eq!(causes(&mut world, of("e", "b")).len(), 1);
    world.create(forced(of("e", "b")));
    assert_eq!(nodes(&world).len(), 2);
    world.delete(Kind::Drain, "", "d");
    assert_eq!(nodes(&world), [(2, "e".to_owned())]);
    // One that is down carries nothing that could be missed.
    let down = Command::NodeDown {
        node: NodeId(1),
        incarnation: Incarnation(1),
    };
    world.apply(down);
    world.create(of("f", "a"));
}

#[test]
fn reports_tell_how_far_it_is() {
    let mut world = world();
    world.add_node("b");
    world.create(of_endpoint("d", "10.0.0.1", 80));
    let start = world.seconds();
    let status = get(&world, "d").status.clone();
    assert_eq!(status.phase, DrainPhase::Draining);
    assert_eq!(status.started_at, Some(Timestamp { unix_seconds: start }));
    assert_eq!((status.deadline_at, status.estimated_end), (None, None));
    assert_eq!(
        conditions(&world, "d"),
        ["Accepted=True/Accepted", "Drained=Unknown/Pending"]
    );

    assert_eq!(report(&mut world, "d", &[(1, 7), (2, 13), (9, 1)]), Outcome::Done);
    let status = get(&world, "d").status.clone();
    let remaining: Vec<(&str, u64)> = status
        .remaining
        .iter()
        .map(|left| (left.node.as_str(), left.sessions))
        .collect();
    assert_eq!(remaining, [("a", 7), ("b", 13)], "a node that is no member has none");
    assert_eq!(status.estimated_end, None, "nothing to compare with");
    assert_eq!(conditions(&world, "d")[1], "Drained=False/Draining");
    assert_eq!(status.conditions[1].message, "20 sessions are left: 7 on a, 13 on b");
    // Four fewer in one second: the other sixteen take four.
    report(&mut world, "d", &[(1, 6), (2, 10)]);
    let end = get(&world, "d").status.estimated_end;
    assert_eq!(
        end,
        Some(Timestamp {
            unix_seconds: world.seconds() + 4
        })
    );
    // The same again changes nothing.
    let revision = world.state.revision();
    report(&mut world, "d", &[(1, 6), (2, 10)]);
    assert_eq!(world.state.revision(), revision);
    report(&mut world, "d", &[(1, 6), (2, 12)]);
    assert_eq!(get(&world, "d").status.estimated_end, None, "it does not fall");
    report(&mut world, "d", &[(1, 0), (2, 0)]);
    assert_eq!(get(&world, "d").status.phase, DrainPhase::Drained);
    assert_eq!(conditions(&world, "d")[1], "Drained=True/Drained");
    // Flows that come over with their pins are sessions again.
    report(&mut world, "d", &[(1, 1), (2, 0)]);
    assert_eq!(get(&world, "d").status.phase, DrainPhase::Draining);

    let stale = Command::ReportDrain {
        name: "d".to_owned(),
        uid: crate::meta::Uid("another".to_owned()),
        remaining: BTreeMap::new(),
    };
    assert!(matches!(refused(world.apply(stale)), Refusal::Conflict { .. }));
    world.apply(deletion(Kind::Drain, "", "d"));
    let late = Command::ReportDrain {
        name: "d".to_owned(),
        uid: crate::meta::Uid("another".to_owned()),
        remaining: BTreeMap::new(),
    };
    assert!(matches!(refused(world.apply(late)), Refusal::NotFound(_)));
}

#[test]
fn a_deadline_passes_with_the_next_command() {
    for (at_deadline, phase, reason) in [
        ("Keep", DrainPhase::Kept, "Drained=False/Kept"),
        ("Close", DrainPhase::Closing, "Drained=False/Closing"),
    ] {
        let mut world = world();
        let mut json = of_endpoint("d", "10.0.0.1", 80);
        json["spec"]["deadline"] = json!("3s");
        json["spec"]["atDeadline"] = json!(at_deadline);
        json["spec"]["pace"] = json!({"sessionsPerSecond": 2});
        world.create(json.clone());
        let start = world.seconds();
        let deadline = Timestamp {
            unix_seconds: start + 3,
        };
        assert_eq!(get(&world, "d").status.deadline_at, Some(deadline));
        report(&mut world, "d", &[(1, 9)]);
        let closed = Timestamp {
            unix_seconds: start + 3 + 5,
        };
        let expected = (at_deadline == "Close").then_some(closed);
        assert_eq!(get(&world, "d").status.estimated_end, expected);
        world.create(service("x1", 1));
        world.create(service("x2", 1));
        assert_eq!(
            get(&world, "d").status.phase,
            DrainPhase::Draining,
            "not before its second is over"
        );
        world.create(service("x3", 1));
        assert_eq!(get(&world, "d").status.phase, phase);
        assert_eq!(conditions(&world, "d")[1], reason);
        report(&mut world, "d", &[(1, 8)]);
        let end = Timestamp {
            unix_seconds: world.seconds() + 4,
        };
        let expected = (at_deadline == "Close").then_some(end);
        assert_eq!(get(&world, "d").status.estimated_end, expected);
        // More time: it waits again.
        json["spec"]["deadline"] = json!("10s");
        world.replace(json);
        assert_eq!(get(&world, "d").status.phase, DrainPhase::Draining);
        for number in 0..8 {
            world.create(service(&format!("y{number}"), 1));
        }
        assert_eq!(get(&world, "d").status.phase, phase);
        report(&mut world, "d", &[]);
        assert_eq!(get(&world, "d").status.phase, DrainPhase::Drained);
    }
}

#[test]
fn no_one_else_writes_its_status() {
    let mut world = world();
    world.create(of_endpoint("d", "10.0.0.1", 80));
    report(&mut world, "d", &[(1, 9)]);
    let stored_before = get(&world, "d");
    let mut json = of_endpoint("d", "10.0.0.1", 80);
    json["status"] = json!({"phase": "Drained", "remaining": [], "conditions": [
        {"type": "Drained", "status": "True", "reason": "Forged", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"},
        {"type": "example.com/Seen", "status": "True", "reason": "Seen", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"},
    ]});
    let Object::Drain(written) = stored(world.apply(status_write(object(json)))) else {
        panic!("a Drain")
    };
    assert_eq!(written.status.phase, DrainPhase::Draining);
    assert_eq!(written.status.remaining, stored_before.status.remaining);
    assert_eq!(written.status.conditions[..2], stored_before.status.conditions[..]);
    assert_eq!(written.status.conditions[2].reason, "Seen");
}
