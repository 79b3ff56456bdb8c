//! Promise: connections split by weight, a weight of 0 gets none, and an invalid backendRef keeps its share as refused
//! connections instead of leaving it to the others.
//!
//! Gateway API: TCPRouteWeightedRouting (±5 points), and TCPRoute's "80% of connections must be rejected".

use std::collections::BTreeMap;

use guideway_chaos_tests::traffic::{self, Answer};
use guideway_chaos_tests::{Cluster, Endpoint, manifest};

/// The promise is ±5 points over 500 connections. The table gives each endpoint its share to a fraction of a point, but
/// which rows 500 random ports hit has a standard deviation of 2 points; over 4 500 it is 0.7, so that ±5 is never luck.
const CONNECTIONS: u32 = 4_500;

#[test]
fn shares_follow_weights_and_invalid_refs_keep_theirs() {
    let cluster = Cluster::start();
    let addresses = cluster.addresses();
    let endpoints = ["major", "minor", "none"].map(|label| Endpoint::start(label, addresses.endpoint(0)));
    let (weighted, broken) = (cluster.free_port(), cluster.free_port());
    assert_ne!(weighted, broken, "two listeners need two ports");

    let api = cluster.api(0);
    let gateway = manifest::gateway("weights", &[("weighted", weighted), ("broken", broken)]);
    api.apply(&gateway);
    for endpoint in &endpoints {
        api.apply_all(&manifest::service_with(endpoint.label(), 80, &[endpoint.address()]));
    }
    let shares = [("major", 80, 70), ("minor", 80, 30), ("none", 80, 0)];
    api.apply(&manifest::tcp_route("weighted", "weights", "weighted", &shares));
    let missing = manifest::tcp_route("broken", "weights", "broken", &[("missing", 80, 80), ("major", 80, 20)]);
    api.apply(&missing);
    api.wait_condition(&gateway, "Programmed", "True");
    api.wait_parent_condition(&missing, "ResolvedRefs", "False", "BackendNotFound");
    cluster.wait_traffic(&[0, 1, 2], weighted, "an endpoint", |answer| {
        matches!(answer, Answer::Label(_))
    });
    cluster.wait_traffic(&[0, 1, 2], broken, "the valid share", |answer| {
        matches!(answer, Answer::Label(_))
    });

    let split = split_of(&cluster, weighted);
    assert_share(&split, &Answer::Label("major".into()), 70.0);
    assert_share(&split, &Answer::Label("minor".into()), 30.0);
    assert_eq!(endpoints[2].accepted(), 0, "weight 0 gets no connection: {split:?}");
    assert_eq!(split.len(), 2, "nothing else happened: {split:?}");

    let split = split_of(&cluster, broken);
    assert_share(&split, &Answer::Rejected, 80.0);
    assert_share(&split, &Answer::Label("major".into()), 20.0);
    assert_eq!(split.len(), 2, "nothing else happened: {split:?}");
}

/// What became of fresh connections, spread over the three nodes.
fn split_of(cluster: &Cluster, port: u16) -> BTreeMap<Answer, u32> {
    let mut split = BTreeMap::new();
    for (number, index) in (0..CONNECTIONS).zip([0, 1, 2].into_iter().cycle()) {
        let listener = cluster.listener(index, port);
        let answer = traffic::ask(listener, cluster.addresses().client(0))
            .unwrap_or_else(|error| panic!("connection {number} to {listener}: {error}"));
        *split.entry(answer).or_default() += 1;
    }
    split
}

fn assert_share(split: &BTreeMap<Answer, u32>, answer: &Answer, percent: f64) {
    let count = split.get(answer).copied().unwrap_or_default();
    let found = 100.0 * f64::from(count) / f64::from(CONNECTIONS);
    assert!(
        (found - percent).abs() <= 5.0,
        "{answer:?} got {found:.1} % instead of {percent} % ± 5: {split:?}"
    );
}
