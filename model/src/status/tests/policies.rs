//! Policies: targets, precedence, conflicts, ancestors.

use serde_json::{Value, json};

use crate::fixture::{
    World, authorities, backend, class, condition, gateway, listener_set, route, secret, service, slice, summary, tcp,
    terminate, tls_route,
};
use crate::kind::Kind;

const GATEWAY_API: &str = "gateway.networking.k8s.io";

fn target(group: &str, kind: &str, name: &str, section: Option<&str>) -> Value {
    json!({"group": group, "kind": kind, "name": name, "sectionName": section})
}

fn client(name: &str, targets: Value) -> Value {
    let spec = json!({"targetRefs": targets, "timeout": {"tcp": {"idleTimeout": "1m"}}});
    json!({"kind": "ClientTrafficPolicy", "metadata": {"name": name}, "spec": spec})
}

fn traffic(name: &str, targets: Value) -> Value {
    let spec = json!({"targetRefs": targets, "timeout": {"tcp": {"connectTimeout": "1s"}}});
    json!({"kind": "BackendTrafficPolicy", "metadata": {"name": name}, "spec": spec})
}

fn upstream_tls(name: &str, section: Option<&str>, refs: Value) -> Value {
    json!({
        "kind": "BackendTLSPolicy",
        "metadata": {"name": name},
        "spec": {
            "targetRefs": [target("", "Service", "s", section)],
            "validation": {"hostname": "up.test", "caCertificateRefs": refs},
        },
    })
}

fn bundle(name: &str) -> Value {
    json!([{"group": "", "kind": "ConfigMap", "name": name}])
}

/// Each ancestor by name, with its conditions.
fn ancestors(world: &World, kind: Kind, name: &str) -> Vec<(String, Vec<String>)> {
    let entries = world.policy(kind, name).ancestors;
    entries
        .iter()
        .map(|entry| (entry.ancestor_ref.name.clone(), summary(&entry.conditions)))
        .collect()
}

fn only(world: &World, kind: Kind, name: &str) -> Vec<String> {
    let found = ancestors(world, kind, name);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].1.clone()
}

#[test]
fn targets_of_a_client_policy() {
    for (kind, name, section, expected) in [
        ("Gateway", "g", None, "Accepted=True/Accepted"),
        ("Gateway", "g", Some("pg"), "Accepted=True/Accepted"),
        ("Gateway", "g", Some("no"), "Accepted=False/TargetNotFound"),
        ("Gateway", "no", None, "Accepted=False/TargetNotFound"),
        ("ListenerSet", "x", Some("more"), "Accepted=True/Accepted"),
        ("ListenerSet", "no", None, "Accepted=False/TargetNotFound"),
        ("TCPRoute", "r", None, "Accepted=False/Invalid"),
        ("Thing", "t", None, "Accepted=False/Invalid"),
    ] {
        let mut world = World::new();
        world.create(client("p", json!([target(GATEWAY_API, kind, name, section)])));
        world.create(gateway("g", json!([tcp("pg", 1)])));
        world.create(listener_set("x", "g", json!([tcp("more", 2)])));
        assert_eq!(
            only(&world, Kind::ClientTrafficPolicy, "p"),
            [expected],
            "{kind} {name} {section:?}"
        );
        let entry = world.policy(Kind::ClientTrafficPolicy, "p").ancestors.remove(0);
        assert_eq!(entry.controller_name, crate::state::CONTROLLER_NAME);
        assert_eq!(entry.conditions[0].observed_generation, 1);
        assert_eq!(entry.ancestor_ref.section_name.as_deref(), section);
    }
}

#[test]
fn a_target_of_another_controller_gets_no_answer() {
    let mut world = World::new();
    world.create(class("theirs", "example.com/other"));
    let mut json = gateway("g", json!([tcp("pg", 1)]));
    json["spec"]["gatewayClassName"] = json!("theirs");
    world.create(json.clone());
    world.create(client("p", json!([target(GATEWAY_API, "Gateway", "g", None)])));
    assert!(ancestors(&world, Kind::ClientTrafficPolicy, "p").is_empty());
    json["spec"]["gatewayClassName"] = json!("guideway");
    world.replace(json);
    assert_eq!(only(&world, Kind::ClientTrafficPolicy, "p"), ["Accepted=True/Accepted"]);
}

