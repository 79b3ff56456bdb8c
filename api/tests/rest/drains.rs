//! `Drain`: a stored kind with columns of its own.

use hyper::Method;
use serde_json::json;

use crate::client::Client;
use crate::cluster::Server;

const DRAINS: &str = "/apis/guideway.dev/v1alpha1/drains";

#[tokio::test]
async fn a_drain_is_kept_shown_and_checked() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let drain = json!({
        "apiVersion": "guideway.dev/v1alpha1",
        "kind": "Drain",
        "metadata": { "name": "one" },
        "spec": { "target": { "endpoint": { "ip": "2001:db8::1", "port": 80 } }, "deadline": "10m" },
    });
    let created = client.post(DRAINS, &drain).await.expect(201);
    assert_eq!(created["spec"]["atDeadline"], "Keep");
    let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let table = client.send(Method::GET, DRAINS, &accept, "").await.expect(200);
    let columns = table["columnDefinitions"].as_array().expect("columns").iter();
    let columns: Vec<&str> = columns.map(|column| column["name"].as_str().expect("name")).collect();
    assert_eq!(
        columns,
        [
            "Name",
            "Target",
            "Phase",
            "Remaining",
            "Deadline",
            "Age",
            "At-Deadline",
            "Ends-In",
            "Nodes"
        ]
    );
    let cells = &table["rows"][0]["cells"];
    assert_eq!(cells[1], "[2001:db8::1]:80");
    assert!(
        cells[4]
            .as_str()
            .is_some_and(|left| left.ends_with('s') || left.ends_with('m')),
        "{cells}"
    );
    assert_eq!((&cells[6], &cells[8]), (&json!("Keep"), &json!("<none>")));

    let mut other = created.clone();
    other["spec"]["target"] = json!({ "node": { "name": "one" } });
    let refused = client.put(&format!("{DRAINS}/one"), &other).await.expect(422);
    assert_eq!(refused["details"]["causes"][0]["field"], "spec.target");
    let both = json!({
        "metadata": { "name": "two" },
        "spec": { "target": { "node": { "name": "one" }, "backend": { "namespace": "default", "name": "db" } } },
    });
    client.post(DRAINS, &both).await.expect(422);
    client.delete(&format!("{DRAINS}/one")).await.expect(200);
}
