//! `Event`: what has happened that no object shows.

use guideway_model::{Command, Incarnation, NodeId};
use hyper::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::cluster::Server;
use crate::manifests::GATEWAYS;

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
