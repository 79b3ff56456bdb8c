//! Who gets in: tokens, those who act as someone else, and what everyone may ask for.

use std::sync::Arc;
use std::time::Duration;

use guideway_api::Limits;
use guideway_identity::ApiToken;
use hyper::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::cluster::{MemoryCluster, Server};

const TOKENS: &str = "/apis/guideway.dev/v1alpha1/apitokens";
const SERVICES: &str = "/api/v1/namespaces/default/services";

fn token() -> ApiToken {
    ApiToken::create().expect("random bytes")
}

async fn whoami(client: &Client, headers: &[(&str, &str)]) -> Value {
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}).to_string();
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let answer = client.send(Method::POST, path, &all, review).await;
    answer.expect(201)["status"]["userInfo"].clone()
}

#[tokio::test]
async fn a_token_is_good_until_it_is_revoked_or_expires() {
    let cluster = Arc::new(MemoryCluster::new());
    let server = Server::serving(Arc::clone(&cluster), Limits::default()).await;
    let (good, old) = (token(), token());
    cluster.token(&good, "jane", &["team"], "2999-01-01T00:00:00Z");
    cluster.token(&old, "jane", &["team"], "2020-01-01T00:00:00Z");
    let jane = Client::signed_in(server.address, &good);
    let user = whoami(&jane, &[]).await;
    assert_eq!(user["username"], "jane");
    assert_eq!(user["groups"], json!(["team", "system:authenticated"]));
    Client::signed_in(server.address, &old).get("/api").await.expect(401);
    Client::signed_in(server.address, &token())
        .get("/api")
        .await
        .expect(401);
    let root = Client::new(server.address);
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let table = root.send(Method::GET, TOKENS, &table, "").await.expect(200);
    let rows = table["rows"].as_array().expect("rows").iter();
    let expired = rows.filter(|row| row["cells"][2] == "expired");
    let names: Vec<&Value> = expired.map(|row| &row["cells"][0]).collect();
    assert_eq!(names, [old.id()], "it is marked in lists");
    root.send(Method::DELETE, &format!("{TOKENS}/{}", good.id()), &[], "")
        .await
        .expect(200);
    let refused = jane.get("/api").await;
    assert_eq!(refused.headers["www-authenticate"], "Bearer realm=\"guideway\"");
    let status = refused.expect(401);
    assert_eq!(
        (&status["kind"], &status["reason"]),
        (&json!("Status"), &json!("Unauthorized"))
    );
}

#[tokio::test]
async fn what_is_no_token_gets_nobody_in() {
    let server = Server::start().await;
    let nobody = Client::anonymous(server.address);
    for value in [
        "Bearer",
        "Bearer ",
        "Bearer gwt_x_y",
        "Basic cm9vdDpyb290",
        "gwt_0000000000_00",
    ] {
        let answer = nobody.send(Method::GET, "/api", &[("authorization", value)], "").await;
        answer.expect(401);
    }
}

#[tokio::test]
async fn without_signing_in_one_learns_whether_the_node_is_well_and_nothing_else() {
    let server = Server::start().await;
    let nobody = Client::anonymous(server.address);
    for path in ["/healthz", "/livez", "/readyz", "/readyz?verbose", "/version"] {
        assert_eq!(nobody.get(path).await.status, 200, "{path}");
    }
    for path in [
        "/",
        "/api",
        "/apis",
        "/api/v1",
        "/openapi/v3",
        "/metrics",
        "/healthz/x",
        "/nothing",
        "/ui",
    ] {
        assert_eq!(nobody.get(path).await.status, 401, "{path}");
    }
    // No dashboard is served yet; who asks for it is not asked who they are.
    assert_eq!(nobody.get("/ui/index.html").await.status, 404);
    assert_eq!(Client::new(server.address).get("/metrics").await.text, "a_metric 1\n");
}

#[tokio::test]
async fn failures_from_one_address_are_limited() {
    let limits = Limits {
        failed_sign_ins: 3,
        failed_sign_in_memory: Duration::from_secs(3600),
        ..Limits::default()
    };
    let server = Server::with_limits(limits).await;
    let nobody = Client::signed_in(server.address, &token());
    for _ in 0..3 {
        nobody.get("/api").await.expect(401);
    }
    let refused = nobody.get("/api").await;
    assert_eq!(refused.headers["retry-after"], "3600");
    assert_eq!(refused.expect(429)["reason"], "TooManyRequests");
    // Guessing is refused with the right guess too, or it would not be limited.
    Client::new(server.address).get("/api").await.expect(429);
    assert_eq!(nobody.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn acting_as_someone_else_needs_leave() {
    let cluster = Arc::new(MemoryCluster::new());
    let server = Server::serving(Arc::clone(&cluster), Limits::default()).await;
    let jane = token();
    cluster.token(&jane, "jane", &[], "2999-01-01T00:00:00Z");
    let root = Client::new(server.address);
    let user = whoami(&root, &[("impersonate-user", "joe"), ("impersonate-group", "team")]).await;
    assert_eq!(user["username"], "joe");
    assert_eq!(user["groups"], json!(["team", "system:authenticated"]));
    root.send(Method::GET, SERVICES, &[("impersonate-user", "joe")], "")
        .await
        .expect(403);
    let jane = Client::signed_in(server.address, &jane);
    for headers in [
        &[("impersonate-user", "root"), ("impersonate-group", "system:masters")][..],
        &[("impersonate-user", "joe")][..],
    ] {
        jane.send(Method::GET, "/api", headers, "").await.expect(403);
    }
    root.send(Method::GET, "/api", &[("impersonate-group", "x")], "")
        .await
        .expect(400);
}

#[tokio::test]
async fn nobody_makes_a_token_for_someone_mightier() {
    let cluster = Arc::new(MemoryCluster::new());
    let server = Server::serving(Arc::clone(&cluster), Limits::default()).await;
    let root = Client::new(server.address);
    let rules = json!([{"verbs": ["create"], "apiGroups": ["guideway.dev"], "resources": ["apitokens"]}]);
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                      "metadata": {"name": "tokens"}, "rules": rules});
    root.post("/apis/rbac.authorization.k8s.io/v1/clusterroles", &role)
        .await
        .expect(201);
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                         "metadata": {"name": "tokens"}, "subjects": [{"kind": "User", "name": "jane"}],
                         "roleRef": {"kind": "ClusterRole", "name": "tokens"}});
    root.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding)
        .await
        .expect(201);
    let own = token();
    cluster.token(&own, "jane", &["team"], "2999-01-01T00:00:00Z");
    let jane = Client::signed_in(server.address, &own);
    for (user, groups, code) in [
        ("jane", json!(["team"]), 201),
        ("jane", json!([]), 201),
        ("jane", json!(["system:masters"]), 403),
        ("root", json!([]), 403),
    ] {
        let token = token();
        let object = json!({
            "apiVersion": "guideway.dev/v1alpha1", "kind": "ApiToken", "metadata": {"name": token.id()},
            "spec": {"user": user, "groups": groups, "secretHash": token.digest().to_string(),
                     "expirationTimestamp": "2999-01-01T00:00:00Z"},
        });
        jane.post(TOKENS, &object).await.expect(code);
    }
}
