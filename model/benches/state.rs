//! Time to apply a change and to compile a plan, as the number of routes grows: `cargo bench -p guideway-model`.
//!
//! A plain program like that of `maglev`: one figure each, the median of several rounds. Without `--bench` (as in
//! `cargo test --all-targets`) it runs one round of the smallest size, which shows that it works.
#![expect(clippy::print_stdout, reason = "a program whose output is its result")]

#[path = "../../bench/times.rs"]
mod times;

use std::hint::black_box;
use std::time::Instant;

use guideway_model::command::Part;
use guideway_model::meta::{Uid, UnixMillis};
use guideway_model::node::NodeFacts;
use guideway_model::object::FieldValidation;
use guideway_model::plan::{self, Plan};
use guideway_model::{Command, Kind, Object, Outcome, Proposal, State};
use serde_json::{Value, json};
use times::{Times, measure};

/// Listeners of one Gateway; the Gateway API allows 64.
const LISTENERS: usize = 50;
const ENDPOINTS: usize = 10;

fn main() {
    let full = std::env::args().any(|argument| argument == "--bench");
    let (sizes, rounds): (&[usize], usize) = if full { (&[10, 1_000, 10_000], 15) } else { (&[10], 1) };
    println!("routes of {ENDPOINTS} endpoints each                      median      least");
    for routes in sizes {
        let mut cluster = Cluster::with_routes(*routes);
        let plan = plan::compile(&cluster.state, None);
        assert_eq!(plan.listeners.len(), *routes, "every route has its listener");
        if *routes <= 1_000 {
            let whole = measure(rounds.min(5), 1, || {
                black_box(plan::compile(&cluster.state, None));
            });
            println!("{routes:>6} compile, nothing there yet            {whole}");
        }
        let mut number = 0;
        let apply = measure(rounds, 1, || {
            number += 1;
            cluster.reweigh(number);
        });
        println!("{routes:>6} apply another weight of an endpoint   {apply}");
        let mut newest = plan;
        let mut times = Vec::new();
        for number in 0..rounds {
            cluster.reweigh(100 + number);
            let start = Instant::now();
            let next: Plan = plan::compile(black_box(&cluster.state), Some(&newest));
            times.push(start.elapsed());
            newest = next;
        }
        println!("{routes:>6} compile after it                      {}", Times::of(times));
    }
}

struct Cluster {
    state: State,
    uids: u64,
}

impl Cluster {
    fn with_routes(routes: usize) -> Cluster {
        let mut cluster = Cluster {
            state: State::default(),
            uids: 0,
        };
        cluster.apply(Command::InitCluster {
            cluster: Uid("bench".to_owned()),
            hash_seed: *b"guideway's bench",
            uids: [Uid("namespace".to_owned()), Uid("class".to_owned())],
            node: NodeFacts {
                name: "node-1".to_owned(),
                peer_address: "192.0.2.1:7444".to_owned(),
                api_url: String::new(),
                metrics_url: String::new(),
                data_address: None,
                version: String::new(),
                level: State::LEVEL,
            },
        });
        for first in (0..routes).step_by(LISTENERS) {
            let numbers = first..routes.min(first + LISTENERS);
            let listeners: Vec<Value> = numbers
                .clone()
                .map(|number| json!({"name": format!("l{number}"), "protocol": "TCP", "port": 1024 + number}))
                .collect();
            let gateway = format!("gateway-{first}");
            cluster.create(
                Kind::Gateway,
                json!({
                    "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": metadata(&gateway),
                    "spec": {"gatewayClassName": "guideway", "listeners": listeners},
                }),
            );
            for number in numbers {
                cluster.create(Kind::Backend, backend(number, 1));
                cluster.create(Kind::TcpRoute, route(number, &gateway));
            }
        }
        cluster
    }

    fn create(&mut self, kind: Kind, json: Value) {
        self.uids += 1;
        let uid = Uid(format!("uid-{}", self.uids));
        let object = decode(kind, json);
        self.apply(Command::Create { object, uid });
    }

    /// Gives the first endpoint of the first Backend another weight.
    fn reweigh(&mut self, number: usize) {
        let object = decode(Kind::Backend, backend(0, 1 + number % 200));
        self.apply(Command::Replace {
            object,
            part: Part::Main,
            expected: None,
            uid: None,
        });
    }

    fn apply(&mut self, command: Command) {
        let outcome = self.state.apply(Proposal {
            time: UnixMillis(1_800_000_000_000),
            command,
        });
        assert!(!matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    }
}

fn decode(kind: Kind, json: Value) -> Object {
    let decoded = Object::decode(kind, json, FieldValidation::Strict);
    decoded.expect("a valid object").object
}

fn metadata(name: &str) -> Value {
    json!({"namespace": "default", "name": name})
}

fn backend(number: usize, weight: usize) -> Value {
    let endpoints: Vec<Value> = (0..ENDPOINTS)
        .map(|endpoint| {
            let ip = format!("10.{}.{}.{endpoint}", number / 256, number % 256);
            json!({"ip": ip, "port": 9000, "weight": if endpoint == 0 { weight } else { 1 }})
        })
        .collect();
    json!({
        "apiVersion": "guideway.dev/v1alpha1", "kind": "Backend", "metadata": metadata(&format!("backend-{number}")),
        "spec": {"endpoints": endpoints},
    })
}

fn route(number: usize, gateway: &str) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "TCPRoute", "metadata": metadata(&format!("route-{number}")),
        "spec": {
            "parentRefs": [{"name": gateway, "sectionName": format!("l{number}")}],
            "rules": [{"backendRefs": [{
                "group": "guideway.dev", "kind": "Backend", "name": format!("backend-{number}"),
            }]}],
        },
    })
}
