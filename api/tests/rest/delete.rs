//! Delete, with its options, of one object and of a collection.

use hyper::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::cluster::Server;
use crate::manifests::{NAMESPACES, SERVICES, namespace, service};

async fn delete_with(client: &Client, path: &str, options: &Value) -> Answer {
    let json = [("content-type", "application/json")];
    client.send(Method::DELETE, path, &json, options.to_string()).await
}

#[tokio::test]
async fn preconditions_hold() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let created = client.post(SERVICES, &service("db", "pg")).await.expect(201);
    let path = format!("{SERVICES}/db");
    let uid = &created["metadata"]["uid"];
    let version = &created["metadata"]["resourceVersion"];
    for preconditions in [
        json!({ "uid": "another" }),
        json!({ "resourceVersion": "1", "uid": uid }),
    ] {
        let options = json!({ "kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions });
        let status = delete_with(&client, &path, &options).await.expect(409);
        assert_eq!(status["reason"], "Conflict", "{options}");
    }
    let options = json!({
        "propagationPolicy": "Foreground",
        "gracePeriodSeconds": 30,
        "preconditions": { "uid": uid, "resourceVersion": version },
    });
    delete_with(&client, &path, &options).await.expect(200);
    delete_with(&client, &path, &options).await.expect(404);
}

#[tokio::test]
async fn options_that_mean_nothing_are_refused() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    client.post(SERVICES, &service("db", "pg")).await.expect(201);
    let path = format!("{SERVICES}/db");
    for (options, part) in [
        (
            json!({ "propagationPolicy": "Sideways" }),
            "supported are Orphan, Background and Foreground",
        ),
        (json!({ "dryRun": ["Some"] }), "supported is only All"),
        (json!({ "kind": "Service" }), "a DeleteOptions, not a Service"),
        (json!({ "preconditions": { "resourceVersion": "x" } }), "not a version"),
    ] {
        let status = delete_with(&client, &path, &options).await.expect(400);
        assert!(status["message"].as_str().expect("text").contains(part), "{status}");
    }
    client.get(&path).await.expect(200);
}

#[tokio::test]
async fn a_collection_goes_by_selector() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    for (name, app) in [("a", "web"), ("b", "web"), ("c", "db")] {
        client.post(SERVICES, &service(name, app)).await.expect(201);
    }
    let rehearsed = client.delete(&format!("{SERVICES}?dryRun=All")).await.expect(200);
    assert_eq!(rehearsed["items"].as_array().map(Vec::len), Some(3));
    let deleted = client
        .delete(&format!("{SERVICES}?labelSelector=app%3Dweb"))
        .await
        .expect(200);
    assert_eq!(deleted["kind"], "ServiceList");
    assert_eq!(deleted["items"][1]["metadata"]["name"], "b");
    let left = client.get(SERVICES).await.expect(200);
    assert_eq!(left["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(left["items"][0]["metadata"]["name"], "c");
}

#[tokio::test]
async fn a_namespace_takes_its_contents_along() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    client.post(NAMESPACES, &namespace("shop")).await.expect(201);
    client
        .post("/api/v1/namespaces/shop/services", &service("db", "pg"))
        .await
        .expect(201);
    let mut watch = client.watch("/api/v1/namespaces/shop/services?watch=true").await;
    watch.expect("ADDED", "db").await;
    client.delete("/api/v1/namespaces/shop").await.expect(200);
    watch.expect("DELETED", "db").await;
    client.get("/api/v1/namespaces/shop/services/db").await.expect(404);
    let status = client.delete("/api/v1/namespaces/default").await.expect(403);
    assert_eq!(status["reason"], "Forbidden");
    let message = status["message"].as_str().expect("text");
    assert!(
        message.starts_with("namespaces \"default\" is forbidden: "),
        "{message}"
    );
}
