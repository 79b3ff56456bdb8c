//! One node from nothing to traffic, through a restart, to its orderly end.

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::addresses::Block;
use crate::node::{TestNode, by_address, echo, say};
use crate::process::{Process, expect};
use crate::wait::until;

/// A cluster of one, and the process that is all of it.
async fn solo(deadline: &str) -> (Block, TestNode, Process) {
    let block = Block::claim();
    let more = format!("shutdown.deadline = \"{deadline}\"");
    let node = TestNode::new("solo", block.host(1), &more);
    expect(0, ["init", "--config", &node.config()]).await;
    let process = node.run().await;
    (block, node, process)
}

#[tokio::test]
async fn a_node_carries_traffic_and_ends_in_order() {
    let (_block, node, mut process) = solo("500ms").await;
    let config = node.config();
    node.apply_route(by_address(echo().await)).await;
    let mut stream = node.session().await;
    until("the Gateway is programmed", async || {
        let gateway = node.gateway().await;
        let conditions = gateway["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let programmed = |condition: &Value| condition["type"] == "Programmed" && condition["status"] == "True";
        if conditions.iter().any(programmed) {
            Ok(())
        } else {
            Err(gateway["status"].to_string())
        }
    })
    .await;

    let (table, _) = expect(0, ["status", "--config", &config]).await;
    assert!(table.contains("solo") && table.contains("leader"), "{table}");
    assert!(table.contains("No listener has a problem."), "{table}");
    let (server, kubeconfig) = (node.client().server().to_owned(), node.kubeconfig());
    let asked = ["status", "-o", "json", "--server", &server, "--kubeconfig", &kubeconfig];
    let (json, _) = expect(0, asked).await;
    let report: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(report["nodes"][0]["name"], "solo", "{report}");
    assert_eq!(report["nodes"][0]["live"], true, "{report}");
    assert_eq!(report["nodes"][0]["sessions"], 1, "{report}");

    let page = node.metrics().await;
    for sample in [
        "guideway_node_ready 1",
        "guideway_build_info{version=",
        "guideway_process_open_fds ",
    ] {
        assert!(page.contains(sample), "{sample} is missing:\n{page}");
    }

    say(&mut stream, "still here").await.expect("the session lives");
    process.signal(Signal::TERM);
    let status = process.wait().await;
    assert_eq!(status.code(), Some(0), "{}", process.output());
    assert!(process.output().contains("sessions_closed=1"), "{}", process.output());
    say(&mut stream, "too late")
        .await
        .expect_err("the session was closed at the deadline");

    let mut process = node.run().await;
    node.session().await;
    process.signal(Signal::INT);
    assert_eq!(process.wait().await.code(), Some(0), "{}", process.output());
}

#[tokio::test]
async fn while_sessions_drain_nothing_new_is_accepted_and_a_second_signal_ends_it() {
    let (_block, node, mut process) = solo("10m").await;
    node.apply_route(by_address(echo().await)).await;
    let mut stream = node.session().await;
    process.signal(Signal::TERM);
    until("/readyz says no", async || match node.probe("/readyz").await? {
        (200, text) => Err(text),
        _ => Ok(()),
    })
    .await;
    until("the listener is closed", async || {
        match TcpStream::connect(node.listener()).await {
            Ok(_) => Err("it accepts".to_owned()),
            Err(_) => Ok(()),
        }
    })
    .await;
    say(&mut stream, "draining").await.expect("the session goes on");
    process.signal(Signal::TERM);
    assert_eq!(process.wait().await.code(), Some(1), "{}", process.output());
    assert!(process.output().contains("a second SIGTERM"), "{}", process.output());
}

#[tokio::test]
async fn a_listener_that_cannot_be_bound_is_named() {
    let (_block, node, _process) = solo("0s").await;
    let config = node.config();
    let taken = TcpListener::bind(node.listener()).await.expect("the block is ours");
    node.apply_route(by_address(echo().await)).await;
    let address = node.listener().to_string();
    until("status names node, address and errno", async || {
        let (table, _) = expect(0, ["status", "--config", &config]).await;
        let wanted = ["default/db db: Programmed=False", "solo", &address, "EADDRINUSE"];
        if wanted.iter().all(|text| table.contains(text)) {
            Ok(())
        } else {
            Err(table)
        }
    })
    .await;
    drop(taken);
    node.session().await;
    until("the problem is gone", async || {
        let (table, _) = expect(0, ["status", "--config", &config]).await;
        if table.contains("No listener has a problem.") {
            Ok(())
        } else {
            Err(table)
        }
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_by_name_is_resolved() {
    let (_block, node, mut process) = solo("0s").await;
    let endpoint = echo().await;
    node.apply_route(json!({"hostname": "localhost", "port": endpoint.port()}))
        .await;
    node.session().await;
    process.signal(Signal::TERM);
    process.wait().await;
    // The addresses are replicated: a start needs no resolver for them.
    let _process = node.run().await;
    node.session().await;
}
