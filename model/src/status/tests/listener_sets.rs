//! ListenerSets: who lets them in, who wins, and what routes make of them.

use serde_json::{Value, json};

use crate::fixture::{
    World, busy, gateway, grant, listener_set, namespace, object, replacement, route, secret, socket, summary, tcp,
    terminate, tls,
};
use crate::kind::Kind;
use crate::node::BindResult;
use crate::plan::compile;

/// A Gateway `g` that lets ListenerSets in `from` its own namespace or all.
fn open(listeners: Value, from: &str) -> Value {
    let mut json = gateway("g", listeners);
    json["spec"]["allowedListeners"] = json!({"namespaces": {"from": from}});
    json
}

fn conditions(world: &World, set: &str) -> Vec<String> {
    summary(&world.set(set).status.conditions)
}

fn listener(world: &World, set: &str, listener: &str) -> Vec<String> {
    summary(&world.set_listener(set, listener).conditions)
}

#[test]
fn a_gateway_lets_in_whom_it_selects() {
    for (allowed, team, lets_in) in [
        (json!({}), "a", false),
        (json!({"namespaces": {"from": "None"}}), "a", false),
        (json!({"namespaces": {"from": "All"}}), "b", true),
        (json!({"namespaces": {"from": "Same"}}), "a", false),
        (
            json!({"namespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "a"}}}}),
            "a",
            true,
        ),
        (
            json!({"namespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "a"}}}}),
            "b",
            false,
        ),
    ] {
        let mut world = World::new();
        world.create(namespace("apps", json!({"team": team})));
        let mut json = gateway("g", json!([tcp("own", 1)]));
        json["spec"]["allowedListeners"] = allowed.clone();
        world.create(json);
        let mut set = listener_set("x", "g", json!([tcp("more", 2)]));
        set["metadata"]["namespace"] = json!("apps");
        set["spec"]["parentRef"]["namespace"] = json!("default");
        let key = object(set.clone()).key();
        world.create(set);
        world.report(1, socket(2), Some(BindResult::Bound));
        let found = world.state.get(&key).expect("the set").clone();
        let crate::object::Object::ListenerSet(found) = found else {
            panic!("a ListenerSet");
        };
        let expected = if lets_in {
            ["Accepted=True/Accepted", "Programmed=True/Programmed"]
        } else {
            ["Accepted=False/NotAllowed", "Programmed=False/NotAllowed"]
        };
        assert_eq!(summary(&found.status.conditions), expected, "{allowed} {team}");
        assert_eq!(world.gateway("g").status.attached_listener_sets, i32::from(lets_in));
        assert_eq!(compile(&world.state, None).listeners.len(), 1 + usize::from(lets_in));
        // A label that comes or goes decides again.
        world.replace(namespace("apps", json!({"team": "c"})));
        let by_label = allowed["namespaces"]["from"] == "Selector";
        let count = i32::from(lets_in && !by_label);
        assert_eq!(world.gateway("g").status.attached_listener_sets, count);
    }
}

#[test]
fn in_its_own_namespace_same_is_enough() {
    let mut world = World::new();
    world.create(listener_set("x", "g", json!([tcp("more", 2)])));
    assert_eq!(
        conditions(&world, "x"),
        ["Accepted=Unknown/Pending", "Programmed=Unknown/Pending"]
    );
    world.create(open(json!([tcp("own", 1)]), "Same"));
    assert_eq!(
        conditions(&world, "x"),
        ["Accepted=True/Accepted", "Programmed=False/Pending"]
    );
    world.replace(open(json!([tcp("own", 1)]), "None"));
    assert_eq!(conditions(&world, "x")[0], "Accepted=False/NotAllowed");
    world.delete(Kind::Gateway, "default", "g");
    assert_eq!(
        conditions(&world, "x"),
        ["Accepted=Unknown/Pending", "Programmed=Unknown/Pending"]
    );
}

#[test]
fn a_gateway_that_is_not_accepted_serves_no_set() {
    let mut world = World::new();
    let mut json = open(json!([tcp("own", 1)]), "Same");
    json["spec"]["addresses"] = json!([{"type": "Hostname", "value": "lb.test"}]);
    world.create(json);
    world.create(listener_set("x", "g", json!([tcp("more", 2)])));
    assert_eq!(
        conditions(&world, "x"),
        ["Accepted=False/ParentNotAccepted", "Programmed=False/ParentNotAccepted"]
    );
    assert!(compile(&world.state, None).listeners.is_empty());
    world.replace(open(json!([tcp("own", 1)]), "Same"));
    assert_eq!(conditions(&world, "x")[0], "Accepted=True/Accepted");
}

/// The scenario of the conformance suite: parent before sets, older sets before younger, and a set with one valid
/// listener is accepted.
#[test]
fn the_parent_wins_then_the_older_set() {
    for (reason, rival) in [("HostnameConflict", false), ("ProtocolConflict", true)] {
        let mut world = World::new();
        // `first` is older than the Gateway, and yet comes after it.
        let clash = |name: &str, host: &str| if rival { tcp(name, 80) } else { tls(name, 80, host) };
        let first = json!([
            tls("fine", 80, "1.test"),
            clash("lost", "gateway.test"),
            tls("won", 80, "set.test")
        ]);
        world.create(listener_set("first", "g", first));
        world.create(open(
            json!([tls("own", 80, "own.test"), tls("both", 80, "gateway.test")]),
            "Same",
        ));
        world.create(listener_set("second", "g", json!([clash("lost", "gateway.test")])));
        world.create(listener_set(
            "third",
            "g",
            json!([tls("fine", 80, "3.test"), clash("lost", "set.test")]),
        ));
        world.report(1, socket(80), Some(BindResult::Bound));
        let lost = [
            format!("Accepted=False/{reason}"),
            format!("Programmed=False/{reason}"),
            "ResolvedRefs=True/ResolvedRefs".to_owned(),
            format!("Conflicted=True/{reason}"),
        ];
        let won = "Programmed=True/Programmed";
        for name in ["own", "both"] {
            assert_eq!(summary(&world.listener("g", name).conditions)[1], won);
        }
        assert_eq!(
            summary(&world.gateway("g").status.conditions)[0],
            "Accepted=True/Accepted"
        );
        assert_eq!(world.gateway("g").status.attached_listener_sets, 2);
        for set in ["first", "third"] {
            assert_eq!(
                conditions(&world, set),
                ["Accepted=True/ListenersNotValid", "Programmed=True/Programmed"]
            );
            assert_eq!(listener(&world, set, "fine")[1], won, "{set}");
            assert_eq!(listener(&world, set, "lost"), lost, "{set}");
        }
        assert_eq!(listener(&world, "first", "won")[1], won);
        assert_eq!(
            conditions(&world, "second"),
            ["Accepted=False/ListenersNotValid", "Programmed=False/ListenersNotValid"]
        );
        assert_eq!(listener(&world, "second", "lost"), lost);

        // When the Gateway goes without them, the older set moves up.
        world.replace(open(json!([tcp("own", 81)]), "Same"));
        if !rival {
            assert_eq!(listener(&world, "first", "lost")[1], won);
            assert_eq!(listener(&world, "second", "lost"), lost);
        }
    }
}

#[test]
fn a_busy_port_shows_in_the_set() {
    let mut world = World::new();
    world.create(open(json!([tcp("own", 1)]), "Same"));
    world.create(listener_set("x", "g", json!([tcp("more", 2)])));
    world.report(1, socket(2), Some(busy("192.0.2.1:2")));
    assert_eq!(
        conditions(&world, "x"),
        ["Accepted=True/Accepted", "Programmed=False/PortUnavailable"]
    );
    assert_eq!(listener(&world, "x", "more")[1], "Programmed=False/Invalid");
    world.apply(replacement(listener_set(
        "x",
        "g",
        json!([{"name": "web", "port": 2, "protocol": "HTTP"}]),
    )));
    assert_eq!(listener(&world, "x", "web")[0], "Accepted=False/UnsupportedProtocol");
    let set = world.set("x");
    let entries = set.status.listeners.iter().flat_map(|listener| &listener.conditions);
    assert!(
        set.status
            .conditions
            .iter()
            .chain(entries)
            .all(|condition| condition.observed_generation == 2)
    );
}

#[test]
fn a_new_set_takes_nothing_from_a_running_gateway() {
    let mut world = World::new();
    world.create(open(json!([tcp("own", 1)]), "Same"));
    world.create(gateway("h", json!([tcp("theirs", 2)])));
    world.create(listener_set("x", "g", json!([tcp("more", 2)])));
    assert_eq!(listener(&world, "x", "more")[0], "Accepted=False/ProtocolConflict");
    assert_eq!(
        summary(&world.listener("h", "theirs").conditions)[0],
        "Accepted=True/Accepted"
    );
    world.delete(Kind::Gateway, "default", "h");
    assert_eq!(listener(&world, "x", "more")[0], "Accepted=True/Accepted");
    assert_eq!(world.gateway("g").status.attached_listener_sets, 1);
}

#[test]
fn grants_of_the_gateway_are_not_those_of_the_set() {
    let mut world = World::new();
    world.create(namespace("apps", json!({})));
    let mut far = secret("cert");
    far["metadata"]["namespace"] = json!("apps");
    world.create(far);
    let end = |name: &str| {
        let mut json = terminate(name, 443, &format!("{name}.test"), "cert");
        json["tls"]["certificateRefs"][0]["namespace"] = json!("apps");
        json
    };
    world.create(open(json!([end("own")]), "Same"));
    world.create(listener_set("x", "g", json!([end("more")])));
    world.create(grant(
        "apps",
        "gateway",
        "Gateway",
        json!({"group": "", "kind": "Secret"}),
    ));
    assert_eq!(
        summary(&world.listener("g", "own").conditions)[2],
        "ResolvedRefs=True/ResolvedRefs"
    );
    assert_eq!(listener(&world, "x", "more")[2], "ResolvedRefs=False/RefNotPermitted");
    assert_eq!(
        conditions(&world, "x"),
        ["Accepted=False/ListenersNotValid", "Programmed=False/ListenersNotValid"]
    );
    assert_eq!(world.gateway("g").status.attached_listener_sets, 0);
    world.create(grant(
        "apps",
        "set",
        "ListenerSet",
        json!({"group": "", "kind": "Secret"}),
    ));
    assert_eq!(conditions(&world, "x")[0], "Accepted=True/Accepted");
    assert_eq!(world.gateway("g").status.attached_listener_sets, 1);
}

#[test]
fn routes_attach_to_the_set_that_they_name() {
    let mut world = World::new();
    world.create(open(json!([tcp("own", 1)]), "Same"));
    world.create(listener_set("x", "g", json!([tcp("more", 2), tcp("most", 3)])));
    let to_set = |name: &str, section: Option<&str>| {
        let mut json = route(name, "x", json!([{"name": "s", "port": 1}]));
        json["spec"]["parentRefs"][0]["kind"] = json!("ListenerSet");
        json["spec"]["parentRefs"][0]["sectionName"] = json!(section);
        json
    };
    world.create(to_set("all", None));
    world.create(to_set("one", Some("most")));
    world.create(to_set("none", Some("own")));
    // A Gateway's own listeners alone are found by its name.
    let mut wrong = route("wrong", "g", json!([]));
    wrong["spec"]["parentRefs"][0]["sectionName"] = json!("more");
    world.create(wrong);
    let accepted = |world: &World, route: &str| summary(&world.parent(route).conditions).remove(0);
    assert_eq!(accepted(&world, "all"), "Accepted=True/Accepted");
    assert_eq!(accepted(&world, "one"), "Accepted=True/Accepted");
    assert_eq!(accepted(&world, "none"), "Accepted=False/NoMatchingParent");
    assert_eq!(accepted(&world, "wrong"), "Accepted=False/NoMatchingParent");
    assert_eq!(world.set_listener("x", "more").attached_routes, 1);
    assert_eq!(world.set_listener("x", "most").attached_routes, 2);
    assert_eq!(world.listener("g", "own").attached_routes, 0);
    let plan = compile(&world.state, None);
    let carriers: Vec<_> = plan
        .listeners
        .iter()
        .map(|listener| listener.service.routes().len())
        .collect();
    assert_eq!(carriers, [0, 1, 1]);
    world.apply(replacement(listener_set("x", "g", json!([tcp("most", 3)]))));
    assert_eq!(world.set_listener("x", "most").attached_routes, 2);
    world.delete(Kind::ListenerSet, "default", "x");
    assert!(world.route("all").parents.is_empty());
}
