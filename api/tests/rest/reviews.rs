//! `RouteReview`: the answer, and what cannot be asked.

use hyper::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::cluster::Server;
use crate::manifests::{GATEWAYS, backend, gateway, route};

const REVIEWS: &str = "/apis/guideway.dev/v1alpha1/namespaces/default/routereviews";
const BACKENDS: &str = "/apis/guideway.dev/v1alpha1/namespaces/default/backends";
const ROUTES: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/default/tcproutes";

/// A Gateway with a route to three endpoints.
async fn start() -> (Server, Client) {
    let server = Server::start().await;
    let client = Client::new(server.address);
    client.post(GATEWAYS, &gateway("edge")).await.expect(201);
    let endpoints = ["10.0.0.1:5432", "10.0.0.2:5432", "10.0.0.3:5432"];
    client.post(BACKENDS, &backend("db", &endpoints)).await.expect(201);
    client.post(ROUTES, &route("TCPRoute", "db", "db")).await.expect(201);
    (server, client)
}

fn review(spec: Value) -> Value {
    json!({
        "apiVersion": "guideway.dev/v1alpha1",
        "kind": "RouteReview",
        "metadata": { "name": "why" },
        "spec": spec,
    })
}

fn question() -> Value {
    json!({ "gateway": "edge", "listener": "main", "client": "192.0.2.7:50000" })
}

#[tokio::test]
async fn the_answer_is_in_the_status() {
    let (server, client) = start().await;
    let before = server.cluster.state().revision();
    let answer = client.post(REVIEWS, &review(question())).await.expect(201);
    assert_eq!(answer["kind"], "RouteReview");
    assert_eq!(answer["metadata"]["name"], "why");
    assert_eq!(answer["metadata"]["namespace"], "default");
    assert_eq!(answer["spec"], question());
    let status = &answer["status"];
    assert!(
        status["endpoint"]
            .as_str()
            .is_some_and(|endpoint| endpoint.starts_with("10.0.0."))
    );
    assert_eq!(status["reason"], "table");
    assert_eq!(status["route"], "default/db");
    assert_eq!(status["listener"]["name"], "main");
    assert!(status["row"].is_u64() && status["generation"].is_u64());
    assert!(
        status["steps"].as_array().is_some_and(|steps| steps.len() >= 3),
        "{status}"
    );
    assert_eq!(server.cluster.state().revision(), before, "nothing is kept");

    let by_port = json!({ "gateway": "edge", "port": 5432, "protocol": "TCP", "client": "192.0.2.7:50000" });
    let same = client.post(REVIEWS, &review(by_port)).await.expect(201);
    assert_eq!(same["status"]["endpoint"], status["endpoint"]);
    let accept = [
        ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io"),
        ("content-type", "application/json"),
    ];
    let body = review(question()).to_string();
    let table = client.send(Method::POST, REVIEWS, &accept, body).await.expect(201);
    assert_eq!(table["rows"][0]["cells"][3], status["endpoint"]);
}

#[tokio::test]
async fn what_if_an_endpoint_were_gone_or_an_object_applied() {
    let (_server, client) = start().await;
    let answer = client.post(REVIEWS, &review(question())).await.expect(201);
    let endpoint = answer["status"]["endpoint"].as_str().expect("an endpoint").to_owned();

    let mut without = question();
    without["without"] = json!([endpoint]);
    let other = client.post(REVIEWS, &review(without)).await.expect(201);
    assert_ne!(other["status"]["endpoint"], endpoint.as_str());
    assert!(other["status"]["endpoint"].is_string());

    let mut applied = question();
    applied["withObject"] = backend("db", &["10.9.9.9:1"]);
    let moved = client.post(REVIEWS, &review(applied)).await.expect(201);
    assert_eq!(moved["status"]["endpoint"], "10.9.9.9:1");
    let again = client.post(REVIEWS, &review(question())).await.expect(201);
    assert_eq!(again["status"]["endpoint"], endpoint.as_str(), "nothing was applied");

    let mut unserved = question();
    unserved["listener"] = json!("other");
    let refused = client.post(REVIEWS, &review(unserved)).await.expect(201);
    assert!(refused["status"].get("endpoint").is_none());
    assert!(
        refused["status"]["steps"][0]
            .as_str()
            .is_some_and(|step| step.contains("not served"))
    );
}

