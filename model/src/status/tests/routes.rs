//! TCPRoutes: attachment, references, precedence.

use serde_json::{Value, json};

use crate::fixture::{
    World, backend, condition, gateway, namespace, object, replacement, route, service, status_write, summary, tcp,
};
use crate::kind::Kind;
use crate::object::Object;
use crate::outcome::Outcome;

/// Two TCP listeners and one that carries no TCPRoute.
fn world() -> World {
    let mut world = World::new();
    let listeners = json!([tcp("pg", 5432), tcp("mysql", 3306), {"name": "web", "port": 80, "protocol": "HTTP"}]);
    world.create(gateway("g", listeners));
    world.create(service("s", 5432));
    world
}

fn to_service(name: &str, parents: Value) -> Value {
    let mut json = route(name, "g", json!([{"name": "s", "port": 5432}]));
    json["spec"]["parentRefs"] = parents;
    json
}

fn attached(world: &World) -> [i32; 3] {
    ["pg", "mysql", "web"].map(|listener| world.listener("g", listener).attached_routes)
}

#[test]
fn attachment() {
    let cases = [
        (json!([{"name": "g"}]), "Accepted=True/Accepted", [1, 1, 0]),
        (
            json!([{"name": "g", "sectionName": "pg"}]),
            "Accepted=True/Accepted",
            [1, 0, 0],
        ),
        (
            json!([{"name": "g", "port": 3306}]),
            "Accepted=True/Accepted",
            [0, 1, 0],
        ),
        (
            json!([{"name": "g", "sectionName": "pg", "port": 5432}]),
            "Accepted=True/Accepted",
            [1, 0, 0],
        ),
        (
            json!([{"name": "g", "sectionName": "pg", "port": 3306}]),
            "Accepted=False/NoMatchingParent",
            [0, 0, 0],
        ),
        (
            json!([{"name": "g", "sectionName": "no"}]),
            "Accepted=False/NoMatchingParent",
            [0, 0, 0],
        ),
        (
            json!([{"name": "g", "port": 1}]),
            "Accepted=False/NoMatchingParent",
            [0, 0, 0],
        ),
        (
            json!([{"name": "g", "sectionName": "web"}]),
            "Accepted=False/NotAllowedByListeners",
            [0, 0, 0],
        ),
    ];
    for (parents, accepted, counts) in cases {
        let mut world = world();
        world.create(to_service("r", parents.clone()));
        let entry = world.parent("r");
        assert_eq!(summary(&entry.conditions)[0], accepted, "{parents}");
        assert_eq!(summary(&entry.conditions)[1], "ResolvedRefs=True/ResolvedRefs");
        assert_eq!(attached(&world), counts, "{parents}");
        assert_eq!(entry.controller_name, "guideway.dev/gateway-controller");
        assert_eq!(
            (entry.parent_ref.group.as_str(), entry.parent_ref.kind.as_str()),
            ("gateway.networking.k8s.io", "Gateway")
        );
        world.delete(Kind::TcpRoute, "default", "r");
        assert_eq!(attached(&world), [0, 0, 0]);
    }
}

#[test]
fn one_entry_for_each_parent_of_ours() {
    let mut world = world();
    let parents = json!([
        {"name": "s", "kind": "Service", "group": ""},
        {"name": "g", "sectionName": "mysql"},
        {"name": "missing"},
        {"name": "g", "sectionName": "web"},
    ]);
    world.create(to_service("r", parents));
    let entries = world.route("r").parents.clone();
    let sections: Vec<_> = entries
        .iter()
        .filter_map(|entry| entry.parent_ref.section_name.as_deref())
        .collect();
    assert_eq!(sections, ["mysql", "web"]);
    assert_eq!(entries.len(), 2);
    // The Gateway that was missing comes, and goes.
    world.create(gateway("missing", json!([tcp("pg", 1)])));
    assert_eq!(world.route("r").parents.len(), 3);
    world.delete(Kind::Gateway, "default", "missing");
    assert_eq!(world.route("r").parents, entries);
}

