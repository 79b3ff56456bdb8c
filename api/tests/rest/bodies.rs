//! What a body may be: content types, syntax, unknown and duplicate fields, size and depth.

use hyper::Method;
use serde_json::json;

use crate::client::Client;
use crate::cluster::Server;
use crate::manifests::{SERVICES, service};

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn yaml_is_taken() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let yaml = "apiVersion: v1\nkind: Service\nmetadata:\n  name: db\nspec:\n  ports:\n  - port: 5432\n";
    for content_type in ["application/yaml", "application/yaml; charset=utf-8"] {
        let headers = [("content-type", content_type)];
        let created = client.send(Method::POST, SERVICES, &headers, yaml).await.expect(201);
        assert_eq!(created["spec"]["ports"][0]["port"], 5432);
        client.delete(&format!("{SERVICES}/db")).await.expect(200);
    }
}

#[tokio::test]
async fn malformed_bodies_name_line_and_column() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let table = [
        (
            "application/json",
            "{\n  \"kind\": oops\n}",
            "JSON is malformed at line 2, column 11",
        ),
        ("application/json", "", "JSON is malformed at line 1"),
        ("application/json", "[]", "the body is not an object"),
        ("application/json", "null", "the body is not an object"),
        (
            "application/yaml",
            "kind: Service\nspec: [1, 2\nx: y\n",
            "YAML is malformed at line ",
        ),
    ];
    for (content_type, body, part) in table {
        let headers = [("content-type", content_type)];
        let status = client.send(Method::POST, SERVICES, &headers, body).await.expect(400);
        assert_eq!(status["reason"], "BadRequest");
        assert!(status["message"].as_str().expect("text").contains(part), "{status}");
    }
}

#[tokio::test]
async fn other_content_types_are_refused_with_those_accepted() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let headers = [("content-type", "application/cbor")];
    let status = client.send(Method::POST, SERVICES, &headers, "{}").await.expect(415);
    assert_eq!(status["reason"], "UnsupportedMediaType");
    let message = status["message"].as_str().expect("text");
    assert!(
        message.contains("accepted are application/json, application/yaml"),
        "{message}"
    );

    client.post(SERVICES, &service("db", "pg")).await.expect(201);
    let path = format!("{SERVICES}/db");
    let apply = [("content-type", "application/apply-patch+cbor")];
    let status = client.send(Method::PATCH, &path, &apply, "{}").await.expect(415);
    let message = status["message"].as_str().expect("text");
    assert!(message.contains("application/apply-patch+yaml"), "{message}");
    assert!(message.contains("application/strategic-merge-patch+json"), "{message}");
}

#[tokio::test]
async fn answers_are_json_or_not_acceptable() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let accept = [("accept", "application/vnd.kubernetes.protobuf")];
    let status = client.send(Method::GET, SERVICES, &accept, "").await.expect(406);
    assert_eq!(status["reason"], "NotAcceptable");
    let accept = [(
        "accept",
        "application/json;as=Table;v=v2;g=meta.k8s.io,application/json",
    )];
    let list = client.send(Method::GET, SERVICES, &accept, "").await.expect(200);
    assert_eq!(list["kind"], "ServiceList");
}

#[tokio::test]
async fn unknown_and_duplicate_fields() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let body = r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db"},
        "spec": {"ports": [{"port": 1, "port": 2, "frob": true}]}}"#;

    let strict = format!("{SERVICES}?fieldValidation=Strict");
    let status = client.send(Method::POST, &strict, &[JSON], body).await.expect(400);
    let message = status["message"].as_str().expect("text");
    assert!(
        message.contains("strict decoding error: duplicate field \"spec.ports[0].port\""),
        "{message}"
    );
    let unknown = body.replace("\"port\": 1, ", "");
    let status = client.send(Method::POST, &strict, &[JSON], unknown).await.expect(400);
    let message = status["message"].as_str().expect("text");
    assert_eq!(
        message,
        "Service in version \"v1\" cannot be handled as a Service: strict decoding error: unknown field \
         \"spec.ports[0].frob\""
    );
    assert_eq!(status["details"]["causes"][0]["field"], "spec.ports[0].frob");

    let ignore = format!("{SERVICES}?fieldValidation=Ignore&dryRun=All");
    let answer = client.send(Method::POST, &ignore, &[JSON], body).await;
    answer.expect(201);
    assert!(answer.warnings().is_empty());

    let answer = client.send(Method::POST, SERVICES, &[JSON], body).await;
    assert_eq!(answer.expect(201)["spec"]["ports"][0]["port"], 2);
    let warnings = answer.warnings();
    assert!(
        warnings
            .iter()
            .any(|text| text == r#"299 - "duplicate field \"spec.ports[0].port\"""#),
        "{warnings:?}"
    );
    assert!(
        warnings
            .iter()
            .any(|text| text.contains(r#"unknown field \"spec.ports[0].frob\""#)),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn large_and_deep_bodies() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let large = format!("{{\"x\": \"{}\"}}", "y".repeat(10 * 1024 * 1024));
    let status = client.send(Method::POST, SERVICES, &[JSON], large).await.expect(413);
    assert_eq!(status["reason"], "RequestEntityTooLarge");
    let message = status["message"].as_str().expect("text");
    assert!(message.contains("limit of 3145728 bytes"), "{message}");

    let deep = format!("{{\"x\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let status = client.send(Method::POST, SERVICES, &[JSON], deep).await.expect(400);
    let message = status["message"].as_str().expect("text");
    assert!(message.contains("nested more than 100 levels deep"), "{message}");
    // The server is as it was.
    let annotated = json!({ "metadata": { "name": "db" }, "spec": { "ports": [{ "port": 1 }] } });
    client.post(SERVICES, &annotated).await.expect(201);
}
