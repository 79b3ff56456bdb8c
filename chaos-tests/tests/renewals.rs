//! Promise: certificates renew themselves and are rotated by command under load; no connection is refused and no leader
//! lost.
//!
//! The short form has certificates of seconds; `GUIDEWAY_SOAK` asks for two minutes each, through ten renewals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use guideway_chaos_tests::program;
use guideway_chaos_tests::traffic::{self, Answer};
use guideway_chaos_tests::wait::{self, StopOnDrop};
use guideway_chaos_tests::{Cluster, Endpoint, binary, http, manifest};
use serde_json::json;

const NODES: [usize; 3] = [0, 1, 2];
const CERTIFICATES: &str = "guideway_consensus_certificates_total";

#[test]
fn certificates_come_and_go_under_load() {
    let long = std::env::var_os("GUIDEWAY_SOAK").is_some();
    let (life, renewals) = if long { ("2m", 10) } else { ("6s", 3) };
    let cluster = Cluster::start_with(&[&format!("peer.certificate_life=\"{life}\"")]);
    let endpoint = Endpoint::start("e", cluster.addresses().endpoint(0));
    let port = cluster.free_port();
    let api = cluster.api(0);
    let gateway = manifest::gateway_with("load", json!([{"name": "tcp", "protocol": "TCP", "port": port}]));
    api.apply(&gateway);
    api.apply(&manifest::backend("load", &[endpoint.address()]));
    api.apply(&manifest::route_to_backend("TCPRoute", "load", "load", "tcp", "load"));
    api.wait_condition(&gateway, "Programmed", "True");
    cluster.wait_traffic(&NODES, port, "the endpoint", |answer| {
        matches!(answer, Answer::Label(_))
    });

    let leader = cluster.leader(&NODES);
    let terms = NODES.map(|node| cluster.sample(&[node], "guideway_consensus_term", &[]));
    let turned_away = NODES.map(|node| turned_away(&cluster, node));
    let stop = AtomicBool::new(false);
    let (sessions, writes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    std::thread::scope(|scope| {
        for node in NODES {
            let (cluster, stop, sessions) = (&cluster, &stop, sessions.clone());
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let asked = traffic::ask(cluster.listener(node, port), cluster.addresses().base());
                    assert!(matches!(asked, Ok(Answer::Label(_))), "through node {node}: {asked:?}");
                    sessions.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        {
            let (cluster, stop, writes) = (&cluster, &stop, writes.clone());
            scope.spawn(move || {
                for number in 0..2000 {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    // Through each node in turn, so that proposals cross every pair.
                    let written = cluster
                        .api(number % 3)
                        .create(&manifest::service(&format!("w{number}"), 80));
                    let written = written.expect("an answer");
                    assert_eq!(written.status, 201, "{}", written.text());
                    writes.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let guard = StopOnDrop(&stop);
        for round in 1..=renewals {
            for node in NODES {
                wait::until_within(Duration::from_secs(300), "a renewal", || {
                    let renewed = cluster.sample(&[node], CERTIFICATES, &[("outcome", "renewed")]);
                    if renewed >= f64::from(round) {
                        Ok(())
                    } else {
                        Err(format!("node {node}: {renewed}"))
                    }
                });
                // A new connection at both of whose ends is the new certificate.
                guideway(&cluster, node, &["invite", "--minutes", "1"]);
            }
            guideway(
                &cluster,
                usize::try_from(round).expect("small") % 3,
                &["certs", "rotate"],
            );
        }
        drop(guard);
    });
    assert!(
        sessions.load(Ordering::Relaxed) > 0 && writes.load(Ordering::Relaxed) > 0,
        "there was load"
    );
    assert_eq!(cluster.leader(&NODES), leader, "the leader leads on");
    for node in NODES {
        let term = cluster.sample(&[node], "guideway_consensus_term", &[]);
        assert!(
            (term - terms[node]).abs() < 0.5,
            "node {node}: term {} became {term}",
            terms[node]
        );
        assert_eq!(
            turned_away[node],
            self::turned_away(&cluster, node),
            "node {node} let everyone in"
        );
    }
}

/// Callers that a member did not let in: by their outcome, with how many.
fn turned_away(cluster: &Cluster, node: usize) -> Vec<String> {
    let page = http::get(&cluster.node(node).metrics)
        .expect("metrics are served")
        .text();
    let lines = page
        .lines()
        .filter(|line| line.starts_with("guideway_consensus_handshakes_total"));
    lines
        .filter(|line| !line.contains("\"accepted\""))
        .map(str::to_owned)
        .collect()
}

/// Runs a command beside a node.
fn guideway(cluster: &Cluster, node: usize, arguments: &[&str]) -> String {
    let data_dir = cluster.data_dir(node);
    let config = data_dir.parent().expect("a node has a folder").join("guideway.toml");
    let mut command = std::process::Command::new(binary::guideway());
    program::must(command.args(arguments).arg("--config").arg(config))
}
