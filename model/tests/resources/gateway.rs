//! Gateway and GatewayClass.

use guideway_model::Kind;
use guideway_model::object::Object;
use guideway_model::resource::{RouteNamespaceScope, TlsMode};

use crate::{accept, reject};

fn with_listeners(listeners: &str) -> String {
    format!("spec:\n  gatewayClassName: guideway\n  listeners: {listeners}\n")
}

fn with_spec(fields: &str) -> String {
    format!("spec:\n  gatewayClassName: guideway\n  listeners: [{{name: db, port: 5432, protocol: TCP}}]\n  {fields}\n")
}

#[test]
fn defaults_are_filled_in() {
    let object = accept(
        Kind::Gateway,
        &with_listeners(
            "[{name: db, port: 5432, protocol: TCP, allowedRoutes: {kinds: [{kind: TCPRoute}]}},
              {name: web, port: 443, protocol: TLS, tls: {certificateRefs: [{name: cert}]}}]",
        ),
    );
    let Object::Gateway(gateway) = object else {
        panic!("a Gateway")
    };
    let [db, web] = gateway.spec.listeners.as_slice() else {
        panic!("two listeners")
    };
    assert_eq!(db.allowed_routes.namespaces.from, RouteNamespaceScope::Same);
    assert_eq!(db.allowed_routes.kinds[0].group, "gateway.networking.k8s.io");
    let tls = web.tls.as_ref().expect("tls");
    assert_eq!(tls.mode, TlsMode::Terminate);
    assert_eq!(
        (
            tls.certificate_refs[0].group.as_str(),
            tls.certificate_refs[0].kind.as_str()
        ),
        ("", "Secret")
    );
}

#[test]
fn address_type_is_ip_address_by_default() {
    let Object::Gateway(gateway) = accept(Kind::Gateway, &with_spec("addresses: [{value: 192.0.2.1}, {}]")) else {
        panic!("a Gateway")
    };
    assert_eq!(gateway.spec.addresses[0].address_type, "IPAddress");
    assert_eq!(gateway.spec.addresses[1].value, None);
}

#[test]
fn listeners_that_are_accepted() {
    for listeners in [
        "[{name: a, port: 80, protocol: TCP}, {name: b, port: 80, protocol: UDP}]",
        "[{name: a, port: 443, protocol: TLS, tls: {mode: Passthrough}}]",
        "[{name: a, port: 443, protocol: TLS, tls: {options: {example.com/x: some}}}]",
        "[{name: a, port: 443, protocol: HTTPS, hostname: a.example.com, tls: {certificateRefs: [{name: c}]}},
          {name: b, port: 443, protocol: HTTPS, hostname: '*.example.com', tls: {certificateRefs: [{name: c}]}},
          {name: c, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: c}]}}]",
        "[{name: a, port: 1, protocol: example.com/proto}]",
        "[{name: a, port: 1, protocol: TCP, allowedRoutes: {namespaces: {from: Selector,
           selector: {matchExpressions: [{key: tier, operator: In, values: [edge]}]}}}}]",
    ] {
        accept(Kind::Gateway, &with_listeners(listeners));
    }
}

#[test]
fn listeners_that_are_refused() {
    for (listeners, expected) in [
        ("[]", vec![("spec.listeners", "0 entries: must be at least 1")]),
        (
            "[{name: a, port: 80, protocol: TCP, tls: {mode: Passthrough}}]",
            vec![(
                "spec.listeners",
                "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']: listener \"a\" has protocol TCP",
            )],
        ),
        (
            "[{name: a, port: 443, protocol: HTTPS, tls: {mode: Passthrough}}]",
            vec![("spec.listeners", "tls mode must be Terminate for protocol HTTPS")],
        ),
        (
            "[{name: a, port: 443, protocol: TLS}]",
            vec![("spec.listeners", "tls mode must be set for protocol TLS")],
        ),
        (
            "[{name: a, port: 443, protocol: TLS, tls: {}}]",
            vec![(
                "spec.listeners[0].tls",
                "certificateRefs or options must be specified when mode is Terminate",
            )],
        ),
        (
            "[{name: a, port: 53, protocol: UDP, hostname: example.com}]",
            vec![(
                "spec.listeners",
                "hostname must not be specified for protocols ['TCP', 'UDP']",
            )],
        ),
        (
            "[{name: a, port: 80, protocol: HTTP}, {name: a, port: 81, protocol: HTTP}]",
            vec![
                ("spec.listeners[1]", "name \"a\" is that of spec.listeners[0] too"),
                ("spec.listeners", "Listener name must be unique within the Gateway"),
            ],
        ),
        (
            "[{name: a, port: 80, protocol: TCP}, {name: b, port: 80, protocol: TCP}]",
            vec![(
                "spec.listeners",
                "Combination of port, protocol and hostname must be unique for each listener: listeners \"a\" and \"b\" \
                 are both TCP port 80",
            )],
        ),
        (
            "[{name: a, port: 0, protocol: TCP}]",
            vec![("spec.listeners[0].port", "0: must be between 1 and 65535")],
        ),
        (
            "[{name: a, port: 123456789, protocol: TCP}]",
            vec![("spec.listeners[0].port", "123456789: must be between 1 and 65535")],
        ),
        (
            "[{name: 'bad>', port: 1, protocol: TCP}]",
            vec![("spec.listeners[0].name", "\"bad>\": must be lower-case letters")],
        ),
        (
            "[{name: a, port: 1, protocol: HTTP, hostname: '*'}]",
            vec![("spec.listeners[0].hostname", "\"*\": must be a lower-case DNS name")],
        ),
        (
            "[{name: a, port: 1, protocol: TCP, allowedRoutes: {namespaces: {from: None}}}]",
            vec![(
                "spec.listeners[0].allowedRoutes.namespaces.from",
                "\"None\": must be one of All, Selector, Same",
            )],
        ),
        (
            "[{name: a, port: 1, protocol: TCP, allowedRoutes: {namespaces: {selector:
               {matchExpressions: [{key: tier, operator: Like}]}}}}]",
            vec![(
                "spec.listeners[0].allowedRoutes.namespaces.selector.matchExpressions[0].operator",
                "\"Like\": must be one of In, NotIn, Exists, DoesNotExist",
            )],
        ),
        (
            "[{}]",
            vec![
                ("spec.listeners[0].name", "must be set"),
                ("spec.listeners[0].port", "must be set"),
                ("spec.listeners[0].protocol", "must be set"),
            ],
        ),
    ] {
        reject(Kind::Gateway, &with_listeners(listeners), &expected);
    }
}

