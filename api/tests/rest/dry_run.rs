//! `dryRun=All` on every write: the answer of a real one, and nothing kept.

use serde_json::json;

use crate::client::Client;
use crate::cluster::Server;
use crate::manifests::{SERVICES, service};

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
