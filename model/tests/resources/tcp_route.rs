//! TCPRoute.

use guideway_model::Kind;
use guideway_model::object::Object;

use crate::{accept, decode, expect_causes, object, reject};

const RULES: &str = "rules: [{backendRefs: [{name: db, port: 5432}]}]";

#[test]
fn defaults_are_filled_in() {
    let body = "spec: {parentRefs: [{name: edge}], rules: [{backendRefs: [{name: db, port: 5432}]}]}";
    let Object::TcpRoute(route) = accept(Kind::TcpRoute, body) else {
        panic!("a TCPRoute")
    };
    let parent = &route.spec.parent_refs[0];
    assert!(parent.is_gateway());
    assert_eq!(parent.namespace_or("home"), "home");
    let backend = &route.spec.rules[0].backend_refs[0];
    assert!(backend.is_service());
    assert_eq!(backend.weight, 1);
}

#[test]
fn rules_are_bounded_by_version() {
    let two = "spec: {rules: [{backendRefs: [{name: a, port: 1}]}, {backendRefs: [{name: b, port: 1}]}]}";
    reject(Kind::TcpRoute, two, &[("spec.rules", "2 entries: must be at most 1")]);
    let mut older = object(Kind::TcpRoute, two);
    older["apiVersion"] = "gateway.networking.k8s.io/v1alpha2".into();
    let decoded = decode(Kind::TcpRoute, older).expect("v1alpha2 takes up to 16 rules");
    assert_eq!(decoded.encode("v1")["apiVersion"], "gateway.networking.k8s.io/v1");
    let many = format!(
        "spec: {{rules: [{}]}}",
        vec!["{backendRefs: [{name: a, port: 1}]}"; 17].join(", ")
    );
    let mut older = object(Kind::TcpRoute, &many);
    older["apiVersion"] = "gateway.networking.k8s.io/v1alpha2".into();
    expect_causes(
        "17 rules",
        decode(Kind::TcpRoute, older),
        &[("spec.rules", "17 entries: must be at most 16")],
    );
}

#[test]
fn parents_that_are_accepted() {
    for parents in [
        "[{name: a}, {name: b}]",
        "[{name: a, sectionName: x}, {name: a, sectionName: z}]",
        "[{name: a}, {name: a, namespace: other}]",
        "[{name: a}, {name: a, kind: ListenerSet}]",
        "[{name: m, group: example.io, kind: Mesh, port: 8000}]",
    ] {
        accept(Kind::TcpRoute, &format!("spec: {{parentRefs: {parents}, {RULES}}}"));
    }
}

#[test]
fn parents_that_are_refused() {
    const SPECIFIED: &str =
        "sectionName must be specified when parentRefs includes 2 or more references to the same parent";
    const UNIQUE: &str = "sectionName must be unique when parentRefs includes 2 or more references to the same parent";
    for (parents, expected) in [
        (
            "[{name: a}, {name: a, sectionName: x}]",
            vec![("spec.parentRefs", SPECIFIED)],
        ),
        ("[{name: a}, {name: a}]", vec![("spec.parentRefs", UNIQUE)]),
        // Differing only by port is not enough in the standard channel.
        (
            "[{name: a, port: 1}, {name: a, port: 2}]",
            vec![("spec.parentRefs", UNIQUE)],
        ),
        (
            "[{name: a, sectionName: x}, {name: b}, {name: a, sectionName: x}]",
            vec![(
                "spec.parentRefs",
                "parentRefs[0] and parentRefs[2] are both \"a\" with sectionName \"x\"",
            )],
        ),
        (
            "[{name: a, port: 0}]",
            vec![("spec.parentRefs[0].port", "0: must be between 1 and 65535")],
        ),
        (
            "[{name: ''}]",
            vec![("spec.parentRefs[0].name", "must have at least 1 characters")],
        ),
        ("[{sectionName: x}]", vec![("spec.parentRefs[0].name", "must be set")]),
    ] {
        reject(
            Kind::TcpRoute,
            &format!("spec: {{parentRefs: {parents}, {RULES}}}"),
            &expected,
        );
    }
}

#[test]
fn backends_that_are_refused() {
    for (backends, expected) in [
        (
            "[]",
            vec![("spec.rules[0].backendRefs", "0 entries: must be at least 1")],
        ),
        (
            "[{name: a}]",
            vec![(
                "spec.rules[0].backendRefs[0]",
                "Must have port for Service reference: Service \"a\" has none",
            )],
        ),
        (
            "[{name: a, port: 1, weight: -1}]",
            vec![(
                "spec.rules[0].backendRefs[0].weight",
                "-1: must be between 0 and 1000000",
            )],
        ),
        (
            "[{name: a, port: 1, weight: 1000001}]",
            vec![(
                "spec.rules[0].backendRefs[0].weight",
                "1000001: must be between 0 and 1000000",
            )],
        ),
        (
            "[{name: a, port: 1, weight: 0.5}]",
            vec![(
                "spec.rules[0].backendRefs[0].weight",
                "expected integer, found number 0.5",
            )],
        ),
    ] {
        reject(
            Kind::TcpRoute,
            &format!("spec: {{rules: [{{backendRefs: {backends}}}]}}"),
            &expected,
        );
    }
    accept(
        Kind::TcpRoute,
        "spec: {rules: [{backendRefs: [{group: guideway.dev, kind: Backend, name: b, weight: 0}]}]}",
    );
    reject(Kind::TcpRoute, "spec: {}", &[("spec.rules", "must be set")]);
    reject(Kind::TcpRoute, "", &[("spec", "must be set")]);
}
