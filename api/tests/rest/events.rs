//! `Event`: what has happened, or was done by a user, that no object shows.

use guideway_model::{Command, Incarnation, NodeId};
use hyper::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::cluster::Server;
use crate::manifests::{self, GATEWAYS};

const BACKENDS: &str = "/apis/guideway.dev/v1alpha1/namespaces/default/backends";
const ROUTES: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/default/tcproutes";
const EVENTS: &str = "/api/v1/namespaces/default/events";

/// A change of endpoints becomes active without node `two`.
async fn passed_over() -> (Server, Client) {
    let server = Server::start().await;
    let client = Client::new(server.address);
    server.cluster.join("two");
    server.cluster.start_node(NodeId(2), Incarnation(1));
    for (path, object) in [
        (GATEWAYS, gateway()),
        (BACKENDS, backend("10.0.0.1")),
        (ROUTES, route()),
    ] {
        client.post(path, &object).await.expect(201);
    }
    let path = format!("{BACKENDS}/b");
    client.put(&path, &backend("10.0.0.2")).await.expect(200);
    server.cluster.apply(Command::PassOver {
        node: NodeId(2),
        generation: 1,
    });
    (server, client)
}

fn gateway() -> Value {
    let listeners = json!([{"name": "main", "port": 80, "protocol": "TCP"}]);
    json!({"metadata": {"name": "g"}, "spec": {"gatewayClassName": "guideway", "listeners": listeners}})
}

fn backend(ip: &str) -> Value {
    json!({"metadata": {"name": "b"}, "spec": {"endpoints": [{"ip": ip, "port": 80}]}})
}

fn route() -> Value {
    let refs = json!([{"group": "guideway.dev", "kind": "Backend", "name": "b"}]);
    json!({"metadata": {"name": "r"}, "spec": {"parentRefs": [{"name": "g"}], "rules": [{"backendRefs": refs}]}})
}

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().expect("items").iter();
    items.filter_map(|item| item["metadata"]["name"].as_str()).collect()
}

#[tokio::test]
async fn a_node_that_was_passed_over_has_an_event() {
    let (_server, client) = passed_over().await;
    let list = client.get(EVENTS).await.expect(200);
    assert_eq!(names(&list), ["two.passed-over-1"]);
    let event = client.get(&format!("{EVENTS}/two.passed-over-1")).await.expect(200);
    assert_eq!((&event["kind"], &event["apiVersion"]), (&"Event".into(), &"v1".into()));
    assert_eq!(event["involvedObject"]["name"], "two");
    assert_eq!(
        (&event["reason"], &event["type"]),
        (&"PassedOver".into(), &"Warning".into())
    );
    let message = event["message"].as_str().expect("text");
    assert!(message.starts_with("generation 1 of the tables"), "{message}");
    // What `kubectl describe` asks for.
    let node = client.get("/apis/guideway.dev/v1alpha1/nodes/two").await.expect(200);
    let uid = node["metadata"]["uid"].as_str().expect("a uid");
    let selector = format!("involvedObject.uid%3D{uid},involvedObject.kind%3DNode,involvedObject.name%3Dtwo");
    let found = client
        .get(&format!("/api/v1/events?fieldSelector={selector}"))
        .await
        .expect(200);
    assert_eq!(names(&found), ["two.passed-over-1"]);
    let other = client
        .get(&format!("{EVENTS}?fieldSelector=involvedObject.name%3Done"))
        .await
        .expect(200);
    assert_eq!(names(&other), Vec::<&str>::new());
    let elsewhere = client.get("/api/v1/namespaces/shop/events").await.expect(200);
    assert_eq!(names(&elsewhere), Vec::<&str>::new());
}

#[tokio::test]
async fn events_are_only_read() {
    let (_server, client) = passed_over().await;
    client.get(&format!("{EVENTS}/no-such")).await.expect(404);
    client.post(EVENTS, &json!({})).await.expect(405);
    client.delete(&format!("{EVENTS}/two.passed-over-1")).await.expect(405);
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let table = client.send(Method::GET, EVENTS, &table, "").await.expect(200);
    let cells = table["rows"][0]["cells"].as_array().expect("cells");
    assert_eq!(&cells[1..4], [json!("Warning"), json!("PassedOver"), json!("node/two")]);
}

