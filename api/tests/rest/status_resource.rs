//! `/status`.

use serde_json::json;

use crate::client::Client;
use crate::cluster::Server;
use crate::manifests::{SERVICES, service};

#[tokio::test]
async fn status_is_written_apart_from_the_rest() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let created = client.post(SERVICES, &service("db", "pg")).await.expect(201);
    let path = format!("{SERVICES}/db/status");
    assert_eq!(client.get(&path).await.expect(200), created);

    let mut body = created.clone();
    body["status"] = json!({ "loadBalancer": { "ingress": [{ "ip": "192.0.2.1" }] } });
    body["spec"]["ports"][0]["port"] = json!(9);
    let updated = client.put(&path, &body).await.expect(200);
    assert_eq!(updated["status"]["loadBalancer"]["ingress"][0]["ip"], "192.0.2.1");
    assert_eq!(updated["spec"], created["spec"]);
    let stale = client.put(&path, &body).await.expect(409);
    assert_eq!(stale["reason"], "Conflict");

    let patch =
        json!({ "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.2" }] } }, "spec": { "type": "NodePort" } });
    let patched = client.patch("merge", &path, &patch).await.expect(200);
    assert_eq!(patched["status"]["loadBalancer"]["ingress"][0]["ip"], "192.0.2.2");
    assert_eq!(patched["spec"], created["spec"]);

    // A write of the object itself leaves its status alone.
    let mut body = patched.clone();
    body["status"] = json!({});
    body["metadata"]["labels"]["x"] = json!("y");
    let kept = client.put(&format!("{SERVICES}/db"), &body).await.expect(200);
    assert_eq!(kept["status"], patched["status"]);
    client.get(&format!("{SERVICES}/nobody/status")).await.expect(404);
}
