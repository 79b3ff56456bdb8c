//! Apply as its users see it: what the object becomes, and who owns what then.

mod properties;

use guideway_model::command::Part;
use guideway_model::meta::Timestamp;
use guideway_model::{Kind, schema};
use serde_json::{Value, json};

use super::*;

/// One object with its managers.
#[derive(Clone, Debug, PartialEq)]
struct Live {
    object: Value,
    managers: Managers,
}

fn layout() -> Layout {
    let root = schema::component_name(Kind::Service, "v1");
    Layout::compile(&schema::openapi(Kind::Service), &root)
}

fn service(spec: Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "s" }, "spec": spec })
}

fn config(body: Value) -> Value {
    let config = Config::read(body, &layout(), Part::Main).expect("a configuration");
    assert_eq!(config.unknown, Vec::<String>::new());
    config.value
}

/// The object as the API keeps it: what is empty is left out.
fn settled(object: Value) -> Value {
    let Value::Object(fields) = object else { return object };
    let settled = fields.into_iter().map(|(name, field)| (name, settled(field)));
    Value::Object(settled.filter(|(_, field)| !layout::is_hollow(field)).collect())
}

impl Live {
    fn nothing() -> Live {
        Live {
            object: json!({}),
            managers: Managers::default(),
        }
    }

    fn try_apply(&self, name: &str, force: bool, body: Value) -> Result<Live, Vec<Conflict>> {
        let how = Apply {
            manager: Manager::applier(name, Part::Main),
            api_version: "v1",
            part: Part::Main,
            force,
            now: Timestamp { unix_seconds: 7 },
        };
        let applied = apply(&self.object, &config(body), self.managers.clone(), &layout(), &how)?;
        Ok(Live {
            object: settled(applied.object),
            managers: applied.managers,
        })
    }

    fn apply(&self, name: &str, body: Value) -> Live {
        self.try_apply(name, false, body).expect("no conflict")
    }

    /// A write that replaces the object.
    fn update(&self, name: &str, object: Value) -> Live {
        let object = settled(object);
        let writer = Manager::updater(name, Part::Main, "v1");
        let now = Timestamp { unix_seconds: 8 };
        let managers = self.managers.clone();
        let managers = managers
            .updated(
                self.object.clone(),
                object.clone(),
                &layout(),
                (writer, Part::Main),
                now,
            )
            .expect("within the bounds");
        Live { object, managers }
    }

    /// `FieldsV1` of a manager; null if it owns nothing.
    fn owned(&self, name: &str) -> Value {
        let entries = self.managers.encode();
        let found = entries.iter().find(|entry| entry.manager == name);
        found.map_or(Value::Null, |entry| entry.fields.to_json())
    }
}

#[test]
fn what_an_applier_gives_up_goes() {
    let live = Live::nothing().apply(
        "a",
        service(json!({ "type": "ClusterIP", "selector": { "app": "x", "tier": "y" },
            "ports": [{ "port": 80, "targetPort": 8080 }, { "port": 81 }] })),
    );
    assert_eq!(
        live.owned("a"),
        json!({ "f:spec": {
            "f:type": {},
            "f:selector": {},
            "f:ports": {
                "k:{\"port\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:port": {}, "f:targetPort": {} },
                "k:{\"port\":81,\"protocol\":\"TCP\"}": { ".": {}, "f:port": {} },
            },
        } })
    );
    let less = live.apply(
        "a",
        service(json!({ "selector": { "app": "x" }, "ports": [{ "port": 80 }] })),
    );
    assert_eq!(
        less.object["spec"],
        json!({ "selector": { "app": "x" }, "ports": [{ "port": 80 }] })
    );
    let none = less.apply(
        "a",
        json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "s" } }),
    );
    assert_eq!(none.object.get("spec"), None);
    assert_eq!(none.managers, Managers::default());
}

#[test]
fn what_another_owns_is_kept() {
    let shared = |target: u16| service(json!({ "ports": [{ "port": 80, "targetPort": target }] }));
    let live = Live::nothing().apply("a", shared(1)).apply("b", shared(1));
    // Both own the port; the one who leaves takes nothing with it.
    let left = live.apply("a", service(json!({})));
    assert_eq!(left.object, live.object);
    assert_eq!(
        (left.owned("a"), left.owned("b")),
        (json!({"f:spec": {}}), live.owned("b"))
    );
    // An item goes with the only one who owns it, and what others have set in it goes too.
    let mut edited = Live::nothing().apply("a", shared(1)).object;
    edited["spec"]["ports"][0]["name"] = json!("web");
    let edited = Live::nothing().apply("a", shared(1)).update("editor", edited);
    let left = edited.apply("a", service(json!({})));
    assert_eq!(left.object.get("spec"), None);
    assert_eq!(left.owned("editor"), Value::Null);
}