#[test]
fn targets_of_a_backend_policy() {
    for (group, kind, name, section, expected) in [
        (GATEWAY_API, "TCPRoute", "r", None, "Accepted=True/Accepted"),
        (GATEWAY_API, "TCPRoute", "r", Some("main"), "Accepted=True/Accepted"),
        (
            GATEWAY_API,
            "TCPRoute",
            "r",
            Some("no"),
            "Accepted=False/TargetNotFound",
        ),
        (GATEWAY_API, "UDPRoute", "r", None, "Accepted=False/TargetNotFound"),
        ("", "Service", "s", None, "Accepted=True/Accepted"),
        ("", "Service", "s", Some("sql"), "Accepted=True/Accepted"),
        ("", "Service", "s", Some("no"), "Accepted=False/TargetNotFound"),
        ("guideway.dev", "Backend", "b", None, "Accepted=True/Accepted"),
        (
            "guideway.dev",
            "Backend",
            "b",
            Some("x"),
            "Accepted=False/TargetNotFound",
        ),
        (GATEWAY_API, "Gateway", "g", None, "Accepted=False/Invalid"),
    ] {
        let mut world = World::new();
        world.create(traffic("p", json!([target(group, kind, name, section)])));
        world.create(gateway("g", json!([tcp("pg", 1)])));
        let mut json = route("r", "g", json!([]));
        json["spec"]["rules"][0]["name"] = json!("main");
        world.create(json);
        let mut json = service("s", 80);
        json["spec"]["ports"][0]["name"] = json!("sql");
        world.create(json);
        world.create(backend("b", json!([{"ip": "10.0.0.1", "port": 1}])));
        assert_eq!(
            only(&world, Kind::BackendTrafficPolicy, "p"),
            [expected],
            "{kind} {name} {section:?}"
        );
    }
}

#[test]
fn the_older_of_two_has_the_target() {
    let kind = Kind::ClientTrafficPolicy;
    let mut world = World::new();
    world.create(gateway("g", json!([tcp("pg", 1)])));
    let whole = || json!([target(GATEWAY_API, "Gateway", "g", None)]);
    world.create(client("z-older", whole()));
    world.create(client("a-younger", whole()));
    // Another part of the target is another target, and so is another kind of policy.
    world.create(client("part", json!([target(GATEWAY_API, "Gateway", "g", Some("pg"))])));
    assert_eq!(only(&world, kind, "z-older"), ["Accepted=True/Accepted"]);
    assert_eq!(only(&world, kind, "a-younger"), ["Accepted=False/Conflicted"]);
    assert_eq!(only(&world, kind, "part"), ["Accepted=True/Accepted"]);
    let entry = world.policy(kind, "a-younger").ancestors.remove(0);
    assert!(
        condition(&entry.conditions, "Accepted")
            .message
            .contains("default/z-older")
    );
    world.delete(kind, "default", "z-older");
    assert_eq!(only(&world, kind, "a-younger"), ["Accepted=True/Accepted"]);
}

/// A Service `s` that a TLSRoute uses behind a Terminate listener of Gateway `g`.
fn world() -> World {
    let mut world = World::new();
    world.create(secret("cert"));
    world.create(gateway("g", json!([terminate("end", 443, "a.test", "cert")])));
    let mut json = service("s", 443);
    json["spec"]["ports"][0]["name"] = json!("https");
    world.create(json);
    let mut json = slice("e", "s", 8443, &["10.0.0.1"]);
    json["ports"][0]["name"] = json!("https");
    world.create(json);
    world.create(tls_route("r", "g", &["a.test"], json!([{"name": "s", "port": 443}])));
    world.create(authorities("ca"));
    world
}

