//! Promise: a real PostgreSQL works behind a TCPRoute, through every node, while another node dies and comes back.
//!
//! Needs PostgreSQL, as Debian packages it: psql, pgbench and the server. As root, the server runs as `nobody`.

use std::net::SocketAddr;

use guideway_chaos_tests::postgres::Postgres;
use guideway_chaos_tests::{Cluster, manifest, visits};

#[test]
fn transactions_through_every_node_and_through_a_loss() {
    let mut cluster = Cluster::start();
    let postgres = Postgres::start(cluster.addresses().endpoint(0));
    let port = cluster.free_port();
    let api = cluster.api(0);
    let gateway = manifest::gateway("database", &[("postgres", port)]);
    api.apply(&gateway);
    api.apply_all(&manifest::service_with("postgres", 5432, &[postgres.address()]));
    api.apply(&manifest::tcp_route(
        "postgres",
        "database",
        "postgres",
        &[("postgres", 5432, 1)],
    ));
    api.wait_condition(&gateway, "Programmed", "True");
    cluster.wait_caught_up(&[0, 1, 2]);

    let listeners: Vec<SocketAddr> = (0..cluster.size()).map(|index| cluster.listener(index, port)).collect();
    visits::transactions_through_each(&postgres, &listeners);
    let leader = cluster.leader(&[0, 1, 2]);
    let (stays, other) = ((leader + 1) % 3, (leader + 2) % 3);
    visits::traffic_goes_on(&postgres, listeners[stays], listeners[leader], || {
        cluster.kill(leader);
        // A change that the dead node misses, so that it has something to catch up with.
        cluster.api(other).apply(&manifest::service("changed-meanwhile", 80));
        cluster.restart(leader);
        cluster.wait_caught_up(&[other, leader]);
    });
}
