//! Server-side apply over HTTP: who owns what, conflicts, creation, the status, and what other writes do to it.

use hyper::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::cluster::Server;
use crate::manifests::{GATEWAYS, SERVICES, gateway, service};

const APPLY: [(&str, &str); 1] = [("content-type", "application/apply-patch+yaml")];

async fn apply(client: &Client, path: &str, query: &str, body: impl ToString) -> Answer {
    let path = format!("{path}?{query}");
    client.send(Method::PATCH, &path, &APPLY, body.to_string()).await
}

/// `FieldsV1` of a manager; null if it owns nothing.
fn owned(object: &Value, manager: &str) -> Value {
    let entries = object["metadata"]["managedFields"].as_array().expect("entries");
    let found = entries.iter().find(|entry| entry["manager"] == manager);
    found.map_or(Value::Null, |entry| entry["fieldsV1"].clone())
}

fn port(target: u16) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "db" },
        "spec": { "ports": [{ "name": "main", "port": 5432, "targetPort": target }] },
    })
}

#[tokio::test]
async fn an_apply_creates_changes_and_gives_up() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let path = format!("{SERVICES}/db");
    let yaml = "kind: Service\napiVersion: v1\nmetadata: {name: db, labels: {a: b}}\nspec:\n  ports:\n  - {name: main, port: 5432}\n";
    let created = apply(&client, &path, "fieldManager=ci", yaml).await.expect(201);
    let key = "k:{\"port\":5432,\"protocol\":\"TCP\"}";
    let entry = &created["metadata"]["managedFields"][0];
    assert_eq!(
        (&entry["operation"], &entry["apiVersion"]),
        (&json!("Apply"), &json!("v1"))
    );
    assert_eq!(
        entry["fieldsV1"],
        json!({
            "f:metadata": { "f:labels": { "f:a": {} } },
            "f:spec": { "f:ports": { key: { ".": {}, "f:name": {}, "f:port": {} } } },
        })
    );
    let again = apply(&client, &path, "fieldManager=ci", yaml).await.expect(200);
    assert_eq!(again, created);
    let changed = apply(&client, &path, "fieldManager=ci", port(15432)).await.expect(200);
    assert_eq!(changed["metadata"].get("labels"), None);
    assert_eq!(changed["spec"]["ports"][0]["targetPort"], 15432);
    assert_eq!(changed["metadata"]["generation"], 2);
}

#[tokio::test]
async fn conflicts_are_causes_and_force_takes() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let path = format!("{SERVICES}/db");
    client
        .post(&format!("{SERVICES}?fieldManager=other"), &service("db", "pg"))
        .await
        .expect(201);
    let status = apply(&client, &path, "fieldManager=ci", port(1)).await.expect(409);
    let field = ".spec.ports[port=5432,protocol=\"TCP\"].targetPort";
    assert_eq!(
        status["message"],
        format!("Apply failed with 1 conflict: conflict with \"other\" using v1: {field}")
    );
    let cause = &status["details"]["causes"][0];
    assert_eq!(
        (&cause["reason"], &cause["field"]),
        (&json!("FieldManagerConflict"), &json!(field))
    );
    let rehearsed = apply(&client, &path, "fieldManager=ci&force=true&dryRun=All", port(1))
        .await
        .expect(200);
    assert_eq!(rehearsed["spec"]["ports"][0]["targetPort"], 1);
    assert_eq!(
        client.get(&path).await.expect(200)["spec"]["ports"][0]["targetPort"],
        5432
    );
    let forced = apply(&client, &path, "fieldManager=ci&force=true", port(1))
        .await
        .expect(200);
    let key = "k:{\"port\":5432,\"protocol\":\"TCP\"}";
    assert_eq!(
        owned(&forced, "other")["f:spec"]["f:ports"][key].get("f:targetPort"),
        None
    );
    assert!(owned(&forced, "other")["f:metadata"]["f:labels"].is_object());
    // Whoever changes it next takes it back.
    let mut edited = forced.clone();
    edited["spec"]["ports"][0]["targetPort"] = json!(2);
    let edited = client
        .put(&format!("{path}?fieldManager=editor"), &edited)
        .await
        .expect(200);
    assert_eq!(owned(&edited, "ci")["f:spec"]["f:ports"][key].get("f:targetPort"), None);
    assert_eq!(
        owned(&edited, "editor")["f:spec"]["f:ports"][key],
        json!({ "f:targetPort": {} })
    );
    let merge = json!({ "metadata": { "labels": { "app": "new" } } });
    let patched = client
        .patch("merge", &format!("{path}?fieldManager=editor"), &merge)
        .await
        .expect(200);
    assert_eq!(
        owned(&patched, "editor")["f:metadata"],
        json!({ "f:labels": { "f:app": {} } })
    );
}