#[test]
fn authorities_of_a_tls_policy() {
    let empty = json!({"kind": "ConfigMap", "metadata": {"name": "empty"}, "data": {}});
    let thing = json!([{"group": "invalid.io", "kind": "Thing", "name": "ca"}]);
    let two =
        json!([{"group": "", "kind": "ConfigMap", "name": "ca"}, {"group": "", "kind": "ConfigMap", "name": "no"}]);
    for (refs, expected) in [
        (
            bundle("ca"),
            ["Accepted=True/Accepted", "ResolvedRefs=True/ResolvedRefs"],
        ),
        (
            bundle("no"),
            [
                "Accepted=False/NoValidCACertificate",
                "ResolvedRefs=False/InvalidCACertificateRef",
            ],
        ),
        (
            bundle("empty"),
            [
                "Accepted=False/NoValidCACertificate",
                "ResolvedRefs=False/InvalidCACertificateRef",
            ],
        ),
        (
            thing,
            ["Accepted=False/NoValidCACertificate", "ResolvedRefs=False/InvalidKind"],
        ),
        (
            two,
            ["Accepted=True/Accepted", "ResolvedRefs=False/InvalidCACertificateRef"],
        ),
    ] {
        let mut world = world();
        world.create(empty.clone());
        world.create(upstream_tls("p", None, refs.clone()));
        let found = ancestors(&world, Kind::BackendTlsPolicy, "p");
        assert_eq!(
            found,
            [("g".to_owned(), expected.map(str::to_owned).to_vec())],
            "{refs}"
        );
        let entry = world.policy(Kind::BackendTlsPolicy, "p").ancestors.remove(0);
        assert_eq!(entry.ancestor_ref.kind, "Gateway");
        assert_eq!(entry.ancestor_ref.namespace.as_deref(), Some("default"));
    }
}

#[test]
fn a_tls_policy_names_the_gateways_that_use_it() {
    let kind = Kind::BackendTlsPolicy;
    let mut world = world();
    world.create(upstream_tls("p", Some("https"), bundle("ca")));
    assert_eq!(ancestors(&world, kind, "p")[0].0, "g");
    world.delete(Kind::TlsRoute, "default", "r");
    // No one uses it: the Service answers.
    assert_eq!(ancestors(&world, kind, "p")[0].0, "s");
    assert_eq!(only(&world, kind, "p")[0], "Accepted=True/Accepted");
    world.delete(Kind::Service, "default", "s");
    assert_eq!(only(&world, kind, "p")[0], "Accepted=False/TargetNotFound");
    world.create(service("s", 443));
    assert_eq!(
        only(&world, kind, "p")[0],
        "Accepted=False/TargetNotFound",
        "it has no port of that name"
    );
    world.delete(Kind::ConfigMap, "default", "ca");
    assert_eq!(only(&world, kind, "p")[1], "ResolvedRefs=False/InvalidCACertificateRef");
}

#[test]
fn conflicts_of_tls_policies() {
    let kind = Kind::BackendTlsPolicy;
    let mut world = world();
    world.create(upstream_tls("z-older", None, bundle("ca")));
    world.create(upstream_tls("a-younger", None, bundle("ca")));
    world.create(upstream_tls("port", Some("https"), bundle("ca")));
    assert_eq!(only(&world, kind, "z-older")[0], "Accepted=True/Accepted");
    assert_eq!(only(&world, kind, "a-younger")[0], "Accepted=False/Conflicted");
    assert_eq!(only(&world, kind, "port")[0], "Accepted=True/Accepted");
    let mut unknown = upstream_tls("unknown", None, json!([]));
    unknown["spec"]["validation"]["wellKnownCACertificates"] = json!("example.com/Own");
    world.delete(kind, "default", "z-older");
    world.delete(kind, "default", "a-younger");
    world.create(unknown);
    assert_eq!(only(&world, kind, "unknown")[0], "Accepted=False/Invalid");
}

#[test]
fn a_service_without_slices_says_so() {
    let mut world = World::new();
    let conditions = |world: &World| {
        let key = crate::fixture::key(Kind::Service, "default", "s");
        match world.state.get(&key) {
            Some(crate::object::Object::Service(service)) => summary(&service.status.conditions),
            other => panic!("{other:?}"),
        }
    };
    world.create(service("s", 80));
    assert_eq!(conditions(&world), [""; 0]);
    let mut json = service("s", 80);
    json["spec"]["selector"] = json!({"app": "x"});
    world.replace(json);
    assert_eq!(
        conditions(&world),
        ["guideway.dev/NoEndpointSlices=True/SelectorWithoutSlices"]
    );
    world.create(slice("e", "s", 80, &[]));
    assert_eq!(conditions(&world), [""; 0]);
    world.delete(Kind::EndpointSlice, "default", "e");
    assert_eq!(
        conditions(&world),
        ["guideway.dev/NoEndpointSlices=True/SelectorWithoutSlices"]
    );
}
