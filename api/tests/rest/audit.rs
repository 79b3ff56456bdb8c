//! The audit log: each write, close and refusal is a line, and what is only read is none.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use guideway_api::{AuditConfig, AuditLog, Limits, Transport};
use guideway_identity::ApiToken;
use hyper::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::cluster::{MemoryCluster, Server};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn map(value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": value}})
}

/// What is in the log once the server has gone.
pub(crate) async fn lines(server: Server, path: &Path) -> Vec<Value> {
    server.stop().await;
    let text = std::fs::read_to_string(path).expect("the log is there");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// A server whose audit log is this file.
pub(crate) async fn audited(path: &Path) -> (Server, Arc<MemoryCluster>) {
    let audit = AuditLog::open(AuditConfig {
        path: path.to_owned(),
        max_bytes: 1 << 20,
        kept_files: 1,
        queue: 16,
        patience: Duration::from_secs(30),
        node: "one".to_owned(),
    });
    let cluster = Arc::new(MemoryCluster::new());
    let audit = audit.expect("opened");
    let server = Server::with(Arc::clone(&cluster), Limits::default(), Transport::Plain, audit).await;
    (server, cluster)
}

#[tokio::test]
async fn writes_say_who_from_where_what_and_between_which_versions() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.log");
    let (server, _) = audited(&path).await;
    let root = Client::new(server.address);
    let created = root.post(MAPS, &map("1")).await.expect(201);
    root.get(MAPS).await.expect(200);
    root.post(MAPS, &map("1")).await.expect(409);
    let mut changed = created.clone();
    changed["data"]["a"] = json!("2");
    let json = [("content-type", "application/json")];
    let object = format!("{MAPS}/m");
    let updated = root
        .send(Method::PUT, &object, &json, changed.to_string())
        .await
        .expect(200);
    root.send(Method::DELETE, &format!("{object}?dryRun=All"), &[], "")
        .await
        .expect(200);
    root.send(Method::DELETE, &object, &[], "").await.expect(200);
    let lines = lines(server, &path).await;
    let version = |object: &Value| {
        let text = object["metadata"]["resourceVersion"].as_str().expect("text");
        text.parse::<u64>().expect("a number")
    };
    let (first, second) = (version(&created), version(&updated));
    let short: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!([
                line["verb"],
                line["outcome"],
                line["code"],
                line["before"],
                line["after"]
            ])
        })
        .collect();
    assert_eq!(
        short,
        [
            json!(["create", "done", 201, null, first]),
            json!(["create", "failed", 409, null, null]),
            json!(["update", "done", 200, first, second]),
            json!(["delete", "done", 200, second, second + 1]),
        ]
    );
    let line = &lines[0];
    for (field, value) in [
        ("event", "write"),
        ("node", "one"),
        ("user", "root"),
        ("resource", "configmaps"),
        ("namespace", "default"),
        ("name", "m"),
    ] {
        assert_eq!(line[field], value, "{line}");
    }
    assert!(
        line["source"].as_str().expect("an address").starts_with("127.0.0.1:"),
        "{line}"
    );
    assert!(line["index"].is_u64() && line["time"].is_string(), "{line}");
}

#[tokio::test]
async fn refusals_and_failed_sign_ins_are_lines_and_show_no_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.log");
    let (server, cluster) = audited(&path).await;
    let token = ApiToken::create().expect("random bytes");
    cluster.token(&token, "jane", &["team"], "2999-01-01T00:00:00Z");
    let jane = Client::signed_in(server.address, &token);
    jane.get("/api/v1/namespaces/default/secrets/s").await.expect(403);
    jane.get("/metrics").await.expect(403);
    let unknown = ApiToken::create().expect("random bytes");
    Client::signed_in(server.address, &unknown)
        .get("/api")
        .await
        .expect(401);
    let lines = lines(server, &path).await;
    let short: Vec<Value> = lines
        .iter()
        .map(|line| json!([line["event"], line["user"], line["code"], line["token"]]))
        .collect();
    assert_eq!(
        short,
        [
            json!(["refused", "jane", 403, token.id()]),
            json!(["refused", "jane", 403, token.id()]),
            json!(["sign-in-failed", "system:anonymous", 401, null]),
        ]
    );
    let message = lines[2]["message"].as_str().expect("text");
    assert!(message.contains(unknown.id()), "{message}");
    let text = std::fs::read_to_string(&path).expect("read");
    for token in [&token, &unknown] {
        let secret = token.text().rsplit('_').next().expect("a secret").to_owned();
        assert!(!text.contains(&secret));
    }
}

#[tokio::test]
async fn closing_sessions_is_a_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.log");
    let (server, _) = audited(&path).await;
    let sessions = "/apis/guideway.dev/v1alpha1/namespaces/default/sessions";
    let root = Client::new(server.address);
    root.send(Method::DELETE, sessions, &[], "").await.expect(200);
    root.send(Method::DELETE, &format!("{sessions}/not-there"), &[], "")
        .await
        .expect(404);
    let lines = lines(server, &path).await;
    let short: Vec<Value> = lines
        .iter()
        .map(|line| json!([line["verb"], line["resource"], line["outcome"], line["code"]]))
        .collect();
    assert_eq!(
        short,
        [
            json!(["deletecollection", "sessions.guideway.dev", "done", 200]),
            json!(["delete", "sessions.guideway.dev", "failed", 404]),
        ]
    );
}
