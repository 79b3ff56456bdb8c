//! What happens when the local ports toward an endpoint run out.
//!
//! Needs root, `unshare` and `ip`: it narrows the range of local ports, in a network namespace of its own that goes with
//! the process.

#[path = "bed/bed.rs"]
mod bed;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use bed::endpoint::Endpoint;
use bed::recorder::kept;
use bed::{Bed, DRIVERS, eventually, plans, with_deadline};
use guideway_dataplane::Config;
use guideway_maglev::Target;
use rustix::net::{AddressFamily, SocketType, sockopt};

/// Local ports of the namespace.
const PORTS: u32 = 10;

fn main() {
    bed::namespace::within(inside);
}

fn inside() {
    let range = "/proc/sys/net/ipv4/ip_local_port_range";
    for driver in DRIVERS {
        // Endpoints take their ports before the range is narrowed.
        std::fs::write(range, "32768 60999").expect("range");
        let (first, second) = (Endpoint::named("1"), Endpoint::named("2"));
        std::fs::write(range, format!("20000 {}", 20_000 + PORTS - 1)).expect("range");
        let preferred = [
            (Target::Endpoint(first.address()), 100_000),
            (Target::Endpoint(second.address()), 1),
        ];

        let bed = start(Config { ..bed::config(driver) }, 8001, &preferred);
        let (sessions, words) = open(8001, PORTS + 5);
        assert_eq!(
            words,
            BTreeMap::from([("1".to_owned(), PORTS), ("2".to_owned(), 5)]),
            "the next endpoint is tried"
        );
        expect_metric(
            "local_ports_used{route=test/route-8001",
            first.address(),
            "",
            f64::from(PORTS),
        );
        expect_metric("local_ports_used{route=test/route-8001", second.address(), "", 5.0);
        expect_metric(
            "connect_failures_total{route=test/route-8001",
            first.address(),
            ",cause=no_local_port",
            5.0,
        );
        drop(sessions);
        bed.wait_sessions(0);
        eventually("the ports to be free", || {
            let used = kept().values("local_ports_used{route=test/route-8001");
            if used.is_empty() {
                Ok(())
            } else {
                Err(format!("{used:?}"))
            }
        });
        drop(bed);

        let sources = [Ipv4Addr::new(127, 0, 0, 31).into(), Ipv4Addr::new(127, 0, 0, 32).into()];
        let bed = start(
            Config {
                source_addresses: sources.to_vec(),
                max_tries: 1,
                ..bed::config(driver)
            },
            8002,
            &preferred,
        );
        let (sessions, words) = open(8002, 2 * PORTS + 1);
        let expected = BTreeMap::from([("1".to_owned(), 2 * PORTS), ("reset".to_owned(), 1)]);
        assert_eq!(
            words, expected,
            "each source address adds its ports; then there is nothing left to try"
        );
        drop((sessions, bed));
        say("test port_exhaustion ... ok");
    }
}

fn start(config: Config, port: u16, shares: &[plans::Share]) -> Bed {
    kept();
    let bed = Bed::start(config);
    let key = plans::exactly(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    bed.activate(plans::plan(1, &[plans::listener(key, Some(shares))]));
    bed.wait_bound();
    bed
}

/// Opens sessions one after the other; gives those that live, and how often each word was said.
fn open(port: u16, count: u32) -> (Vec<TcpStream>, BTreeMap<String, u32>) {
    let mut words = BTreeMap::new();
    let mut sessions = Vec::new();
    for index in 0..count {
        let mut client = dial_from(u8::try_from(index + 1).expect("few clients"), port);
        // A reset that has come already shows in the write, and then no more in the read.
        let mut word = [0];
        match client.write_all(b"?").and_then(|()| client.read(&mut word)) {
            Ok(1) => {
                *words.entry(String::from_utf8_lossy(&word).into_owned()).or_default() += 1;
                sessions.push(client);
            }
            Ok(_) => panic!("an orderly end"),
            Err(_) => *words.entry("reset".into()).or_default() += 1,
        }
    }
    (sessions, words)
}

/// A client with an address of its own, so that clients never run out of ports.
fn dial_from(last: u8, port: u16) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("socket");
    sockopt::set_socket_reuseaddr(&socket, true).expect("SO_REUSEADDR");
    rustix::net::bind(&socket, &SocketAddr::from((Ipv4Addr::new(127, 0, 9, last), 30_000))).expect("bind");
    rustix::net::connect(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, port))).expect("connect");
    bed::reset_on_close(&socket);
    with_deadline(TcpStream::from(socket))
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

fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").expect("someone who listens");
}
