//! Unknown fields, wrong types, versions, status.

use guideway_model::Kind;
use guideway_model::object::{FieldValidation, Object};
use guideway_model::outcome::CauseReason;
use guideway_model::resource::{Gateway, Service};
use serde_json::{Value, json};

use crate::{accept, decode, expect_causes, object};

const GATEWAY: &str = "
spec:
  gatewayClassName: guideway
  listeners: [{name: db, port: 5432, protocol: TCP}]
";

fn with_unknown_fields() -> Value {
    let mut json = object(Kind::Gateway, GATEWAY);
    json["extra"] = json!(1);
    json["spec"]["listeners"][0]["prot"] = json!("TCP");
    json["spec"]["listeners"][0]["allowedRoutes"] = json!({ "namespaces": { "form": "All" } });
    json["metadata"]["lables"] = json!({});
    json
}

#[test]
fn strict_names_every_unknown_field() {
    let causes = Object::decode(Kind::Gateway, with_unknown_fields(), FieldValidation::Strict).expect_err("refused");
    let mut fields: Vec<&str> = causes.iter().map(|cause| cause.field.as_str()).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "extra",
            "metadata.lables",
            "spec.listeners[0].allowedRoutes.namespaces.form",
            "spec.listeners[0].prot",
        ]
    );
    for cause in &causes {
        assert_eq!(cause.reason, CauseReason::UnexpectedField);
        assert_eq!(cause.message, format!("unknown field \"{}\"", cause.field));
    }
}

#[test]
fn warn_and_ignore_drop_unknown_fields() {
    let plain = accept(Kind::Gateway, GATEWAY);
    let warned = Object::decode(Kind::Gateway, with_unknown_fields(), FieldValidation::Warn).expect("accepted");
    assert_eq!(warned.object, plain);
    assert_eq!(warned.warnings.len(), 4);
    assert!(
        warned
            .warnings
            .contains(&"unknown field \"spec.listeners[0].prot\"".to_owned())
    );
    let ignored = Object::decode(Kind::Gateway, with_unknown_fields(), FieldValidation::Ignore).expect("accepted");
    assert_eq!(ignored.object, plain);
    assert!(ignored.warnings.is_empty());
}

#[test]
fn every_wrong_type_is_told_with_its_path() {
    let mut json = object(Kind::Gateway, GATEWAY);
    json["spec"]["listeners"][0]["port"] = json!("x");
    json["spec"]["gatewayClassName"] = json!(7);
    json["spec"]["addresses"] = json!({});
    json["metadata"]["labels"] = json!([]);
    let result = decode(Kind::Gateway, json);
    let reasons: Vec<CauseReason> = result
        .as_ref()
        .err()
        .into_iter()
        .flatten()
        .map(|cause| cause.reason)
        .collect();
    assert_eq!(reasons, [CauseReason::FieldValueTypeInvalid; 4]);
    expect_causes(
        "wrong types",
        result,
        &[
            ("metadata.labels", "expected object, found array"),
            ("spec.addresses", "expected array, found object"),
            ("spec.gatewayClassName", "expected string, found number 7"),
            ("spec.listeners[0].port", "expected integer, found string \"x\""),
        ],
    );
}

#[test]
fn faults_of_shape_and_of_rules_are_told_together() {
    let mut json = object(Kind::Gateway, GATEWAY);
    json["spec"]["listeners"][0]["tls"] = json!({ "mode": "Passthrough" });
    json["spec"]["listeners"][0]["name"] = json!("A");
    json["spec"]["other"] = json!(1);
    expect_causes(
        "three faults",
        decode(Kind::Gateway, json),
        &[
            ("spec.listeners[0].name", "\"A\": must be"),
            ("spec.other", "unknown field"),
            ("spec.listeners", "tls must not be specified"),
        ],
    );
}

#[test]
fn null_counts_as_absent() {
    let mut json = object(Kind::Gateway, GATEWAY);
    json["spec"]["addresses"] = Value::Null;
    json["spec"]["listeners"][0]["allowedRoutes"] = json!({ "namespaces": null });
    json["spec"]["listeners"][0]["hostname"] = Value::Null;
    assert_eq!(decode(Kind::Gateway, json), Ok(accept(Kind::Gateway, GATEWAY)));
    let mut json = object(Kind::Gateway, GATEWAY);
    json["spec"]["listeners"] = json!([null]);
    expect_causes(
        "null entry",
        decode(Kind::Gateway, json),
        &[("spec.listeners[0]", "expected object, found null")],
    );
}

