//! Watches.

use std::time::Duration;

use guideway_api::Limits;
use guideway_model::{Command, Kind, State};
use hyper::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::cluster::Server;
use crate::manifests::{NAMESPACES, SERVICES, namespace, service};

fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().expect("version")
}

#[tokio::test]
async fn objects_first_then_changes() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    client.post(SERVICES, &service("a", "a")).await.expect(201);
    for query in ["watch=true", "watch=1&resourceVersion=0"] {
        let mut watch = client.watch(&format!("{SERVICES}?{query}")).await;
        watch.expect("ADDED", "a").await;
        client.post(SERVICES, &service("b", "b")).await.expect(201);
        watch.expect("ADDED", "b").await;
        let patch = json!({ "metadata": { "labels": { "x": "y" } } });
        client
            .patch("merge", &format!("{SERVICES}/b"), &patch)
            .await
            .expect(200);
        let modified = watch.expect("MODIFIED", "b").await;
        assert_eq!(modified["object"]["metadata"]["labels"]["x"], "y");
        client.delete(&format!("{SERVICES}/b")).await.expect(200);
        let deleted = watch.expect("DELETED", "b").await;
        assert!(version(&deleted["object"]).parse::<u64>().expect("number") > 0);
        assert_ne!(version(&deleted["object"]), version(&modified["object"]));
    }
}

#[tokio::test]
async fn from_a_version_every_change_comes_once() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    client.post(SERVICES, &service("a", "a")).await.expect(201);
    let list = client.get(SERVICES).await.expect(200);
    client.post(NAMESPACES, &namespace("elsewhere")).await.expect(201);
    client
        .post("/api/v1/namespaces/elsewhere/services", &service("hidden", "x"))
        .await
        .expect(201);
    client.post(SERVICES, &service("b", "b")).await.expect(201);
    let mut watch = client
        .watch(&format!("{SERVICES}?watch=true&resourceVersion={}", version(&list)))
        .await;
    let first = watch.expect("ADDED", "b").await;
    client.post(SERVICES, &service("c", "c")).await.expect(201);
    watch.expect("ADDED", "c").await;
    // Resumed after the first event, the second comes again and nothing else.
    let after = version(&first["object"]).to_owned();
    let mut resumed = client
        .watch(&format!("{SERVICES}?watch=true&resourceVersion={after}"))
        .await;
    resumed.expect("ADDED", "c").await;
    let mut all = client
        .watch(&format!(
            "/api/v1/services?watch=true&resourceVersion={}",
            version(&list)
        ))
        .await;
    all.expect("ADDED", "hidden").await;
}

#[tokio::test]
async fn selectors_make_objects_enter_and_leave() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let mut labelled = client
        .watch(&format!("{SERVICES}?watch=true&labelSelector=app%3Dweb"))
        .await;
    let mut named = client
        .watch(&format!("{SERVICES}?watch=true&fieldSelector=metadata.name%3Done"))
        .await;
    client.post(SERVICES, &service("two", "db")).await.expect(201);
    client.post(SERVICES, &service("one", "db")).await.expect(201);
    named.expect("ADDED", "one").await;
    let relabel = |app: &str| json!({ "metadata": { "labels": { "app": app } } });
    let path = format!("{SERVICES}/one");
    client.patch("merge", &path, &relabel("web")).await.expect(200);
    labelled.expect("ADDED", "one").await;
    let last = client.patch("merge", &path, &relabel("db")).await.expect(200);
    let left = labelled.expect("DELETED", "one").await;
    assert_eq!(version(&left["object"]), version(&last));
    named.expect("MODIFIED", "one").await;
    named.expect("MODIFIED", "one").await;
    client.delete(&path).await.expect(200);
    named.expect("DELETED", "one").await;
    // A watch on the object itself is one by name.
    let mut single = client.watch(&format!("{SERVICES}/two?watch=true")).await;
    single.expect("ADDED", "two").await;
}

