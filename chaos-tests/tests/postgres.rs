//! Promise: a real PostgreSQL works behind a TCPRoute, through every node, while another node dies and comes back.
//!
//! Needs PostgreSQL, as Debian packages it: psql, pgbench and the server. As root, the server runs as `nobody`.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use guideway_chaos_tests::postgres::Postgres;
use guideway_chaos_tests::wait::StopOnDrop;
use guideway_chaos_tests::{Cluster, manifest};

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

    transactions_through_each_node(&cluster, &postgres, port);
    traffic_goes_on_while_another_node_dies(&mut cluster, &postgres, port);
}

fn transactions_through_each_node(cluster: &Cluster, postgres: &Postgres, port: u16) {
    let first = cluster.listener(0, port);
    postgres
        .psql(first, "create table visits (node int primary key)")
        .expect("psql creates a table");
    for index in 0..cluster.size() {
        let listener = cluster.listener(index, port);
        postgres
            .psql(listener, &format!("begin; insert into visits values ({index}); commit"))
            .unwrap_or_else(|failure| panic!("a transaction through {listener}: {failure}"));
    }
    for index in 0..cluster.size() {
        let seen = postgres.psql(cluster.listener(index, port), "select count(*) from visits");
        assert_eq!(seen.as_deref(), Ok("3"), "through node {index}");
    }
}

fn traffic_goes_on_while_another_node_dies(cluster: &mut Cluster, postgres: &Postgres, port: u16) {
    let leader = cluster.leader(&[0, 1, 2]);
    let stays = (leader + 1) % 3;
    let other = (leader + 2) % 3;
    let through = cluster.listener(stays, port);
    postgres
        .pgbench(through, &["--initialize", "--scale=1", "--quiet"])
        .expect("pgbench fills its tables");
    let mut session = postgres.psql_session(through);
    session.send("begin; insert into visits values (100);");

    let stop = AtomicBool::new(false);
    let runs = std::thread::scope(|scope| {
        let bench = scope.spawn(|| bench_until(postgres, through, &stop));
        let guard = StopOnDrop(&stop);
        cluster.kill(leader);
        // A change that the dead node misses, so that it has something to catch up with.
        cluster.api(other).apply(&manifest::service("changed-meanwhile", 80));
        cluster.restart(leader);
        cluster.wait_caught_up(&[other, leader]);
        drop(guard);
        bench.join().expect("every pgbench run succeeds")
    });
    assert!(
        runs >= 2,
        "pgbench ran with and without a connection for each transaction"
    );

    session.send("commit; select count(*) from visits where node = 100;");
    assert_eq!(session.finish().as_deref(), Ok("1"), "the open session committed");
    let back = postgres.psql(
        cluster.listener(leader, port),
        "select count(*) from visits where node = 100",
    );
    assert_eq!(back.as_deref(), Ok("1"), "through the node that came back");
}

/// Runs pgbench again and again, in turns with fresh connections and with lasting ones; panics if one fails.
fn bench_until(postgres: &Postgres, through: SocketAddr, stop: &AtomicBool) -> usize {
    let forms: [&[&str]; 2] = [
        &["--client=4", "--transactions=50", "--connect", "--no-vacuum"],
        &["--client=4", "--transactions=250", "--no-vacuum"],
    ];
    let mut runs = 0;
    while runs < forms.len() || !stop.load(Ordering::Relaxed) {
        let report = postgres
            .pgbench(through, forms[runs % forms.len()])
            .unwrap_or_else(|failure| panic!("pgbench run {runs}: {failure}"));
        assert!(
            report.contains("number of failed transactions: 0 "),
            "pgbench run {runs}: {report}"
        );
        runs += 1;
    }
    runs
}
