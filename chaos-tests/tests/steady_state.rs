//! Promise: new sessions write nothing to the log. Ten thousand connections and a thousand UDP flows leave the log index
//! where it was.
//!
//! DESIGN section 5: under `OnChange` nothing is written to Raft in steady state.

use std::net::UdpSocket;

use guideway_chaos_tests::crowd::LabelledEndpoint;
use guideway_chaos_tests::mesh::wait_settled;
use guideway_chaos_tests::traffic::{self, Answer};
use guideway_chaos_tests::{Cluster, Endpoint, datagrams, manifest};
use serde_json::json;

const CONNECTIONS: usize = 10_000;
const FLOWS: usize = 1_000;

/// How often it is tried at most.
const ROUNDS: usize = 3;

#[test]
fn the_log_does_not_move_under_new_sessions() {
    let cluster = Cluster::start();
    let endpoints: Vec<Endpoint> = (0..3)
        .map(|number| Endpoint::start(&format!("e{number}"), cluster.addresses().endpoint(number)))
        .collect();
    let answering: Vec<LabelledEndpoint> = (3..6)
        .map(|number| LabelledEndpoint::start(&format!("e{number}"), cluster.addresses().endpoint(number)))
        .collect();
    let (port, udp_port) = (cluster.free_port(), cluster.free_port());
    let api = cluster.api(0);
    let listeners = json!([
        {"name": "tcp", "protocol": "TCP", "port": port},
        {"name": "udp", "protocol": "UDP", "port": udp_port},
    ]);
    let gateway = manifest::gateway_with("steady", listeners);
    api.apply(&gateway);
    api.apply(&manifest::backend(
        "tcp",
        &endpoints.iter().map(Endpoint::address).collect::<Vec<_>>(),
    ));
    api.apply(&manifest::backend(
        "udp",
        &answering.iter().map(LabelledEndpoint::address).collect::<Vec<_>>(),
    ));
    api.apply(&manifest::route_to_backend("TCPRoute", "tcp", "steady", "tcp", "tcp"));
    api.apply(&manifest::route_to_backend("UDPRoute", "udp", "steady", "udp", "udp"));
    api.wait_condition(&gateway, "Programmed", "True");
    cluster.wait_traffic(&[0, 1, 2], port, "an endpoint", |answer| {
        matches!(answer, Answer::Label(_))
    });
    wait_settled(&cluster, &[0, 1, 2]);
    // A machine that stalls for a second makes the leader say that a node is down, which has nothing to do with sessions: what
    // these write, they write each time.
    let moved: Vec<u64> = (0..ROUNDS)
        .map(|_| {
            let before = applied(&cluster);
            let flows = sessions(&cluster, port, udp_port);
            wait_settled(&cluster, &[0, 1, 2]);
            assert_eq!(flows.len(), FLOWS);
            applied(&cluster) - before
        })
        .take_while(|moved| *moved > 0)
        .collect();
    assert!(
        moved.len() < ROUNDS,
        "{CONNECTIONS} connections and {FLOWS} flows moved the log index by {moved:?}"
    );
    let pins = api
        .list("/apis/guideway.dev/v1alpha1/pins", 10)
        .expect("pins are listed");
    assert!(pins.is_empty(), "nothing has changed, so nothing needs a pin: {pins:?}");
}

/// Makes connections that end, and flows that are kept.
fn sessions(cluster: &Cluster, port: u16, udp_port: u16) -> Vec<UdpSocket> {
    std::thread::scope(|scope| {
        for index in 0..3 {
            scope.spawn(move || {
                let client = cluster.addresses().client(u8::try_from(index).expect("few nodes"));
                for _ in 0..CONNECTIONS / 3 {
                    let answer = traffic::ask(cluster.listener(index, port), client).expect("a connection");
                    assert!(matches!(answer, Answer::Label(_)), "{answer:?}");
                }
            });
        }
    });
    (0..FLOWS)
        .map(|number| {
            let client = datagrams::client(cluster.listener(number % 3, udp_port), cluster.addresses().client(5))
                .expect("a socket");
            datagrams::ask(&client, b"here", |answer| answer.ends_with(b" here")).expect("an answer");
            client
        })
        .collect()
}

fn applied(cluster: &Cluster) -> u64 {
    let nodes = cluster.api(0).nodes().expect("nodes are listed");
    nodes
        .iter()
        .filter_map(|node| node.applied_index)
        .max()
        .expect("a node answers")
}
