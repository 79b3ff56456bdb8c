//! Backend.

use guideway_model::Kind;
use guideway_model::object::Object;

use crate::{accept, reject};

fn with(endpoints: &str) -> String {
    format!("spec: {{endpoints: {endpoints}}}")
}

#[test]
fn endpoints_are_addresses_or_names() {
    let body = with(
        "[{ip: 127.0.0.1, port: 80}, {ip: '2001:db8::1', port: 80, weight: 0}, {hostname: db.example.com, port: 80, zone: a}]",
    );
    let Object::Backend(backend) = accept(Kind::Backend, &body) else {
        panic!("a Backend")
    };
    let weights: Vec<u32> = backend.spec.endpoints.iter().map(|endpoint| endpoint.weight).collect();
    assert_eq!(weights, [1, 0, 1]);
}

#[test]
fn endpoints_that_are_refused() {
    let long_label = format!("[{{hostname: {}.example.com, port: 1}}]", "a".repeat(64));
    for (endpoints, expected) in [
        ("[]", vec![("spec.endpoints", "0 entries: must be at least 1")]),
        (
            "[{port: 80}]",
            vec![("spec.endpoints[0]", "ip or hostname must be set")],
        ),
        (
            "[{ip: 1.1.1.1, hostname: a.b, port: 80}]",
            vec![("spec.endpoints[0].hostname", "must not be set beside ip")],
        ),
        (
            "[{ip: 1.1.1, port: 80}]",
            vec![("spec.endpoints[0].ip", "\"1.1.1\": must be an IPv4 or IPv6 address")],
        ),
        (
            "[{ip: 0.0.0.0, port: 80}]",
            vec![("spec.endpoints[0].ip", "\"0.0.0.0\": is unspecified")],
        ),
        (
            "[{ip: 224.0.0.1, port: 80}]",
            vec![("spec.endpoints[0].ip", "is a multicast address")],
        ),
        (
            "[{hostname: 1.1.1.1, port: 80}]",
            vec![("spec.endpoints[0].hostname", "is an address, must be a DNS name")],
        ),
        (
            "[{hostname: Db.example.com, port: 80}]",
            vec![("spec.endpoints[0].hostname", "must be lower-case letters")],
        ),
        (
            long_label.as_str(),
            vec![("spec.endpoints[0].hostname", "at most 63 characters between dots")],
        ),
        ("[{ip: 1.1.1.1}]", vec![("spec.endpoints[0].port", "must be set")]),
        (
            "[{ip: 1.1.1.1, port: 65536}]",
            vec![("spec.endpoints[0].port", "65536: must be between 1 and 65535")],
        ),
        (
            "[{ip: 1.1.1.1, port: 1, weight: 1000001}]",
            vec![("spec.endpoints[0].weight", "must be between 0 and 1000000")],
        ),
        (
            "[{ip: 1.1.1.1, port: 1, zone: '-'}]",
            vec![("spec.endpoints[0].zone", "must be letters, digits")],
        ),
        (
            "[{ip: 1.1.1.1, port: 1}, {ip: 1.1.1.1, port: 2}, {ip: 1.1.1.1, port: 1, weight: 3}]",
            vec![(
                "spec.endpoints[2]",
                "address and port are those of spec.endpoints[0] too",
            )],
        ),
    ] {
        reject(Kind::Backend, &with(endpoints), &expected);
    }
}

#[test]
fn a_thousand_endpoints_and_no_more() {
    let endpoints = |count: u32| {
        let entries: Vec<String> = (0..count)
            .map(|number| format!("{{ip: 10.0.{}.{}, port: 80}}", number / 256, number % 256))
            .collect();
        with(&format!("[{}]", entries.join(", ")))
    };
    accept(Kind::Backend, &endpoints(1000));
    reject(
        Kind::Backend,
        &endpoints(1001),
        &[("spec.endpoints", "1001 entries: must be at most 1000")],
    );
}
