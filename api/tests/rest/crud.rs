//! Create, get, update.

use serde_json::json;

use crate::client::Client;
use crate::cluster::Server;
use crate::manifests::{GATEWAYS, NAMESPACES, SERVICES, gateway, namespace, service};

#[tokio::test]
async fn an_object_lives_from_create_to_delete() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let created = client.post(SERVICES, &service("db", "pg")).await.expect(201);
    assert_eq!(created["metadata"]["namespace"], "default");
    assert!(created["metadata"]["uid"].as_str().is_some_and(|uid| uid.len() == 36));
    assert!(created["metadata"]["resourceVersion"].is_string());
    assert!(
        created["metadata"]["creationTimestamp"]
            .as_str()
            .is_some_and(|at| at.ends_with('Z'))
    );
    let path = format!("{SERVICES}/db");
    assert_eq!(client.get(&path).await.expect(200), created);

    let mut changed = created.clone();
    changed["spec"]["ports"][0]["port"] = json!(5433);
    let updated = client.put(&path, &changed).await.expect(200);
    assert_eq!(updated["spec"]["ports"][0]["port"], 5433);
    assert_ne!(
        updated["metadata"]["resourceVersion"],
        created["metadata"]["resourceVersion"]
    );
    assert_eq!(updated["metadata"]["uid"], created["metadata"]["uid"]);

    // As in Kubernetes, the delete of a Service answers with the object, other deletes with a Status.
    let deleted = client.delete(&path).await.expect(200);
    assert_eq!(deleted["kind"], "Service");
    assert_eq!(deleted["metadata"]["uid"], created["metadata"]["uid"]);
    let gone = client.get(&path).await.expect(404);
    assert_eq!(gone["reason"], "NotFound");
    assert_eq!(gone["message"], "services \"db\" not found");
    assert_eq!(gone["details"], json!({ "name": "db", "kind": "services" }));
}

#[tokio::test]
async fn names_are_generated() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let mut manifest = service("", "pg");
    manifest["metadata"] = json!({ "generateName": "db-" });
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let created = client.post(SERVICES, &manifest).await.expect(201);
        let name = created["metadata"]["name"].as_str().expect("name").to_owned();
        assert!(name.starts_with("db-") && name.len() == 8, "{name}");
        names.insert(name);
    }
    assert_eq!(names.len(), 20);
}

#[tokio::test]
async fn taken_names_and_missing_namespaces() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    client.post(SERVICES, &service("db", "pg")).await.expect(201);
    let taken = client.post(SERVICES, &service("db", "pg")).await.expect(409);
    assert_eq!(taken["reason"], "AlreadyExists");
    assert_eq!(taken["details"], json!({ "name": "db", "kind": "services" }));

    let missing = client
        .post("/api/v1/namespaces/shop/services", &service("db", "pg"))
        .await;
    let missing = missing.expect(404);
    assert_eq!(missing["message"], "namespaces \"shop\" not found");
    client.post(NAMESPACES, &namespace("shop")).await.expect(201);
    let created = client
        .post("/api/v1/namespaces/shop/services", &service("db", "pg"))
        .await;
    created.expect(201);
}

#[tokio::test]
async fn updates_need_the_version_and_identity_they_name() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let path = format!("{SERVICES}/db");
    let first = client.post(SERVICES, &service("db", "pg")).await.expect(201);
    let mut second = first.clone();
    second["spec"]["ports"][0]["port"] = json!(1);
    client.put(&path, &second).await.expect(200);

    second["spec"]["ports"][0]["port"] = json!(2);
    let stale = client.put(&path, &second).await.expect(409);
    assert_eq!(stale["reason"], "Conflict");
    let message = stale["message"].as_str().expect("text");
    assert!(
        message.contains("the object has been modified") && message.contains("services \"db\""),
        "{message}"
    );

    second["metadata"]["resourceVersion"] = json!("");
    client.put(&path, &second).await.expect(200);
    second["metadata"]["uid"] = json!("somebody-else");
    let other = client.put(&path, &second).await.expect(409);
    assert!(other["message"].as_str().expect("text").contains("uid"), "{other}");

    let missing = client.put(&format!("{SERVICES}/nobody"), &service("nobody", "x")).await;
    assert_eq!(missing.expect(404)["reason"], "NotFound");
    second["metadata"]["resourceVersion"] = json!("soon");
    client.put(&path, &second).await.expect(400);
}

