//! Pins of one node: a change of endpoints moves no living flow, and is over when every pin is held.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::net::UdpSocket;

use crate::addresses::Block;
use crate::node::{TestNode, by_address};
use crate::process::expect;
use crate::wait::until;

const PORT: u16 = 5353;
const FLOWS: usize = 100;
const BACKEND: &str = "/apis/guideway.dev/v1alpha1/namespaces/default/backends/dns";

/// An endpoint that answers every datagram with its own address.
async fn named() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let address = socket.local_addr().expect("it is bound");
    tokio::spawn(async move {
        let mut buffer = [0; 64];
        while let Ok((_, from)) = socket.recv_from(&mut buffer).await {
            socket.send_to(address.to_string().as_bytes(), from).await.ok();
        }
    });
    address
}

fn backend(endpoints: &[SocketAddr]) -> Value {
    let endpoints: Vec<Value> = endpoints.iter().copied().map(by_address).collect();
    json!({
        "apiVersion": "guideway.dev/v1alpha1", "kind": "Backend",
        "metadata": {"name": "dns", "namespace": "default"}, "spec": {"endpoints": endpoints}
    })
}

async fn apply(node: &TestNode, endpoints: &[SocketAddr]) {
    let objects = [
        ("guideway.dev/v1alpha1", "backends", backend(endpoints)),
        (
            "gateway.networking.k8s.io/v1",
            "udproutes",
            json!({
                "apiVersion": "gateway.networking.k8s.io/v1", "kind": "UDPRoute",
                "metadata": {"name": "dns", "namespace": "default"},
                "spec": {
                    "parentRefs": [{"name": "dns"}],
                    "rules": [{"backendRefs": [{"group": "guideway.dev", "kind": "Backend", "name": "dns"}]}]
                }
            }),
        ),
        (
            "gateway.networking.k8s.io/v1",
            "gateways",
            json!({
                "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
                "metadata": {"name": "dns", "namespace": "default"},
                "spec": {
                    "gatewayClassName": "guideway",
                    "listeners": [{"name": "dns", "protocol": "UDP", "port": PORT}]
                }
            }),
        ),
    ];
    for (version, plural, object) in objects {
        let path = format!("/apis/{version}/namespaces/default/{plural}");
        node.client().post(&path, &object).await.expect("the object is valid");
    }
}

async fn replace(node: &TestNode, endpoints: &[SocketAddr]) {
    node.client()
        .put(BACKEND, &backend(endpoints))
        .await
        .expect("the object is valid");
}

/// Who answers a flow.
async fn ask(flow: &UdpSocket) -> String {
    until("an endpoint answers", async || {
        flow.send(b"who?").await.map_err(|error| error.to_string())?;
        let mut answer = [0; 64];
        let answered = tokio::time::timeout(std::time::Duration::from_secs(1), flow.recv(&mut answer)).await;
        let length = answered
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
    })
    .await
}

/// Gauges and counters by name, without labels.
async fn samples(node: &TestNode) -> BTreeMap<String, f64> {
    let page = node.metrics().await;
    let lines = page.lines().filter_map(|line| line.rsplit_once(' '));
    lines
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect()
}

async fn settled(node: &TestNode, prepared: f64) -> f64 {
    until("the change is over and its pins are held", async || {
        let samples = samples(node).await;
        let value = |name: &str| samples.get(name).copied().unwrap_or_default();
        let (needed, held) = (value("guideway_node_pins_needed"), value("guideway_node_pins_held"));
        let over = value("guideway_node_prepare_seconds_count");
        if over >= prepared && (needed - held).abs() < 0.5 {
            Ok(held)
        } else {
            Err(format!("{needed} needed, {held} held, {over} generations prepared"))
        }
    })
    .await
}

#[tokio::test]
async fn a_change_of_endpoints_moves_no_living_flow_and_leaves_no_pin_that_is_not_needed() {
    let block = Block::claim();
    let node = TestNode::new("solo", block.host(1), "shutdown.deadline = \"0s\"");
    expect(0, ["init", "--config", &node.config()]).await;
    let mut process = node.run().await;
    let endpoints = [named().await, named().await, named().await];
    apply(&node, &endpoints[..2]).await;

    let mut flows = Vec::new();
    for _ in 0..FLOWS {
        let flow = UdpSocket::bind((block.host(9), 0)).await.expect("a free port");
        flow.connect((block.host(1), PORT)).await.expect("a route to loopback");
        let first = ask(&flow).await;
        flows.push((flow, first));
    }
    assert!(settled(&node, 0.0).await < 0.5, "nothing is pinned without a change");

    replace(&node, &endpoints).await;
    let held = settled(&node, 1.0).await;
    // The third endpoint takes a third of the rows; chance does not go as far as these.
    assert!((5.0..=70.0).contains(&held), "{held} of {FLOWS} pinned");
    for (flow, first) in &flows {
        assert_eq!(ask(flow).await, *first);
    }

    replace(&node, &endpoints[..2]).await;
    assert!(settled(&node, 2.0).await < 0.5, "the tables agree again");
    for (flow, first) in &flows {
        assert_eq!(ask(flow).await, *first);
    }
    process.signal(Signal::TERM);
    assert_eq!(process.wait().await.code(), Some(0), "{}", process.output());
}
