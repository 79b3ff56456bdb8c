//! `dryRun=All` on every write: the answer of a real one, and nothing kept.

use guideway_model::NodeId;
use guideway_model::impact::EffectCounts;
use serde_json::json;

use crate::client::Client;
use crate::cluster::Server;
use crate::manifests::{GATEWAYS, SERVICES, backend, gateway, route, service};

const BACKENDS: &str = "/apis/guideway.dev/v1alpha1/namespaces/default/backends";
const ROUTES: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/default/tcproutes";

#[tokio::test]
async fn nothing_is_kept() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let created = client.post(SERVICES, &service("db", "pg")).await.expect(201);
    let before = server.cluster.state().revision();
    let path = format!("{SERVICES}/db");

    let other = client
        .post(&format!("{SERVICES}?dryRun=All"), &service("other", "x"))
        .await
        .expect(201);
    assert!(other["metadata"]["uid"].is_string());
    let taken = client
        .post(&format!("{SERVICES}?dryRun=All"), &service("db", "x"))
        .await
        .expect(409);
    assert_eq!(taken["reason"], "AlreadyExists");

    let mut changed = created.clone();
    changed["spec"]["ports"][0]["port"] = json!(9);
    let updated = client.put(&format!("{path}?dryRun=All"), &changed).await.expect(200);
    assert_eq!(updated["spec"]["ports"][0]["port"], 9);
    let patch = json!({ "metadata": { "labels": { "x": "y" } } });
    let patched = client
        .patch("merge", &format!("{path}?dryRun=All"), &patch)
        .await
        .expect(200);
    assert_eq!(patched["metadata"]["labels"]["x"], "y");
    client.delete(&format!("{path}?dryRun=All")).await.expect(200);

    assert_eq!(client.get(&path).await.expect(200), created);
    assert_eq!(server.cluster.state().revision(), before);
    client.delete(&format!("{path}?dryRun=Most")).await.expect(400);
}

/// A route to three endpoints, of which a write is tried that takes one away.
#[tokio::test]
async fn what_would_become_of_the_traffic_is_a_warning() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    server.cluster.join("two");
    client.post(GATEWAYS, &gateway("edge")).await.expect(201);
    let three = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"];
    client.post(BACKENDS, &backend("db", &three)).await.expect(201);
    let created = client
        .post(&format!("{ROUTES}?dryRun=All"), &route("TCPRoute", "db", "db"))
        .await;
    created.expect(201);
    client.post(ROUTES, &route("TCPRoute", "db", "db")).await.expect(201);
    let live = &server.cluster.live;
    *live.counts.lock().expect("lock") = vec![
        (
            NodeId(1),
            EffectCounts {
                stays: 7,
                moved: 3,
                pinned: 12,
                closed: 1,
            },
        ),
        (
            NodeId(2),
            EffectCounts {
                stays: 9,
                ..EffectCounts::default()
            },
        ),
    ];
    live.tried.lock().expect("lock").clear();

    let path = format!("{BACKENDS}/db?dryRun=All");
    let fewer = json!({ "spec": { "endpoints": [{ "ip": "10.0.0.1", "port": 1 }, { "ip": "10.0.0.2", "port": 1 }] } });
    let tried = client.patch("merge", &path, &fewer).await;
    tried.expect(200);
    let warnings = tried.warnings();
    assert_eq!(
        warnings[0],
        "299 - \"on node one: of the live sessions 3 would move to another endpoint, 12 be pinned, 1 be closed\""
    );
    assert!(warnings[1].starts_with("299 - \"default/db: 3"), "{warnings:?}");
    assert!(
        warnings[1].contains("% of the rows of its table would go to another endpoint"),
        "{warnings:?}"
    );
    assert!(warnings[1].ends_with("; 10.0.0.3:1 would leave\""), "{warnings:?}");
    assert_eq!(warnings.len(), 2);
    let asked = live.tried.lock().expect("lock").clone();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].commands.len(), 1);
    assert!(asked[0].before.listeners != asked[0].after.listeners);

    live.silent.lock().expect("lock").push(NodeId(2));
    let deleted = client.delete(&format!("{ROUTES}?dryRun=All")).await;
    deleted.expect(200);
    let text = deleted.warnings().join("\n");
    assert!(
        text.contains("no answer from two: what becomes of the live sessions there is not known"),
        "{text}"
    );
    assert!(text.contains("default/db: would carry nothing any more"), "{text}");
    let one = client.delete(&format!("{ROUTES}/db?dryRun=All")).await;
    assert!(one.warnings().join("\n").contains("would carry nothing any more"));
}

#[tokio::test]
async fn a_write_that_changes_no_traffic_says_nothing_and_asks_nobody() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    client.post(GATEWAYS, &gateway("edge")).await.expect(201);
    let label = json!({ "metadata": { "labels": { "a": "b" } } });
    let tried = client
        .patch("merge", &format!("{GATEWAYS}/edge?dryRun=All"), &label)
        .await;
    tried.expect(200);
    let unused = client
        .post(&format!("{SERVICES}?dryRun=All"), &service("db", "pg"))
        .await;
    unused.expect(201);
    assert_eq!((tried.warnings(), unused.warnings()), (vec![], vec![]));
    assert!(server.cluster.live.tried.lock().expect("lock").is_empty());
}
