//! Socket groups: addresses, families, occupied ports, limits.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use guideway_dataplane::Config;
use guideway_model::node::BindResult;
use rustix::net::{AddressFamily, SocketType, sockopt};

use crate::bed::endpoint::Endpoint;
use crate::bed::{Bed, DRIVERS, Port, config, dial, eventually, plans, read_exactly};

fn echoes(address: SocketAddr) {
    let mut client = dial(address);
    client.write_all(b"hello").expect("write");
    assert_eq!(read_exactly(&client, 5), b"hello");
}

#[test]
fn the_default_address_is_every_address_of_both_families() {
    for driver in DRIVERS {
        let endpoint = Endpoint::echo();
        let bed = Bed::start(config(driver));
        let port = Port::reserve();
        bed.activate(plans::plan(
            1,
            &[plans::listener(
                plans::node_default(port.number()),
                Some(&[endpoint.share()]),
            )],
        ));
        bed.wait_bound();
        echoes(SocketAddr::from((Ipv4Addr::LOCALHOST, port.number())));
        echoes(SocketAddr::from((Ipv4Addr::new(127, 9, 9, 9), port.number())));
        echoes(SocketAddr::from((Ipv6Addr::LOCALHOST, port.number())));
    }
}

#[test]
fn a_configured_data_address_is_the_only_one() {
    for driver in DRIVERS {
        let endpoint = Endpoint::echo();
        let data_address = Some(Ipv4Addr::new(127, 0, 0, 7).into());
        let bed = Bed::start(Config {
            data_address,
            ..config(driver)
        });
        let port = Port::reserve();
        bed.activate(plans::plan(
            1,
            &[plans::listener(
                plans::node_default(port.number()),
                Some(&[endpoint.share()]),
            )],
        ));
        bed.wait_bound();
        echoes(SocketAddr::from((Ipv4Addr::new(127, 0, 0, 7), port.number())));
        assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port.number())).is_err());
    }
}

#[test]
fn ipv6_clients_reach_ipv4_endpoints_and_the_other_way_round() {
    for driver in DRIVERS {
        let v4 = Endpoint::echo();
        let v6 = Endpoint::serve_on(IpAddr::V6(Ipv6Addr::LOCALHOST), crate::bed::endpoint::echo);
        let bed = Bed::start(config(driver));
        let port = Port::reserve();
        let v6_address = SocketAddr::from((Ipv6Addr::LOCALHOST, port.number()));
        bed.activate(plans::plan(
            1,
            &[
                plans::listener(plans::exactly(v6_address), Some(&[v4.share()])),
                plans::listener(port.loopback_key(), Some(&[v6.share()])),
            ],
        ));
        bed.wait_bound();
        echoes(v6_address);
        echoes(port.address());
    }
}

#[test]
fn a_single_address_beside_the_wildcard_has_its_own_route() {
    for driver in DRIVERS {
        for wildcard_first in [true, false] {
            let (everyone, one) = (Endpoint::named("all"), Endpoint::named("one"));
            let bed = Bed::start(config(driver));
            let port = Port::reserve();
            let wildcard = plans::listener(plans::node_default(port.number()), Some(&[everyone.share()]));
            let single_address = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 8), port.number()));
            let single = plans::listener(plans::exactly(single_address), Some(&[one.share()]));
            let first = if wildcard_first { &wildcard } else { &single };
            bed.activate(plans::plan(1, std::slice::from_ref(first)));
            bed.activate(plans::plan(2, &[wildcard, single]));
            bed.wait_bound();
            assert_eq!(read_exactly(&dial(single_address), 3), b"one");
            assert_eq!(read_exactly(&dial(port.address()), 3), b"all");
        }
    }
}

#[test]
fn two_groups_of_one_node_do_not_share_an_address() {
    for driver in DRIVERS {
        let bed = Bed::start(Config {
            data_address: Some(Ipv4Addr::LOCALHOST.into()),
            ..config(driver)
        });
        let port = Port::reserve();
        let endpoint = Endpoint::echo();
        let listeners = [plans::node_default(port.number()), port.loopback_key()]
            .map(|key| plans::listener(key, Some(&[endpoint.share()])));
        bed.activate(plans::plan(1, &listeners));
        let failure = bed.wait_failed(port.loopback_key());
        assert_eq!(failure.errno, rustix::io::Errno::ADDRINUSE.raw_os_error());
        assert!(
            failure.message.contains("another listener of this node"),
            "{}",
            failure.message
        );
        echoes(port.address());
    }
}

