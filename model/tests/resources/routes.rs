//! TCPRoute, UDPRoute and TLSRoute: what holds for all of them, then host names.

use guideway_model::Kind;

use crate::{accept, decode, expect_causes, object, reject};

const ROUTES: [Kind; 3] = [Kind::TcpRoute, Kind::UdpRoute, Kind::TlsRoute];
const RULES: &str = "rules: [{backendRefs: [{name: db, port: 5432}]}]";

/// `spec` with these fields, and with what else the kind needs.
fn spec(kind: Kind, fields: &str) -> String {
    match kind {
        Kind::TlsRoute => format!("spec: {{hostnames: [db.example.com], {fields}}}"),
        _ => format!("spec: {{{fields}}}"),
    }
}

#[test]
fn defaults_are_filled_in() {
    for kind in ROUTES {
        let object = accept(kind, &spec(kind, &format!("parentRefs: [{{name: edge}}], {RULES}")));
        let route = object.as_route().expect("a route");
        assert_eq!(route.kind, kind);
        assert_eq!(route.metadata.name, "it");
        let parent = &route.spec.parent_refs[0];
        assert!(parent.is_gateway());
        assert_eq!(parent.namespace_or("home"), "home");
        let backend = &route.spec.backend_refs()[0];
        assert!(backend.is_service());
        assert_eq!(backend.weight, 1);
        assert_eq!(route.hostnames.is_empty(), kind != Kind::TlsRoute);
    }
}

#[test]
fn rules_are_bounded_by_version() {
    let rules = |count| {
        format!(
            "rules: [{}]",
            vec!["{backendRefs: [{name: a, port: 1}]}"; count].join(", ")
        )
    };
    for kind in ROUTES {
        reject(
            kind,
            &spec(kind, &rules(2)),
            &[("spec.rules", "2 entries: must be at most 1")],
        );
        let mut older = object(kind, &spec(kind, &rules(16)));
        older["apiVersion"] = "gateway.networking.k8s.io/v1alpha2".into();
        let decoded = decode(kind, older).expect("v1alpha2 takes up to 16 rules");
        assert_eq!(decoded.encode("v1")["apiVersion"], "gateway.networking.k8s.io/v1");
        let mut older = object(kind, &spec(kind, &rules(17)));
        older["apiVersion"] = "gateway.networking.k8s.io/v1alpha2".into();
        expect_causes(
            "17 rules",
            decode(kind, older),
            &[("spec.rules", "17 entries: must be at most 16")],
        );
    }
    let mut newer = object(Kind::TlsRoute, &spec(Kind::TlsRoute, &rules(2)));
    newer["apiVersion"] = "gateway.networking.k8s.io/v1alpha3".into();
    expect_causes(
        "2 rules in v1alpha3",
        decode(Kind::TlsRoute, newer),
        &[("spec.rules", "2 entries: must be at most 1")],
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
        for kind in ROUTES {
            accept(kind, &spec(kind, &format!("parentRefs: {parents}, {RULES}")));
        }
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
        for kind in ROUTES {
            reject(kind, &spec(kind, &format!("parentRefs: {parents}, {RULES}")), &expected);
        }
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
        for kind in ROUTES {
            reject(
                kind,
                &spec(kind, &format!("rules: [{{backendRefs: {backends}}}]")),
                &expected,
            );
        }
    }
    for kind in ROUTES {
        let backend = "rules: [{backendRefs: [{group: guideway.dev, kind: Backend, name: b, weight: 0}]}]";
        accept(kind, &spec(kind, backend));
        reject(kind, &spec(kind, ""), &[("spec.rules", "must be set")]);
        reject(kind, "", &[("spec", "must be set")]);
    }
}

#[test]
fn host_names_are_for_tls_alone() {
    for kind in [Kind::TcpRoute, Kind::UdpRoute] {
        reject(
            kind,
            &format!("spec: {{hostnames: [a.example.com], {RULES}}}"),
            &[("spec.hostnames", "unknown field \"spec.hostnames\"")],
        );
    }
}

#[test]
fn host_names_are_needed_but_in_v1alpha2() {
    for hostnames in ["", "hostnames: [], ", "hostnames: null, "] {
        let body = format!("spec: {{{hostnames}{RULES}}}");
        let expected = [("spec.hostnames", "0 entries: must be at least 1")];
        reject(Kind::TlsRoute, &body, &expected);
        for (version, accepted) in [("v1alpha3", false), ("v1alpha2", true)] {
            let mut older = object(Kind::TlsRoute, &body);
            older["apiVersion"] = format!("gateway.networking.k8s.io/{version}").into();
            match decode(Kind::TlsRoute, older) {
                Ok(object) => assert!(accepted && object.as_route().is_some_and(|route| route.hostnames.is_empty())),
                refused => {
                    assert!(!accepted);
                    expect_causes(version, refused, &expected);
                }
            }
        }
    }
}

#[test]
fn host_names_are_bounded() {
    let with = |hostnames: &str| format!("spec: {{hostnames: [{hostnames}], {RULES}}}");
    let many = |count: usize| {
        (0..count)
            .map(|index| format!("h{index}.example.com"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    for good in [
        "a",
        "a.example.com, '*.example.com'",
        "'*.com'",
        "xn--bcher-kva.example",
    ] {
        accept(Kind::TlsRoute, &with(good));
    }
    accept(Kind::TlsRoute, &with(&many(1024)));
    let name = "must be a lower-case DNS name";
    let long = format!("{}a", "a.".repeat(127));
    for (hostnames, field, message) in [
        (
            many(1025).as_str(),
            "spec.hostnames",
            "1025 entries: must be at most 1024",
        ),
        (
            "192.0.2.1",
            "spec.hostnames",
            "Hostnames cannot contain an IP: \"192.0.2.1\"",
        ),
        ("'2001:db8::1'", "spec.hostnames[0]", name),
        ("a.example.com, '*'", "spec.hostnames[1]", name),
        ("'a.*.example.com'", "spec.hostnames[0]", name),
        ("'*a.example.com'", "spec.hostnames[0]", name),
        ("A.example.com", "spec.hostnames[0]", name),
        ("a_b.example.com", "spec.hostnames[0]", name),
        ("''", "spec.hostnames[0]", "must have at least 1 characters"),
        (
            long.as_str(),
            "spec.hostnames[0]",
            "255 characters: must be at most 253",
        ),
        ("7", "spec.hostnames[0]", "expected string, found number 7"),
    ] {
        let causes = decode(Kind::TlsRoute, object(Kind::TlsRoute, &with(hostnames))).expect_err(hostnames);
        assert!(
            causes
                .iter()
                .any(|cause| cause.field == field && cause.message.contains(message)),
            "{hostnames}: {causes:#?}"
        );
    }
}
