//! ListenerSet and ReferenceGrant.

use guideway_model::Kind;
use guideway_model::object::Object;

use crate::{accept, decode, object, reject};

#[test]
fn a_listener_set_is_for_a_gateway_unless_it_says_other() {
    let body = "spec: {parentRef: {name: edge}, listeners: [{name: a, port: 53, protocol: UDP}]}";
    let Object::ListenerSet(set) = accept(Kind::ListenerSet, body) else {
        panic!("a ListenerSet")
    };
    assert!(set.spec.parent_ref.is_gateway());
    assert_eq!(set.spec.parent_ref.namespace_or("home"), "home");
    assert_eq!(set.spec.listeners[0].port, 53);
    let other = "spec: {parentRef: {name: edge, kind: Other, group: a.example, namespace: apps},
                        listeners: [{name: a, port: 53, protocol: UDP}]}";
    let Object::ListenerSet(set) = accept(Kind::ListenerSet, other) else {
        panic!("a ListenerSet")
    };
    assert!(!set.spec.parent_ref.is_gateway());
    assert_eq!(set.spec.parent_ref.namespace_or("home"), "apps");
}

/// The table of a Gateway's listeners holds for both, since the rules are the same code; a sample shows that it runs.
#[test]
fn listeners_have_the_rules_of_a_gateway() {
    for (listeners, expected) in [
        (
            "[{name: a, port: 80, protocol: UDP, tls: {mode: Passthrough}}]",
            vec![(
                "spec.listeners",
                "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']: listener \"a\" has protocol UDP",
            )],
        ),
        (
            "[{name: a, port: 443, protocol: TLS, tls: {}}]",
            vec![(
                "spec.listeners[0].tls",
                "certificateRefs or options must be specified when mode is Terminate",
            )],
        ),
        (
            "[{name: a, port: 443, protocol: TLS, hostname: x.example.com, tls: {mode: Passthrough}},
              {name: b, port: 443, protocol: TLS, hostname: x.example.com, tls: {mode: Passthrough}}]",
            vec![(
                "spec.listeners",
                "Combination of port, protocol and hostname must be unique for each listener",
            )],
        ),
        ("[]", vec![("spec.listeners", "0 entries: must be at least 1")]),
        (
            "[{name: a, protocol: TCP}]",
            vec![("spec.listeners[0].port", "must be set")],
        ),
    ] {
        let body = format!("spec: {{parentRef: {{name: edge}}, listeners: {listeners}}}");
        reject(Kind::ListenerSet, &body, &expected);
    }
    reject(
        Kind::ListenerSet,
        "spec: {listeners: [{name: a, port: 1, protocol: TCP}]}",
        &[("spec.parentRef", "must be set")],
    );
}

#[test]
fn a_grant_is_for_whom_and_what_it_names() {
    let body = "spec: {from: [{group: gateway.networking.k8s.io, kind: TLSRoute, namespace: apps},
                              {group: gateway.networking.k8s.io, kind: Gateway, namespace: edge}],
                       to: [{group: '', kind: Service}, {group: '', kind: Secret, name: cert}]}";
    let Object::ReferenceGrant(grant) = accept(Kind::ReferenceGrant, body) else {
        panic!("a ReferenceGrant")
    };
    const ROUTE: (&str, &str) = ("gateway.networking.k8s.io", "TLSRoute");
    const GATEWAY: (&str, &str) = ("gateway.networking.k8s.io", "Gateway");
    const SERVICE: (&str, &str) = ("", "Service");
    const SECRET: (&str, &str) = ("", "Secret");
    for (from, namespace, to, name, allowed) in [
        (ROUTE, "apps", SERVICE, "any", true),
        (ROUTE, "apps", SECRET, "cert", true),
        (ROUTE, "apps", SECRET, "other", false),
        (ROUTE, "edge", SERVICE, "any", false),
        (GATEWAY, "edge", SECRET, "cert", true),
        (("", "TLSRoute"), "apps", SERVICE, "any", false),
        (ROUTE, "apps", ("apps", "Service"), "any", false),
    ] {
        let found = grant.allows(from, namespace, to, name);
        assert_eq!(found, allowed, "{from:?} {namespace} {to:?} {name}");
    }
    let mut older = object(Kind::ReferenceGrant, body);
    older["apiVersion"] = "gateway.networking.k8s.io/v1beta1".into();
    let older = decode(Kind::ReferenceGrant, older).expect("relabelled");
    assert_eq!(
        older.encode("v1beta1")["apiVersion"],
        "gateway.networking.k8s.io/v1beta1"
    );
}

#[test]
fn grants_that_are_refused() {
    const FROM: &str = "from: [{group: '', kind: A, namespace: apps}]";
    const TO: &str = "to: [{group: '', kind: B}]";
    for (fields, field, message) in [
        (FROM.to_owned(), "spec.to", "must be set"),
        (TO.to_owned(), "spec.from", "must be set"),
        (format!("from: [], {TO}"), "spec.from", "0 entries: must be at least 1"),
        (
            format!("from: [{{group: '', kind: A}}], {TO}"),
            "spec.from[0].namespace",
            "must be set",
        ),
        (format!("{FROM}, to: [{{kind: B}}]"), "spec.to[0].group", "must be set"),
        (
            format!("{FROM}, to: [{}]", vec!["{group: '', kind: B}"; 17].join(", ")),
            "spec.to",
            "17 entries: must be at most 16",
        ),
    ] {
        reject(
            Kind::ReferenceGrant,
            &format!("spec: {{{fields}}}"),
            &[(field, message)],
        );
    }
}
