//! Promise: no planned change moves a living session. Endpoints are added, drained, re-weighted and removed at random under
//! live UDP flows and TCP sessions through every node; a session whose endpoint is still in the set, or is being drained,
//! never meets another one, no TCP session is cut, and nothing new goes to an endpoint that was taken out. One of the nodes
//! has too few local ports for its flows: what it cannot open it drops, and what it has stays.
//!
//! DESIGN section 5, the table of what happens to sessions. `GUIDEWAY_SOAK` asks for the long form.
//!
//! Needs root, which makes network namespaces, and the tools: ip.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use guideway_chaos_tests::mesh::{Mesh, wait_settled};
use guideway_chaos_tests::traffic::{self, Answer, Session};
use guideway_chaos_tests::{Api, Cluster, Endpoint, descriptors, manifest, wait};
use serde_json::{Value, json};

const NODES: [usize; 3] = [0, 1, 2];
const ENDPOINTS: u8 = 8;

/// Fresh connections through each node after each change.
const FRESH: usize = 8;

/// Changes that are made however long they take.
const LEAST_CHANGES: usize = 10;

/// The node with too few local ports.
const SHORT: usize = 2;

/// How much there is to hold.
struct Size {
    clients_of_a_node: usize,
    /// Local ports of one node, each good for one flow to each endpoint: less than a quarter of the flows that it is asked
    /// for, since there are four endpoints in the beginning.
    few_ports: RangeInclusive<u16>,
    /// Flows that the nodes have together at least, for all the lack of ports.
    flows: usize,
    sessions_of_a_node: usize,
    changes: usize,
    duration: Duration,
}

impl Size {
    fn asked() -> Size {
        if std::env::var_os("GUIDEWAY_SOAK").is_some() {
            // Twelve thousand flows, five thousand sessions, two minutes.
            Size {
                clients_of_a_node: 1200,
                few_ports: 40_000..=40_599,
                flows: 12_000,
                sessions_of_a_node: 1667,
                changes: usize::MAX,
                duration: Duration::from_secs(120),
            }
        } else {
            Size {
                clients_of_a_node: 200,
                few_ports: 40_000..=40_119,
                flows: 2 * 800 + 4 * 120,
                sessions_of_a_node: 100,
                changes: 20,
                duration: Duration::from_secs(25),
            }
        }
    }
}

#[test]
fn no_session_moves_while_its_endpoint_is_there() {
    descriptors::allow_all();
    let size = Size::asked();
    let cluster = Cluster::start_in_boxes(&[], size.few_ports);
    let mut mesh = Mesh::start(&cluster, ENDPOINTS, &[(0, 1), (1, 1), (2, 1), (3, 1)]);
    mesh.open(&cluster, size.clients_of_a_node, Some(SHORT));
    assert_short(&cluster, &mesh, size.flows);
    let tcp = Tcp::start(&cluster, mesh.set());
    let mut sessions = tcp.open(&cluster, size.sessions_of_a_node);
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut draining: BTreeSet<usize> = BTreeSet::new();
    let begun = Instant::now();
    let (mut changes, mut moved_by_removal) = (0, 0);
    while changes < LEAST_CHANGES || (changes < size.changes && begun.elapsed() < size.duration) {
        changes += 1;
        let api = cluster.api(random.below(3));
        let removed = change(&api, &mut mesh, &tcp, &mut draining, &mut random);
        // Some questions come while the change is on its way, the others after it.
        for _ in 0..2 {
            let round = mesh.ask(&cluster, removed.as_deref());
            let wrong: Vec<_> = round
                .moved
                .iter()
                .filter(|(home, _)| removed.as_ref() != Some(*home))
                .collect();
            assert!(
                wrong.is_empty(),
                "change {changes} moved flows of {wrong:?}; removed: {removed:?}\n{}",
                cluster.output()
            );
            moved_by_removal += round.moves();
            wait_settled(&cluster, &NODES);
        }
        if let Some(removed) = &removed {
            assert!(
                mesh.homes().all(|(_, _, home)| home != removed),
                "flows stay with {removed}, which is gone"
            );
        }
        tcp.assert_nothing_new(&cluster, mesh.set(), &draining);
        for session in &mut sessions {
            session
                .echo("still")
                .unwrap_or_else(|error| panic!("a session to {} after change {changes}: {error}", session.label()));
        }
    }
    assert!(
        moved_by_removal > 0,
        "no removal was among {changes} changes: the run has not tried what it claims"
    );
    println!(
        "{} of {} flows, {} sessions, {changes} changes, {moved_by_removal} flows chosen anew because their endpoint was removed",
        mesh.served(),
        mesh.flows(),
        sessions.len()
    );
    cluster.assert_running(&NODES);
}

/// One node lacks ports for some of its flows, and has as many as it can, the other two have all of theirs.
fn assert_short(cluster: &Cluster, mesh: &Mesh, least: usize) {
    let served = mesh.served();
    assert!(
        (least..mesh.flows()).contains(&served),
        "{served} of {} flows are served, and at least {least} could be",
        mesh.flows()
    );
    let dropped = |nodes: &[usize]| {
        let reason = [("reason", "ports_exhausted")];
        cluster.sample(nodes, "guideway_dataplane_datagrams_dropped_total", &reason)
    };
    assert!(dropped(&[SHORT]) > 0.0, "the ports of node {SHORT} are not exhausted");
    assert_eq!(dropped(&[0, 1]), 0.0);
}

