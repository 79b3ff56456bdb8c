//! EndpointSlice.

use guideway_model::Kind;
use guideway_model::object::Object;
use guideway_model::resource::IpProtocol;

use crate::{accept, object, reject};

#[test]
fn a_slice_of_kubernetes_is_accepted() {
    let body = "
addressType: IPv4
endpoints:
- addresses: [10.1.2.3]
  conditions: {ready: true, serving: true, terminating: false}
  hostname: pod-1
  nodeName: node-1
  targetRef: {kind: Pod, name: pod-1, namespace: default, uid: abc}
  zone: a
  hints: {forZones: [{name: a}]}
  deprecatedTopology: {example.com/rack: r1}
- addresses: [127.0.0.1]
ports:
- {port: 80}
";
    let Object::EndpointSlice(slice) = accept(Kind::EndpointSlice, body) else {
        panic!("an EndpointSlice")
    };
    assert_eq!(
        (slice.ports[0].name.as_str(), slice.ports[0].protocol),
        ("", IpProtocol::Tcp)
    );
    assert!(slice.endpoints[1].conditions.is_ready(), "unknown counts as ready");
    accept(
        Kind::EndpointSlice,
        "addressType: FQDN\nendpoints: [{addresses: [db.example.com.]}]\nports: null",
    );
    accept(Kind::EndpointSlice, "addressType: IPv6");
}

#[test]
fn the_service_is_named_by_a_label() {
    let mut json = object(Kind::EndpointSlice, "addressType: IPv4");
    json["metadata"]["labels"] = serde_json::json!({ "kubernetes.io/service-name": "db" });
    let Ok(Object::EndpointSlice(slice)) = crate::decode(Kind::EndpointSlice, json) else {
        panic!("accepted")
    };
    assert_eq!(slice.service_name(), Some("db"));
}

#[test]
fn slices_that_are_refused() {
    for (body, expected) in [
        ("endpoints: []", vec![("addressType", "must be set")]),
        (
            "addressType: IPv5",
            vec![("addressType", "\"IPv5\": must be one of IPv4, IPv6, FQDN")],
        ),
        (
            "addressType: IPv4\nendpoints: [{addresses: ['::1', 10.0.0.256]}]",
            vec![
                ("endpoints[0].addresses[0]", "\"::1\": must be an IPv4 address"),
                ("endpoints[0].addresses[1]", "\"10.0.0.256\": must be an IPv4 address"),
            ],
        ),
        (
            "addressType: IPv6\nendpoints: [{addresses: [10.0.0.1]}, {addresses: ['fe80::1']}]",
            vec![
                ("endpoints[0].addresses[0]", "must be an IPv6 address"),
                ("endpoints[1].addresses[0]", "is link-local (fe80::/10)"),
            ],
        ),
        (
            "addressType: FQDN\nendpoints: [{addresses: [10.0.0.1]}, {addresses: [db]}]",
            vec![
                ("endpoints[0].addresses[0]", "must be a DNS name"),
                (
                    "endpoints[1].addresses[0]",
                    "\"db\": must be a fully qualified domain name",
                ),
            ],
        ),
        (
            "addressType: IPv4\nendpoints: [{addresses: []}, {}]",
            vec![
                ("endpoints[0].addresses", "must be at least 1"),
                ("endpoints[1].addresses", "must be set"),
            ],
        ),
        (
            "addressType: IPv4\nports: [{name: a, port: 1}, {name: a, port: 2}]",
            vec![("ports[1].name", "\"a\" is the name of ports[0] too")],
        ),
        (
            "addressType: IPv4\nports: [{name: A, port: 0, protocol: ICMP}]",
            vec![
                ("ports[0].port", "0: must be between 1 and 65535"),
                ("ports[0].protocol", "\"ICMP\": must be one of TCP, UDP, SCTP"),
            ],
        ),
        (
            "addressType: IPv4\nports: [{name: A, appProtocol: 'a b'}]",
            vec![
                ("ports[0].name", "\"A\": must be"),
                ("ports[0].appProtocol", "\"a b\": must be a name"),
            ],
        ),
        (
            "addressType: IPv4
status: {}",
            vec![("status", "unknown field \"status\"")],
        ),
    ] {
        reject(Kind::EndpointSlice, body, &expected);
    }
}
