//! References to other namespaces.

use serde_json::{Value, json};

use crate::fixture::{World, condition, gateway, grant, route, secret, service, summary, tcp, terminate, tls, udp};
use crate::kind::Kind;
use crate::plan::compile;

fn far(mut json: Value) -> Value {
    json["metadata"]["namespace"] = json!("apps");
    json
}

fn world() -> World {
    let mut world = World::new();
    world.create(json!({"kind": "Namespace", "metadata": {"name": "apps"}}));
    world.create(gateway(
        "g",
        json!([tcp("tcp", 1), udp("udp", 1), tls("tls", 2, "a.test")]),
    ));
    world
}

fn resolved(world: &World) -> String {
    summary(&world.parent("r").conditions).remove(1)
}

#[test]
fn routes_of_every_kind_need_a_grant_for_services_and_backends() {
    for kind in ["TCPRoute", "UDPRoute", "TLSRoute"] {
        for (group, referent) in [("", "Service"), ("guideway.dev", "Backend")] {
            let mut world = world();
            let refs = json!([{"group": group, "kind": referent, "namespace": "apps", "name": "s", "port": 80}]);
            let mut json = route("r", "g", refs);
            json["kind"] = json!(kind);
            if kind == "TLSRoute" {
                json["spec"]["hostnames"] = json!(["a.test"]);
            }
            world.create(json);
            let missing = world.parent("r");
            assert_eq!(resolved(&world), "ResolvedRefs=False/RefNotPermitted");
            world.create(match referent {
                "Service" => {
                    let mut service = far(service("s", 80));
                    service["spec"]["ports"] = json!([
                        {"name": "t", "port": 80},
                        {"name": "u", "port": 80, "protocol": "UDP"},
                    ]);
                    service
                }
                _ => far(crate::fixture::backend("s", json!([{"ip": "10.0.0.1", "port": 80}]))),
            });
            // Whether it is there shows in nothing.
            assert_eq!(world.parent("r"), missing, "{kind} {referent}");

            let other = if kind == "TCPRoute" { "UDPRoute" } else { "TCPRoute" };
            world.create(grant("apps", "other", other, json!({"group": group, "kind": referent})));
            world.create(grant(
                "apps",
                "name",
                kind,
                json!({"group": group, "kind": referent, "name": "x"}),
            ));
            world.create(grant(
                "default",
                "wrong",
                kind,
                json!({"group": group, "kind": referent}),
            ));
            assert_eq!(resolved(&world), "ResolvedRefs=False/RefNotPermitted");
            world.create(grant(
                "apps",
                "right",
                kind,
                json!({"group": group, "kind": referent, "name": "s"}),
            ));
            assert_eq!(resolved(&world), "ResolvedRefs=True/ResolvedRefs", "{kind} {referent}");
            world.delete(Kind::ReferenceGrant, "apps", "right");
            assert_eq!(world.parent("r").conditions[1].reason, missing.conditions[1].reason);
            // Only where the reference is allowed is it said that the referent is missing.
            world.create(grant("apps", "all", kind, json!({"group": group, "kind": referent})));
            let backend = if referent == "Service" {
                Kind::Service
            } else {
                Kind::Backend
            };
            world.delete(backend, "apps", "s");
            assert_eq!(resolved(&world), "ResolvedRefs=False/BackendNotFound");
        }
    }
}

#[test]
fn a_grant_that_goes_takes_the_traffic_with_it() {
    let mut world = world();
    world.create(route("r", "g", json!([{"namespace": "apps", "name": "s", "port": 80}])));
    world.create(far(service("s", 80)));
    world.create(far(crate::fixture::slice("e", "s", 8080, &["10.0.0.1"])));
    world.create(grant(
        "apps",
        "right",
        "TCPRoute",
        json!({"group": "", "kind": "Service"}),
    ));
    let entry = |world: &World, previous| {
        let plan = compile(&world.state, previous);
        let entries = plan.listeners[0].service.routes()[0].pool.entries.clone();
        (format!("{:?}", entries[0]), plan)
    };
    let (text, plan) = entry(&world, None);
    assert!(text.contains("10.0.0.1:8080"), "{text}");
    world.delete(Kind::ReferenceGrant, "apps", "right");
    let (text, plan) = entry(&world, Some(&plan));
    assert!(text.contains("Reject"), "{text}");
    world.create(grant(
        "apps",
        "right",
        "TCPRoute",
        json!({"group": "", "kind": "Service"}),
    ));
    assert!(entry(&world, Some(&plan)).0.contains("10.0.0.1:8080"));
}

#[test]
fn gateways_need_a_grant_for_certificates() {
    let mut world = world();
    world.create(far(secret("cert")));
    let mut end = terminate("end", 443, "a.test", "cert");
    end["tls"]["certificateRefs"] = json!([{"namespace": "apps", "name": "cert"}]);
    world.create(gateway("h", json!([end])));
    let resolved = |world: &World| summary(&world.listener("h", "end").conditions).remove(2);
    assert_eq!(resolved(&world), "ResolvedRefs=False/RefNotPermitted");
    world.create(grant(
        "apps",
        "set",
        "ListenerSet",
        json!({"group": "", "kind": "Secret"}),
    ));
    assert_eq!(resolved(&world), "ResolvedRefs=False/RefNotPermitted");
    world.create(grant(
        "apps",
        "gateway",
        "Gateway",
        json!({"group": "", "kind": "Secret", "name": "cert"}),
    ));
    assert_eq!(resolved(&world), "ResolvedRefs=True/ResolvedRefs");
    world.delete(Kind::ReferenceGrant, "apps", "gateway");
    let status = world.listener("h", "end");
    assert_eq!(condition(&status.conditions, "ResolvedRefs").reason, "RefNotPermitted");
    assert!(
        condition(&status.conditions, "ResolvedRefs")
            .message
            .contains("ReferenceGrant in \"apps\"")
    );
}