/// Makes one change at random; returns the label of an endpoint that it removed without a drain.
fn change(
    api: &Api,
    mesh: &mut Mesh,
    tcp: &Tcp,
    draining: &mut BTreeSet<usize>,
    random: &mut Random,
) -> Option<String> {
    let mut set = mesh.set().to_vec();
    let free: Vec<usize> = set
        .iter()
        .map(|(number, _)| *number)
        .filter(|number| !draining.contains(number))
        .collect();
    let mut removed = None;
    match random.below(5) {
        0 => {
            let absent: Vec<usize> = (0..usize::from(ENDPOINTS))
                .filter(|number| set.iter().all(|(other, _)| other != number))
                .collect();
            match absent.get(random.below(absent.len().max(1))) {
                Some(number) => set.push((*number, 1)),
                None => return None,
            }
        }
        1 if free.len() > 2 => {
            let number = free[random.below(free.len())];
            set.retain(|(other, _)| *other != number);
            removed = Some(format!("e{number}"));
        }
        2 if free.len() > 2 => {
            let number = free[random.below(free.len())];
            api.apply(&drain(number, mesh.address(number)));
            api.apply(&drain(100 + number, tcp.address(number)));
            draining.insert(number);
            return None;
        }
        3 if !draining.is_empty() => {
            let number = *draining.iter().next().expect("it is not empty");
            api.delete(&drain(number, mesh.address(number)));
            api.delete(&drain(100 + number, tcp.address(number)));
            draining.remove(&number);
            return None;
        }
        _ => {
            let place = random.below(set.len());
            set[place].1 = u32::try_from(1 + random.below(5)).expect("small");
        }
    }
    mesh.put(api, &set);
    tcp.put(api, &set);
    removed
}

fn drain(number: usize, endpoint: SocketAddr) -> Value {
    json!({
        "apiVersion": "guideway.dev/v1alpha1", "kind": "Drain", "metadata": {"name": format!("drain-{number}")},
        "spec": {"target": {"endpoint": {"ip": endpoint.ip().to_string(), "port": endpoint.port()}}},
    })
}

/// A TCPRoute beside the mesh, with an endpoint of the same number for each of the mesh's.
struct Tcp {
    endpoints: Vec<Endpoint>,
    port: u16,
}

impl Tcp {
    fn start(cluster: &Cluster, set: &[(usize, u32)]) -> Tcp {
        let tcp = Tcp {
            endpoints: (0..ENDPOINTS)
                .map(|number| Endpoint::start(&format!("t{number}"), cluster.addresses().endpoint(number)))
                .collect(),
            port: cluster.free_port(),
        };
        let api = cluster.api(0);
        let gateway = manifest::gateway("held", &[("main", tcp.port)]);
        api.apply(&gateway);
        tcp.put(&api, set);
        api.apply(&manifest::tcp_route_to_backend("held", "held", "main", "held"));
        api.wait_condition(&gateway, "Programmed", "True");
        cluster.wait_traffic(&NODES, tcp.port, "an endpoint", |answer| {
            matches!(answer, Answer::Label(_))
        });
        tcp
    }

    fn address(&self, number: usize) -> SocketAddr {
        self.endpoints[number].address()
    }

    fn put(&self, api: &Api, set: &[(usize, u32)]) {
        let endpoints: Vec<Value> = set
            .iter()
            .map(|(number, weight)| {
                let address = self.address(*number);
                json!({"ip": address.ip().to_string(), "port": address.port(), "weight": weight})
            })
            .collect();
        let mut backend = manifest::backend("held", &[]);
        backend["spec"]["endpoints"] = endpoints.into();
        api.apply(&backend);
    }

    /// Fresh connections through each node reach none but the endpoints of the set that are not drained.
    fn assert_nothing_new(&self, cluster: &Cluster, set: &[(usize, u32)], draining: &BTreeSet<usize>) {
        let open = set.iter().filter(|(number, _)| !draining.contains(number));
        let open: BTreeSet<String> = open.map(|(number, _)| format!("t{number}")).collect();
        let ask = || {
            for index in NODES {
                for _ in 0..FRESH {
                    match traffic::ask(cluster.listener(index, self.port), cluster.addresses().client(31)) {
                        Ok(Answer::Label(label)) if open.contains(&label) => {}
                        other => return Err(format!("through node {index}: {other:?}, and not one of {open:?}")),
                    }
                }
            }
            Ok(())
        };
        // A drain changes no table, so that a node may still be about to take it up.
        wait::until("nothing new goes to what was taken out", ask);
        if let Err(wrong) = ask() {
            panic!("{wrong}\n{}", cluster.output());
        }
    }

    fn open(&self, cluster: &Cluster, count: usize) -> Vec<Session> {
        let places = NODES
            .iter()
            .flat_map(|index| (0..count).map(move |number| (*index, number)));
        places
            .map(|(index, number)| {
                let from = cluster
                    .addresses()
                    .client(u8::try_from(10 + number % 20).expect("small"));
                wait::until("a session opens", || {
                    Session::open(cluster.listener(index, self.port), from).map_err(|error| error.to_string())
                })
            })
            .collect()
    }
}

/// xorshift64: the same run each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 33) % bound as u64).expect("less than a usize")
    }
}
