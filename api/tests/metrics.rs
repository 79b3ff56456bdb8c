//! Each metric of the API moves when what it counts happens. A target of its own: a recorder belongs to a process.

#[path = "rest/client.rs"]
#[expect(dead_code, reason = "this target needs only a part of the client")]
mod client;
#[path = "rest/cluster.rs"]
#[expect(dead_code, reason = "this target needs only a part of the cluster")]
mod cluster;
#[path = "rest/manifests.rs"]
#[expect(dead_code, reason = "this target needs only a part of the manifests")]
mod manifests;

use std::time::Duration;

use client::Client;
use cluster::Server;
use guideway_api::Limits;
use hyper::Method;
use manifests::{GATEWAYS, NAMESPACES, SERVICES, gateway, namespace, service};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::json;

fn figure(metrics: &PrometheusHandle, name_and_labels: &str) -> Option<String> {
    let text = metrics.render();
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix(name_and_labels)?.strip_prefix(' ').map(str::to_owned))
}

#[tokio::test]
async fn what_happens_is_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    metrics::set_global_recorder(recorder).expect("the only recorder");
    let limits = Limits {
        watches: 1,
        request_timeout: Duration::from_millis(200),
        ..Limits::default()
    };
    let server = Server::with_limits(limits).await;
    let client = Client::new(server.address);

    client.post(SERVICES, &service("db", "pg")).await.expect(201);
    client.post(SERVICES, &service("db", "pg")).await.expect(409);
    client
        .put(&format!("{SERVICES}/db"), &service("db", "x"))
        .await
        .expect(200);
    let label = json!({ "metadata": { "labels": { "a": "b" } } });
    client
        .patch("merge", &format!("{SERVICES}/db"), &label)
        .await
        .expect(200);
    client.get(SERVICES).await.expect(200);
    client.get("/api/v1/pods").await.expect(404);
    client.post(GATEWAYS, &gateway("edge")).await.expect(201);
    client.delete(&format!("{GATEWAYS}/edge")).await.expect(200);
    client.post(NAMESPACES, &namespace("shop")).await.expect(201);
    let mut watch = client.watch(&format!("{SERVICES}?watch=true")).await;
    watch.expect("ADDED", "db").await;
    client.get(&format!("{SERVICES}?watch=true")).await.expect(429);
    let large = json!({ "x": "y".repeat(4 * 1024 * 1024) });
    client.post(SERVICES, &large).await.expect(413);
    let mut labelled = namespace("shop");
    labelled["metadata"]["labels"] = json!({ "a": "b" });
    for number in 0..=64 {
        let apply = [("content-type", "application/apply-patch+yaml")];
        let path = format!("{NAMESPACES}/shop?fieldManager=m{number}&force=true");
        let answer = client.send(Method::PATCH, &path, &apply, labelled.to_string()).await;
        answer.expect(if number < 64 { 200 } else { 413 });
    }
    server.cluster.hangs.send_replace(true);
    client.post(SERVICES, &service("late", "pg")).await.expect(504);
    *server.cluster.readiness.lock().expect("lock") = Vec::new();
    assert_eq!(client.get("/readyz?verbose").await.text, "readyz check passed\n");

    let requests = "guideway_api_requests_total";
    for (labels, count) in [
        (r#"verb="create",resource="services",code="201""#, "1"),
        (r#"verb="create",resource="services",code="409""#, "1"),
        (r#"verb="create",resource="services",code="413""#, "1"),
        (r#"verb="create",resource="services",code="504""#, "1"),
        (r#"verb="update",resource="services",code="200""#, "1"),
        (r#"verb="patch",resource="services",code="200""#, "1"),
        (r#"verb="list",resource="services",code="200""#, "1"),
        (r#"verb="other",resource="unknown",code="404""#, "1"),
        (r#"verb="delete",resource="gateways",code="200""#, "1"),
        (r#"verb="watch",resource="services",code="200""#, "1"),
        (r#"verb="watch",resource="services",code="429""#, "1"),
    ] {
        let found = figure(&metrics, &format!("{requests}{{{labels}}}"));
        assert_eq!(found.as_deref(), Some(count), "{labels} in\n{}", metrics.render());
    }
    for limit in ["watches", "body", "time", "managers"] {
        let found = figure(
            &metrics,
            &format!("guideway_api_requests_refused_total{{limit=\"{limit}\"}}"),
        );
        assert_eq!(found.as_deref(), Some("1"), "{limit}");
    }
    let durations = r#"guideway_api_request_duration_seconds_count{verb="create",resource="services"}"#;
    assert_eq!(figure(&metrics, durations).as_deref(), Some("4"));
    let watches = r#"guideway_api_watches_active{resource="services"}"#;
    assert_eq!(figure(&metrics, watches).as_deref(), Some("1"));
    assert!(figure(&metrics, "guideway_api_connections_active").is_some());

    server.stop().await;
    assert_eq!(watch.event().await, None);
    assert_eq!(figure(&metrics, watches).as_deref(), Some("0"));
    assert_eq!(
        figure(&metrics, "guideway_api_connections_active").as_deref(),
        Some("0")
    );
}