#[tokio::test]
async fn faults_are_causes_by_path() {
    let (_server, client) = start().await;
    let with = |field: &str, value: Value| {
        let mut spec = question();
        spec[field] = value;
        spec
    };
    let missing = json!({ "apiVersion": "v1", "kind": "Service", "metadata": {} });
    let faulty =
        json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "x" }, "spec": { "ports": [{}] } });
    let elsewhere =
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "x", "namespace": "nowhere" } });
    let long = "x".repeat(10_000);
    for (spec, field) in [
        (json!({}), "spec.gateway"),
        (with("client", json!("nobody")), "spec.client"),
        (with("client", json!(long)), "spec.client"),
        (with("gateway", json!(long)), "spec.gateway"),
        (with("without", json!(["10.0.0.1"])), "spec.without[0]"),
        (with("port", json!(1)), "spec.listener"),
        (with("withObject", json!("x")), "spec.withObject"),
        (with("withObject", json!({})), "spec.withObject.kind"),
        (
            with(
                "withObject",
                json!({ "apiVersion": "v1", "kind": "Pod", "metadata": {} }),
            ),
            "spec.withObject.kind",
        ),
        (
            with(
                "withObject",
                json!({ "apiVersion": "v1", "kind": "Service", "metadata": "x" }),
            ),
            "spec.withObject.metadata",
        ),
        (with("withObject", missing), "spec.withObject.metadata.name"),
        (with("withObject", faulty), "spec.withObject.spec.ports[0].port"),
        (with("withObject", elsewhere), "spec.withObject"),
        (
            json!({ "gateway": "edge", "port": 1, "protocol": "TCP", "client": "1.1.1.1:1" }),
            "spec.port",
        ),
        (
            json!({ "gateway": "other", "port": 5432, "protocol": "TCP", "client": "1.1.1.1:1" }),
            "spec.port",
        ),
    ] {
        let status = client.post(REVIEWS, &review(spec.clone())).await.expect(422);
        assert_eq!(status["reason"], "Invalid");
        let causes = status["details"]["causes"].as_array().expect("causes");
        assert!(causes.iter().any(|cause| cause["field"] == field), "{field}: {status}");
        assert!(status.to_string().len() < 4000, "{field}");
    }
    let mut strange = review(question());
    strange["metadata"] = json!("x");
    client.post(REVIEWS, &strange).await.expect(422);
    strange = review(with("color", json!("red")));
    let strict = client
        .post(&format!("{REVIEWS}?fieldValidation=Strict"), &strange)
        .await
        .expect(400);
    assert_eq!(strict["details"]["causes"][0]["field"], "spec.color");
    let warned = client.post(REVIEWS, &strange).await;
    warned.expect(201);
    assert_eq!(warned.warnings(), ["299 - \"unknown field \\\"spec.color\\\"\""]);
    client.get(REVIEWS).await.expect(405);
    client.get(&format!("{REVIEWS}/why")).await.expect(405);
}

#[tokio::test]
async fn a_review_agrees_with_the_plan_for_many_clients() {
    let (server, client) = start().await;
    let state = server.cluster.state();
    let plan = guideway_model::plan::compile(&state, None);
    let listener = &plan.listeners[0];
    let pool = &listener.service.routes()[0].pool;
    for port in 1..100u16 {
        let from = format!("198.51.100.9:{port}");
        let asked = json!({ "gateway": "edge", "listener": "main", "client": from });
        let answer = client.post(REVIEWS, &review(asked)).await.expect(201);
        let hash = pool
            .flow_key(listener.socket, from.parse().expect("an address"))
            .hash(plan.seed);
        let choice = pool
            .choose(pool.key_kind(listener.socket.protocol), hash, None)
            .expect("an endpoint");
        let place = answer["status"]["endpoint"]
            .as_str()
            .expect("an endpoint")
            .parse()
            .expect("an address");
        assert_eq!(pool.entry(place), Some(choice.entry), "{from}");
    }
}
