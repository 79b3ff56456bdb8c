//! Two nodes: joining by hand, and starting when the other is away.

use rustix::process::Signal;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::addresses::Block;
use crate::node::{TestNode, by_address, echo, say};
use crate::process::{Process, expect, join};
use crate::wait::until;

async fn voters(node: &TestNode) {
    until("both nodes vote", async || {
        let nodes = node.client().get("/apis/guideway.dev/v1alpha1/nodes").await;
        let nodes = nodes.map_err(|error| error.to_string())?;
        let items = nodes["items"].as_array().cloned().unwrap_or_default();
        let learners = items.iter().filter(|node| node["status"]["role"] == "learner").count();
        match (items.len(), learners) {
            (2, 0) => Ok(()),
            _ => Err(Value::from(items).to_string()),
        }
    })
    .await;
}

async fn end(mut process: Process) -> String {
    process.signal(Signal::TERM);
    assert_eq!(process.wait().await.code(), Some(0), "{}", process.output());
    process.output()
}

#[tokio::test]
async fn a_node_without_a_leader_serves_what_it_knows_and_says_so() {
    let block = Block::claim();
    let more = "start.wait = \"300ms\"\nshutdown.deadline = \"0s\"";
    let (one, two) = (
        TestNode::new("one", block.host(1), more),
        TestNode::new("two", block.host(2), more),
    );
    expect(0, ["init", "--config", &one.config()]).await;
    let first = one.run().await;
    let (out, _) = join(0, &two.config(), &one.config()).await;
    assert!(out.contains("two is node 2"), "{out}");
    let second = two.run().await;
    voters(&one).await;
    one.apply_route(by_address(echo().await)).await;
    one.session().await;
    two.session().await;
    let output = end(first).await;
    assert!(output.contains("handed leadership over to=2"), "{output}");
    end(second).await;

    let second = two.start();
    let mut stream = two.session().await;
    say(&mut stream, "without a leader").await.expect("the session lives");
    let (status, text) = two.probe("/readyz").await.expect("the API answers");
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("[-]caught-up failed"), "{text}");
    assert!(second.output().contains("stale: "), "{}", second.output());
    let (table, _) = expect(0, ["status", "--config", &two.config()]).await;
    assert!(table.contains("one") && table.contains("two"), "{table}");

    let first = one.run().await;
    until("the waiting node is ready", async || {
        match two.probe("/readyz").await? {
            (200, _) => Ok(()),
            (_, text) => Err(text),
        }
    })
    .await;
    assert!(second.output().contains("no longer stale"), "{}", second.output());
    say(&mut stream, "with one")
        .await
        .expect("the session lived through it");
    end(second).await;
    end(first).await;
}

#[tokio::test]
async fn a_name_that_is_taken_is_refused() {
    let block = Block::claim();
    let (one, other) = (
        TestNode::new("same", block.host(1), ""),
        TestNode::new("same", block.host(2), ""),
    );
    expect(0, ["init", "--config", &one.config()]).await;
    let process = one.run().await;
    let (_, err) = join(6, &other.config(), &one.config()).await;
    assert!(err.contains(&format!("asked member {}", one.peer())), "{err}");
    assert!(err.contains("has a node named same already"), "{err}");
    end(process).await;
}

#[tokio::test]
async fn while_a_node_waits_for_a_leader_nothing_listens_and_it_can_be_stopped() {
    let block = Block::claim();
    let (one, two) = (
        TestNode::new("one", block.host(1), "shutdown.deadline = \"0s\""),
        TestNode::new("two", block.host(2), "start.wait = \"10m\""),
    );
    expect(0, ["init", "--config", &one.config()]).await;
    let first = one.run().await;
    join(0, &two.config(), &one.config()).await;
    let second = two.run().await;
    voters(&one).await;
    one.apply_route(by_address(echo().await)).await;
    two.session().await;
    end(second).await;
    end(first).await;

    let second = two.start();
    until("the node has opened its log", async || {
        let output = second.output();
        if output.contains("the replicated log is open") {
            Ok(())
        } else {
            Err(output)
        }
    })
    .await;
    assert!(two.metrics().await.contains("guideway_node_ready 0"));
    for address in [
        two.listener().to_string(),
        two.client().server().replace("https://", ""),
    ] {
        TcpStream::connect(&address).await.expect_err("nothing listens yet");
    }
    let output = end(second).await;
    assert!(output.contains("stopped before it had started"), "{output}");
}