#[tokio::test]
async fn the_status_has_managers_of_its_own() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let path = format!("{GATEWAYS}/edge");
    let created = client
        .post(&format!("{GATEWAYS}?fieldManager=me"), &gateway("edge"))
        .await
        .expect(201);
    assert!(owned(&created, "me")["f:spec"].is_object());
    assert_eq!(owned(&created, "me").get("f:status"), None);
    let condition = json!({ "type": "test.dev/Seen", "status": "True", "reason": "Seen", "message": "",
        "lastTransitionTime": "2026-01-31T12:00:00Z", "observedGeneration": 1 });
    let body = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": { "name": "edge" },
        "spec": { "gatewayClassName": "ignored" }, "status": { "conditions": [condition] },
    });
    let applied = apply(&client, &format!("{path}/status"), "fieldManager=watcher", &body)
        .await
        .expect(200);
    let entries = applied["metadata"]["managedFields"].as_array().expect("entries");
    let entry = entries
        .iter()
        .find(|entry| entry["manager"] == "watcher")
        .expect("an entry");
    assert_eq!(
        (&entry["subresource"], &entry["operation"]),
        (&json!("status"), &json!("Apply"))
    );
    assert_eq!(entry["fieldsV1"].as_object().map(serde_json::Map::len), Some(1));
    assert_eq!(applied["spec"]["gatewayClassName"], "guideway");
    let types = |object: &Value| -> Vec<String> {
        let conditions = object["status"]["conditions"].as_array().expect("conditions");
        conditions
            .iter()
            .map(|found| found["type"].as_str().expect("text").to_owned())
            .collect()
    };
    assert!(types(&applied).contains(&"test.dev/Seen".to_owned()) && types(&applied).contains(&"Accepted".to_owned()));
    // What the cluster derives needs no manager, and a write of the object leaves the entries of the status alone.
    let relabelled = json!({ "metadata": { "labels": { "x": "y" } } });
    let patched = client.patch("merge", &path, &relabelled).await.expect(200);
    assert!(owned(&patched, "watcher").is_object());
    let body = json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "status": {} });
    let given_up = apply(&client, &format!("{path}/status"), "fieldManager=watcher", &body)
        .await
        .expect(200);
    assert!(!types(&given_up).contains(&"test.dev/Seen".to_owned()), "{given_up}");
    assert!(types(&given_up).contains(&"Accepted".to_owned()));
}