/// The events of one object, as `kubectl describe` asks for them: reason, message, count.
async fn about(client: &Client, kind: &str, name: &str) -> Vec<(String, String, u64)> {
    let selector = format!("involvedObject.kind%3D{kind},involvedObject.name%3D{name}");
    let found = client
        .get(&format!("/api/v1/events?fieldSelector={selector}"))
        .await
        .expect(200);
    let items = found["items"].as_array().expect("items").iter();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    items
        .map(|item| {
            let count = item["count"].as_u64().expect("a count");
            (text(&item["reason"]), text(&item["message"]), count)
        })
        .collect()
}

fn event(reason: &str, message: &str, count: u64) -> (String, String, u64) {
    (reason.to_owned(), message.to_owned(), count)
}

#[tokio::test]
async fn who_closed_sessions_is_an_event_of_their_route() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    for (path, object) in [
        (GATEWAYS, manifests::gateway("edge")),
        (BACKENDS, manifests::backend("b", &["10.0.0.1:80"])),
        (ROUTES, manifests::route("TCPRoute", "postgres", "b")),
    ] {
        client.post(path, &object).await.expect(201);
    }
    let live = &server.cluster.live;
    let sessions = "/apis/guideway.dev/v1alpha1/namespaces/default/sessions";
    let first = live.add(1, "10.1.0.1:1001", "10.0.0.1:80");
    for client_port in 1002..1005 {
        live.add(1, &format!("10.1.0.1:{client_port}"), "10.0.0.1:80");
    }
    client.delete(&format!("{sessions}?dryRun=All")).await.expect(200);
    assert_eq!(about(&client, "TCPRoute", "postgres").await, []);
    client.delete(&format!("{sessions}/{first}")).await.expect(200);
    let one = event("SessionsClosed", "root closed 1 session", 1);
    assert_eq!(about(&client, "TCPRoute", "postgres").await, [one]);
    client.delete(sessions).await.expect(200);
    let all = event("SessionsClosed", "root closed 4 sessions", 2);
    assert_eq!(about(&client, "TCPRoute", "postgres").await, [all]);
    // Nothing is left to close.
    client.delete(sessions).await.expect(200);
    assert_eq!(about(&client, "TCPRoute", "postgres").await[0].2, 2);
    let list = client.get(EVENTS).await.expect(200);
    let name = names(&list)[0].to_owned();
    let found = client.get(&format!("{EVENTS}/{name}")).await.expect(200);
    assert_eq!(found["involvedObject"]["namespace"], "default");
}

#[tokio::test]
async fn who_drains_is_an_event_of_the_drain_and_of_what_it_empties() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    server.cluster.join("two");
    client.post(BACKENDS, &backend("10.0.0.1")).await.expect(201);
    let drains = "/apis/guideway.dev/v1alpha1/drains";
    for (name, target) in [
        ("node", json!({"node": {"name": "two"}})),
        ("backend", json!({"backend": {"namespace": "default", "name": "b"}})),
    ] {
        let spec = json!({"target": target, "force": true});
        let drain = json!({"metadata": {"name": name}, "spec": spec});
        let as_jane = [("impersonate-user", "jane"), ("impersonate-group", "system:masters")];
        let headers = [&as_jane[..], &[("content-type", "application/json")]].concat();
        let query = format!("{drains}?dryRun=All");
        client
            .send(Method::POST, &query, &headers, drain.to_string())
            .await
            .expect(201);
        client
            .send(Method::POST, drains, &headers, drain.to_string())
            .await
            .expect(201);
    }
    let path = format!("{drains}/backend");
    let patch = json!({"spec": {"deadline": "1h"}});
    for _ in 0..2 {
        // The second time nothing changes.
        client.patch("merge", &path, &patch).await.expect(200);
    }
    client.delete(&path).await.expect(200);
    let began = |name: &str| event("DrainBegan", &format!("jane (by root) began the drain {name:?}"), 1);
    assert_eq!(about(&client, "Drain", "node").await, [began("node")]);
    assert_eq!(about(&client, "Node", "two").await, [began("node")]);
    let whole = [
        began("backend"),
        event("DrainChanged", "root changed the drain \"backend\"", 1),
        event("DrainEnded", "root ended the drain \"backend\"", 1),
    ];
    assert_eq!(about(&client, "Backend", "b").await, whole);
    assert_eq!(about(&client, "Drain", "backend").await, whole);
}

#[tokio::test]
async fn a_node_that_does_not_say_what_was_done_through_it_is_named() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    server.cluster.silent.lock().expect("lock").push(NodeId(1));
    let answer = client.get(EVENTS).await;
    answer.expect(200);
    assert_eq!(
        answer.warnings(),
        ["299 - \"no answer from one: what was done through them is missing\""]
    );
}
