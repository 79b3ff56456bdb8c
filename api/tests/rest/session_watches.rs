//! `Session`: watches of what opens and closes.

use std::time::Duration;

use guideway_api::Limits;
use guideway_model::NodeId;
use serde_json::Value;

use crate::client::Client;
use crate::cluster::Server;

const ALL: &str = "/apis/guideway.dev/v1alpha1/sessions";
const DEFAULT: &str = "/apis/guideway.dev/v1alpha1/namespaces/default/sessions";

async fn start() -> (Server, Client) {
    let limits = Limits {
        session_watches: 2,
        session_watch_interval: Duration::from_millis(10),
        session_watch_silence: Duration::from_millis(100),
        bookmark_interval: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = Server::with_limits(limits).await;
    let client = Client::new(server.address);
    (server, client)
}

fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().expect("version")
}

/// The message of the error that ends a watch.
fn expired(event: &Value) -> &str {
    assert_eq!(
        (&event["type"], &event["object"]["code"]),
        (&"ERROR".into(), &410.into()),
        "{event}"
    );
    event["object"]["message"].as_str().expect("text")
}

#[tokio::test]
async fn sessions_that_are_there_come_first_then_those_that_open_and_close() {
    let (server, client) = start().await;
    let live = &server.cluster.live;
    let first = live.add(1, "10.1.0.1:1001", "10.0.0.1:80");
    let mut watch = client.watch(&format!("{DEFAULT}?watch=true")).await;
    watch.expect("ADDED", &first).await;
    let second = live.add(1, "10.1.0.2:1002", "10.0.0.2:80");
    let opened = watch.expect("ADDED", &second).await;
    assert_eq!(opened["object"]["spec"]["endpoint"], "10.0.0.2:80");
    live.end(&first, "client_fin");
    let closed = watch.expect("DELETED", &first).await;
    assert_eq!(closed["object"]["status"]["closeReason"], "client_fin");
    assert_eq!(closed["object"]["status"]["state"], "Closed");
    // From the version of an event the next ones come, and no other.
    let after = version(&opened["object"]);
    let mut resumed = client.watch(&format!("{ALL}?watch=true&resourceVersion={after}")).await;
    resumed.expect("DELETED", &first).await;
}

#[tokio::test]
async fn a_watch_goes_on_from_a_list() {
    let (server, client) = start().await;
    let live = &server.cluster.live;
    let first = live.add(1, "10.1.0.1:1001", "10.0.0.1:80");
    let second = live.add(1, "10.1.0.2:1002", "10.0.0.2:80");
    let list = client.get(&format!("{ALL}?limit=1")).await.expect(200);
    let token = list["metadata"]["continue"].as_str().expect("a token");
    live.end(&second, "killed");
    let rest = client.get(&format!("{ALL}?limit=1&continue={token}")).await.expect(200);
    assert_eq!(
        version(&rest),
        version(&list),
        "the version of all pages is that of the first"
    );
    let third = live.add(1, "10.1.0.3:1003", "10.0.0.1:80");
    let query = format!("watch=true&resourceVersion={}", version(&rest));
    let mut watch = client.watch(&format!("{ALL}?{query}")).await;
    watch.expect("DELETED", &second).await;
    watch.expect("ADDED", &third).await;
    assert_ne!(first, third);
    // An order of its own is no start of a watch: one from there begins anew.
    let sorted = client.get(&format!("{ALL}?sortBy=-bytes")).await.expect(200);
    assert_eq!(version(&sorted), "0");
}

#[tokio::test]
async fn selectors_say_what_is_told() {
    let (server, client) = start().await;
    let live = &server.cluster.live;
    let first = live.add(1, "10.1.0.1:1001", "10.0.0.1:80");
    let other = live.add(1, "10.1.0.2:1002", "10.0.0.2:80");
    let query = "watch=true&fieldSelector=spec.endpoint%3D10.0.0.1:80";
    let mut selected = client.watch(&format!("{ALL}?{query}")).await;
    selected.expect("ADDED", &first).await;
    let mut named = client.watch(&format!("{DEFAULT}/{other}?watch=true")).await;
    named.expect("ADDED", &other).await;
    live.add(1, "10.1.0.3:1003", "10.0.0.2:80");
    let fourth = live.add(1, "10.1.0.4:1004", "10.0.0.1:80");
    live.end(&other, "idle_timeout");
    live.end(&first, "backend_fin");
    selected.expect("ADDED", &fourth).await;
    selected.expect("DELETED", &first).await;
    named.expect("DELETED", &other).await;
}

