//! What UDP flows do when local ports run out, and where a piece of several datagrams does not pass.
//!
//! Needs root, `unshare` and `ip`: it narrows the range of local ports and the loopback, in a network namespace of its own
//! that goes with the process.

#[path = "bed/bed.rs"]
mod bed;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use bed::datagrams::{Server, answers, exactly, mirror};
use bed::recorder::kept;
use bed::{Bed, DRIVERS, PATIENCE, eventually, plans};
use guideway_dataplane::Config;
use guideway_maglev::Target;

/// Local ports of the namespace.
const PORTS: usize = 10;
const FIRST: u16 = 20_000;
const LAST: u16 = 20_009;

fn main() {
    bed::namespace::within(inside);
}

fn inside() {
    let range = "/proc/sys/net/ipv4/ip_local_port_range";
    kept();
    for driver in DRIVERS {
        // Endpoints take their ports before the range is narrowed.
        std::fs::write(range, "32768 60999").expect("range");
        let (first, second) = (Server::reflecting(), Server::reflecting());
        std::fs::write(range, format!("{FIRST} {LAST}")).expect("range");
        let shares = [
            (Target::Endpoint(first.address()), 100_000),
            (Target::Endpoint(second.address()), 1),
        ];
        two_endpoints_share_the_ports(bed::config(driver), &shares, first.address(), second.address());
        each_source_address_adds_its_ports(bed::config(driver), &shares[..1]);
        ports_of_listeners_and_of_others_are_left_alone(bed::config(driver), &shares[..1]);
        std::fs::write(range, "32768 60999").expect("range");
        datagrams_that_cannot_leave_together_leave_one_by_one(bed::config(driver));
    }
    writeln!(std::io::stdout(), "test udp_namespace ... ok").expect("someone who listens");
}

fn two_endpoints_share_the_ports(config: Config, shares: &[plans::Share], first: SocketAddr, second: SocketAddr) {
    let bed = start(config, 8001, shares);
    let clients = clients(PORTS + 5);
    let flows: Vec<_> = clients.iter().map(|client| mirror(client, at(8001))).collect();
    let mut counts = BTreeMap::new();
    for flow in &flows {
        *counts.entry(flow.endpoint).or_insert(0) += 1;
    }
    assert_eq!(
        counts,
        BTreeMap::from([(first, PORTS), (second, 5)]),
        "the next endpoint is tried"
    );
    // Ten ports carry fifteen flows, and every flow still has its own answers.
    let again: Vec<_> = clients.iter().map(|client| mirror(client, at(8001))).collect();
    assert_eq!(flows, again);
    let distinct: BTreeSet<_> = flows.iter().map(|flow| (flow.endpoint, flow.source)).collect();
    assert_eq!(distinct.len(), flows.len());
    expect_metric("local_ports_used{route=test/route-8001", first, "", 10.0);
    expect_metric("local_ports_used{route=test/route-8001", second, "", 5.0);
    expect_metric(
        "connect_failures_total{route=test/route-8001",
        first,
        ",cause=no_local_port",
        5.0,
    );
    let capacity = kept().values("flow_ports_capacity{family=ipv4}");
    assert_eq!(capacity.values().copied().collect::<Vec<_>>(), [10.0]);
    bed.activate(plans::plan(2, &[]));
    bed.wait_sessions(0);
    eventually("the ports to be free", || {
        let used = kept().values("local_ports_used{route=test/route-8001");
        if used.is_empty() {
            Ok(())
        } else {
            Err(format!("{used:?}"))
        }
    });
}

