//! Someone with a role in one namespace: what they see of others, what they may hand on, and what they are told.

use std::sync::Arc;

use guideway_api::Limits;
use guideway_identity::ApiToken;
use hyper::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::cluster::{MemoryCluster, Server};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// A server, someone who may do everything, and someone who is `admin` in the namespace `shop`.
async fn tenant() -> (Server, Client, Client) {
    let cluster = Arc::new(MemoryCluster::new());
    let server = Server::serving(Arc::clone(&cluster), Limits::default()).await;
    let root = Client::new(server.address);
    for name in ["shop", "bank"] {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        root.post("/api/v1/namespaces", &namespace).await.expect(201);
    }
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "jane"},
        "subjects": [{"kind": "User", "name": "jane"}], "roleRef": {"kind": "ClusterRole", "name": "admin"},
    });
    root.post(&format!("{RBAC}/namespaces/shop/rolebindings"), &binding)
        .await
        .expect(201);
    let token = ApiToken::create().expect("random bytes");
    cluster.token(&token, "jane", &[], "2999-01-01T00:00:00Z");
    let jane = Client::signed_in(server.address, &token);
    (server, root, jane)
}

fn secret(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"key": "value"}})
}

#[tokio::test]
async fn a_secret_of_another_is_not_read_and_nobody_says_whether_it_is_there() {
    let (_server, root, jane) = tenant().await;
    root.post("/api/v1/namespaces/bank/secrets", &secret("there"))
        .await
        .expect(201);
    jane.post("/api/v1/namespaces/shop/secrets", &secret("own"))
        .await
        .expect(201);
    jane.get("/api/v1/namespaces/shop/secrets/own").await.expect(200);
    for method in [Method::GET, Method::DELETE, Method::PUT, Method::PATCH] {
        let mut answers = Vec::new();
        for name in ["there", "gone"] {
            let path = format!("/api/v1/namespaces/bank/secrets/{name}");
            let headers = [("content-type", "application/merge-patch+json")];
            let answer = jane.send(method.clone(), &path, &headers, "{}").await;
            answer.expect(403);
            answers.push(answer.text.replace(name, "NAME"));
        }
        assert_eq!(answers[0], answers[1], "{method}");
    }
    // Nor whether its namespace is.
    let mut answers = Vec::new();
    for place in ["bank", "nowhere"] {
        let answer = jane.get(&format!("/api/v1/namespaces/{place}/secrets")).await;
        answer.expect(403);
        answers.push(answer.text.replace(place, "PLACE"));
    }
    assert_eq!(answers[0], answers[1]);
    jane.get("/api/v1/secrets").await.expect(403);
}

#[tokio::test]
async fn a_refusal_says_who_may_not_do_what_and_where() {
    let (_server, _root, jane) = tenant().await;
    let status = jane.get("/api/v1/namespaces/bank/secrets/there").await.expect(403);
    assert_eq!(status["reason"], "Forbidden");
    assert_eq!(status["details"], json!({"name": "there", "kind": "secrets"}));
    assert_eq!(
        status["message"],
        "secrets \"there\" is forbidden: user \"jane\" may not get secrets in the namespace \"bank\""
    );
}

#[tokio::test]
async fn what_one_does_not_hold_one_does_not_hand_on() {
    let (_server, root, jane) = tenant().await;
    let role = |rules: Value| json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"}, "rules": rules});
    let roles = format!("{RBAC}/namespaces/shop/roles");
    let mighty = json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]);
    let small = json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}]);
    let refused = jane.post(&roles, &role(mighty.clone())).await.expect(403);
    let message = refused["message"].as_str().expect("text");
    assert!(
        message.contains("would grant what they do not hold: * on * of \"*\""),
        "{message}"
    );
    jane.post(&roles, &role(small)).await.expect(201);
    // Not by a patch either, nor by an apply.
    let patch = json!([{"op": "replace", "path": "/rules", "value": mighty}]).to_string();
    let json_patch = [("content-type", "application/json-patch+json")];
    jane.send(Method::PATCH, &format!("{roles}/r"), &json_patch, patch)
        .await
        .expect(403);
    let apply = [("content-type", "application/apply-patch+yaml")];
    let path = format!("{roles}/r?fieldManager=test&force=true");
    jane.send(Method::PATCH, &path, &apply, role(mighty.clone()).to_string())
        .await
        .expect(403);
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "more"},
        "subjects": [{"kind": "User", "name": "jane"}], "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"},
    });
    let bindings = format!("{RBAC}/namespaces/shop/rolebindings");
    jane.post(&bindings, &binding).await.expect(403);
    root.post(&bindings, &binding).await.expect(201);
}

