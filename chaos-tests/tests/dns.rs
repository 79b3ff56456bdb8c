//! Promise: DNS works by UDP and by TCP on one port; flows end as their policy says; ten thousand clients at once have a
//! flow each.
//!
//! Needs BIND: named and dig, as Debian packages them.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use guideway_chaos_tests::datagrams::{self, DatagramEndpoint};
use guideway_chaos_tests::named::{Named, dig};
use guideway_chaos_tests::{Cluster, descriptors, manifest, wait};
use serde_json::{Value, json};

const NODES: [usize; 3] = [0, 1, 2];
const CLOSED: &str = "guideway_dataplane_sessions_closed_total";
const ACTIVE: &str = "guideway_dataplane_sessions_active";

/// Clients of the crowd; each has a socket here, and two in nodes and server.
const CROWD: usize = 10_000;

#[test]
fn dns_by_udp_and_tcp_on_one_port() {
    let cluster = Cluster::start();
    let servers = ["first", "second"].map(Named::start);
    let port = cluster.free_port();
    let api = cluster.api(0);
    let gateway = gateway("dns", &[("udp", "UDP", port), ("tcp", "TCP", port)]);
    api.apply(&gateway);
    api.apply(&manifest::backend("dns", &[servers[0].address()]));
    for (kind, section) in [("UDPRoute", "udp"), ("TCPRoute", "tcp")] {
        let route = manifest::route_to_backend(kind, "dns", "dns", section, "dns");
        api.apply(&route);
        api.wait_parent_condition(&route, "Accepted", "True", "Accepted");
    }
    api.wait_condition(&gateway, "Programmed", "True");
    everywhere(&cluster, port, "first");
    for index in NODES {
        let listener = cluster.listener(index, port);
        let long = ["long.example.test", "TXT", "+bufsize=512"];
        let cut = dig(listener, &[long.as_slice(), &["+ignore"]].concat()).expect("an answer");
        assert!(
            cut.contains("flags: qr aa tc"),
            "it does not fit into a datagram: {cut}"
        );
        let whole = dig(listener, &long).expect("an answer");
        assert!(whole.contains("Truncated, retrying in TCP mode"), "{whole}");
        assert!(whole.contains(&"x".repeat(200)), "{whole}");
    }

    // Resolvers take a new port for each question, so the first question after the change is answered anew.
    api.apply(&manifest::backend("dns", &[servers[1].address()]));
    everywhere(&cluster, port, "second");
    crowd(&cluster, &servers[1]);
    flows_end_as_told(&cluster);
}

fn everywhere(cluster: &Cluster, port: u16, label: &str) {
    for index in NODES {
        let listener = cluster.listener(index, port);
        for transport in ["+notcp", "+tcp"] {
            wait::until(&format!("{label} answers through {listener} {transport}"), || {
                let question = ["who.example.test", "TXT", "+time=1", "+tries=2", transport];
                let answer = dig(listener, &question)?;
                if answer.contains(&format!("\"{label}\"")) {
                    Ok(())
                } else {
                    Err(answer)
                }
            });
        }
    }
}

/// Ten thousand clients ask, and all their flows are there at once.
fn crowd(cluster: &Cluster, server: &Named) {
    descriptors::allow_all();
    let port = cluster.free_port();
    route(
        cluster,
        "crowd",
        port,
        &[server.address()],
        json!({"idleTimeout": "1h"}),
    );
    let sockets: Vec<UdpSocket> = std::thread::scope(|scope| {
        let clients = NODES.map(|index| {
            scope.spawn(move || -> Vec<UdpSocket> {
                let listener = cluster.listener(index, port);
                let numbers = (0..CROWD).filter(|number| number % NODES.len() == index);
                numbers.map(|number| ask_www(cluster, listener, number)).collect()
            })
        });
        clients
            .into_iter()
            .flat_map(|client| client.join().expect("no client fails"))
            .collect()
    });
    assert_eq!(sockets.len(), CROWD);
    let labels = [("listener", "crowd")];
    cluster.wait_sample(&NODES, ACTIVE, &labels, |flows| flows == CROWD as f64);
    // Each flow still works, and it is the same one.
    for (number, socket) in sockets.iter().enumerate().step_by(100) {
        let question = question(number);
        datagrams::ask(socket, &question, |answer| is_answer(answer, &question)).expect("an answer");
    }
    let now = cluster.sample(&NODES, ACTIVE, &labels);
    assert_eq!(now, CROWD as f64, "a second question makes no second flow");
}

fn ask_www(cluster: &Cluster, listener: SocketAddr, number: usize) -> UdpSocket {
    let host = u8::try_from(number % 40).expect("less than 40");
    let socket = datagrams::client(listener, cluster.addresses().client(host)).expect("a socket");
    let question = question(number);
    datagrams::ask(&socket, &question, |answer| is_answer(answer, &question))
        .unwrap_or_else(|problem| panic!("client {number} of {listener}: {problem}"));
    socket
}