fn each_source_address_adds_its_ports(config: Config, shares: &[plans::Share]) {
    let sources = [Ipv4Addr::new(127, 0, 0, 31).into(), Ipv4Addr::new(127, 0, 0, 32).into()];
    let config = Config {
        source_addresses: sources.to_vec(),
        udp_idle_timeout: Duration::from_secs(3600),
        ..config
    };
    let bed = start(config, 8002, shares);
    let clients = clients(2 * PORTS + 1);
    let (last, others) = clients.split_last().expect("clients");
    for client in others {
        mirror(client, at(8002));
    }
    assert!(!answers(last, at(8002)), "there is no port left");
    assert_eq!(bed.plane.figures().flows, 2 * PORTS as u64);
    eventually("the close reason", || {
        let values = kept().values("listener=port-8002,");
        let counted = |prefix: &str| {
            values.iter().any(|(name, value)| {
                name.starts_with(prefix) && name.contains("reason=ports_exhausted") && *value == 1.0
            })
        };
        if counted("sessions_closed_total") && counted("datagrams_dropped_total") {
            Ok(())
        } else {
            Err(format!("{values:?}"))
        }
    });
}

fn ports_of_listeners_and_of_others_are_left_alone(config: Config, shares: &[plans::Share]) {
    // Another process's, willing to share and not; and a listener of this data plane.
    let unwilling = UdpSocket::bind((Ipv4Addr::LOCALHOST, FIRST)).expect("bind");
    let willing = UdpSocket::bind((Ipv4Addr::LOCALHOST, FIRST + 1)).expect("bind");
    rustix::net::sockopt::set_socket_reuseaddr(&willing, true).expect("SO_REUSEADDR");
    let bed = Bed::start(config);
    let listener = |port| plans::listener(exactly(at(port)), Some(shares));
    bed.activate(plans::plan(1, &[listener(8003), listener(FIRST + 2)]));
    bed.wait_bound();
    let clients = clients(PORTS - 3);
    let ports: BTreeSet<u16> = clients
        .iter()
        .map(|client| mirror(client, at(8003)).source.port())
        .collect();
    assert_eq!(ports, (FIRST + 3..=LAST).collect());
    drop((unwilling, willing));
}

/// Where frames are shorter than the datagrams, the kernel cuts no pieces: it fragments each datagram by itself.
fn datagrams_that_cannot_leave_together_leave_one_by_one(config: Config) {
    const COUNT: u8 = 64;
    let narrow = Command::new("ip")
        .args(["link", "set", "lo", "mtu", "1280"])
        .status()
        .expect("ip");
    assert!(narrow.success(), "{narrow}");
    let endpoint = Server::echo();
    let _bed = start(config, 8004, &[endpoint.share()]);
    let clients = clients(1);
    let client = &clients[0];
    client.connect(at(8004)).expect("connect");
    for _ in 0..20 {
        for number in 0..COUNT {
            client.send(&[number; 1400]).expect("send");
        }
        for number in 0..COUNT {
            let mut answer = [0; 2000];
            let length = client.recv(&mut answer).expect("an echo in time");
            assert!(answer[..length] == [number; 1400], "echo {number}");
        }
    }
}

fn start(config: Config, port: u16, shares: &[plans::Share]) -> Bed {
    let bed = Bed::start(config);
    bed.activate(plans::plan(1, &[plans::listener(exactly(at(port)), Some(shares))]));
    bed.wait_bound();
    bed
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Clients with an address each, so that they take no port that is counted.
fn clients(count: usize) -> Vec<UdpSocket> {
    let client = |index| {
        let address = Ipv4Addr::new(127, 0, 9, u8::try_from(index + 1).expect("few clients"));
        let socket = UdpSocket::bind((address, 30_000)).expect("bind");
        socket.set_read_timeout(Some(PATIENCE)).expect("timeout");
        socket
    };
    (0..count).map(client).collect()
}

fn expect_metric(prefix: &str, endpoint: SocketAddr, suffix: &str, expected: f64) {
    let name = format!("{prefix},endpoint={endpoint}{suffix}}}");
    eventually(&name, || {
        let values = kept().values(prefix);
        if values.get(&name) == Some(&expected) {
            Ok(())
        } else {
            Err(format!("{values:?}"))
        }
    });
}