#[test]
fn an_address_that_is_not_there_yet_is_bound() {
    for driver in DRIVERS {
        let bed = Bed::start(config(driver));
        let port = Port::reserve();
        // TEST-NET-1, RFC 5737, and the documentation prefix of RFC 3849.
        let addresses: [IpAddr; 2] = ["192.0.2.77".parse().expect("v4"), "2001:db8::77".parse().expect("v6")];
        let listeners =
            addresses.map(|ip| plans::listener(plans::exactly(SocketAddr::new(ip, port.number())), Some(&[])));
        bed.activate(plans::plan(1, &listeners));
        bed.wait_bound();
        assert_eq!(bed.plane.binds().len(), 2);
    }
}

#[test]
fn a_data_address_that_is_not_there_is_reported() {
    for driver in DRIVERS {
        let bed = Bed::start(Config {
            data_address: Some("192.0.2.78".parse().expect("address")),
            ..config(driver)
        });
        let port = Port::reserve();
        let key = plans::node_default(port.number());
        bed.activate(plans::plan(1, &[plans::listener(key, Some(&[]))]));
        let failure = bed.wait_failed(key);
        assert_eq!(failure.errno, rustix::io::Errno::ADDRNOTAVAIL.raw_os_error());
        assert_eq!(failure.address, format!("192.0.2.78:{}", port.number()));
    }
}

/// A listener as another process would have it: alone on its port, or ready to share it.
fn occupy(port: &Port, shares: bool) -> TcpListener {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("socket");
    sockopt::set_socket_reuseaddr(&socket, true).expect("SO_REUSEADDR");
    sockopt::set_socket_reuseport(&socket, shares).expect("SO_REUSEPORT");
    rustix::net::bind(&socket, &port.address()).expect("bind");
    rustix::net::listen(&socket, 8).expect("listen");
    TcpListener::from(socket)
}

#[test]
fn an_occupied_port_is_reported_and_taken_when_it_is_free() {
    for driver in DRIVERS {
        // Even a socket that would share the port counts as an occupant.
        for shares in [false, true] {
            let endpoint = Endpoint::echo();
            let bed = Bed::start(config(driver));
            let port = Port::reserve();
            let occupant = occupy(&port, shares);
            bed.activate(plans::plan(
                1,
                &[plans::listener(port.loopback_key(), Some(&[endpoint.share()]))],
            ));
            let failure = bed.wait_failed(port.loopback_key());
            assert_eq!(failure.address, port.address().to_string());
            assert_eq!(failure.errno, rustix::io::Errno::ADDRINUSE.raw_os_error());
            assert!(failure.message.starts_with("EADDRINUSE: "), "{}", failure.message);
            assert!(matches!(bed.plane.binds()[&port.loopback_key()], BindResult::Failed(_)));
            drop(occupant);
            bed.wait_bound();
            echoes(port.address());
        }
    }
}

#[test]
fn when_all_sessions_are_taken_clients_wait_for_one_to_end() {
    for driver in DRIVERS {
        let endpoint = Endpoint::echo();
        let (bed, address) = Bed::with_pool(
            Config {
                max_sessions: Some(2),
                ..config(driver)
            },
            &[endpoint.share()],
        );
        let first = dial(address);
        let _second = dial(address);
        bed.wait_sessions(2);
        let mut third = dial(address);
        third.write_all(b"3").expect("write");
        third
            .set_read_timeout(Some(std::time::Duration::from_millis(200)))
            .expect("timeout");
        assert!(third.peek(&mut [0]).is_err(), "the third session must wait");
        assert_eq!(bed.plane.figures().sessions, 2);
        drop(first);
        third.set_read_timeout(Some(crate::bed::PATIENCE)).expect("timeout");
        assert_eq!(read_exactly(&third, 1), b"3");
    }
}

#[test]
fn a_port_of_a_running_node_is_busy_for_another_until_it_ends() {
    for driver in DRIVERS {
        let endpoint = Endpoint::echo();
        let (first, address) = Bed::with_pool(config(driver), &[endpoint.share()]);
        let second = Bed::start(config(driver));
        let key = plans::exactly(address);
        second.activate(plans::plan(1, &[plans::listener(key, Some(&[endpoint.share()]))]));
        second.wait_failed(key);
        drop(first);
        second.wait_bound();
        eventually("the second to answer", || match std::net::TcpStream::connect(address) {
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        });
    }
}
