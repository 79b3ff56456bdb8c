//! Listeners of protocol TLS, and TLSRoutes.

use serde_json::{Value, json};

use crate::fixture::{
    World, condition, gateway, object, replacement, secret, socket, summary, tcp, terminate, tls, tls_route, udp,
};
use crate::kind::Kind;
use crate::node::BindResult;

fn no_refs() -> Value {
    json!([{"name": "s", "port": 443}])
}

fn listener(world: &World, name: &str) -> Vec<String> {
    summary(&world.listener("g", name).conditions)
}

fn accepted(world: &World, route: &str) -> String {
    summary(&world.parent(route).conditions).remove(0)
}

#[test]
fn each_protocol_carries_its_kind() {
    let mut world = World::new();
    world.create(secret("cert"));
    let listeners = json!([
        tcp("tcp", 1),
        udp("udp", 1),
        tls("pass", 2, "a.test"),
        terminate("end", 2, "b.test", "cert"),
    ]);
    world.create(gateway("g", listeners));
    for (name, kind) in [
        ("tcp", "TCPRoute"),
        ("udp", "UDPRoute"),
        ("pass", "TLSRoute"),
        ("end", "TLSRoute"),
    ] {
        let status = world.listener("g", name);
        assert_eq!(status.supported_kinds.len(), 1);
        assert_eq!(status.supported_kinds[0].kind, kind);
        assert_eq!(
            summary(&status.conditions),
            [
                "Accepted=True/Accepted",
                "Programmed=False/Pending",
                "ResolvedRefs=True/ResolvedRefs",
                "Conflicted=False/NoConflicts"
            ],
            "{name}"
        );
    }
    // Both modes share the port: one socket group.
    assert_eq!(world.state.index().claims.iter().count(), 4);
    world.report(1, socket(2), Some(BindResult::Bound));
    assert_eq!(listener(&world, "pass")[1], "Programmed=True/Programmed");
    assert_eq!(listener(&world, "end")[1], "Programmed=True/Programmed");
}

#[test]
fn kinds_that_tls_does_not_carry() {
    let mut world = World::new();
    let mut mixed = tls("mixed", 1, "a.test");
    mixed["allowedRoutes"] = json!({"kinds": [{"kind": "TCPRoute"}, {"kind": "TLSRoute"}]});
    let mut wrong = tls("wrong", 1, "b.test");
    wrong["allowedRoutes"] = json!({"kinds": [{"kind": "TCPRoute"}]});
    world.create(gateway("g", json!([mixed, wrong])));
    assert_eq!(listener(&world, "mixed")[2], "ResolvedRefs=False/InvalidRouteKinds");
    assert_eq!(world.listener("g", "mixed").supported_kinds[0].kind, "TLSRoute");
    assert_eq!(listener(&world, "wrong")[2], "ResolvedRefs=False/InvalidRouteKinds");
    assert!(world.listener("g", "wrong").supported_kinds.is_empty());
}

