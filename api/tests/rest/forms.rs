//! The other forms of objects: tables and metadata alone, in get, list and watch.

use hyper::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::cluster::Server;
use crate::manifests::{GATEWAYS, SERVICES, gateway, service};

const TABLE: [(&str, &str); 1] = [(
    "accept",
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
)];
const METADATA: [(&str, &str); 1] = [(
    "accept",
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
)];

#[tokio::test]
async fn rows_have_a_cell_for_each_column() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    client.post(SERVICES, &service("db", "pg")).await.expect(201);
    client.post(GATEWAYS, &gateway("edge")).await.expect(201);
    let get = async |path: &str| client.send(Method::GET, path, &TABLE, "").await.expect(200);
    let list = get(SERVICES).await;
    assert_eq!(
        (&list["kind"], &list["apiVersion"]),
        (&json!("Table"), &json!("meta.k8s.io/v1"))
    );
    assert!(list["metadata"]["resourceVersion"].is_string());
    let names: Vec<&Value> = list["columnDefinitions"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|column| &column["name"])
        .collect();
    assert_eq!(
        names,
        [
            "Name",
            "Type",
            "Cluster-IP",
            "External-IP",
            "Port(s)",
            "Age",
            "Selector"
        ]
    );
    let row = &list["rows"][0];
    assert_eq!(row["cells"].as_array().map(Vec::len), Some(names.len()));
    assert_eq!(row["cells"][4], "5432/TCP");
    assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
    let nothing = get(&format!("{SERVICES}?includeObject=None")).await;
    assert_eq!(nothing["rows"][0].get("object"), None);
    let object = get(&format!("{SERVICES}/db?includeObject=Object")).await;
    assert_eq!(object["rows"][0]["object"]["spec"]["ports"][0]["port"], 5432);
    client.get(&format!("{SERVICES}?includeObject=Half")).await.expect(400);
    let edge = get(&format!("{GATEWAYS}/edge")).await;
    assert_eq!(edge["rows"][0]["cells"][1], "guideway");
    let nodes = get("/apis/guideway.dev/v1alpha1/nodes").await;
    assert_eq!(nodes["rows"][0]["cells"][0], "one");
    assert_eq!(nodes["rows"][0]["cells"][2], "leader");
    // Every kind has a table whose rows fit.
    let discovered = client.get("/apis/gateway.networking.k8s.io/v1").await.expect(200);
    for resource in discovered["resources"].as_array().expect("resources") {
        let plural = resource["name"].as_str().expect("text");
        if !plural.contains('/') {
            let table = get(&format!("/apis/gateway.networking.k8s.io/v1/{plural}")).await;
            assert_eq!(table["columnDefinitions"][0]["format"], "name", "{plural}");
        }
    }
    let many = get(&format!("{SERVICES}?limit=1")).await;
    assert_eq!(many["rows"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn watches_send_rows_and_name_the_columns_once() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    client.post(SERVICES, &service("a", "x")).await.expect(201);
    let query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = client
        .open(Method::GET, &format!("{SERVICES}?{query}"), &TABLE, "")
        .await;
    let first = watch.event().await.expect("an event");
    assert_eq!(first["object"]["kind"], "Table");
    assert_eq!(first["object"]["columnDefinitions"][0]["name"], "Name");
    assert_eq!(first["object"]["rows"][0]["cells"][0], "a");
    let bookmark = watch.event().await.expect("a bookmark");
    let marked = &bookmark["object"]["rows"][0]["object"]["metadata"]["annotations"];
    assert_eq!(marked["k8s.io/initial-events-end"], "true");
    client.delete(&format!("{SERVICES}/a")).await.expect(200);
    let deleted = watch.event().await.expect("an event");
    assert_eq!(
        (&deleted["type"], &deleted["object"]["columnDefinitions"]),
        (&json!("DELETED"), &json!([]))
    );
}

#[tokio::test]
async fn metadata_alone() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    client.post(SERVICES, &service("a", "x")).await.expect(201);
    let list = client.send(Method::GET, SERVICES, &METADATA, "").await.expect(200);
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    let item = &list["items"][0];
    assert_eq!(
        (&item["kind"], &item["apiVersion"]),
        (&json!("PartialObjectMetadata"), &json!("meta.k8s.io/v1"))
    );
    assert_eq!((&item["metadata"]["name"], item.get("spec")), (&json!("a"), None));
    let one = client
        .send(Method::GET, &format!("{SERVICES}/a"), &METADATA, "")
        .await
        .expect(200);
    assert_eq!(one["kind"], "PartialObjectMetadata");
    let mut watch = client
        .open(Method::GET, &format!("{SERVICES}?watch=true"), &METADATA, "")
        .await;
    let event = watch.expect("ADDED", "a").await;
    assert_eq!(event["object"]["kind"], "PartialObjectMetadata");
    let headers = [
        ("accept", METADATA[0].1),
        ("content-type", "application/merge-patch+json"),
    ];
    let patch = json!({ "metadata": { "labels": { "x": "y" } } }).to_string();
    let patched = client
        .send(Method::PATCH, &format!("{SERVICES}/a"), &headers, patch)
        .await
        .expect(200);
    assert_eq!(
        (&patched["kind"], &patched["metadata"]["labels"]["x"]),
        (&json!("PartialObjectMetadata"), &json!("y"))
    );
}
