//! Promise: a client's tuple reaches the same endpoint through every node, whatever happens to the nodes.
//!
//! DESIGN section 4: two nodes always agree, because hash, seed and tables are replicated.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};

use guideway_chaos_tests::traffic::{self, Answer};
use guideway_chaos_tests::{Addresses, Cluster, Endpoint, manifest};

const ENDPOINTS: u8 = 8;
const TUPLES: usize = 120;

#[test]
fn a_tuple_keeps_its_endpoint_through_any_node_and_any_restart() {
    let mut cluster = Cluster::start();
    let endpoints: Vec<Endpoint> = (0..ENDPOINTS)
        .map(|number| Endpoint::start(&format!("endpoint-{number}"), cluster.addresses().endpoint(number)))
        .collect();
    let port = cluster.free_port();
    let api = cluster.api(0);
    let gateway = manifest::gateway("same", &[("main", port)]);
    api.apply(&gateway);
    let backends: Vec<SocketAddr> = endpoints.iter().map(Endpoint::address).collect();
    api.apply_all(&manifest::service_with("app", 80, &backends));
    api.apply(&manifest::tcp_route("app", "same", "main", &[("app", 80, 1)]));
    api.wait_condition(&gateway, "Programmed", "True");
    cluster.wait_caught_up(&[0, 1, 2]);
    cluster.wait_traffic(&[0, 1, 2], port, "an endpoint", |answer| {
        matches!(answer, Answer::Label(_))
    });

    let tuples = tuples(cluster.addresses());
    let first = chosen(&cluster, 0, port, &tuples);
    let distinct: BTreeSet<&Answer> = first.values().collect();
    assert_eq!(
        distinct.len(),
        usize::from(ENDPOINTS),
        "every endpoint is chosen by some tuple"
    );
    for index in [1, 2] {
        assert_eq!(chosen(&cluster, index, port, &tuples), first, "through node {index}");
    }

    cluster.kill(2);
    for index in [0, 1] {
        assert_eq!(
            chosen(&cluster, index, port, &tuples),
            first,
            "through node {index} after a loss"
        );
    }

    cluster.restart(2);
    cluster.wait_traffic(&[2], port, "an endpoint", |answer| matches!(answer, Answer::Label(_)));
    assert_eq!(
        chosen(&cluster, 2, port, &tuples),
        first,
        "through the node that came back"
    );

    for index in [0, 1, 2] {
        cluster.kill(index);
    }
    // A node alone has no quorum: all start before one is waited for.
    for index in [0, 1, 2] {
        cluster.start_again(index);
    }
    for index in [0, 1, 2] {
        cluster.wait_ready(index);
    }
    cluster.wait_traffic(&[0, 1, 2], port, "an endpoint", |answer| {
        matches!(answer, Answer::Label(_))
    });
    for index in [0, 1, 2] {
        assert_eq!(
            chosen(&cluster, index, port, &tuples),
            first,
            "through node {index} after all were restarted"
        );
    }
}

/// Client addresses and ports that are free now; the block's client addresses belong to this test alone.
fn tuples(addresses: &Addresses) -> Vec<SocketAddr> {
    let sockets: Vec<TcpListener> = (0..TUPLES)
        .map(|number| {
            let client = addresses.client(u8::try_from(number % 4).expect("below 4"));
            TcpListener::bind((client, 0)).expect("a loopback address has free ports")
        })
        .collect();
    sockets
        .iter()
        .map(|socket| socket.local_addr().expect("a bound socket has an address"))
        .collect()
}

fn chosen(cluster: &Cluster, index: usize, port: u16, tuples: &[SocketAddr]) -> BTreeMap<SocketAddr, Answer> {
    tuples
        .iter()
        .map(|tuple| {
            let answer = traffic::ask_from(cluster.listener(index, port), *tuple)
                .unwrap_or_else(|error| panic!("from {tuple} through node {index}: {error}"));
            assert!(
                matches!(answer, Answer::Label(_)),
                "from {tuple} through node {index}: {answer:?}"
            );
            (*tuple, answer)
        })
        .collect()
}
