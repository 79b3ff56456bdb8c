//! `metadata`.

use guideway_model::Kind;
use guideway_model::meta::Timestamp;
use serde_json::{Value, json};

use crate::{decode, expect_causes, object};

fn class(metadata: Value) -> Value {
    let mut json = object(Kind::GatewayClass, "spec: {controllerName: a.example/b}");
    json["metadata"] = metadata;
    json
}

#[test]
fn what_tools_send_is_accepted() {
    let object = decode(
        Kind::GatewayClass,
        class(json!({
            "name": "it", "creationTimestamp": null, "resourceVersion": "12", "uid": "u", "generation": 3,
            "selfLink": "/apis/x", "deletionTimestamp": "2026-01-31T12:00:00Z", "labels": { "app.kubernetes.io/name": "x", "empty": "", "bare": null },
            "annotations": { "Example.com/Free_text": "{}" }, "finalizers": ["example.com/keep"],
            "ownerReferences": [{ "apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "q", "controller": true }],
            "managedFields": [{ "manager": "kubectl", "operation": "Apply", "fieldsV1": { "f:spec": {} } }],
        })),
    )
    .expect("accepted");
    let meta = object.meta();
    assert_eq!((meta.resource_version, meta.generation), (12, 3));
    assert_eq!(meta.creation_timestamp, None::<Timestamp>);
    assert_eq!(meta.deletion_timestamp, None::<Timestamp>);
    assert_eq!(meta.labels["bare"], "");
    let json = object.encode("v1");
    assert!(json["metadata"].get("managedFields").is_none() && json["metadata"].get("selfLink").is_none());
}

#[test]
fn names_follow_their_kind() {
    let long = "a".repeat(253);
    for good in ["a", "a.b-c", "0", long.as_str()] {
        decode(Kind::GatewayClass, class(json!({ "name": good }))).expect(good);
    }
    let too_long = "a".repeat(254);
    for (bad, message) in [
        ("A", "must be lower-case letters"),
        ("-a", "must be lower-case letters"),
        ("a..b", "must be lower-case letters"),
        ("a/b", "must be lower-case letters"),
        (too_long.as_str(), "254 characters: must be at most 253"),
    ] {
        expect_causes(
            bad,
            decode(Kind::GatewayClass, class(json!({ "name": bad }))),
            &[("metadata.name", message)],
        );
    }
    for kind in [Kind::Namespace, Kind::Service] {
        let mut json = object(kind, "spec: {}");
        if kind == Kind::Service {
            json["spec"] = json!({ "clusterIP": "None" });
        }
        json["metadata"]["name"] = "a.b".into();
        expect_causes(
            "a.b",
            decode(kind, json.clone()),
            &[("metadata.name", "\"a.b\": must be lower-case letters")],
        );
        json["metadata"]["name"] = "a".repeat(64).into();
        expect_causes(
            "64",
            decode(kind, json),
            &[("metadata.name", "64 characters: must be at most 63")],
        );
    }
}

#[test]
fn a_name_can_be_left_to_the_server() {
    let mut object = decode(
        Kind::Namespace,
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "generateName": "team-" } }),
    )
    .expect("accepted");
    assert_eq!(object.meta().name, "");
    assert!(object.meta().labels.is_empty());
    object.set_name("team-x7k2p".to_owned());
    assert_eq!(object.key().name, "team-x7k2p");
    assert_eq!(object.meta().labels["kubernetes.io/metadata.name"], "team-x7k2p");
}

#[test]
fn metadata_that_is_refused() {
    let big = "x".repeat(256 * 1024);
    let owner = |controller: bool, uid: &str| json!({ "apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid, "controller": controller });
    for (metadata, expected) in [
        (json!({}), vec![("metadata.name", "name or generateName must be set")]),
        (
            json!({ "generateName": "A-" }),
            vec![("metadata.generateName", "must be lower-case letters")],
        ),
        (
            json!({ "name": "it", "namespace": "x" }),
            vec![(
                "metadata.namespace",
                "\"x\": must not be set, GatewayClass is cluster-scoped",
            )],
        ),
        (
            json!({ "name": "it", "labels": { "a b": "c" } }),
            vec![("metadata.labels", "\"a b\": must be a name")],
        ),
        (
            json!({ "name": "it", "labels": { "a": "-" } }),
            vec![(
                "metadata.labels",
                "\"-\": value of label \"a\" must be at most 63 letters",
            )],
        ),
        (
            json!({ "name": "it", "labels": { "app": 1 } }),
            vec![("metadata.labels.app", "expected string, found number 1")],
        ),
        (
            json!({ "name": "it", "annotations": { "/a": "" } }),
            vec![("metadata.annotations", "\"/a\": must be a name")],
        ),
        (
            json!({ "name": "it", "annotations": { "a": big } }),
            vec![("metadata.annotations", "262145 bytes: must be at most 262144 bytes")],
        ),
        (
            json!({ "name": "it", "finalizers": ["a b"] }),
            vec![("metadata.finalizers[0]", "\"a b\": must be a name")],
        ),
        (
            json!({ "name": "it", "ownerReferences": [{ "apiVersion": "v1", "kind": "", "name": "p" }] }),
            vec![("metadata.ownerReferences[0].uid", "must be set")],
        ),
        (
            json!({ "name": "it", "ownerReferences": [owner(true, "1"), owner(true, "2")] }),
            vec![(
                "metadata.ownerReferences",
                "2 references have controller true: must be at most one",
            )],
        ),
        (
            json!({ "name": "it", "creationTimestamp": "yesterday" }),
            vec![("metadata.creationTimestamp", "\"yesterday\": must be an RFC 3339 time")],
        ),
        (
            json!({ "name": "it", "resourceVersion": "x" }),
            vec![("metadata.resourceVersion", "\"x\" is not a decimal number")],
        ),
    ] {
        let what = metadata.to_string();
        expect_causes(
            &what[..what.len().min(200)],
            decode(Kind::GatewayClass, class(metadata)),
            &expected,
        );
    }
}