#[tokio::test]
async fn what_changes_while_a_session_lives_does_not_select() {
    let (_server, client) = start().await;
    for (field, selector) in [
        ("age", "fieldSelector=age%3E5m"),
        ("idle", "minIdle=5m"),
        ("bytes", "minBytes=1Ki"),
        ("state", "fieldSelector=status.state%3DEstablished"),
    ] {
        let refused = client.get(&format!("{ALL}?watch=true&{selector}")).await.expect(400);
        let message = refused["message"].as_str().expect("text");
        assert!(message.contains(&format!("cannot select by {field},")), "{message}");
    }
    let stale = client
        .get(&format!("{ALL}?watch=true&resourceVersion=7"))
        .await
        .expect(410);
    assert_eq!(stale["reason"], "Expired");
}

#[tokio::test]
async fn bookmarks_say_how_far_everything_has_been_told() {
    let (server, client) = start().await;
    let first = server.cluster.live.add(1, "10.1.0.1:1001", "10.0.0.1:80");
    let query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = client.watch(&format!("{ALL}?{query}")).await;
    watch.expect("ADDED", &first).await;
    let end = watch.event().await.expect("a bookmark");
    assert_eq!(end["type"], "BOOKMARK");
    assert_eq!(
        end["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
    let later = watch.event().await.expect("another");
    assert_eq!(
        (&later["type"], version(&later["object"])),
        (&"BOOKMARK".into(), "1-abc-1")
    );
}

#[tokio::test]
async fn a_watch_that_has_lost_something_ends_with_410() {
    let (server, client) = start().await;
    server.cluster.join("two");
    let live = &server.cluster.live;
    let first = live.add(1, "10.1.0.1:1001", "10.0.0.1:80");
    let list = client.get(ALL).await.expect(200);
    live.end(&first, "client_fin");
    *live.kept_from.lock().expect("lock") = 2;
    let from = version(&list);
    let mut late = client.watch(&format!("{ALL}?watch=true&resourceVersion={from}")).await;
    let event = late.event().await.expect("an error");
    assert!(
        expired(&event).contains("node one has told more than it keeps"),
        "{event}"
    );
    assert_eq!(late.event().await, None, "nothing comes after it");

    let on_two = live.add(2, "10.1.0.2:1002", "10.0.0.1:80");
    let mut watch = client.watch(&format!("{ALL}?watch=true")).await;
    watch.expect("ADDED", &on_two).await;
    live.silent.lock().expect("lock").push(NodeId(2));
    let event = watch.event().await.expect("an error");
    assert!(expired(&event).contains("node two gives no answer"), "{event}");
}

#[tokio::test]
async fn a_node_that_comes_is_followed_from_its_first_session_on() {
    let (server, client) = start().await;
    server.cluster.join("two");
    let live = &server.cluster.live;
    let first = live.add(1, "10.1.0.1:1001", "10.0.0.1:80");
    let mut watch = client.watch(&format!("{ALL}?watch=true")).await;
    watch.expect("ADDED", &first).await;
    let second = live.add(2, "10.1.0.2:1002", "10.0.0.1:80");
    watch.expect("ADDED", &second).await;
    let third = live.add(2, "10.1.0.3:1003", "10.0.0.1:80");
    watch.expect("ADDED", &third).await;
    live.end(&second, "client_rst");
    watch.expect("DELETED", &second).await;
}

#[tokio::test]
async fn no_more_watches_than_the_limit() {
    let (server, client) = start().await;
    let path = format!("{ALL}?watch=true");
    let first = server.cluster.live.add(1, "10.1.0.1:1001", "10.0.0.1:80");
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut watch = client.watch(&path).await;
        watch.expect("ADDED", &first).await;
        open.push(watch);
    }
    let refused = client.get(&path).await.expect(429);
    let message = refused["message"].as_str().expect("text");
    assert!(
        message.contains("2 watches of sessions are open on this node"),
        "{message}"
    );
}
