//! Who may take a backup, and what they get.

use std::sync::Arc;

use guideway_api::Limits;
use guideway_identity::ApiToken;
use guideway_model::State;
use hyper::Method;
use serde_json::json;

use crate::client::Client;
use crate::cluster::{MemoryCluster, Server};

#[tokio::test]
async fn only_who_may_do_everything_takes_a_backup() {
    let cluster = Arc::new(MemoryCluster::new());
    let server = Server::serving(Arc::clone(&cluster), Limits::default()).await;
    let root = Client::new(server.address);
    for role in ["cluster-admin", "admin", "edit", "view", "operator"] {
        let token = ApiToken::create().expect("random bytes");
        cluster.token(&token, role, &[], "2999-01-01T00:00:00Z");
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": role},
            "subjects": [{"kind": "User", "name": role}], "roleRef": {"kind": "ClusterRole", "name": role},
        });
        let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
        root.post(bindings, &binding).await.expect(201);
        let code = Client::signed_in(server.address, &token).get("/backup").await.status;
        assert_eq!(code, if role == "cluster-admin" { 200 } else { 403 }, "{role}");
    }
    Client::anonymous(server.address).get("/backup").await.expect(401);
    root.send(Method::POST, "/backup", &[], "").await.expect(405);
}

#[tokio::test]
async fn a_backup_is_the_whole_state_as_one_file() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kept"}});
    client.post("/api/v1/namespaces", &namespace).await.expect(201);
    let answer = client.get("/backup").await;
    assert_eq!(answer.headers["content-type"], "application/octet-stream");
    let records: Vec<u8> = State::snapshot_records(&server.cluster.state()).flatten().collect();
    assert_eq!(answer.text.as_bytes(), records);
    assert!(answer.text.contains("\"kept\""));
    *server.cluster.read_failure.lock().expect("lock") = Some(guideway_api::ports::ReadFailure::Timeout);
    client.get("/backup").await.expect(504);
}
