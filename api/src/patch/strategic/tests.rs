use guideway_model::Kind;
use serde_json::{Value, json};

use super::super::fields_of;
use super::*;
use crate::resource::Resource;

fn merged(original: Value, patch: &Value) -> Result<Value, String> {
    let mut document = original;
    merge(&mut document, patch, fields_of(&Resource::stored(Kind::Service)))
        .map(|()| document)
        .map_err(|error| error.to_string())
}

fn ports(ports: Value) -> Value {
    json!({"spec": {"ports": ports, "type": "ClusterIP"}})
}

#[test]
fn objects() {
    let original = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"selector": {"x": "y"}, "type": "T"}});
    let table = [
        (
            "fields are merged, null removes",
            json!({"metadata": {"labels": {"a": null, "c": "3"}}}),
            json!({"metadata": {"labels": {"b": "2", "c": "3"}}, "spec": {"selector": {"x": "y"}, "type": "T"}}),
        ),
        (
            "$patch: replace",
            json!({"spec": {"$patch": "replace", "type": "U"}}),
            json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"type": "U"}}),
        ),
        (
            "$patch: delete",
            json!({"spec": {"selector": {"$patch": "delete"}}}),
            json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"selector": {}, "type": "T"}}),
        ),
        (
            "$patch: merge is the default",
            json!({"spec": {"$patch": "merge", "type": "U"}}),
            json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"selector": {"x": "y"}, "type": "U"}}),
        ),
        (
            "$retainKeys",
            json!({"spec": {"$retainKeys": ["type"], "type": "U"}}),
            json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"type": "U"}}),
        ),
        (
            "new objects come without nulls and directives",
            json!({"status": {"a": null, "b": {"$patch": "delete"}, "c": {"$retainKeys": ["d"], "d": 1}}}),
            json!({
                "metadata": {"labels": {"a": "1", "b": "2"}},
                "spec": {"selector": {"x": "y"}, "type": "T"},
                "status": {"c": {"d": 1}},
            }),
        ),
    ];
    for (name, patch, expected) in table {
        assert_eq!(merged(original.clone(), &patch), Ok(expected), "{name}");
    }
}

#[test]
fn lists_by_key() {
    let original = ports(json!([{"name": "a", "port": 1}, {"name": "b", "port": 2}, {"name": "c", "port": 3}]));
    let table = [
        (
            "an item is merged, a new one comes last",
            json!([{"port": 2, "targetPort": 22}, {"port": 4}]),
            json!([{"name": "a", "port": 1}, {"name": "b", "port": 2, "targetPort": 22}, {"name": "c", "port": 3}, {"port": 4}]),
        ),
        (
            "$patch: delete",
            json!([{"port": 2, "$patch": "delete"}]),
            json!([{"name": "a", "port": 1}, {"name": "c", "port": 3}]),
        ),
        (
            "$patch: replace",
            json!([{"$patch": "replace"}, {"port": 9, "name": null}]),
            json!([{"port": 9}]),
        ),
        (
            "null removes a field of an item",
            json!([{"port": 1, "name": null}]),
            json!([{"port": 1}, {"name": "b", "port": 2}, {"name": "c", "port": 3}]),
        ),
    ];
    for (name, patch, expected) in table {
        let patch = json!({"spec": {"ports": patch}});
        assert_eq!(merged(original.clone(), &patch), Ok(ports(expected)), "{name}");
    }
}

/// What `kubectl apply` sent when a manifest's Service changed `port: 5432` to 5433 and kept port 6432.
const CAPTURED: &str = r#"{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}\n"}},"spec":{"$setElementOrder/ports":[{"port":5433},{"port":6432}],"ports":[{"name":"main","port":5433,"targetPort":5432},{"$patch":"delete","port":5432}]}}"#;

#[test]
fn a_port_changed_by_kubectl_apply() {
    let original = json!({
        "metadata": { "annotations": { "kubectl.kubernetes.io/last-applied-configuration": "old" } },
        "spec": { "ports": [
            { "name": "main", "protocol": "TCP", "port": 5432, "targetPort": 5432 },
            { "name": "spare", "protocol": "TCP", "port": 6432, "targetPort": 6432 },
        ] },
    });
    let expected = json!({
        "metadata": { "annotations": { "kubectl.kubernetes.io/last-applied-configuration": "{}\n" } },
        "spec": { "ports": [
            { "name": "main", "port": 5433, "targetPort": 5432 },
            { "name": "spare", "protocol": "TCP", "port": 6432, "targetPort": 6432 },
        ] },
    });
    let patch: Value = serde_json::from_str(CAPTURED).expect("JSON");
    assert_eq!(merged(original, &patch), Ok(expected));
}

