//! `PATCH` in each of its kinds, and many of them at once.

use guideway_api::ports::Cluster;
use serde_json::json;

use crate::client::Client;
use crate::cluster::Server;
use crate::manifests::{GATEWAYS, SERVICES, gateway, service};

#[tokio::test]
async fn each_kind_changes_the_object() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    client.post(SERVICES, &service("db", "pg")).await.expect(201);
    let path = format!("{SERVICES}/db");

    let merge = json!({ "metadata": { "labels": { "tier": "data", "app": null } } });
    let patched = client.patch("merge", &path, &merge).await.expect(200);
    assert_eq!(patched["metadata"]["labels"], json!({ "tier": "data" }));

    let operations = json!([
        { "op": "test", "path": "/spec/ports/0/port", "value": 5432 },
        { "op": "replace", "path": "/spec/ports/0/targetPort", "value": 15432 },
        { "op": "add", "path": "/metadata/annotations", "value": { "note": "x" } },
    ]);
    let patched = client.patch("json", &path, &operations).await.expect(200);
    assert_eq!(patched["spec"]["ports"][0]["targetPort"], 15432);
    assert_eq!(patched["metadata"]["annotations"]["note"], "x");

    let strategic = json!({ "spec": {
        "$setElementOrder/ports": [{ "port": 9 }, { "port": 5432 }],
        "ports": [{ "name": "new", "port": 9 }],
    } });
    let patched = client.patch("strategic-merge", &path, &strategic).await.expect(200);
    let ports: Vec<_> = patched["spec"]["ports"]
        .as_array()
        .expect("ports")
        .iter()
        .map(|port| &port["port"])
        .collect();
    assert_eq!(ports, [9, 5432]);
}

#[tokio::test]
async fn a_patch_that_changes_nothing_writes_nothing() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let created = client.post(SERVICES, &service("db", "pg")).await.expect(201);
    let same = json!({ "metadata": { "labels": { "app": "pg" } } });
    let patched = client
        .patch("merge", &format!("{SERVICES}/db"), &same)
        .await
        .expect(200);
    assert_eq!(patched, created);
    // A list without the defaults that were filled in is the same list.
    let before = server.cluster.watch().borrow().index;
    let list = json!({ "spec": { "ports": service("db", "pg")["spec"]["ports"] } });
    client
        .patch("merge", &format!("{SERVICES}/db"), &list)
        .await
        .expect(200);
    assert_eq!(server.cluster.watch().borrow().index, before);
}

#[tokio::test]
async fn results_are_validated_like_any_write() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    client.post(SERVICES, &service("db", "pg")).await.expect(201);
    let path = format!("{SERVICES}/db");
    let invalid = json!({ "spec": { "ports": [{ "port": 0 }] } });
    assert_eq!(
        client.patch("merge", &path, &invalid).await.expect(422)["reason"],
        "Invalid"
    );
    let unknown = json!({ "spec": { "frob": 1 } });
    client
        .patch("merge", &format!("{path}?fieldValidation=Strict"), &unknown)
        .await
        .expect(400);
    let answer = client.patch("merge", &path, &unknown).await;
    answer.expect(200);
    assert!(answer.warnings()[0].contains("spec.frob"), "{:?}", answer.warnings());
    let renamed = json!({ "metadata": { "name": "other" } });
    client.patch("merge", &path, &renamed).await.expect(400);
    let failing = json!([{ "op": "test", "path": "/kind", "value": "Pod" }]);
    let status = client.patch("json", &path, &failing).await.expect(422);
    assert!(
        status["message"]
            .as_str()
            .expect("text")
            .contains("operation 0 at \"/kind\""),
        "{status}"
    );
    client.patch("merge", &path, &json!([])).await.expect(400);
    client
        .patch("merge", &format!("{SERVICES}/nobody"), &json!({}))
        .await
        .expect(404);
}

#[tokio::test]
async fn gateway_kinds_have_no_strategic_merge() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    client.post(GATEWAYS, &gateway("edge")).await.expect(201);
    let status = client
        .patch("strategic-merge", &format!("{GATEWAYS}/edge"), &json!({}))
        .await
        .expect(415);
    let message = status["message"].as_str().expect("text");
    assert!(message.contains("application/merge-patch+json"), "{message}");
}

#[tokio::test]
async fn a_version_in_the_patch_is_a_precondition() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let created = client.post(SERVICES, &service("db", "pg")).await.expect(201);
    let path = format!("{SERVICES}/db");
    let patch = |label: &str| json!({ "metadata": { "resourceVersion": created["metadata"]["resourceVersion"], "labels": { "x": label } } });
    client.patch("merge", &path, &patch("1")).await.expect(200);
    assert_eq!(
        client.patch("merge", &path, &patch("2")).await.expect(409)["reason"],
        "Conflict"
    );
    let foreign = json!({ "metadata": { "uid": "another" } });
    assert_eq!(
        client.patch("merge", &path, &foreign).await.expect(409)["reason"],
        "Conflict"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patches_without_a_version_never_conflict() {
    const PATCHES: usize = 100;
    let server = Server::start().await;
    let client = Client::new(server.address);
    client.post(SERVICES, &service("db", "pg")).await.expect(201);
    let path = format!("{SERVICES}/db");
    let patches = (0..PATCHES).map(|number| {
        let patch = json!({ "metadata": { "annotations": { format!("n{number}"): "x" } } });
        let (client, path) = (&client, &path);
        async move { client.patch("merge", path, &patch).await.expect(200) }
    });
    // Writes that do not take turns come between.
    let interference = async {
        for number in 0..PATCHES {
            let mut body = client.get(&path).await.expect(200);
            body["metadata"]["labels"]["round"] = number.to_string().into();
            let answer = client.put(&path, &body).await;
            assert!([200, 409].contains(&answer.status.as_u16()), "{}", answer.text);
        }
    };
    tokio::join!(futures_util::future::join_all(patches), interference);
    let annotations = &client.get(&path).await.expect(200)["metadata"]["annotations"];
    assert_eq!(annotations.as_object().map(serde_json::Map::len), Some(PATCHES));
}
