//! Promise: with client-IP affinity that is always replicated, a client keeps its endpoint through the loss of the node it
//! came through and then a change of endpoints by the nodes that are left.
//!
//! DESIGN section 5, `affinity.replication: Always`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use guideway_chaos_tests::mesh::wait_settled;
use guideway_chaos_tests::traffic::{self, Answer};
use guideway_chaos_tests::{Cluster, Endpoint, manifest, wait};
use serde_json::json;

const CLIENTS: u8 = 48;

#[test]
fn a_client_keeps_its_endpoint_through_a_loss_and_then_a_change() {
    let mut cluster = Cluster::start();
    let endpoints: Vec<Endpoint> = (0..6)
        .map(|number| Endpoint::start(&format!("e{number}"), cluster.addresses().endpoint(number)))
        .collect();
    let addresses: Vec<SocketAddr> = endpoints.iter().map(Endpoint::address).collect();
    let port = cluster.free_port();
    let api = cluster.api(0);
    let gateway = manifest::gateway("sticky", &[("main", port)]);
    api.apply(&gateway);
    api.apply(&manifest::backend("sticky", &addresses[..4]));
    let affinity = json!({"affinity": {"type": "ClientIP", "clientIP": {"timeout": "1h"}, "replication": "Always"}});
    api.apply(&manifest::backend_traffic_policy(
        "sticky", "TCPRoute", "sticky", affinity,
    ));
    api.apply(&manifest::tcp_route_to_backend("sticky", "sticky", "main", "sticky"));
    api.wait_condition(&gateway, "Programmed", "True");
    cluster.wait_caught_up(&[0, 1, 2]);
    cluster.wait_traffic(&[0, 1, 2], port, "an endpoint", |answer| {
        matches!(answer, Answer::Label(_))
    });

    // Three sessions of each client through the first node meet one endpoint.
    let first = homes(&cluster, 0, port);
    for _ in 0..2 {
        assert_eq!(homes(&cluster, 0, port), first, "further sockets of the same clients");
    }
    wait::until("every client has a pin", || {
        let pins = api.list("/apis/guideway.dev/v1alpha1/pins", 500)?;
        let found = first
            .keys()
            .filter(|client| pins.iter().any(|pin| pin["spec"]["client"] == client.to_string()));
        let found = found.count();
        if found == first.len() {
            Ok(())
        } else {
            Err(format!("{found} of {}: {:?}", first.len(), pins.first()))
        }
    });

    cluster.kill(0);
    cluster.leader(&[1, 2]);
    // Half of the rows go elsewhere with two more endpoints.
    cluster.api(1).apply(&manifest::backend("sticky", &addresses[..6]));
    wait_settled(&cluster, &[1, 2]);
    for index in [1, 2] {
        assert_eq!(
            homes(&cluster, index, port),
            first,
            "through node {index} after the loss and the change"
        );
    }
    // An endpoint that goes takes its clients with it, and nobody else's.
    let gone = "e1";
    let rest: Vec<SocketAddr> = addresses
        .iter()
        .copied()
        .filter(|address| *address != addresses[1])
        .collect();
    cluster.api(1).apply(&manifest::backend("sticky", &rest));
    wait_settled(&cluster, &[1, 2]);
    let now = homes(&cluster, 2, port);
    for (client, home) in &first {
        if home == gone {
            assert_ne!(&now[client], gone, "{client}");
        } else {
            assert_eq!(&now[client], home, "{client}");
        }
    }
    assert!(
        first.values().any(|home| home == gone),
        "some client was there: {first:?}"
    );
}

/// Who answers each client.
fn homes(cluster: &Cluster, index: usize, port: u16) -> BTreeMap<IpAddr, String> {
    let clients = (0..CLIENTS).map(|number| IpAddr::from(cluster.addresses().client(number)));
    clients
        .map(|client| match traffic::ask(cluster.listener(index, port), client) {
            Ok(Answer::Label(label)) => (client, label),
            other => panic!("{client} through node {index}: {other:?}"),
        })
        .collect()
}
