//! Drain.

use std::time::Duration;

use guideway_model::Kind;
use guideway_model::object::{FieldValidation, Object};
use guideway_model::resource::{AtDeadline, DrainUdp, Drained, TimeSpan};

use crate::{accept, object, reject};

fn with(fields: &str) -> String {
    format!("spec: {{{fields}}}")
}

#[test]
fn what_is_left_out_has_a_default() {
    let body = with("target: {endpoint: {ip: '::ffff:10.0.0.1', port: 5432}}");
    let object = accept(Kind::Drain, &body);
    let json = object.encode("v1alpha1");
    assert_eq!(json["spec"]["atDeadline"], "Keep");
    assert_eq!(json["spec"]["udp"], "KeepUntilIdle");
    assert_eq!(json["spec"]["pace"]["sessionsPerSecond"], 50);
    assert_eq!(json["spec"]["pace"]["jitterPercent"], 20);
    assert!(json.get("status").is_none() && json["spec"].get("deadline").is_none());
    let Object::Drain(drain) = object else {
        panic!("a Drain")
    };
    let address = "10.0.0.1:5432".parse().expect("an address");
    assert_eq!(drain.spec.target.drained(), Some(Drained::Endpoint(address)));
    assert_eq!(drain.deadline(), None);
}

#[test]
fn everything_can_be_said() {
    let body = with(
        "target: {backend: {namespace: apps, name: db}}, deadline: 1h30m, atDeadline: Close, udp: Rechoose, force: true,
         pace: {sessionsPerSecond: 1, jitterPercent: 100}",
    );
    let Object::Drain(drain) = accept(Kind::Drain, &body) else {
        panic!("a Drain")
    };
    let spec = &drain.spec;
    let backend = Drained::Backend {
        namespace: "apps",
        name: "db",
    };
    assert_eq!(spec.target.drained(), Some(backend));
    let deadline = spec.deadline.as_ref().map(TimeSpan::length);
    assert_eq!(deadline, Some(Duration::from_secs(5400)));
    assert_eq!(
        (spec.at_deadline, spec.udp, spec.force),
        (AtDeadline::Close, DrainUdp::Rechoose, true)
    );
    assert_eq!((spec.pace.sessions_per_second, spec.pace.jitter_percent), (1, 100));
    let Object::Drain(drain) = accept(Kind::Drain, &with("target: {node: {name: Node A}}")) else {
        panic!("a Drain")
    };
    assert_eq!(drain.spec.target.drained(), Some(Drained::Node("Node A")));
}

#[test]
fn drains_that_are_refused() {
    const NODE: &str = "target: {node: {name: a}}";
    for (fields, field, message) in [
        ("force: true".to_owned(), "spec.target", "must be set"),
        (
            "target: {}".to_owned(),
            "spec.target",
            "endpoint, backend or node must be set",
        ),
        (
            "target: {node: {name: a}, backend: {namespace: a, name: b}}".to_owned(),
            "spec.target",
            "must have exactly one of endpoint, backend and node",
        ),
        (
            "target: {endpoint: {ip: 10.0.0.1}}".to_owned(),
            "spec.target.endpoint.port",
            "must be set",
        ),
        (
            "target: {endpoint: {ip: 0.0.0.0, port: 1}}".to_owned(),
            "spec.target.endpoint.ip",
            "is unspecified",
        ),
        (
            "target: {endpoint: {ip: db.test, port: 1}}".to_owned(),
            "spec.target.endpoint.ip",
            "must be an IPv4 or IPv6 address",
        ),
        (
            "target: {backend: {name: b}}".to_owned(),
            "spec.target.backend.namespace",
            "must be set",
        ),
        (
            "target: {node: {name: ''}}".to_owned(),
            "spec.target.node.name",
            "must have at least 1 characters",
        ),
        (
            format!("{NODE}, deadline: 0s"),
            "spec.deadline",
            "must be between 1ms and 8784h",
        ),
        (
            format!("{NODE}, atDeadline: Drop"),
            "spec.atDeadline",
            "must be one of Keep, Close",
        ),
        (
            format!("{NODE}, pace: {{sessionsPerSecond: 0}}"),
            "spec.pace.sessionsPerSecond",
            "0: must be between 1 and 1000000",
        ),
        (
            format!("{NODE}, pace: {{jitterPercent: 101}}"),
            "spec.pace.jitterPercent",
            "101: must be between 0 and 100",
        ),
    ] {
        reject(Kind::Drain, &with(&fields), &[(field, message)]);
    }
}

#[test]
fn closing_without_a_deadline_is_warned_of() {
    let warnings = |fields: &str| {
        let json = object(Kind::Drain, &with(fields));
        let decoded = Object::decode(Kind::Drain, json, FieldValidation::Strict).expect("valid");
        decoded.warnings
    };
    let found = warnings("target: {node: {name: a}}, atDeadline: Close");
    assert_eq!(found, ["spec.atDeadline: Close has no effect without spec.deadline"]);
    assert!(warnings("target: {node: {name: a}}, atDeadline: Close, deadline: 1s").is_empty());
}
