//! Drains as an operator meets them: sessions are closed at the deadline, and a node that is emptied says so.

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::addresses::Block;
use crate::node::{TestNode, by_address, echo, pair, say};
use crate::process::expect;
use crate::wait::until;

const DRAINS: &str = "/apis/guideway.dev/v1alpha1/drains";
const BACKEND: &str = "/apis/guideway.dev/v1alpha1/namespaces/default/backends/db";

async fn create(node: &TestNode, name: &str, spec: Value) {
    let drain = json!({
        "apiVersion": "guideway.dev/v1alpha1", "kind": "Drain", "metadata": {"name": name}, "spec": spec
    });
    node.client().post(DRAINS, &drain).await.expect("the Drain is valid");
}

async fn status(node: &TestNode, name: &str) -> Value {
    let drain = node
        .client()
        .get(&format!("{DRAINS}/{name}"))
        .await
        .expect("it is there");
    drain["status"].clone()
}

/// Where the session of a client goes.
async fn endpoint_of(node: &TestNode, stream: &TcpStream) -> String {
    let client = stream.local_addr().expect("connected");
    let path = format!("/apis/guideway.dev/v1alpha1/sessions?fieldSelector=client%3D{client}");
    let list = node.client().get(&path).await.expect("sessions are listed");
    list["items"][0]["spec"]["endpoint"]
        .as_str()
        .expect("an endpoint")
        .to_owned()
}

#[tokio::test]
async fn sessions_of_a_drained_endpoint_are_closed_at_the_deadline_and_others_live() {
    let block = Block::claim();
    let node = TestNode::new("solo", block.host(1), "shutdown.deadline = \"0s\"");
    expect(0, ["init", "--config", &node.config()]).await;
    let mut process = node.run().await;
    let (drained, kept) = (echo().await, echo().await);
    node.apply_route(by_address(drained)).await;
    let backend = json!({
        "apiVersion": "guideway.dev/v1alpha1", "kind": "Backend", "metadata": {"name": "db", "namespace": "default"},
        "spec": {"endpoints": [by_address(drained), by_address(kept)]}
    });
    let mut at_drained = Vec::new();
    for _ in 0..8 {
        at_drained.push(node.session().await);
    }
    node.client()
        .put(BACKEND, &backend)
        .await
        .expect("the Backend is valid");
    let mut at_kept = until("a session goes to the new endpoint", async || {
        let stream = node.session().await;
        let endpoint = endpoint_of(&node, &stream).await;
        if endpoint == kept.to_string() {
            Ok(stream)
        } else {
            Err(endpoint)
        }
    })
    .await;

    let target = json!({"endpoint": {"ip": drained.ip(), "port": drained.port()}});
    create(
        &node,
        "one",
        json!({"target": target, "deadline": "1h", "atDeadline": "Close"}),
    )
    .await;
    until("what is left is reported", async || {
        let status = status(&node, "one").await;
        let left = status["remaining"][0]["sessions"].as_u64().unwrap_or_default();
        if left >= 8 && status["phase"] == "Draining" {
            Ok(())
        } else {
            Err(status.to_string())
        }
    })
    .await;
    for stream in &mut at_drained {
        say(stream, "before the deadline").await.expect("the session lives");
    }
    node.client().delete(&format!("{DRAINS}/one")).await.expect("cancelled");

    create(
        &node,
        "two",
        json!({"target": target, "deadline": "1s", "atDeadline": "Close"}),
    )
    .await;
    until("no session is left", async || {
        let status = status(&node, "two").await;
        if status["phase"] == "Drained" {
            Ok(())
        } else {
            Err(status.to_string())
        }
    })
    .await;
    for stream in &mut at_drained {
        say(stream, "after the deadline")
            .await
            .expect_err("the session was closed");
    }
    say(&mut at_kept, "not drained").await.expect("the session lives");
    let metrics = node.metrics().await;
    assert!(metrics.contains("reason=\"drained\""), "{metrics}");
    process.signal(Signal::TERM);
    assert_eq!(process.wait().await.code(), Some(0), "{}", process.output());
}

#[tokio::test]
async fn a_node_that_is_emptied_is_not_ready_and_does_not_lead_until_its_drain_is_deleted() {
    let block = Block::claim();
    let [(one, mut first), (two, mut second)] = pair(&block).await;
    let role = async |name: &str| {
        let node = two
            .client()
            .get(&format!("/apis/guideway.dev/v1alpha1/nodes/{name}"))
            .await;
        node.map(|node| node["status"]["role"].as_str().unwrap_or_default().to_owned())
            .map_err(|error| error.to_string())
    };
    until("both vote", async || {
        match (role("one").await?.as_str(), role("two").await?.as_str()) {
            ("leader", "follower") => Ok(()),
            (one, two) => Err(format!("{one}, {two}")),
        }
    })
    .await;

    create(&two, "replace-one", json!({"target": {"node": {"name": "one"}}})).await;
    until("the other leads", async || match role("two").await?.as_str() {
        "leader" => Ok(()),
        role => Err(role.to_owned()),
    })
    .await;
    until("/readyz says no", async || match one.probe("/readyz").await? {
        (503, text) if text.contains("[-]not-draining failed") => Ok(()),
        (_, text) => Err(text),
    })
    .await;
    two.client()
        .delete(&format!("{DRAINS}/replace-one"))
        .await
        .expect("cancelled");
    until("/readyz says yes", async || match one.probe("/readyz").await? {
        (200, _) => Ok(()),
        (_, text) => Err(text),
    })
    .await;
    for process in [&mut first, &mut second] {
        process.signal(Signal::TERM);
        assert_eq!(process.wait().await.code(), Some(0), "{}", process.output());
    }
}