#[test]
fn conflicts_name_owner_and_field() {
    let live = Live::nothing().apply(
        "a",
        service(json!({ "ports": [{ "port": 80, "targetPort": 1 }], "type": "NodePort" })),
    );
    let other = service(json!({ "ports": [{ "port": 80, "targetPort": 2 }], "type": "NodePort" }));
    let conflicts = live.try_apply("b", false, other.clone()).expect_err("a conflict");
    let expected = Conflict {
        manager: "\"a\"".to_owned(),
        field: ".spec.ports[port=80,protocol=\"TCP\"].targetPort".to_owned(),
    };
    assert_eq!(conflicts, [expected]);
    let forced = live.try_apply("b", true, other).expect("forced");
    assert_eq!(forced.object["spec"]["ports"][0]["targetPort"], 2);
    let key = "k:{\"port\":80,\"protocol\":\"TCP\"}";
    assert_eq!(forced.owned("a")["f:spec"]["f:ports"][key].get("f:targetPort"), None);
    assert!(
        forced.owned("b")["f:spec"]["f:ports"][key]
            .get("f:targetPort")
            .is_some()
    );
    let updated = live.update("editor", service(json!({ "type": "ClusterIP" })));
    let conflicts = updated
        .try_apply("a", false, service(json!({ "type": "NodePort" })))
        .expect_err("a conflict");
    assert_eq!(conflicts[0].manager, "\"editor\" using v1");
    assert_eq!(conflicts[0].field, ".spec.type");
}

#[test]
fn updates_take_what_they_change() {
    let live = Live::nothing().apply("a", service(json!({ "type": "NodePort", "selector": { "app": "x" } })));
    let updated = live.update(
        "editor",
        service(json!({ "type": "NodePort", "selector": { "app": "y", "new": "z" } })),
    );
    assert_eq!(updated.owned("a"), json!({ "f:spec": { "f:type": {} } }));
    assert_eq!(updated.owned("editor"), json!({ "f:spec": { "f:selector": {} } }));
    let same = updated.update("third", updated.object.clone());
    assert_eq!(same.managers, updated.managers);
    let removed = updated.update("third", service(json!({ "type": "NodePort" })));
    assert_eq!(
        (removed.owned("editor"), removed.owned("third")),
        (Value::Null, Value::Null)
    );
}

#[test]
fn the_first_apply_finds_an_owner_for_what_is_there() {
    let old = Live {
        object: service(json!({ "type": "NodePort" })),
        managers: Managers::default(),
    };
    let conflicts = old
        .try_apply("a", false, service(json!({ "type": "ClusterIP" })))
        .expect_err("a conflict");
    assert_eq!(conflicts[0].manager, "\"before-first-apply\" using v1");
    let applied = old.apply("a", service(json!({ "type": "NodePort" })));
    assert_eq!(
        applied.owned("before-first-apply"),
        json!({ "f:spec": { "f:type": {} } })
    );
}

#[test]
fn kubectl_takes_over_from_its_client_side_apply() {
    let last = service(json!({ "type": "NodePort" }));
    let mut object = last.clone();
    object["metadata"]["annotations"] = json!({ "kubectl.kubernetes.io/last-applied-configuration": last.to_string() });
    let live = Live::nothing().update("kubectl-client-side-apply", object);
    let wanted = service(json!({ "type": "ClusterIP" }));
    assert!(live.try_apply("other", false, wanted.clone()).is_err());
    let taken = live.apply("kubectl", wanted.clone());
    assert_eq!(taken.object["spec"]["type"], "ClusterIP");
    let kept = &taken.object["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
    let kept: Value = serde_json::from_str(kept.as_str().expect("text")).expect("JSON");
    assert_eq!(kept, wanted);
    // What another has changed since is in conflict for kubectl too.
    let mut edited = live.object.clone();
    edited["spec"]["type"] = json!("ExternalName");
    let edited = live.update("editor", edited);
    let conflicts = edited
        .try_apply("kubectl", false, service(json!({ "type": "ClusterIP" })))
        .expect_err("a conflict");
    assert_eq!(conflicts[0].manager, "\"editor\" using v1");
}

#[test]
fn what_is_owned_as_one_is_the_same_with_and_without_defaults() {
    let root = schema::component_name(Kind::TcpRoute, "v1");
    let layout = Layout::compile(&schema::openapi(Kind::TcpRoute), &root);
    let route = json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "TCPRoute", "metadata": { "name": "r" },
        "spec": { "parentRefs": [{ "name": "edge" }], "rules": [{ "backendRefs": [{ "name": "db", "port": 1 }] }] } });
    let read = Config::read(route, &layout, Part::Main).expect("a configuration").value;
    assert_eq!(
        read["spec"],
        json!({
            "parentRefs": [{ "name": "edge", "group": "gateway.networking.k8s.io", "kind": "Gateway" }],
            "rules": [{ "backendRefs": [{ "name": "db", "port": 1, "group": "", "kind": "Service", "weight": 1 }] }],
        })
    );
}