#[tokio::test]
async fn body_and_path_must_agree() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let table = [
        (json!({ "apiVersion": "v2" }), "API version in the data (v2)"),
        (json!({ "kind": "Pod" }), "kind in the data (Pod)"),
        (
            json!({ "metadata": { "name": "db", "namespace": "shop" } }),
            "namespace of the provided object (shop)",
        ),
        (
            json!({ "metadata": { "name": "db", "resourceVersion": "5" } }),
            "resourceVersion should not be set",
        ),
    ];
    for (difference, part) in table {
        let mut body = service("db", "pg");
        for (field, value) in difference.as_object().expect("object") {
            body[field] = value.clone();
        }
        let status = client.post(SERVICES, &body).await.expect(400);
        assert_eq!(status["reason"], "BadRequest");
        assert!(status["message"].as_str().expect("text").contains(part), "{status}");
    }
    client.post(SERVICES, &service("db", "pg")).await.expect(201);
    let status = client
        .put(&format!("{SERVICES}/db"), &service("other", "pg"))
        .await
        .expect(400);
    let message = status["message"].as_str().expect("text");
    assert!(
        message.contains("name of the object (other) does not match the name on the URL (db)"),
        "{message}"
    );
    // What the path says need not be repeated.
    let bare = json!({ "spec": { "ports": [{ "port": 1 }] } });
    client.put(&format!("{SERVICES}/db"), &bare).await.expect(200);
}

#[tokio::test]
async fn invalid_objects_name_every_fault() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let mut body = gateway("edge");
    body["spec"]["listeners"][0]["port"] = json!(70_000);
    body["spec"]["gatewayClassName"] = json!("");
    let status = client.post(GATEWAYS, &body).await.expect(422);
    assert_eq!(status["reason"], "Invalid");
    assert_eq!(status["details"]["kind"], "Gateway");
    assert_eq!(status["details"]["group"], "gateway.networking.k8s.io");
    let causes = status["details"]["causes"].as_array().expect("causes");
    let fields: Vec<_> = causes.iter().filter_map(|cause| cause["field"].as_str()).collect();
    assert!(fields.contains(&"spec.listeners[0].port"), "{status}");
    assert!(fields.contains(&"spec.gatewayClassName"), "{status}");
    let message = status["message"].as_str().expect("text");
    assert!(
        message.starts_with("Gateway.gateway.networking.k8s.io \"edge\" is invalid: ["),
        "{message}"
    );
    assert!(message.contains("spec.listeners[0].port: "), "{message}");
}

#[tokio::test]
async fn older_versions_are_the_same_objects() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let mut body = gateway("edge");
    body["apiVersion"] = json!("gateway.networking.k8s.io/v1beta1");
    let old = GATEWAYS.replace("/v1/", "/v1beta1/");
    let created = client.post(&old, &body).await.expect(201);
    assert_eq!(created["apiVersion"], "gateway.networking.k8s.io/v1beta1");
    let stored = client.get(&format!("{GATEWAYS}/edge")).await.expect(200);
    assert_eq!(stored["apiVersion"], "gateway.networking.k8s.io/v1");
    assert_eq!(stored["metadata"]["uid"], created["metadata"]["uid"]);
    let list = client.get(&old).await.expect(200);
    assert_eq!(list["apiVersion"], "gateway.networking.k8s.io/v1beta1");
    assert_eq!(list["items"][0]["apiVersion"], "gateway.networking.k8s.io/v1beta1");
}