#[test]
fn element_order() {
    let original = ports(json!([{"port": 1}, {"port": 2}, {"port": 3}]));
    let table = [
        (
            "a new first item",
            json!([{"port": 0}]),
            json!([0, 1, 2, 3]),
            json!([0, 1, 2, 3]),
        ),
        ("reversed", json!(null), json!([3, 2, 1]), json!([3, 2, 1])),
        (
            "what only the server has keeps its place",
            json!(null),
            json!([1, 3]),
            json!([1, 2, 3]),
        ),
        (
            "before the first named",
            json!([{"port": 4}]),
            json!([3, 4]),
            json!([1, 2, 3, 4]),
        ),
    ];
    for (name, items, order, expected) in table {
        let numbered = |list: &Value| -> Value {
            let numbers = list.as_array().expect("array");
            numbers.iter().map(|port| json!({"port": port})).collect()
        };
        let mut patch = json!({"spec": {"$setElementOrder/ports": numbered(&order)}});
        if !items.is_null() {
            patch["spec"]["ports"] = items;
        }
        assert_eq!(
            merged(original.clone(), &patch),
            Ok(ports(numbered(&expected))),
            "{name}"
        );
    }
}

#[test]
fn sets() {
    let original = json!({"metadata": {"finalizers": ["a", "b", "c"]}});
    let table = [
        (json!({"finalizers": ["c", "d"]}), json!(["a", "b", "c", "d"])),
        (json!({"$deleteFromPrimitiveList/finalizers": ["b"]}), json!(["a", "c"])),
        (
            json!({"$setElementOrder/finalizers": ["d", "a"], "finalizers": ["d"], "$deleteFromPrimitiveList/finalizers": ["c"]}),
            json!(["d", "a", "b"]),
        ),
        (json!({"finalizers": null}), Value::Null),
    ];
    for (patch, expected) in table {
        let result = merged(original.clone(), &json!({"metadata": patch})).expect("merged");
        assert_eq!(result["metadata"]["finalizers"], expected, "{patch}");
    }
}

#[test]
fn plain_lists_are_replaced() {
    let original = json!({"spec": {"externalIPs": ["10.0.0.1"]}});
    let patch = json!({"spec": {"externalIPs": ["10.0.0.2"]}});
    assert_eq!(merged(original, &patch), Ok(patch.clone()));
}

#[test]
fn owners_and_conditions_have_keys() {
    let original = json!({
        "metadata": {"ownerReferences": [{"uid": "1", "name": "a"}]},
        "status": {"conditions": [{"type": "Ready", "status": "False"}]},
    });
    let patch = json!({
        "metadata": {"ownerReferences": [{"uid": "1", "controller": true}]},
        "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "New", "status": "True"}]},
    });
    let expected = json!({
        "metadata": {"ownerReferences": [{"uid": "1", "name": "a", "controller": true}]},
        "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "New", "status": "True"}]},
    });
    assert_eq!(merged(original, &patch), Ok(expected));
}

#[test]
fn contradictions_are_named() {
    let table = [
        (
            json!({"spec": {"$patch": "erase"}}),
            "spec: unknown directive \"$patch: \\\"erase\\\"\"",
        ),
        (json!({"spec": {"$frob": 1}}), "spec: unknown directive \"$frob\""),
        (
            json!({"spec": {"ports": [{"name": "x"}]}}),
            "spec.ports: an item has no \"port\"",
        ),
        (
            json!({"spec": {"ports": [{"port": 9}], "$setElementOrder/ports": [{"port": 1}]}}),
            "spec.ports: $setElementOrder does not name the item 9",
        ),
        (
            json!({"spec": {"$setElementOrder/ports": "x"}}),
            "spec.ports: $setElementOrder/ports must be an array",
        ),
        (json!({"spec": {"$retainKeys": "x"}}), "must be an array of field names"),
        (
            json!({"spec": {"$retainKeys": ["a"], "type": "U"}}),
            "$retainKeys does not name the field \"type\"",
        ),
    ];
    for (patch, part) in table {
        let error = merged(ports(json!([{"port": 1}])), &patch).expect_err("refused");
        assert!(error.contains(part), "{patch}: {error}");
    }
}
