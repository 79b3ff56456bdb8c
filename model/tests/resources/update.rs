//! What must not change, and what raises the generation.

use std::sync::Arc;

use guideway_model::Kind;
use guideway_model::object::{Object, spec_equal, validate_update};

use crate::accept;

#[test]
fn immutable_fields_are_named() {
    let class = |controller: &str| accept(Kind::GatewayClass, &format!("spec: {{controllerName: {controller}}}"));
    let slice = |address_type: &str| accept(Kind::EndpointSlice, &format!("addressType: {address_type}"));
    let drain = |target: &str| accept(Kind::Drain, &format!("spec: {{target: {{{target}}}}}"));
    assert_eq!(validate_update(&class("a/b"), &class("a/b")), []);
    for (old, new, field) in [
        (class("a/b"), class("a/c"), "spec.controllerName"),
        (slice("IPv4"), slice("IPv6"), "addressType"),
        (
            drain("node: {name: a}"),
            drain("endpoint: {ip: 10.0.0.1, port: 1}"),
            "spec.target",
        ),
        (class("a/b"), slice("IPv4"), "kind"),
    ] {
        let causes = validate_update(&old, &new);
        assert_eq!(causes.len(), 1, "{causes:?}");
        assert_eq!(causes[0].field, field);
    }
    let mut renamed = class("a/b");
    renamed.meta_mut().name = "other".to_owned();
    renamed.meta_mut().namespace = "elsewhere".to_owned();
    let causes = validate_update(&class("a/b"), &renamed);
    let fields: Vec<&str> = causes.iter().map(|cause| cause.field.as_str()).collect();
    assert_eq!(fields, ["metadata.name", "metadata.namespace"]);
    assert_eq!(causes[0].message, "\"other\": field is immutable");
}

#[test]
fn metadata_and_status_are_not_what_is_wanted() {
    for (kind, one, other) in [
        (Kind::Namespace, "spec: {}", "spec: {finalizers: [kubernetes]}"),
        (
            Kind::Service,
            "spec: {ports: [{port: 1}]}",
            "spec: {ports: [{port: 2}]}",
        ),
        (
            Kind::EndpointSlice,
            "addressType: IPv4",
            "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]}]",
        ),
        (
            Kind::GatewayClass,
            "spec: {controllerName: a/b}",
            "spec: {controllerName: a/b, description: c}",
        ),
        (
            Kind::Gateway,
            "spec: {gatewayClassName: c, listeners: [{name: a, port: 1, protocol: TCP}]}",
            "spec: {gatewayClassName: c, listeners: [{name: a, port: 2, protocol: TCP}]}",
        ),
        (
            Kind::TcpRoute,
            "spec: {rules: [{backendRefs: [{name: a, port: 1}]}]}",
            "spec: {rules: [{backendRefs: [{name: a, port: 2}]}]}",
        ),
        (
            Kind::UdpRoute,
            "spec: {rules: [{backendRefs: [{name: a, port: 1}]}]}",
            "spec: {rules: [{backendRefs: [{name: b, port: 1}]}]}",
        ),
        (
            Kind::TlsRoute,
            "spec: {hostnames: [a], rules: [{backendRefs: [{name: a, port: 1}]}]}",
            "spec: {hostnames: [b], rules: [{backendRefs: [{name: a, port: 1}]}]}",
        ),
        (
            Kind::ListenerSet,
            "spec: {parentRef: {name: a}, listeners: [{name: a, port: 1, protocol: TCP}]}",
            "spec: {parentRef: {name: b}, listeners: [{name: a, port: 1, protocol: TCP}]}",
        ),
        (
            Kind::ReferenceGrant,
            "spec: {from: [{group: '', kind: A, namespace: apps}], to: [{group: '', kind: B}]}",
            "spec: {from: [{group: '', kind: A, namespace: apps}], to: [{group: '', kind: B, name: b}]}",
        ),
        (Kind::Secret, "data: {a: QQ==}", "data: {a: Qg==}"),
        (Kind::ConfigMap, "data: {a: b}", "immutable: true\ndata: {a: b}"),
        (
            Kind::BackendTlsPolicy,
            "spec: {targetRefs: [{group: '', kind: Service, name: a}],
                    validation: {hostname: a, wellKnownCACertificates: System}}",
            "spec: {targetRefs: [{group: '', kind: Service, name: a}],
                    validation: {hostname: b, wellKnownCACertificates: System}}",
        ),
        (
            Kind::ClientTrafficPolicy,
            "spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: a}]}",
            "spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: a}], tcpKeepalive: {}}",
        ),
        (
            Kind::BackendTrafficPolicy,
            "spec: {targetRefs: [{group: '', kind: Service, name: a}], udp: {idleTimeout: 1s}}",
            "spec: {targetRefs: [{group: '', kind: Service, name: a}], udp: {idleTimeout: 2s}}",
        ),
        (
            Kind::Backend,
            "spec: {endpoints: [{ip: 1.1.1.1, port: 1}]}",
            "spec: {endpoints: [{ip: 1.1.1.1, port: 2}]}",
        ),
        (
            Kind::Drain,
            "spec: {target: {node: {name: a}}}",
            "spec: {target: {node: {name: a}}, force: true}",
        ),
    ] {
        let one = accept(kind, one);
        let mut labelled = one.clone();
        labelled.meta_mut().labels.insert("a".to_owned(), "b".to_owned());
        labelled.meta_mut().generation = 7;
        if let Object::Gateway(gateway) = &mut labelled {
            Arc::make_mut(gateway).status.attached_listener_sets = 1;
        }
        assert!(spec_equal(&one, &labelled), "{kind:?}");
        assert!(!spec_equal(&one, &accept(kind, other)), "{kind:?}");
    }
}