#[test]
fn addresses_that_are_refused() {
    for (addresses, expected) in [
        (
            "[{value: 1.1.1}]",
            vec![("spec.addresses[0].value", "\"1.1.1\": must be an IPv4 or IPv6 address")],
        ),
        (
            "[{value: 192.0.2.0/24}]",
            vec![("spec.addresses[0].value", "without port or prefix length")],
        ),
        (
            "[{value: ''}]",
            vec![("spec.addresses[0].value", "\"\": must be an IPv4 or IPv6 address")],
        ),
        (
            "[{type: Hostname, value: 'foo.com:80'}]",
            vec![(
                "spec.addresses[0]",
                "Hostname value must be empty or contain only valid characters",
            )],
        ),
        (
            "[{value: 1.1.1.1}, {value: 1.1.1.1}]",
            vec![("spec.addresses", "IPAddress values must be unique: \"1.1.1.1\"")],
        ),
        (
            "[{type: Hostname, value: a.b}, {type: Hostname, value: a.b}]",
            vec![("spec.addresses", "Hostname values must be unique: \"a.b\"")],
        ),
    ] {
        reject(Kind::Gateway, &with_spec(&format!("addresses: {addresses}")), &expected);
    }
}

#[test]
fn other_fields_that_are_refused() {
    let nine_labels = "infrastructure: {labels: {a: x, b: x, c: x, d: x, e: x, f: x, g: x, h: x, i: x}}";
    for (fields, expected) in [
        (
            nine_labels,
            vec![("spec.infrastructure.labels", "9 entries: must be at most 8")],
        ),
        (
            "infrastructure: {labels: {-a: x}}",
            vec![(
                "spec.infrastructure.labels",
                "Label keys must be in the form of an optional DNS subdomain prefix",
            )],
        ),
        (
            "infrastructure: {labels: {a: '-'}}",
            vec![("spec.infrastructure.labels.a", "\"-\": must be letters, digits")],
        ),
        (
            "infrastructure: {parametersRef: {name: p}}",
            vec![
                ("spec.infrastructure.parametersRef.group", "must be set"),
                ("spec.infrastructure.parametersRef.kind", "must be set"),
            ],
        ),
        (
            "tls: {frontend: {default: {}, perPort: [{port: 443, tls: {}}, {port: 443, tls: {}}]}}",
            vec![
                (
                    "spec.tls.frontend.perPort[1]",
                    "port 443 is that of spec.tls.frontend.perPort[0] too",
                ),
                (
                    "spec.tls.frontend.perPort",
                    "Port for TLS configuration must be unique within the Gateway",
                ),
            ],
        ),
        (
            "tls: {frontend: {default: {validation: {caCertificateRefs: []}}}}",
            vec![(
                "spec.tls.frontend.default.validation.caCertificateRefs",
                "must be at least 1",
            )],
        ),
        (
            "allowedListeners: {namespaces: {from: Nobody}}",
            vec![(
                "spec.allowedListeners.namespaces.from",
                "must be one of All, Selector, Same, None",
            )],
        ),
    ] {
        reject(Kind::Gateway, &with_spec(fields), &expected);
    }
}

#[test]
fn controller_name_of_a_class_is_domain_and_path() {
    accept(
        Kind::GatewayClass,
        "spec: {controllerName: guideway.dev/controller, description: ours}",
    );
    for (spec, field, message) in [
        ("{}", "spec.controllerName", "must be set"),
        (
            "{controllerName: example}",
            "spec.controllerName",
            "\"example\": must be a domain and a path",
        ),
        (
            "{controllerName: a/b, parametersRef: {group: '', kind: ConfigMap, name: p, namespace: A}}",
            "spec.parametersRef.namespace",
            "\"A\": must be lower-case letters",
        ),
    ] {
        reject(Kind::GatewayClass, &format!("spec: {spec}"), &[(field, message)]);
    }
    let long = format!("spec: {{controllerName: a/b, description: {}}}", "x".repeat(65));
    reject(
        Kind::GatewayClass,
        &long,
        &[("spec.description", "65 characters: must be at most 64 characters")],
    );
}
