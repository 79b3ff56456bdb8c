//! Promise: a drain is an object with progress: its deadline passes although the leader is lost, it can be cancelled, two of
//! them run side by side, and it does not take the last endpoint unless it is told to.
//!
//! DESIGN section 5.

use std::net::SocketAddr;

use guideway_chaos_tests::mesh::wait_settled;
use guideway_chaos_tests::traffic::{self, Answer, Session};
use guideway_chaos_tests::{Api, Cluster, Endpoint, manifest, wait};
use serde_json::{Value, json};

const NODES: [usize; 3] = [0, 1, 2];

struct Site {
    endpoints: Vec<Endpoint>,
    port: u16,
}

impl Site {
    fn start(cluster: &Cluster, count: u8) -> Site {
        let endpoints: Vec<Endpoint> = (0..count)
            .map(|number| Endpoint::start(&format!("e{number}"), cluster.addresses().endpoint(number)))
            .collect();
        let site = Site {
            endpoints,
            port: cluster.free_port(),
        };
        let api = cluster.api(0);
        let gateway = manifest::gateway("site", &[("main", site.port)]);
        api.apply(&gateway);
        api.apply(&manifest::backend(
            "site",
            &site.endpoints.iter().map(Endpoint::address).collect::<Vec<_>>(),
        ));
        api.apply(&manifest::tcp_route_to_backend("site", "site", "main", "site"));
        api.wait_condition(&gateway, "Programmed", "True");
        cluster.wait_traffic(&NODES, site.port, "an endpoint", |answer| {
            matches!(answer, Answer::Label(_))
        });
        site
    }

    fn address(&self, number: usize) -> SocketAddr {
        self.endpoints[number].address()
    }

    /// A session to this endpoint, through a node.
    fn session_to(&self, cluster: &Cluster, index: usize, number: usize) -> Session {
        wait::until("a session to the endpoint", || {
            let session = Session::open(cluster.listener(index, self.port), cluster.addresses().client(3))
                .map_err(|error| error.to_string())?;
            if session.label() == self.endpoints[number].label() {
                Ok(session)
            } else {
                Err(session.label().to_owned())
            }
        })
    }

    /// Endpoints that answer forty new sessions through a node.
    fn answering(&self, cluster: &Cluster, index: usize) -> Vec<String> {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..40 {
            match traffic::ask(cluster.listener(index, self.port), cluster.addresses().client(4)) {
                Ok(Answer::Label(label)) => seen.insert(label),
                other => panic!("through node {index}: {other:?}"),
            };
        }
        seen.into_iter().collect()
    }
}

fn drain(name: &str, endpoint: SocketAddr, more: Value) -> Value {
    let mut spec = json!({"target": {"endpoint": {"ip": endpoint.ip().to_string(), "port": endpoint.port()}}});
    if let (Some(spec), Value::Object(more)) = (spec.as_object_mut(), more) {
        spec.extend(more);
    }
    json!({"apiVersion": "guideway.dev/v1alpha1", "kind": "Drain", "metadata": {"name": name}, "spec": spec})
}

fn phase(api: &Api, drain: &Value, wanted: &str) {
    wait::until(&format!("{} is {wanted}", drain["metadata"]["name"]), || {
        let status = api.read(drain)["status"].clone();
        if status["phase"] == wanted {
            Ok(())
        } else {
            Err(status.to_string())
        }
    });
}

