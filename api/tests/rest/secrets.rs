//! Secrets through the API: clients see them open, the state holds them sealed, and every verb works on them as on any
//! other object.

use std::sync::Arc;

use guideway_model::command::Part;
use guideway_model::object::ObjectKey;
use guideway_model::{Command, Kind, Object};
use hyper::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::cluster::Server;

const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const APPLY: [(&str, &str); 1] = [("content-type", "application/apply-patch+yaml")];
const TABLE: [(&str, &str); 1] = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];

/// What must not be found in the state; the second is the first in base64.
const TEXTS: [&str; 3] = ["correct-horse", "Y29ycmVjdC1ob3JzZQ==", "battery-staple"];

fn secret(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": name, "labels": { "app": "shop" }, "annotations": { "note": "battery-staple" } },
        "stringData": { "password": "correct-horse" },
    })
}

fn key(name: &str) -> ObjectKey {
    ObjectKey {
        kind: Kind::Secret,
        namespace: "default".to_owned(),
        name: name.to_owned(),
    }
}

fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().expect("a version")
}

#[track_caller]
fn is_open(object: &Value) {
    assert_eq!(object["data"]["password"], TEXTS[1], "{object}");
    assert_eq!(object["metadata"]["annotations"]["note"], TEXTS[2], "{object}");
    assert!(object.get("sealed").is_none(), "{object}");
}

fn assert_sealed(server: &Server) {
    for record in server.cluster.state().snapshot_records() {
        let record = String::from_utf8_lossy(&record).into_owned();
        for text in TEXTS {
            assert!(!record.contains(text), "{text} is in {record}");
        }
    }
}

#[tokio::test]
async fn every_read_opens_and_the_state_stays_sealed() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let mut watch = client.watch(&format!("{SECRETS}?watch=true")).await;
    is_open(&client.post(SECRETS, &secret("s")).await.expect(201));
    is_open(&watch.expect("ADDED", "s").await["object"]);
    is_open(&client.get(&format!("{SECRETS}/s")).await.expect(200));
    is_open(
        &client
            .get(&format!("{SECRETS}?labelSelector=app=shop"))
            .await
            .expect(200)["items"][0],
    );
    let row = &client.send(Method::GET, SECRETS, &TABLE, "").await.expect(200)["rows"][0];
    assert_eq!(row["cells"][2], 1, "one key of data: {row}");
    assert_sealed(&server);
    client.delete(&format!("{SECRETS}/s")).await.expect(200);
    is_open(&watch.expect("DELETED", "s").await["object"]);
    client.post(SECRETS, &secret("t")).await.expect(201);
    is_open(&client.delete(SECRETS).await.expect(200)["items"][0]);
    assert_sealed(&server);
}

#[tokio::test]
async fn a_write_that_changes_nothing_keeps_the_version() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let path = format!("{SECRETS}/s");
    let first = client.post(SECRETS, &secret("s")).await.expect(201);
    let put = client.put(&path, &first).await.expect(200);
    assert_eq!(version(&put), version(&first));
    let same = json!({ "stringData": { "password": "correct-horse" } });
    let patched = client.patch("merge", &path, &same).await.expect(200);
    assert_eq!(version(&patched), version(&first));
    let labelled = json!({ "metadata": { "labels": { "tier": "one" } } });
    let labelled = client.patch("strategic-merge", &path, &labelled).await.expect(200);
    is_open(&labelled);
    assert_ne!(version(&labelled), version(&first));
    assert_eq!(labelled["metadata"]["generation"], first["metadata"]["generation"]);
    let other = json!({ "stringData": { "password": "another" } });
    let changed = client.patch("merge", &path, &other).await.expect(200);
    assert_eq!(changed["data"]["password"], "YW5vdGhlcg==");
    assert_sealed(&server);
}

#[tokio::test]
async fn applying_and_trying_work_on_what_is_sealed() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let path = format!("{SECRETS}/s?fieldManager=ci");
    let apply = async |body: Value| client.send(Method::PATCH, &path, &APPLY, body.to_string()).await;
    let first = apply(secret("s")).await.expect(201);
    is_open(&first);
    let again = apply(secret("s")).await.expect(200);
    assert_eq!(version(&again), version(&first));
    let mut more = secret("s");
    more["stringData"] = json!({ "user": "correct-horse" });
    let tried = client
        .send(Method::PATCH, &format!("{path}&dryRun=All"), &APPLY, more.to_string())
        .await
        .expect(200);
    assert_eq!(tried["data"]["user"], TEXTS[1], "{tried}");
    let found = client.get(&format!("{SECRETS}/s")).await.expect(200);
    assert_eq!((version(&found), found["data"].get("user")), (version(&first), None));
    assert_sealed(&server);
}

#[tokio::test]
async fn immutable_data_are_compared_although_they_are_sealed() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let mut fixed = secret("s");
    fixed["immutable"] = json!(true);
    client.post(SECRETS, &fixed).await.expect(201);
    let path = format!("{SECRETS}/s");
    let note = json!({ "metadata": { "annotations": { "more": "x" } } });
    client.patch("merge", &path, &note).await.expect(200);
    let other = json!({ "stringData": { "password": "another" } });
    let refused = client.patch("merge", &path, &other).await.expect(422);
    assert_eq!(refused["details"]["causes"][0]["field"], "data", "{refused}");
}

#[tokio::test]
async fn nobody_sends_a_sealed_secret_in() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let mut sent = secret("s");
    sent["sealed"] = json!({ "envelope": "AAAA", "dataVersion": 1, "facts": {} });
    let refused = client
        .post(&format!("{SECRETS}?fieldValidation=Strict"), &sent)
        .await
        .expect(400);
    let message = refused["message"].as_str().expect("text");
    assert!(message.contains("unknown field \"sealed\""), "{message}");
    let dropped = client.post(&format!("{SECRETS}?fieldValidation=Ignore"), &sent).await;
    is_open(&dropped.expect(201));
    assert_sealed(&server);
}

#[tokio::test]
async fn an_envelope_that_was_moved_opens_nothing_and_is_named() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    for name in ["one", "two"] {
        client.post(SECRETS, &secret(name)).await.expect(201);
    }
    let state = server.cluster.state();
    let (Some(Object::Secret(one)), Some(Object::Secret(two))) = (state.get(&key("one")), state.get(&key("two")))
    else {
        panic!("both are there");
    };
    let mut moved = two.as_ref().clone();
    moved.sealed.clone_from(&one.sealed);
    server.cluster.apply(Command::Replace {
        object: Object::Secret(Arc::new(moved)),
        part: Part::Main,
        expected: None,
        uid: None,
    });
    let failed = client.get(&format!("{SECRETS}/two")).await.expect(500);
    let message = failed["message"].as_str().expect("text");
    assert!(
        message.contains("Secret default/two cannot be opened: it was changed"),
        "{message}"
    );
    let list = client.get(SECRETS).await.expect(500);
    assert_eq!(list["message"], failed["message"], "a list must not look whole");
    client.get(&format!("{SECRETS}/one")).await.expect(200);
    // Who owns what cannot be told any more, so it is deleted and made again.
    client.delete(&format!("{SECRETS}/two")).await.expect(200);
    is_open(&client.post(SECRETS, &secret("two")).await.expect(201));
    is_open(&client.get(&format!("{SECRETS}/two")).await.expect(200));
}