#[tokio::test]
async fn initial_events_end_with_a_bookmark() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    client.post(SERVICES, &service("a", "a")).await.expect(201);
    let query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = client.watch(&format!("{SERVICES}?{query}")).await;
    watch.expect("ADDED", "a").await;
    let bookmark = watch.event().await.expect("bookmark");
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["kind"], "Service");
    assert_eq!(
        bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
    assert_eq!(
        version(&bookmark["object"]),
        server.cluster.state().revision().to_string()
    );
}

#[tokio::test]
async fn bookmarks_come_in_time_and_carry_the_version() {
    let limits = Limits {
        bookmark_interval: Duration::from_millis(20),
        ..Limits::default()
    };
    let server = Server::with_limits(limits).await;
    let client = Client::new(server.address);
    let mut watch = client
        .watch(&format!("{SERVICES}?watch=true&allowWatchBookmarks=true"))
        .await;
    client.post(NAMESPACES, &namespace("elsewhere")).await.expect(201);
    let seen = server.cluster.state().revision().to_string();
    loop {
        let event = watch.event().await.expect("bookmark");
        assert_eq!(event["type"], "BOOKMARK");
        assert!(event["object"]["metadata"].get("annotations").is_none());
        if version(&event["object"]) == seen {
            break;
        }
    }
}

#[tokio::test]
async fn a_watch_ends_in_time_and_at_shutdown() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let mut short = client.watch(&format!("{SERVICES}?watch=true&timeoutSeconds=1")).await;
    let mut long = client.watch(&format!("{SERVICES}?watch=true")).await;
    assert_eq!(short.event().await, None);
    server.stop().await;
    assert_eq!(long.event().await, None);
}

#[tokio::test]
async fn versions_that_are_gone_answer_410() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    client.post(NAMESPACES, &namespace("busy")).await.expect(201);
    let mut behind = client.watch(&format!("{SERVICES}?watch=true&resourceVersion=1")).await;
    overflow(&server);
    let event = loop {
        // What was sent before it fell behind.
        let event = behind.event().await.expect("an error at the end");
        if event["type"] == "ERROR" {
            break event;
        }
    };
    assert_eq!(event["object"]["code"], 410);
    assert_eq!(event["object"]["reason"], "Expired");
    assert_eq!(behind.event().await, None);

    let status = client
        .get(&format!("{SERVICES}?watch=true&resourceVersion=1"))
        .await
        .expect(410);
    assert_eq!(status["reason"], "Expired");
    assert_eq!(status["kind"], "Status");
}

/// Makes more changes than are kept, faster than any watch can follow: nothing is awaited between them.
fn overflow(server: &Server) {
    let key = guideway_model::ObjectKey {
        kind: Kind::Namespace,
        namespace: String::new(),
        name: "busy".to_owned(),
    };
    let mut object = server.cluster.state().get(&key).expect("created").clone();
    for round in 0..=State::CHANGES_KEPT {
        let annotations = &mut object.meta_mut().annotations;
        annotations.insert("round".to_owned(), round.to_string());
        server.cluster.apply(Command::Replace {
            object: object.clone(),
            part: guideway_model::command::Part::Main,
            expected: None,
            uid: None,
        });
    }
}

#[tokio::test]
async fn the_number_of_watches_is_bounded() {
    let limits = Limits {
        watches: 2,
        ..Limits::default()
    };
    let server = Server::with_limits(limits).await;
    let client = Client::new(server.address);
    let path = format!("{SERVICES}?watch=true");
    let first = client.watch(&path).await;
    let _second = client.watch(&path).await;
    let answer = client.get(&path).await;
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.expect(429)["reason"], "TooManyRequests");
    drop(first);
    // The place is free as soon as the server sees the connection close.
    loop {
        let stream = client.open(Method::GET, &path, &[], "").await;
        if stream.status == 200 {
            break;
        }
        assert_eq!(stream.status, 429);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_version_from_the_future_is_too_large() {
    let limits = Limits {
        version_wait: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = Server::with_limits(limits).await;
    let client = Client::new(server.address);
    let status = client
        .get(&format!("{SERVICES}?watch=true&resourceVersion=999999"))
        .await
        .expect(504);
    assert_eq!(status["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
}
