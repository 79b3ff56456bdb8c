//! Clients that stay with an endpoint under client-IP affinity.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use guideway_dataplane::Config;
use guideway_model::plan::{Affinity, AffinityKind, Replication, Standing, Why};
use rustix::net::{AddressFamily, SocketType};

use crate::bed::datagrams::{Gate, Server, client_on, mirror};
use crate::bed::endpoint::Endpoint;
use crate::bed::plans::{self, Phases};
use crate::bed::recorder::kept;
use crate::bed::{Bed, DRIVERS, Port, config, eventually, read_exactly, with_deadline};
use crate::scene::client_ip;

const LONG: Duration = Duration::from_secs(3600);

fn ip(last: u8) -> IpAddr {
    [127, 0, 0, last].into()
}

/// Dials from an address of the loopback.
fn dial_from(ip: IpAddr, to: SocketAddr) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("socket");
    rustix::net::bind(&socket, &SocketAddr::new(ip, 0)).expect("bind");
    rustix::net::connect(&socket, &to).expect("connect");
    with_deadline(socket.into())
}

/// The endpoint's word; the connection is over.
fn ask(ip: IpAddr, to: SocketAddr) -> Vec<u8> {
    read_exactly(&dial_from(ip, to), 1)
}

/// Endpoints that say 0, 1, 2, ...
fn endpoints() -> [Endpoint; 6] {
    ["0", "1", "2", "3", "4", "5"].map(Endpoint::named)
}

fn start(config: Config, affinity: Affinity, active: &[plans::Share]) -> (Bed, Port) {
    let (bed, port) = (Bed::start(config), Port::reserve());
    let phases = Phases {
        active,
        affinity,
        ..Phases::default()
    };
    bed.activate(phases.plan(1, port.loopback_key()));
    bed.wait_bound();
    (bed, port)
}

fn activate(bed: &Bed, port: &Port, generation: u64, affinity: Affinity, active: &[plans::Share]) {
    let phases = Phases {
        active,
        affinity,
        ..Phases::default()
    };
    bed.activate(phases.plan(generation, port.loopback_key()));
}

#[test]
fn all_sessions_of_a_client_go_to_one_endpoint_whatever_is_added() {
    for driver in DRIVERS {
        let endpoints = endpoints();
        let shares = endpoints.each_ref().map(Endpoint::share);
        let (bed, port) = start(config(driver), client_ip(LONG), &shares[..2]);
        let words: Vec<Vec<u8>> = (1..=20).map(|last| ask(ip(last), port.address())).collect();
        assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), 2);
        activate(&bed, &port, 2, client_ip(LONG), &shares);
        for _ in 0..3 {
            for (last, word) in (1..=20).zip(&words) {
                assert_eq!(&ask(ip(last), port.address()), word);
            }
        }
        let new: BTreeSet<Vec<u8>> = (100..140).map(|last| ask(ip(last), port.address())).collect();
        assert!(new.len() > 2);
        let rows = bed.plane.sessions(|_| true);
        assert_eq!(rows.silent, 0);
    }
}

#[test]
fn flows_and_connections_of_one_network_are_one_client_each() {
    for driver in DRIVERS {
        let servers: Vec<Server> = (0..6).map(|_| Server::reflecting()).collect();
        let shares: Vec<plans::Share> = servers.iter().map(Server::share).collect();
        let gate = Gate::reserve();
        let bed = Bed::start(config(driver));
        let phases = Phases {
            active: &shares,
            affinity: Affinity {
                kind: AffinityKind::ClientIp {
                    v4_prefix: 24,
                    v6_prefix: 64,
                    timeout: LONG,
                },
                replication: Replication::OnChange,
            },
            ..Phases::default()
        };
        bed.activate(phases.plan(1, gate.key()));
        bed.wait_bound();
        let clients: Vec<UdpSocket> = (1..=60).map(|last| client_on(ip(last))).collect();
        let near: BTreeSet<SocketAddr> = clients
            .iter()
            .map(|client| mirror(client, gate.address()).endpoint)
            .collect();
        assert_eq!(near.len(), 1);
        let far: Vec<UdpSocket> = (1..=60).map(|third| client_on([127, 0, third, 1].into())).collect();
        let far: BTreeSet<SocketAddr> = far
            .iter()
            .map(|client| mirror(client, gate.address()).endpoint)
            .collect();
        assert!(far.len() > 3);
    }
}

