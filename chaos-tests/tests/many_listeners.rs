//! Promise: a Gateway serves as many listeners as it takes, those of the oldest ListenerSets first, on every node; what comes
//! after them says so, and moves up when an older set goes.
//!
//! Gateway API, ListenerSet: merged listeners and `TooManyListeners`.
//!
//! Needs root, which makes network namespaces, and the tools: ip. They give each node more than a thousand ports that
//! nobody else wants.

use guideway_chaos_tests::traffic::{self, Answer};
use guideway_chaos_tests::{Api, Cluster, Endpoint, descriptors, manifest, wait};
use serde_json::{Value, json};

const NODES: [usize; 3] = [0, 1, 2];

/// Listeners of a full set, and full sets of a Gateway that has two listeners of its own: the last set has two too many.
const FULL: u16 = 64;
const SETS: u16 = 16;

/// The first port of the first set.
const FIRST_PORT: u16 = 11_000;

#[test]
fn the_oldest_sets_are_served_and_the_next_moves_up() {
    descriptors::allow_all();
    let cluster = Cluster::start_in_boxes(&[], 40_000..=49_999);
    let api = cluster.api(0);
    let endpoint = Endpoint::start("here", cluster.addresses().endpoint(0));
    let own = [cluster.free_port(), cluster.free_port()];
    let mut gateway = manifest::gateway("g", &[("one", own[0]), ("two", own[1])]);
    gateway["spec"]["allowedListeners"] = json!({"namespaces": {"from": "Same"}});
    api.apply(&gateway);
    api.apply(&manifest::backend("b", &[endpoint.address()]));
    for number in 0..SETS {
        api.apply(&set(number));
    }
    let last = SETS - 1;
    let mut route = manifest::tcp_route_to_backend("r", name(last).as_str(), "unused", "b");
    route["spec"]["parentRefs"] = json!([{"kind": "ListenerSet", "name": name(last)}]);
    api.apply(&route);
    api.wait_condition(&set(last), "Programmed", "True");

    let (served, beyond) = (port(last, FULL - 3), port(last, FULL - 1));
    wait_answer(&cluster, served, &Answer::Label("here".to_owned()));
    assert_eq!(accepted(&api, last, FULL - 1), "False TooManyListeners");
    assert_eq!(accepted(&api, last, FULL - 3), "True Accepted");
    for index in NODES {
        let answer = traffic::ask(cluster.listener(index, beyond), cluster.addresses().client(0));
        assert_eq!(answer.expect("an answer"), Answer::Refused, "through node {index}");
        let refused = cluster.sample(&[index], "guideway_node_listeners_refused", &[]);
        assert_eq!(refused, 2.0, "of node {index}");
    }

    api.delete(&set(0));
    wait_answer(&cluster, beyond, &Answer::Label("here".to_owned()));
    wait_answer(&cluster, served, &Answer::Label("here".to_owned()));
    assert_eq!(accepted(&api, last, FULL - 1), "True Accepted");
    cluster.wait_sample(&NODES, "guideway_node_listeners_refused", &[], |refused| refused == 0.0);
    cluster.assert_running(&NODES);
}

fn name(set: u16) -> String {
    format!("x{set:02}")
}

fn port(set: u16, place: u16) -> u16 {
    FIRST_PORT + set * FULL + place
}

fn set(number: u16) -> Value {
    let listeners =
        (0..FULL).map(|place| json!({"name": format!("l{place}"), "port": port(number, place), "protocol": "TCP"}));
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "ListenerSet",
        "metadata": {"name": name(number), "namespace": manifest::NAMESPACE},
        "spec": {"parentRef": {"name": "g"}, "listeners": listeners.collect::<Vec<_>>()},
    })
}

/// Status and reason of `Accepted` of one listener.
fn accepted(api: &Api, number: u16, place: u16) -> String {
    let stored = api.read(&set(number));
    let listeners = stored["status"]["listeners"].as_array().expect("a status");
    let mut listeners = listeners.iter();
    let listener = listeners.find(|listener| listener["name"] == format!("l{place}"));
    let conditions = listener.expect("an entry")["conditions"]
        .as_array()
        .expect("conditions")
        .clone();
    let mut conditions = conditions.iter();
    let accepted = conditions
        .find(|condition| condition["type"] == "Accepted")
        .expect("Accepted");
    let word = |field: &str| accepted[field].as_str().unwrap_or_default().to_owned();
    format!("{} {}", word("status"), word("reason"))
}

fn wait_answer(cluster: &Cluster, port: u16, wanted: &Answer) {
    for index in NODES {
        wait::until(&format!("{wanted:?} through node {index}"), || {
            match traffic::ask(cluster.listener(index, port), cluster.addresses().client(0)) {
                Ok(answer) if answer == *wanted => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
    }
}