#[test]
fn namespaces_that_listeners_admit() {
    let mut world = World::new();
    world.create(namespace("apps", json!({"team": "apps"})));
    let listener = |name: &str, port: u16, namespaces: Value| json!({"name": name, "port": port, "protocol": "TCP", "allowedRoutes": {"namespaces": namespaces}});
    let listeners = json!([
        listener("same", 1, json!({"from": "Same"})),
        listener("all", 2, json!({"from": "All"})),
        listener(
            "team",
            3,
            json!({"from": "Selector", "selector": {"matchLabels": {"team": "apps"}}})
        ),
        listener(
            "name",
            4,
            json!({"from": "Selector", "selector": {"matchLabels": {"kubernetes.io/metadata.name": "apps"}}})
        ),
        listener("none", 5, json!({"from": "Selector"})),
    ]);
    world.create(gateway("g", listeners));
    let counts = |world: &World| {
        ["same", "all", "team", "name", "none"].map(|listener| world.listener("g", listener).attached_routes)
    };
    let mut json = route("r", "g", json!([]));
    json["metadata"]["namespace"] = json!("apps");
    json["spec"]["parentRefs"][0]["namespace"] = json!("default");
    world.create(json);
    assert_eq!(counts(&world), [0, 1, 1, 1, 0]);
    // Labels of the namespace count as they are now.
    world.replace(namespace("apps", json!({"team": "web"})));
    assert_eq!(counts(&world), [0, 1, 0, 1, 0]);
    world.delete(Kind::Namespace, "", "apps");
    assert_eq!(counts(&world), [0, 0, 0, 0, 0]);

    // From another namespace, to a listener of its own namespace only.
    world.create(namespace("apps", json!({})));
    let mut json = route("r", "g", json!([]));
    json["metadata"]["namespace"] = json!("apps");
    json["spec"]["parentRefs"] = json!([{"name": "g", "namespace": "default", "sectionName": "same"}]);
    let Object::TcpRoute(route) = world.create(json) else {
        panic!("not a route");
    };
    let conditions = &route.status.parents[0].conditions;
    assert_eq!(summary(conditions)[0], "Accepted=False/NotAllowedByListeners");
    assert!(
        condition(conditions, "Accepted")
            .message
            .contains("allowedRoutes.namespaces.from is Same")
    );
}

/// With referents that are there, that cannot be used, and that are out of reach.
fn world_with_referents() -> World {
    let mut world = world();
    world.create(namespace("other", json!({})));
    world.create(json!({"kind": "Service", "metadata": {"name": "hidden", "namespace": "other"}, "spec": {"ports": [{"port": 1}]}}));
    world.create(
        json!({"kind": "Service", "metadata": {"name": "udp"}, "spec": {"ports": [{"port": 1, "protocol": "UDP"}]}}),
    );
    world.create(json!({
        "kind": "Service",
        "metadata": {"name": "external"},
        "spec": {"type": "ExternalName", "externalName": "example.com", "ports": [{"port": 1}]},
    }));
    world.create(backend("b", json!([{"ip": "10.0.0.1", "port": 5432}])));
    world
}

fn in_other(name: &str) -> Value {
    json!({"name": name, "namespace": "other", "port": 1})
}

#[test]
fn references() {
    let mut world = world_with_referents();
    let good = json!({"name": "s", "port": 5432});
    let cases = [
        (json!([good]), "True/ResolvedRefs"),
        (
            json!([{"group": "guideway.dev", "kind": "Backend", "name": "b"}]),
            "True/ResolvedRefs",
        ),
        (
            json!([{"group": "guideway.dev", "kind": "Backend", "name": "b", "port": 5432}]),
            "True/ResolvedRefs",
        ),
        (
            json!([{"group": "guideway.dev", "kind": "Backend", "name": "b", "port": 1}]),
            "False/BackendNotFound",
        ),
        (
            json!([{"group": "guideway.dev", "kind": "Backend", "name": "no"}]),
            "False/BackendNotFound",
        ),
        (json!([{"name": "no", "port": 1}]), "False/BackendNotFound"),
        (json!([{"name": "s", "port": 1}]), "False/BackendNotFound"),
        (json!([{"name": "external", "port": 1}]), "False/BackendNotFound"),
        (json!([{"name": "udp", "port": 1}]), "False/UnsupportedProtocol"),
        (
            json!([{"group": "example.com", "kind": "Thing", "name": "s"}]),
            "False/InvalidKind",
        ),
        (
            json!([{"group": "example.com", "kind": "Service", "name": "s"}]),
            "False/InvalidKind",
        ),
        (json!([in_other("hidden")]), "False/RefNotPermitted"),
        (json!([in_other("no")]), "False/RefNotPermitted"),
        (
            json!([{"name": "udp", "port": 1}, {"name": "no", "port": 1}]),
            "False/BackendNotFound",
        ),
        (
            json!([{"name": "no", "port": 1}, {"kind": "Thing", "name": "x"}, good]),
            "False/InvalidKind",
        ),
        (
            json!([{"kind": "Thing", "name": "x"}, in_other("no")]),
            "False/RefNotPermitted",
        ),
    ];
    for (refs, expected) in cases {
        world.create(route("r", "g", refs.clone()));
        let entry = world.parent("r");
        assert_eq!(summary(&entry.conditions)[0], "Accepted=True/Accepted");
        assert_eq!(
            summary(&entry.conditions)[1],
            format!("ResolvedRefs={expected}"),
            "{refs}"
        );
        world.delete(Kind::TcpRoute, "default", "r");
    }
}

#[test]
fn what_is_there_and_what_is_not_look_the_same_from_outside() {
    let mut world = world_with_referents();
    let message = |world: &mut World, name: &str| {
        world.create(route("r", "g", json!([in_other(name)])));
        let entry = world.parent("r");
        world.delete(Kind::TcpRoute, "default", "r");
        condition(&entry.conditions, "ResolvedRefs")
            .message
            .replace(name, "NAME")
    };
    assert_eq!(message(&mut world, "hidden"), message(&mut world, "absent"));
}