#[test]
fn a_client_is_forgotten_a_timeout_after_its_last_session() {
    for driver in DRIVERS {
        let endpoints = endpoints();
        let shares = endpoints.each_ref().map(Endpoint::share);
        // Each entry shows among the needs.
        let short = Affinity {
            replication: Replication::Always,
            ..client_ip(Duration::from_secs(1))
        };
        let (bed, port) = start(config(driver), short, &shares[..1]);
        let held = dial_from(ip(1), port.address());
        read_exactly(&held, 1);
        for last in 2..=20 {
            ask(ip(last), port.address());
        }
        assert_eq!(bed.plane.pin_needs().len(), 20);
        activate(&bed, &port, 2, short, &shares);
        eventually("the others to be forgotten", || {
            let left = bed.plane.pin_needs().len();
            if left == 1 { Ok(()) } else { Err(format!("{left} left")) }
        });
        assert_eq!(ask(ip(1), port.address()), b"0");
        let others: BTreeSet<Vec<u8>> = (2..=20).map(|last| ask(ip(last), port.address())).collect();
        assert!(others.len() > 2);
    }
}

#[test]
fn a_drained_endpoint_loses_its_clients_with_their_next_session() {
    for driver in DRIVERS {
        let endpoints = endpoints();
        let shares = endpoints.each_ref().map(Endpoint::share);
        let (bed, port) = start(config(driver), client_ip(LONG), &shares[..2]);
        let first: Vec<TcpStream> = (1..=20).map(|last| dial_from(ip(last), port.address())).collect();
        let words: Vec<Vec<u8>> = first.iter().map(|stream| read_exactly(stream, 1)).collect();
        let phases = Phases {
            active: &shares[..2],
            prepared: Some(&shares[1..2]),
            standings: &[(endpoints[0].address(), Standing::Draining)],
            affinity: client_ip(LONG),
            ..Phases::default()
        };
        bed.prepare(phases.plan(2, port.loopback_key()));
        assert!(words.iter().any(|word| word == b"0"));
        for last in 1..=20 {
            assert_eq!(ask(ip(last), port.address()), b"1");
        }
        bed.wait_sessions(20);
        // And there they stay when the endpoint is back.
        activate(&bed, &port, 3, client_ip(LONG), &shares[..2]);
        for last in 1..=20 {
            assert_eq!(ask(ip(last), port.address()), b"1");
        }
    }
}

#[test]
fn a_full_table_sheds_the_idle_and_serves_the_rest_unremembered() {
    for driver in DRIVERS {
        kept();
        let endpoints = endpoints();
        let shares = endpoints.each_ref().map(Endpoint::share);
        let mut config = config(driver);
        config.max_affinity_entries = 5;
        let (bed, port) = start(config, client_ip(LONG), &shares[..1]);
        let shed = || kept().values("affinity_entries_shed_total").values().sum::<f64>();
        let before = shed();
        let held: Vec<TcpStream> = (1..=5).map(|last| dial_from(ip(last), port.address())).collect();
        for stream in &held {
            read_exactly(stream, 1);
        }
        for last in 6..=10 {
            assert_eq!(ask(ip(last), port.address()), b"0");
        }
        activate(&bed, &port, 2, client_ip(LONG), &shares);
        for last in 1..=5 {
            assert_eq!(ask(ip(last), port.address()), b"0");
        }
        let others: BTreeSet<Vec<u8>> = (6..=30).map(|last| ask(ip(last), port.address())).collect();
        assert!(others.len() > 2);
        eventually("the shed clients to be counted", || {
            let shed = shed() - before;
            if shed >= 30.0 {
                Ok(())
            } else {
                Err(format!("{shed} shed"))
            }
        });
        drop(held);
        bed.wait_sessions(0);
        // Room again: each new client takes the place of one that is idle, and is remembered.
        for last in 40..=44 {
            let word = ask(ip(last), port.address());
            bed.wait_sessions(0);
            assert_eq!(ask(ip(last), port.address()), word);
        }
    }
}

/// The endpoint of a client cannot be reached: it goes to the next one, and stays with that.
#[test]
fn a_redispatched_client_stays_where_it_was_taken() {
    for driver in DRIVERS {
        let endpoints = endpoints();
        let mut shares: Vec<plans::Share> = endpoints.iter().map(Endpoint::share).collect();
        shares.push((plans::endpoint(plans::nobody()).0, 1_000_000));
        let (bed, port) = start(config(driver), client_ip(LONG), &shares);
        let look = |last, expected| {
            let stream = dial_from(ip(last), port.address());
            let word = read_exactly(&stream, 1);
            let client = stream.local_addr().expect("address");
            let rows = bed.plane.sessions(|row| row.client == client).found;
            let whys: Vec<_> = rows.iter().map(|row| row.why).collect();
            assert_eq!(whys, [Some(expected)]);
            word
        };
        let words: Vec<Vec<u8>> = (1..=20).map(|last| look(last, Why::Redispatch)).collect();
        for (last, word) in (1..=20).zip(&words) {
            assert_eq!(&look(last, Why::Affinity), word);
        }
    }
}