#[test]
fn items_stand_in_the_order_of_the_applier() {
    let ports = |numbers: &[u16]| {
        let ports: Vec<Value> = numbers.iter().map(|port| json!({ "port": port })).collect();
        service(json!({ "ports": ports }))
    };
    let table: [(&[u16], &[u16], &[u16]); 5] = [
        (&[1, 2, 3], &[4], &[1, 2, 3, 4]),
        (&[1, 2, 3], &[3, 1], &[2, 3, 1]),
        (&[1, 2, 3], &[2, 4], &[1, 2, 3, 4]),
        (&[1, 2, 3], &[4, 2], &[1, 4, 2, 3]),
        (&[], &[2, 1], &[2, 1]),
    ];
    for (live, applied, expected) in table {
        let result = Live::nothing().apply("a", ports(live)).apply("b", ports(applied));
        assert_eq!(
            result.object["spec"]["ports"],
            ports(expected)["spec"]["ports"],
            "{live:?} {applied:?}"
        );
    }
}

#[test]
fn what_cannot_be_merged_is_named() {
    let read = |spec: Value| Config::read(service(spec), &layout(), Part::Main);
    for (spec, expected) in [
        (
            json!({ "ports": [{ "port": 1 }, { "port": 1, "protocol": "TCP" }] }),
            "spec.ports[1]: duplicate entry",
        ),
        (
            json!({ "ports": [1] }),
            "spec.ports[0]: an item of this list must have port or protocol",
        ),
        (json!({ "ports": {} }), "spec.ports: expected array, got object"),
        (
            json!({ "sessionAffinityConfig": [] }),
            "spec.sessionAffinityConfig: expected object, got array",
        ),
    ] {
        let fault = read(spec).expect_err(expected).to_string();
        assert!(fault.starts_with(expected), "{fault}");
    }
    let config = read(json!({ "ports": [{ "port": 1, "frob": 2 }], "type": null })).expect("readable");
    assert_eq!(config.unknown, ["spec.ports[0].frob"]);
    assert_eq!(config.value["spec"], json!({ "ports": [{ "port": 1 }] }));
    let mut body = service(json!({ "type": "NodePort" }));
    body["status"] = json!({ "conditions": [] });
    let status = Config::read(body, &layout(), Part::Status).expect("readable").value;
    assert_eq!(status.get("spec"), None);
    assert_eq!(status["status"], json!({ "conditions": [] }));
}

#[test]
fn managers_are_bounded() {
    let mut live = Live::nothing();
    for number in 0..40 {
        let mut object = live.object.clone();
        object["metadata"]["labels"][format!("l{number}")] = json!("x");
        live = live.update(&format!("m{number}"), object);
    }
    let entries = live.managers.encode();
    assert_eq!(entries.len(), 10);
    let ancient = live.owned("ancient-changes");
    assert_eq!(
        ancient["f:metadata"]["f:labels"].as_object().map(serde_json::Map::len),
        Some(32)
    );
    for number in 0..64 {
        live = live.apply(&format!("a{number}"), service(json!({ "type": "NodePort" })));
    }
    assert!(live.managers.clone().bounded().is_ok());
    let one_more = live.apply("one-more", service(json!({ "type": "NodePort" })));
    assert_eq!(one_more.managers.bounded(), Err(TooLarge::Appliers));
    let labels: serde_json::Map<String, Value> = (0..40_000).map(|n| (format!("label-{n}"), json!("x"))).collect();
    let mut large = service(json!({}));
    large["metadata"]["labels"] = Value::Object(labels);
    let writer = Manager::updater("a", Part::Main, "v1");
    let now = Timestamp { unix_seconds: 8 };
    let result = Managers::default().updated(json!({}), large, &layout(), (writer, Part::Main), now);
    assert!(matches!(result, Err(TooLarge::Bytes { .. })), "{result:?}");
}

#[test]
fn entries_of_clients_are_taken_if_they_can_be_read() {
    let stored = Live::nothing()
        .apply("a", service(json!({ "type": "NodePort" })))
        .managers;
    let entries = stored.encode();
    let before = |sent: Option<Value>| Managers::before(&entries, sent);
    assert_eq!(before(None), stored);
    assert_eq!(before(Some(json!([]))), stored);
    assert_eq!(before(Some(json!([{}]))), Managers::default());
    assert_eq!(
        before(Some(json!([{ "manager": "x", "operation": "Undo", "fieldsV1": {} }]))),
        stored
    );
    let sent = json!([{ "manager": "b", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
        "fieldsV1": { "f:spec": { "f:type": {} } } }]);
    let taken = before(Some(sent));
    assert_eq!(taken.encode()[0].manager, "b");
}
