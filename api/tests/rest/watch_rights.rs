//! Watches whose caller loses the right: they end, and tell nothing that came after.

use std::sync::Arc;
use std::time::Duration;

use guideway_api::Limits;
use guideway_identity::ApiToken;
use guideway_model::meta::{Timestamp, UnixMillis};
use hyper::Method;
use serde_json::{Value, json};

use crate::client::{Client, Stream};
use crate::cluster::{MemoryCluster, Server};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const MAPS: &str = "/api/v1/namespaces/shop/configmaps";
const TOKENS: &str = "/apis/guideway.dev/v1alpha1/apitokens";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings";

/// A server, someone who may do everything, and jane, who may look at `shop`, with her token.
async fn shop() -> (Server, Client, ApiToken) {
    let limits = Limits {
        session_watch_interval: Duration::from_millis(10),
        ..Limits::default()
    };
    let cluster = Arc::new(MemoryCluster::new());
    let server = Server::serving(Arc::clone(&cluster), limits).await;
    let root = Client::new(server.address);
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    root.post("/api/v1/namespaces", &namespace).await.expect(201);
    let rules = json!([{"verbs": ["get", "list", "watch"], "apiGroups": ["", "guideway.dev"],
                        "resources": ["configmaps", "sessions"]}]);
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                      "metadata": {"name": "looks"}, "rules": rules});
    root.post(&format!("{RBAC}/namespaces/shop/roles"), &role)
        .await
        .expect(201);
    root.post(BINDINGS, &binding("jane")).await.expect(201);
    let token = ApiToken::create().expect("random bytes");
    cluster.token(&token, "jane", &[], "2999-01-01T00:00:00Z");
    (server, root, token)
}

fn binding(user: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": user},
        "subjects": [{"kind": "User", "name": user}], "roleRef": {"kind": "Role", "name": "looks"},
    })
}

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

/// The watch says so, and ends.
async fn ends(watch: &mut Stream, code: u16) -> Value {
    let last = watch.event().await.expect("it says why");
    assert_eq!(
        (&last["type"], &last["object"]["code"]),
        (&"ERROR".into(), &code.into()),
        "{last}"
    );
    assert_eq!(watch.event().await, None);
    last["object"]["message"].clone()
}

#[tokio::test]
async fn without_its_binding_a_watch_ends_and_tells_nothing_more() {
    let (server, root, token) = shop().await;
    let jane = Client::signed_in(server.address, &token);
    let mut watch = jane.watch(&format!("{MAPS}?watch=true")).await;
    root.post(MAPS, &map("before")).await.expect(201);
    watch.expect("ADDED", "before").await;
    // What others may is nothing to her.
    root.post(BINDINGS, &binding("joe")).await.expect(201);
    root.delete(&format!("{BINDINGS}/joe")).await.expect(200);
    root.post(MAPS, &map("between")).await.expect(201);
    watch.expect("ADDED", "between").await;
    root.delete(&format!("{BINDINGS}/jane")).await.expect(200);
    root.post(MAPS, &map("after")).await.expect(201);
    let message = ends(&mut watch, 403).await;
    let expected = "configmaps is forbidden: user \"jane\" may not watch configmaps in the namespace \"shop\"";
    assert_eq!(message, expected);
}

#[tokio::test]
async fn a_watch_that_is_told_nothing_ends_too() {
    let (server, root, token) = shop().await;
    let jane = Client::signed_in(server.address, &token);
    let mut watch = jane.watch(&format!("{MAPS}?watch=true")).await;
    let role = format!("{RBAC}/namespaces/shop/roles/looks");
    let patch = json!([{"op": "replace", "path": "/rules/0/verbs", "value": ["get"]}]);
    root.patch("json", &role, &patch).await.expect(200);
    ends(&mut watch, 403).await;
}

#[tokio::test]
async fn with_its_token_a_watch_ends() {
    let (server, root, token) = shop().await;
    let jane = Client::signed_in(server.address, &token);
    let mut watch = jane.watch(&format!("{MAPS}?watch=true")).await;
    root.delete(&format!("{TOKENS}/{}", token.id())).await.expect(200);
    ends(&mut watch, 401).await;
}

