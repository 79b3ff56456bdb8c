//! `Node`.

use hyper::Method;

use crate::client::Client;
use crate::cluster::Server;

const NODES: &str = "/apis/guideway.dev/v1alpha1/nodes";

#[tokio::test]
async fn nodes_show_what_they_are() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let list = client.get(NODES).await.expect(200);
    assert_eq!(list["kind"], "NodeList");
    let node = client.get(&format!("{NODES}/one")).await.expect(200);
    assert_eq!(list["items"][0], node);
    assert_eq!(node["kind"], "Node");
    assert_eq!(node["apiVersion"], "guideway.dev/v1alpha1");
    assert_eq!(node["metadata"]["name"], "one");
    let status = &node["status"];
    assert_eq!(status["id"], 1);
    assert_eq!(status["role"], "leader");
    assert_eq!(status["version"], "0.1.0");
    assert_eq!(status["sessions"], 3);
    assert_eq!(status["appliedIndex"], 2);
    assert_eq!(status["dataAddress"], "127.0.0.1");
    assert_eq!(status["peerAddress"], "127.0.0.1:7000");
    assert_eq!(status["apiURL"], "http://127.0.0.1:7001");
    assert_eq!(status["conditions"][0]["type"], "Ready");
    assert_eq!(status["sourceAddresses"], serde_json::json!(["10.0.0.1", "10.0.0.2"]));
    assert!(status["conditions"][0]["lastTransitionTime"].is_string());
}

#[tokio::test]
async fn nodes_are_found_by_name_and_only_read() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let missing = client.get(&format!("{NODES}/two")).await.expect(404);
    assert_eq!(missing["message"], "nodes.guideway.dev \"two\" not found");
    let none = client
        .get(&format!("{NODES}?fieldSelector=metadata.name%3Dtwo"))
        .await
        .expect(200);
    assert_eq!(none["items"].as_array().map(Vec::len), Some(0));
    client.get(&format!("{NODES}?watch=true")).await.expect(405);
    client.send(Method::POST, NODES, &[], "{}").await.expect(405);
}