/// Secrets `good` here and in `apps`, and `bad` here.
fn with_secrets() -> World {
    let mut world = World::new();
    world.create(json!({"kind": "Namespace", "metadata": {"name": "apps"}}));
    world.create(secret("good"));
    let mut far = secret("good");
    far["metadata"]["namespace"] = json!("apps");
    world.create(far);
    let bad = json!({"tls.crt": "AA==", "tls.key": "AA=="});
    world.create(json!({"kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "bad"}, "data": bad}));
    world
}

/// Reference, cause, reason: permission goes before the rest, and nothing tells whether the Secret is there.
#[test]
fn certificates() {
    for (reference, says, reason) in [
        (
            json!({"name": "missing"}),
            "there is no such Secret",
            "InvalidCertificateRef",
        ),
        (json!({"name": "bad"}), "bad: ", "InvalidCertificateRef"),
        (
            json!({"name": "good", "kind": "Thing", "group": "example.com"}),
            "use a Secret",
            "InvalidCertificateRef",
        ),
        (
            json!({"name": "good", "namespace": "apps"}),
            "ReferenceGrant",
            "RefNotPermitted",
        ),
        (
            json!({"name": "missing", "namespace": "apps"}),
            "ReferenceGrant",
            "RefNotPermitted",
        ),
        (
            json!({"name": "missing", "namespace": "nowhere"}),
            "ReferenceGrant",
            "RefNotPermitted",
        ),
    ] {
        let mut world = with_secrets();
        let mut end = terminate("end", 443, "a.test", "good");
        end["tls"]["certificateRefs"] = json!([reference]);
        world.create(gateway("g", json!([end.clone()])));
        world.create(tls_route("r", "g", &["a.test"], no_refs()));
        world.report(1, socket(443), Some(BindResult::Bound));
        let status = world.listener("g", "end");
        assert_eq!(
            summary(&status.conditions)[..3],
            [
                "Accepted=True/Accepted".to_owned(),
                "Programmed=False/Invalid".to_owned(),
                format!("ResolvedRefs=False/{reason}")
            ],
            "{reference}"
        );
        let resolved = condition(&status.conditions, "ResolvedRefs");
        assert!(resolved.message.contains(says), "{}", resolved.message);
        assert_eq!(status.attached_routes, 1);
        assert_eq!(
            summary(&world.gateway("g").status.conditions)[0],
            "Accepted=False/ListenersNotValid"
        );
        // With one of two the listener serves, and still says what is wrong.
        end["tls"]["certificateRefs"] = json!([reference, {"name": "good"}]);
        world.replace(gateway("g", json!([end])));
        let conditions = listener(&world, "end");
        assert_eq!(conditions[1], "Programmed=True/Programmed");
        assert_eq!(conditions[2], format!("ResolvedRefs=False/{reason}"));
        assert!(
            world
                .gateway("g")
                .status
                .conditions
                .iter()
                .all(|condition| condition.observed_generation == 2)
        );
    }
}

#[test]
fn a_certificate_comes_goes_and_is_mended() {
    let mut world = World::new();
    world.create(gateway("g", json!([terminate("end", 443, "a.test", "cert")])));
    let resolved = |world: &World| listener(world, "end").remove(2);
    assert_eq!(resolved(&world), "ResolvedRefs=False/InvalidCertificateRef");
    world.create(secret("cert"));
    assert_eq!(resolved(&world), "ResolvedRefs=True/ResolvedRefs");
    let mut bad = secret("cert");
    bad["data"]["tls.key"] = json!("AA==");
    world.replace(bad);
    assert_eq!(resolved(&world), "ResolvedRefs=False/InvalidCertificateRef");
    world.replace(secret("cert"));
    assert_eq!(resolved(&world), "ResolvedRefs=True/ResolvedRefs");
    world.delete(Kind::Secret, "default", "cert");
    assert_eq!(resolved(&world), "ResolvedRefs=False/InvalidCertificateRef");
}

#[test]
fn host_names_decide_on_attachment() {
    for (served, asked, reason) in [
        ("a.test", &["a.test"][..], "Accepted=True/Accepted"),
        ("a.test", &["b.test"], "Accepted=False/NoMatchingListenerHostname"),
        ("*.test", &["test"], "Accepted=False/NoMatchingListenerHostname"),
        ("*.test", &["a.b.test"], "Accepted=True/Accepted"),
        ("*.test", &["b.example", "a.test"], "Accepted=True/Accepted"),
        ("a.test", &["*.test"], "Accepted=True/Accepted"),
        ("", &["*.test"], "Accepted=True/Accepted"),
        ("a.test", &[], "Accepted=True/Accepted"),
    ] {
        let mut world = World::new();
        world.create(gateway("g", json!([tls("pass", 443, served)])));
        world.create(tls_route("r", "g", asked, no_refs()));
        assert_eq!(accepted(&world, "r"), reason, "{served} {asked:?}");
        let attached = i32::from(reason.starts_with("Accepted=True"));
        assert_eq!(world.listener("g", "pass").attached_routes, attached);
    }
}

#[test]
fn a_route_finds_only_listeners_of_its_protocol() {
    let mut world = World::new();
    world.create(gateway(
        "g",
        json!([tcp("tcp", 1), udp("udp", 1), tls("pass", 2, ""), {"name": "web", "port": 3, "protocol": "HTTP"}]),
    ));
    for (kind, good) in [("TCPRoute", "tcp"), ("UDPRoute", "udp"), ("TLSRoute", "pass")] {
        for section in ["tcp", "udp", "pass", "web", "none"] {
            let mut json = tls_route("r", "g", &["a.test"], no_refs());
            json["kind"] = json!(kind);
            json["spec"]["parentRefs"][0]["sectionName"] = json!(section);
            world.create(json.clone());
            let expected = match section {
                "none" => "Accepted=False/NoMatchingParent",
                section if section == good => "Accepted=True/Accepted",
                _ => "Accepted=False/NotAllowedByListeners",
            };
            assert_eq!(accepted(&world, "r"), expected, "{kind} {section}");
            let kind = object(json).kind();
            world.delete(kind, "default", "r");
        }
    }
    for name in ["tcp", "udp", "pass", "web"] {
        assert_eq!(world.listener("g", name).attached_routes, 0);
    }
}

#[test]
fn an_older_route_has_a_host_name() {
    let mut world = World::new();
    world.create(gateway("g", json!([tls("one", 443, "*.test")])));
    world.create(tls_route("first", "g", &["a.test", "b.test"], no_refs()));
    world.create(tls_route("second", "g", &["b.test", "c.test"], no_refs()));
    world.create(tls_route("third", "g", &["a.test"], no_refs()));
    // The wildcard is less specific: it takes nothing from the others.
    world.create(tls_route("wild", "g", &["*.test"], no_refs()));
    assert_eq!(world.listener("g", "one").attached_routes, 4);
    let superseded = |world: &World, route: &str| {
        let conditions = world.parent(route).conditions;
        let mut found = conditions
            .into_iter()
            .filter(|found| found.condition_type == "guideway.dev/Superseded");
        found.next().map(|found| found.reason)
    };
    assert_eq!(superseded(&world, "first"), None);
    assert_eq!(
        superseded(&world, "second").as_deref(),
        Some("OlderRouteForSomeHostnames")
    );
    assert_eq!(superseded(&world, "third").as_deref(), Some("OlderRoute"));
    assert_eq!(superseded(&world, "wild"), None);
    world.delete(Kind::TlsRoute, "default", "first");
    for route in ["second", "third", "wild"] {
        assert_eq!(superseded(&world, route), None);
    }
}

#[test]
fn gateways_share_a_tls_port_by_host_name() {
    let mut world = World::new();
    world.create(gateway("g", json!([tls("a", 443, "a.test")])));
    world.create(gateway("h", json!([tls("a", 443, "a.test"), tls("b", 443, "b.test")])));
    let conflict = [
        "Accepted=False/HostnameConflict",
        "Programmed=False/HostnameConflict",
        "ResolvedRefs=True/ResolvedRefs",
        "Conflicted=True/HostnameConflict",
    ];
    assert_eq!(listener(&world, "a")[0], "Accepted=True/Accepted");
    let lost = world.listener("h", "a");
    assert_eq!(summary(&lost.conditions), conflict);
    assert!(lost.supported_kinds.is_empty());
    assert!(
        condition(&lost.conditions, "Conflicted")
            .message
            .contains("Gateway default/g")
    );
    assert_eq!(
        summary(&world.listener("h", "b").conditions)[0],
        "Accepted=True/Accepted"
    );
    // A TCP listener wants all of the port.
    world.create(gateway("i", json!([tcp("all", 443)])));
    assert_eq!(
        summary(&world.listener("i", "all").conditions)[0],
        "Accepted=False/ProtocolConflict"
    );
    // The younger moves up when the older gives the name up.
    world.apply(replacement(gateway("g", json!([tls("a", 443, "c.test")]))));
    assert_eq!(
        summary(&world.listener("h", "a").conditions)[0],
        "Accepted=True/Accepted"
    );
    world.delete(Kind::Gateway, "default", "g");
    world.delete(Kind::Gateway, "default", "h");
    assert_eq!(
        summary(&world.listener("i", "all").conditions)[0],
        "Accepted=True/Accepted"
    );
}