#[test]
fn api_version_and_kind_are_checked() {
    let mut json = object(Kind::Gateway, GATEWAY);
    json["apiVersion"] = "gateway.networking.k8s.io/v1beta1".into();
    assert_eq!(
        decode(Kind::Gateway, json),
        Ok(accept(Kind::Gateway, GATEWAY)),
        "relabelled"
    );
    for (api_version, kind, expected) in [
        (
            json!("apps/v1"),
            json!("Gateway"),
            vec![(
                "apiVersion",
                "\"apps/v1\": must be one of gateway.networking.k8s.io/v1, gateway.networking.k8s.io/v1beta1",
            )],
        ),
        (
            json!(null),
            json!(null),
            vec![("apiVersion", "must be set: gateway"), ("kind", "must be set: Gateway")],
        ),
        (
            json!("gateway.networking.k8s.io/v1"),
            json!("TCPRoute"),
            vec![("kind", "\"TCPRoute\": must be \"Gateway\"")],
        ),
        (
            json!(1),
            json!("Gateway"),
            vec![("apiVersion", "expected string, found number 1")],
        ),
    ] {
        let mut json = object(Kind::Gateway, GATEWAY);
        json["apiVersion"] = api_version;
        json["kind"] = kind;
        expect_causes("labels", decode(Kind::Gateway, json), &expected);
    }
    expect_causes(
        "a list",
        decode(Kind::Gateway, json!([])),
        &[("", "expected object, found array")],
    );
}

#[test]
fn a_flood_of_faults_is_cut() {
    let ports: Vec<Value> = (0..500).map(|_| json!({ "port": 0 })).collect();
    let mut json = object(Kind::Service, "spec: {}");
    json["spec"]["ports"] = ports.into();
    let causes = decode(Kind::Service, json).expect_err("refused");
    assert_eq!(causes.len(), 101);
    assert!(causes[100].message.ends_with("more faults: mend these first"));
}

#[test]
fn status_is_dropped_and_read_by_its_own_call() {
    let mut json = object(Kind::Gateway, GATEWAY);
    json["status"] = json!({ "attachedListenerSets": 3, "nonsense": true });
    let stored = decode(Kind::Gateway, json).expect("accepted");
    assert_eq!(stored, accept(Kind::Gateway, GATEWAY));

    let mut json = stored.encode("v1");
    json["spec"] = json!("ignored");
    json["status"] = json!({
        "addresses": [{ "value": "192.0.2.1" }],
        "conditions": [{ "type": "Accepted", "status": "True", "observedGeneration": 1, "reason": "Accepted",
                         "message": "", "lastTransitionTime": "2026-01-31T12:00:00Z" }],
    });
    let written = stored
        .decode_status(json, FieldValidation::Strict)
        .expect("accepted")
        .object;
    let Object::Gateway(gateway) = &written else {
        panic!("a Gateway")
    };
    assert_eq!(gateway.status.addresses[0].address_type, "IPAddress");
    assert_eq!(written.encode("v1")["spec"], stored.encode("v1")["spec"]);

    let emptied = written
        .decode_status(object(Kind::Gateway, ""), FieldValidation::Strict)
        .expect("accepted");
    assert_eq!(emptied.object, stored);
}

#[test]
fn status_is_checked() {
    let stored = Object::Gateway(Gateway::default().into());
    for (status, expected) in [
        (
            json!({ "addresses": [{ "value": "x" }] }),
            vec![("status.addresses[0].value", "must be an IPv4 or IPv6 address")],
        ),
        (
            json!({ "conditions": [{ "type": "a b", "status": "Maybe", "reason": "", "message": "m", "more": 1 }] }),
            vec![
                ("status.conditions[0].lastTransitionTime", "must be set"),
                ("status.conditions[0].reason", "must have at least 1 characters"),
                ("status.conditions[0].status", "must be one of True, False, Unknown"),
                ("status.conditions[0].type", "must be a condition type"),
                ("status.conditions[0].more", "unknown field"),
            ],
        ),
    ] {
        let mut json = object(Kind::Gateway, "");
        json["status"] = status;
        let result = stored
            .decode_status(json, FieldValidation::Strict)
            .map(|decoded| decoded.object);
        expect_causes("status", result, &expected);
    }
    let slice = accept(Kind::EndpointSlice, "addressType: IPv4");
    let result = slice
        .decode_status(slice.encode("v1"), FieldValidation::Strict)
        .map(|decoded| decoded.object);
    expect_causes("no status", result, &[("status", "EndpointSlice has no status")]);
}

#[test]
fn labels_come_first() {
    let json = Object::Service(Service::default().into()).encode("v1");
    let keys: Vec<&String> = json.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["apiVersion", "kind", "metadata", "spec"]);
}