#[test]
fn drains_end_are_cancelled_and_run_side_by_side() {
    let mut cluster = Cluster::start();
    let site = Site::start(&cluster, 4);
    let api = cluster.api(0);

    // Cancelled: the endpoint takes new sessions again, and its session never noticed.
    let mut held = site.session_to(&cluster, 1, 0);
    let cancelled = drain("cancelled", site.address(0), json!({}));
    api.apply(&cancelled);
    wait_settled(&cluster, &NODES);
    assert!(!site.answering(&cluster, 2).contains(&"e0".to_owned()));
    held.echo("while it is drained").expect("the session stays");
    phase(&api, &cancelled, "Draining");
    api.delete(&cancelled);
    wait_settled(&cluster, &NODES);
    let again = site.session_to(&cluster, 2, 0);
    held.echo("after the drain was cancelled").expect("the session stays");
    drop(again);

    // Two at once; the one without sessions is done at once.
    let mut kept = site.session_to(&cluster, 0, 1);
    let one = drain("one", site.address(1), json!({}));
    let two = drain("two", site.address(2), json!({}));
    api.apply(&one);
    api.apply(&two);
    wait_settled(&cluster, &NODES);
    assert_eq!(site.answering(&cluster, 0), ["e0", "e3"]);
    api.wait_condition(&two, "Drained", "True");
    phase(&api, &one, "Draining");
    let remaining = api.read(&one)["status"]["remaining"].clone();
    let left: u64 = remaining
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|node| node["sessions"].as_u64())
        .sum();
    assert_eq!(left, 1, "{remaining}");
    kept.echo("still").expect("the session stays");
    drop(kept);
    api.wait_condition(&one, "Drained", "True");
    api.delete(&one);
    api.delete(&two);

    // The deadline passes while the leader is lost.
    wait_settled(&cluster, &NODES);
    let leader = cluster.leader(&NODES);
    let (other, third) = ((leader + 1) % 3, (leader + 2) % 3);
    let mut closing = site.session_to(&cluster, other, 3);
    let ends = drain(
        "ends",
        site.address(3),
        json!({"deadline": "3s", "atDeadline": "Close"}),
    );
    cluster.api(other).apply(&ends);
    cluster.kill(leader);
    wait::until("the session is closed at the deadline", || {
        match closing.echo("still") {
            Ok(()) => Err("it is open".to_owned()),
            Err(_) => Ok(()),
        }
    });
    cluster.leader(&[other, third]);
    cluster.api(other).wait_condition(&ends, "Drained", "True");
    held.echo("at the end").expect("a session elsewhere is not touched");
    cluster.restart(leader);
}

#[test]
fn the_last_endpoint_is_not_drained_unless_it_is_said_so() {
    let cluster = Cluster::start();
    let site = Site::start(&cluster, 2);
    let api = cluster.api(0);
    api.apply(&drain("first", site.address(0), json!({})));
    let second = drain("second", site.address(1), json!({}));
    let refused = api.create(&second).expect("an answer");
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(
        refused.text().contains("force"),
        "it says what to do: {}",
        refused.text()
    );
    assert!(
        refused.text().contains("site"),
        "it names the route: {}",
        refused.text()
    );
    wait_settled(&cluster, &NODES);
    assert_eq!(site.answering(&cluster, 1), ["e1"]);
    let forced = drain("second", site.address(1), json!({"force": true}));
    api.apply(&forced);
    wait_settled(&cluster, &NODES);
    for index in NODES {
        let answer = traffic::ask(cluster.listener(index, site.port), cluster.addresses().client(4));
        assert!(
            matches!(answer, Ok(Answer::Rejected)),
            "through node {index}: {answer:?}"
        );
    }
}

/// Replacing a node's binary, as docs/operations.md has it: drain, stop, start, undrain.
#[test]
fn a_node_is_drained_replaced_and_taken_back() {
    let mut cluster = Cluster::start();
    let site = Site::start(&cluster, 3);
    let leader = cluster.leader(&NODES);
    let others: Vec<usize> = NODES.into_iter().filter(|index| *index != leader).collect();
    let mut session = site.session_to(&cluster, leader, 0);
    let name = cluster.node(leader).name.clone();
    let drain = json!({
        "apiVersion": "guideway.dev/v1alpha1", "kind": "Drain", "metadata": {"name": "replace"},
        "spec": {"target": {"node": {"name": name}}},
    });
    let api = cluster.api(others[0]);
    api.apply(&drain);
    wait::until("leadership is handed over", || {
        let now = cluster.leader(&NODES);
        if now == leader {
            Err(format!("node {now} leads"))
        } else {
            Ok(())
        }
    });
    wait::until("the drained node is not ready", || {
        let answer = cluster.api(leader).get("/readyz").map_err(|error| error.to_string())?;
        if answer.status == 200 {
            Err(answer.text().to_owned())
        } else {
            Ok(())
        }
    });
    session.echo("while its node is drained").expect("the session stays");
    drop(session);
    api.wait_condition(&drain, "Drained", "True");
    cluster.kill(leader);
    cluster.start_again(leader);
    api.delete(&drain);
    cluster.wait_ready(leader);
    cluster.wait_traffic(&NODES, site.port, "an endpoint", |answer| {
        matches!(answer, Answer::Label(_))
    });
}