#[tokio::test]
async fn an_apply_that_creates_needs_both_verbs() {
    let (_server, root, _) = tenant().await;
    let rules = json!([{"verbs": ["get", "patch"], "apiGroups": [""], "resources": ["configmaps"]}]);
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "p"}, "rules": rules});
    root.post(&format!("{RBAC}/namespaces/shop/roles"), &role)
        .await
        .expect(201);
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "p"},
        "subjects": [{"kind": "User", "name": "joe"}], "roleRef": {"kind": "Role", "name": "p"},
    });
    root.post(&format!("{RBAC}/namespaces/shop/rolebindings"), &binding)
        .await
        .expect(201);
    let map =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "b"}}).to_string();
    let headers = [
        ("content-type", "application/apply-patch+yaml"),
        ("impersonate-user", "joe"),
    ];
    let path = "/api/v1/namespaces/shop/configmaps/m?fieldManager=test";
    root.send(Method::PATCH, path, &headers, map.clone()).await.expect(403);
    root.send(Method::PATCH, path, &headers[..1], map.clone())
        .await
        .expect(201);
    root.send(Method::PATCH, path, &headers, map).await.expect(200);
}

#[tokio::test]
async fn a_review_does_not_bring_objects_that_one_could_not_write() {
    let (_server, _root, jane) = tenant().await;
    let review = json!({
        "apiVersion": "guideway.dev/v1alpha1", "kind": "RouteReview", "metadata": {},
        "spec": {"gateway": "g", "listener": "l", "client": "192.0.2.1:1000",
                 "withObject": {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "bank"},
                                "spec": {"ports": [{"port": 80}]}}},
    });
    let path = "/apis/guideway.dev/v1alpha1/namespaces/shop/routereviews";
    let status = jane.post(path, &review).await.expect(403);
    let message = status["message"].as_str().expect("text");
    assert!(
        message.contains("may not update services in the namespace \"bank\""),
        "{message}"
    );
}

#[tokio::test]
async fn one_may_ask_what_one_may_do() {
    let (_server, root, jane) = tenant().await;
    let ask = |verb: &str, resource: &str, namespace: &str| {
        json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": verb, "resource": resource, "namespace": namespace}},
        })
    };
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let yes = jane.post(path, &ask("delete", "secrets", "shop")).await.expect(201);
    assert_eq!(yes["status"]["allowed"], true);
    assert_eq!(
        yes["status"]["reason"],
        "RoleBinding \"shop/jane\" gives ClusterRole \"admin\""
    );
    let no = jane.post(path, &ask("delete", "secrets", "bank")).await.expect(201);
    assert_eq!(no["status"], json!({"allowed": false}));
    let rules = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
                       "spec": {"namespace": "shop"}});
    let all = jane
        .post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", &rules)
        .await
        .expect(201);
    let rules = all["status"]["resourceRules"].as_array().expect("rules");
    assert!(
        rules
            .iter()
            .any(|rule| rule["resources"].as_array().expect("list").contains(&json!("secrets")))
    );
    // About others only those ask who may.
    let other = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {"user": "jane", "nonResourceAttributes": {"verb": "get", "path": "/metrics"}},
    });
    let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    jane.post(path, &other).await.expect(403);
    assert_eq!(root.post(path, &other).await.expect(201)["status"]["allowed"], false);
    let neither =
        json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {"user": "x"}});
    root.post(path, &neither).await.expect(422);
}