#[test]
fn references_follow_their_referents() {
    let mut world = world();
    world.create(route(
        "r",
        "g",
        json!([{"name": "later", "port": 1}, {"group": "guideway.dev", "kind": "Backend", "name": "b"}]),
    ));
    let resolved = |world: &World| summary(&world.parent("r").conditions)[1].clone();
    assert_eq!(resolved(&world), "ResolvedRefs=False/BackendNotFound");
    world.create(service("later", 1));
    assert_eq!(resolved(&world), "ResolvedRefs=False/BackendNotFound");
    world.create(backend("b", json!([{"ip": "10.0.0.1", "port": 1}])));
    assert_eq!(resolved(&world), "ResolvedRefs=True/ResolvedRefs");
    world.replace(service("later", 2));
    assert_eq!(resolved(&world), "ResolvedRefs=False/BackendNotFound");
    world.replace(service("later", 1));
    world.delete(Kind::Backend, "default", "b");
    assert_eq!(resolved(&world), "ResolvedRefs=False/BackendNotFound");
}

#[test]
fn the_oldest_route_carries_and_the_others_say_so() {
    let mut world = world();
    let pg = json!([{"name": "g", "sectionName": "pg"}]);
    world.create(to_service("z-first", pg.clone()));
    world.create(to_service("m-second", json!([{"name": "g"}])));
    world.create(to_service("a-third", pg));
    assert_eq!(attached(&world), [3, 1, 0]);
    let superseded = |world: &World, route: &str| summary(&world.parent(route).conditions).get(2).cloned();
    let all = Some("guideway.dev/Superseded=True/OlderRoute".to_owned());
    assert_eq!(superseded(&world, "z-first"), None);
    assert_eq!(
        superseded(&world, "m-second").as_deref(),
        Some("guideway.dev/Superseded=True/OlderRouteOnSomeListeners")
    );
    assert_eq!(superseded(&world, "a-third"), all);
    for route in ["z-first", "m-second", "a-third"] {
        assert_eq!(summary(&world.parent(route).conditions)[0], "Accepted=True/Accepted");
    }
    let message = condition(&world.parent("a-third").conditions, "guideway.dev/Superseded")
        .message
        .clone();
    assert!(
        message.contains("default/z-first") && message.contains("\"pg\""),
        "{message}"
    );

    world.delete(Kind::TcpRoute, "default", "z-first");
    assert_eq!(superseded(&world, "m-second"), None);
    assert_eq!(superseded(&world, "a-third"), all);
    let message = condition(&world.parent("a-third").conditions, "guideway.dev/Superseded")
        .message
        .clone();
    assert!(message.contains("default/m-second"), "{message}");
    world.delete(Kind::TcpRoute, "default", "m-second");
    assert_eq!(superseded(&world, "a-third"), None);
}

#[test]
fn of_one_second_the_name_decides() {
    let mut world = world();
    for name in ["b", "a"] {
        let command = world.creation(to_service(name, json!([{"name": "g", "sectionName": "pg"}])));
        assert!(matches!(world.apply_in_same_second(command), Outcome::Object(_)));
    }
    assert_eq!(world.parent("a").conditions.len(), 2);
    assert_eq!(world.parent("b").conditions.len(), 3);
}

#[test]
fn rules_after_the_first_are_dropped_aloud() {
    let mut world = world();
    let mut json = to_service("r", json!([{"name": "g", "sectionName": "pg"}]));
    json["spec"]["rules"] =
        json!([{"backendRefs": [{"name": "s", "port": 5432}]}, {"backendRefs": [{"name": "no", "port": 1}]}]);
    world.create(json);
    let conditions = world.parent("r").conditions;
    assert_eq!(
        summary(&conditions),
        [
            "Accepted=True/Accepted",
            "ResolvedRefs=True/ResolvedRefs",
            "PartiallyInvalid=True/UnsupportedValue"
        ]
    );
    assert!(conditions[2].message.starts_with("Dropped Rule"));
}

#[test]
fn entries_of_other_controllers_are_kept() {
    let mut world = world();
    world.create(to_service("r", json!([{"name": "g", "sectionName": "pg"}])));
    let before = world.route("r");
    let mut written = before.clone();
    let mut theirs = written.parents[0].clone();
    theirs.controller_name = "example.com/controller".to_owned();
    theirs.conditions[0].reason = "Theirs".to_owned();
    written.parents[0].conditions[0].reason = "Forged".to_owned();
    written.parents.push(theirs.clone());
    let key = crate::fixture::key(Kind::TcpRoute, "default", "r");
    let mut object_written = world.state.get(&key).expect("the route").clone();
    *object_written.route_status_mut().expect("a route") = written;
    world.apply(status_write(object_written));
    let after = world.route("r");
    assert_eq!(after.parents[0], before.parents[0]);
    assert_eq!(after.parents[1], theirs);

    // They stay through what we derive again, and a spec write does not touch them.
    world.apply(replacement(to_service(
        "r",
        json!([{"name": "g", "sectionName": "mysql"}]),
    )));
    let after = world.route("r");
    assert_eq!(after.parents.len(), 2);
    assert_eq!(after.parents[1], theirs);
    world.apply(status_write(object(to_service("r", json!([])))));
    assert_eq!(world.route("r").parents, after.parents[..1]);
}
