//! Which endpoint a session reaches, and what happens when it cannot.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use guideway_dataplane::Config;
use guideway_maglev::Target;
use rustix::net::{AddressFamily, SocketType, sockopt};

use crate::bed::endpoint::{Blackhole, Endpoint};
use crate::bed::{
    Bed, DRIVERS, End, config, dial, plans, read_exactly, read_to_end, reset, reset_on_close, with_deadline,
};

/// The word that the endpoint says, or how the session ended without one.
fn word(mut client: TcpStream) -> String {
    let mut word = [0; 1];
    match client.read(&mut word) {
        Ok(1) => {
            reset(client);
            String::from_utf8_lossy(&word).into_owned()
        }
        Ok(_) => "fin".into(),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => "reset".into(),
        Err(error) => panic!("neither a word nor an end: {error}"),
    }
}

fn split(address: SocketAddr, count: u32) -> BTreeMap<String, u32> {
    let mut words = BTreeMap::new();
    for _ in 0..count {
        let word = match TcpStream::connect(address) {
            Ok(stream) => word(with_deadline(stream)),
            // The reset came before connect returned.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => "reset".to_owned(),
            Err(error) => panic!("connect: {error}"),
        };
        *words.entry(word).or_default() += 1;
    }
    words
}

#[test]
fn a_refused_session_goes_to_the_next_endpoint() {
    for driver in DRIVERS {
        let endpoint = Endpoint::named("a");
        let shares = [
            plans::endpoint(plans::nobody()),
            plans::endpoint(plans::nobody()),
            endpoint.share(),
        ];
        let (bed, address) = Bed::with_pool(config(driver), &shares);
        assert_eq!(split(address, 60), BTreeMap::from([("a".to_owned(), 60)]));
        bed.wait_sessions(0);
    }
}

#[test]
fn tries_are_bounded() {
    for driver in DRIVERS {
        let endpoint = Endpoint::named("a");
        let shares = [
            plans::endpoint(plans::nobody()),
            plans::endpoint(plans::nobody()),
            endpoint.share(),
        ];
        let (bed, address) = Bed::with_pool(
            Config {
                max_tries: 1,
                ..config(driver)
            },
            &shares,
        );
        let words = split(address, 120);
        assert_eq!(words.keys().collect::<Vec<_>>(), ["a", "reset"]);
        assert!((20..=60).contains(&words["a"]), "{words:?}");
        bed.wait_sessions(0);
    }
}

#[test]
fn an_endpoint_that_does_not_answer_is_given_up_after_the_connect_timeout() {
    for driver in DRIVERS {
        let blackhole = Blackhole::open();
        let endpoint = Endpoint::named("a");
        let connect_timeout = Duration::from_millis(200);
        let shares = [blackhole.share(), endpoint.share()];
        let (bed, address) = Bed::with_pool(
            Config {
                connect_timeout,
                ..config(driver)
            },
            &shares,
        );
        let mut slow = 0;
        for _ in 0..12 {
            let started = Instant::now();
            assert_eq!(word(dial(address)), "a");
            slow += u32::from(started.elapsed() >= connect_timeout);
        }
        assert!(slow > 0, "no session met the endpoint that does not answer");
        bed.wait_sessions(0);
    }
}

#[test]
fn a_session_that_reaches_no_endpoint_is_reset() {
    for driver in DRIVERS {
        let blackhole = Blackhole::open();
        let connect_timeout = Duration::from_millis(100);
        let cases: [&[plans::Share]; 5] = [
            &[plans::endpoint(plans::nobody())],
            &[blackhole.share()],
            &[],
            &[(Target::Endpoint(plans::nobody()), 0)],
            &[(Target::Reject(0), 1)],
        ];
        for shares in cases {
            let (bed, address) = Bed::with_pool(
                Config {
                    connect_timeout,
                    ..config(driver)
                },
                shares,
            );
            assert_eq!(word(dial(address)), "reset", "{shares:?}");
            bed.wait_sessions(0);
        }
    }
}

#[test]
fn a_listener_without_a_route_resets() {
    for driver in DRIVERS {
        let bed = Bed::start(config(driver));
        let port = crate::bed::Port::reserve();
        bed.activate(plans::plan(1, &[plans::listener(port.loopback_key(), None)]));
        bed.wait_bound();
        assert_eq!(read_to_end(&dial(port.address())), (Vec::new(), End::Reset));
    }
}