#[tokio::test]
async fn when_its_token_expires_a_watch_ends() {
    let (server, _root, _) = shop().await;
    // On a machine that takes longer than that to begin, the next token gets more time.
    for seconds in [2_u64, 10, 25] {
        let token = ApiToken::create().expect("random bytes");
        let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_millis();
        let until = UnixMillis(u64::try_from(now).expect("fits") + seconds * 1000);
        server
            .cluster
            .token(&token, "jane", &[], &Timestamp::from(until).to_string());
        let jane = Client::signed_in(server.address, &token);
        let mut watch = jane.open(Method::GET, &format!("{MAPS}?watch=true"), &[], "").await;
        if watch.status == 200 {
            ends(&mut watch, 401).await;
            return;
        }
        assert_eq!(watch.status, 401);
    }
    panic!("no watch began within 25 seconds");
}

#[tokio::test]
async fn signing_out_ends_the_watches_of_the_cookie() {
    let (server, _root, token) = shop().await;
    let own = ("sec-fetch-site", "same-origin");
    let jane = Client::signed_in(server.address, &token);
    let answer = jane.send(Method::POST, "/sign-in", &[own], "").await;
    let set = answer.headers["set-cookie"].to_str().expect("text").to_owned();
    let cookie = ("cookie", set.split(';').next().expect("a part"));
    let browser = Client::anonymous(server.address);
    let path = format!("{MAPS}?watch=true");
    let mut by_cookie = browser.open(Method::GET, &path, &[cookie, own], "").await;
    assert_eq!(by_cookie.status, 200);
    let mut by_token = jane.watch(&path).await;
    let page = [cookie, own, ("x-guideway-page", "dashboard")];
    browser.send(Method::DELETE, "/sign-in", &page, "").await.expect(200);
    ends(&mut by_cookie, 401).await;
    Client::new(server.address).post(MAPS, &map("after")).await.expect(201);
    by_token.expect("ADDED", "after").await;
}

#[tokio::test]
async fn who_may_no_longer_act_as_another_watches_no_longer_as_them() {
    let (server, root, _) = shop().await;
    let token = ApiToken::create().expect("random bytes");
    server.cluster.token(&token, "ops", &[], "2999-01-01T00:00:00Z");
    let rules =
        json!([{"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"], "resourceNames": ["jane"]}]);
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                      "metadata": {"name": "as-jane"}, "rules": rules});
    root.post(&format!("{RBAC}/clusterroles"), &role).await.expect(201);
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "ops"},
        "subjects": [{"kind": "User", "name": "ops"}], "roleRef": {"kind": "ClusterRole", "name": "as-jane"},
    });
    root.post(&format!("{RBAC}/clusterrolebindings"), &binding)
        .await
        .expect(201);
    let ops = Client::signed_in(server.address, &token);
    let path = format!("{MAPS}?watch=true");
    let mut watch = ops.open(Method::GET, &path, &[("impersonate-user", "jane")], "").await;
    assert_eq!(watch.status, 200);
    root.delete(&format!("{RBAC}/clusterrolebindings/ops"))
        .await
        .expect(200);
    ends(&mut watch, 403).await;
}

#[tokio::test]
async fn watches_of_sessions_end_alike() {
    let (server, root, token) = shop().await;
    let jane = Client::signed_in(server.address, &token);
    let path = "/apis/guideway.dev/v1alpha1/namespaces/shop/sessions?watch=true";
    let mut one = jane.watch(path).await;
    root.delete(&format!("{BINDINGS}/jane")).await.expect(200);
    ends(&mut one, 403).await;
    root.post(BINDINGS, &binding("jane")).await.expect(201);
    let mut other = jane.watch(path).await;
    root.delete(&format!("{TOKENS}/{}", token.id())).await.expect(200);
    ends(&mut other, 401).await;
}