#[tokio::test]
async fn what_an_apply_must_say() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let path = format!("{SERVICES}/db");
    let status = apply(&client, &path, "", port(1)).await.expect(422);
    assert_eq!(status["details"]["causes"][0]["field"], "fieldManager");
    let forced = client
        .patch("merge", &format!("{path}?force=true"), &json!({}))
        .await
        .expect(422);
    assert_eq!(forced["details"]["causes"][0]["field"], "force");
    let mut body = port(1);
    body["metadata"]["managedFields"] = json!([{ "manager": "x" }]);
    apply(&client, &path, "fieldManager=ci", &body).await.expect(400);
    let mut body = port(1);
    body["metadata"]["uid"] = json!("another");
    apply(&client, &path, "fieldManager=ci", &body).await.expect(409);
    let mut body = port(1);
    body["metadata"]["resourceVersion"] = json!("7");
    apply(&client, &path, "fieldManager=ci", &body).await.expect(404);
    let status = apply(&client, &format!("{path}/status"), "fieldManager=ci", port(1))
        .await
        .expect(404);
    assert_eq!(status["reason"], "NotFound");
    apply(&client, &path, "fieldManager=ci", port(1)).await.expect(201);
    apply(&client, &path, "fieldManager=ci", &body).await.expect(409);
    apply(&client, &path, "fieldManager=ci", "[]").await.expect(400);
    apply(&client, &path, "fieldManager=ci", "{").await.expect(400);
    let twice = "spec: {ports: [{port: 1}, {port: 1, protocol: TCP}]}";
    let status = apply(&client, &path, "fieldManager=ci", twice).await.expect(400);
    assert!(
        status["message"]
            .as_str()
            .expect("text")
            .contains("spec.ports[1]: duplicate entry"),
        "{status}"
    );
    let invalid = "spec: {ports: [{name: main, port: 5432, targetPort: 70000}]}";
    assert_eq!(
        apply(&client, &path, "fieldManager=ci", invalid).await.expect(422)["reason"],
        "Invalid"
    );
}

#[tokio::test]
async fn unknown_and_duplicate_fields() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let path = format!("{SERVICES}/db");
    let body = "kind: Service\nspec:\n  frob: 1\n  ports:\n  - port: 1\n    port: 2\n";
    let strict = apply(&client, &path, "fieldManager=ci&fieldValidation=Strict", body)
        .await
        .expect(400);
    assert!(
        strict["message"]
            .as_str()
            .expect("text")
            .contains("duplicate field \"spec.ports[0].port\""),
        "{strict}"
    );
    let unknown = "kind: Service\nspec:\n  frob: 1\n  ports: [{port: 2}]\n";
    let strict = apply(&client, &path, "fieldManager=ci&fieldValidation=Strict", unknown)
        .await
        .expect(400);
    assert!(
        strict["message"]
            .as_str()
            .expect("text")
            .contains("unknown field \"spec.frob\""),
        "{strict}"
    );
    let answer = apply(&client, &path, "fieldManager=ci", body).await;
    answer.expect(201);
    assert_eq!(answer.warnings().len(), 2, "{:?}", answer.warnings());
    let ignored = apply(&client, &path, "fieldManager=ci&fieldValidation=Ignore", body).await;
    assert_eq!(ignored.expect(200)["spec"]["ports"][0]["port"], 2);
    assert_eq!(ignored.warnings(), [""; 0]);
}

#[tokio::test]
async fn entries_can_be_cleared_and_migrated() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let path = format!("{SERVICES}/db");
    let created = client
        .post(&format!("{SERVICES}?fieldManager=old"), &service("db", "pg"))
        .await
        .expect(201);
    let mut entries = created["metadata"]["managedFields"].clone();
    entries[0]["manager"] = json!("new");
    entries[0]["operation"] = json!("Apply");
    let migrate = json!([
        { "op": "replace", "path": "/metadata/managedFields", "value": entries },
        { "op": "replace", "path": "/metadata/resourceVersion", "value": created["metadata"]["resourceVersion"] },
    ]);
    let migrated = client.patch("json", &path, &migrate).await.expect(200);
    assert_eq!(
        (owned(&migrated, "old"), owned(&migrated, "new")),
        (Value::Null, entries[0]["fieldsV1"].clone())
    );
    assert_eq!(migrated["metadata"]["generation"], 1);
    let clear = json!([{ "op": "replace", "path": "/metadata/managedFields", "value": [{}] }]);
    let cleared = client.patch("json", &path, &clear).await.expect(200);
    assert_eq!(cleared["metadata"].get("managedFields"), None);
    let applied = apply(&client, &path, "fieldManager=ci", port(5432)).await.expect(200);
    assert!(owned(&applied, "before-first-apply").is_object());
}