#[test]
fn weights_share_out_fresh_connections() {
    for driver in DRIVERS {
        let endpoints = [Endpoint::named("a"), Endpoint::named("b"), Endpoint::named("c")];
        let weights = [70, 30, 0];
        let shares: Vec<plans::Share> = endpoints
            .iter()
            .zip(weights)
            .map(|(endpoint, weight)| (Target::Endpoint(endpoint.address()), weight))
            .collect();
        let (_bed, address) = Bed::with_pool(config(driver), &shares);
        let words = split(address, 2000);
        assert_eq!(words.keys().collect::<Vec<_>>(), ["a", "b"]);
        // 5 points; the standard deviation of the draw is 1 point.
        assert!(words["a"].abs_diff(1400) <= 100, "{words:?}");
    }
}

#[test]
fn the_share_of_an_invalid_ref_is_reset() {
    for driver in DRIVERS {
        let endpoint = Endpoint::named("a");
        let shares = [(Target::Endpoint(endpoint.address()), 20), (Target::Reject(0), 80)];
        let (_bed, address) = Bed::with_pool(config(driver), &shares);
        let words = split(address, 1000);
        assert!(words["reset"].abs_diff(800) <= 50, "{words:?}");
        assert_eq!(words["a"] + words["reset"], 1000);
    }
}

/// Connects from a local port of the test's choice.
fn dial_from(port: u16, address: SocketAddr) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("socket");
    sockopt::set_socket_reuseaddr(&socket, true).expect("SO_REUSEADDR");
    sockopt::set_socket_reuseport(&socket, true).expect("SO_REUSEPORT");
    rustix::net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, port))).expect("bind");
    rustix::net::connect(&socket, &address).expect("connect");
    // The port must be free again at once for the next round.
    reset_on_close(&socket);
    with_deadline(TcpStream::from(socket))
}

#[test]
fn one_client_tuple_reaches_one_endpoint_through_every_node_and_after_a_restart() {
    for driver in DRIVERS {
        let endpoints = [
            Endpoint::named("a"),
            Endpoint::named("b"),
            Endpoint::named("c"),
            Endpoint::named("d"),
        ];
        let shares: Vec<plans::Share> = endpoints.iter().map(Endpoint::share).collect();
        let clients: Vec<crate::bed::Port> = (0..20).map(|_| crate::bed::Port::reserve()).collect();
        let port = crate::bed::Port::reserve();
        let mut answers: Vec<Vec<String>> = Vec::new();
        // Two nodes at once on two addresses of this machine, and both again after a restart.
        for _ in 0..2 {
            let nodes: Vec<Bed> = (1..=2)
                .map(|last| {
                    let data_address = Some(Ipv4Addr::new(127, 0, 0, last).into());
                    let bed = Bed::start(Config {
                        data_address,
                        ..config(driver)
                    });
                    bed.activate(plans::plan(
                        1,
                        &[plans::listener(plans::node_default(port.number()), Some(&shares))],
                    ));
                    bed.wait_bound();
                    bed
                })
                .collect();
            for last in 1..=2 {
                let node = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port.number()));
                answers.push(
                    clients
                        .iter()
                        .map(|client| word(dial_from(client.number(), node)))
                        .collect(),
                );
            }
            nodes.iter().for_each(|node| node.wait_sessions(0));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        assert!(
            answers[0].iter().any(|word| *word != answers[0][0]),
            "all clients reached one endpoint"
        );
    }
}

#[test]
fn source_addresses_are_used_in_turn() {
    for driver in DRIVERS {
        let (endpoint, connections) = Endpoint::handing_over();
        let sources = [Ipv4Addr::new(127, 0, 0, 21), Ipv4Addr::new(127, 0, 0, 22)];
        let source_addresses = sources.iter().map(|source| (*source).into()).collect();
        let (_bed, address) = Bed::with_pool(
            Config {
                source_addresses,
                ..config(driver)
            },
            &[endpoint.share()],
        );
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..40 {
            let mut client = dial(address);
            client.write_all(b"x").expect("write");
            let server = connections.next();
            read_exactly(&server, 1);
            seen.insert(server.peer_addr().expect("peer").ip());
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), sources);
    }
}