/// A question for the address of www.example.test (RFC 1035, section 4.1), with a number of its own.
fn question(number: usize) -> Vec<u8> {
    let id = u16::try_from(number % 65_536).expect("it was made to fit");
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    bytes.extend(b"\x03www\x07example\x04test\x00\x00\x01\x00\x01");
    bytes
}

/// The same number, a response without error, with an answer in it.
fn is_answer(answer: &[u8], question: &[u8]) -> bool {
    answer.len() > question.len() && answer[..2] == question[..2] && answer[2] & 0x80 != 0 && answer[3] & 0x0f == 0
}

/// Idle timeout, expected replies and one-way mode, each on a listener of its own.
fn flows_end_as_told(cluster: &Cluster) {
    let echo = DatagramEndpoint::start(cluster.addresses().endpoint(2), false);
    let modes = [
        ("idle", json!({"idleTimeout": "1s"}), "idle_timeout"),
        (
            "replies",
            json!({"idleTimeout": "1h", "expectedReplies": 1}),
            "replies_done",
        ),
    ];
    for (name, policy, reason) in modes {
        let port = cluster.free_port();
        route(cluster, name, port, &[echo.address()], policy);
        let client = datagrams::client(cluster.listener(0, port), cluster.addresses().client(0)).expect("a socket");
        for word in ["once", "twice", "again"] {
            let word = format!("{name} {word}");
            datagrams::ask(&client, word.as_bytes(), |answer| answer == word.as_bytes()).expect("an echo");
        }
        let labels = [("listener", name), ("reason", reason)];
        // Well below a minute, after which a flow without a policy ends.
        wait::until_within(Duration::from_secs(30), &format!("flows of {name} end"), || {
            let count = cluster.sample(&[0], CLOSED, &labels);
            if count >= 1.0 { Ok(()) } else { Err(count.to_string()) }
        });
    }

    // One of two endpoints is gone. Where replies are expected, ICMP errors and silence move a flow to the other; where
    // they are not, a flow stays where it was put.
    let gone = DatagramEndpoint::start(cluster.addresses().endpoint(3), false).address();
    for (name, policy, all_arrive) in [
        ("two-way", json!({"idleTimeout": "1h"}), true),
        ("one-way", json!({"idleTimeout": "1h", "mode": "OneWay"}), false),
    ] {
        let living = DatagramEndpoint::start(cluster.addresses().endpoint(4), true);
        let port = cluster.free_port();
        route(cluster, name, port, &[living.address(), gone], policy);
        let clients: Vec<UdpSocket> = (0..24)
            .map(|_| datagrams::client(cluster.listener(0, port), cluster.addresses().client(1)).expect("a socket"))
            .collect();
        let mut rounds = 0;
        wait::until(&format!("datagrams of {name} flows arrive"), || {
            rounds += 1;
            for (number, client) in clients.iter().enumerate() {
                // Not all need arrive; those that do are counted where they arrive.
                client.send(format!("{number}").as_bytes()).ok();
            }
            let arrived = living.received().len();
            let enough = if all_arrive {
                arrived == clients.len()
            } else {
                arrived > 0 && rounds >= 50
            };
            if enough {
                Ok(())
            } else {
                Err(format!("{arrived} of {} after {rounds} rounds", clients.len()))
            }
        });
        let arrived = living.received().len();
        // That chance puts 24 flows on one of two endpoints happens once in 16 million runs.
        assert_eq!(
            arrived == clients.len(),
            all_arrive,
            "{name}: {arrived} of {}",
            clients.len()
        );
    }
}

/// A UDP listener, route and Backend of this name, with a policy for its flows; returns when it is in force.
fn route(cluster: &Cluster, name: &str, port: u16, endpoints: &[SocketAddr], flows: Value) {
    let api = cluster.api(0);
    let gateway = gateway(name, &[(name, "UDP", port)]);
    api.apply(&gateway);
    api.apply(&manifest::backend(name, endpoints));
    api.apply(&manifest::backend_traffic_policy(
        name,
        "UDPRoute",
        name,
        json!({"udp": flows}),
    ));
    let route = manifest::route_to_backend("UDPRoute", name, name, name, name);
    api.apply(&route);
    api.wait_parent_condition(&route, "Accepted", "True", "Accepted");
    api.wait_condition(&gateway, "Programmed", "True");
    cluster.wait_caught_up(&[0, 1, 2]);
}

fn gateway(name: &str, listeners: &[(&str, &str, u16)]) -> Value {
    let listeners: Vec<Value> = listeners
        .iter()
        .map(|(name, protocol, port)| json!({"name": name, "protocol": protocol, "port": port}))
        .collect();
    manifest::gateway_with(name, listeners.into())
}
