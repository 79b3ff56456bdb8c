//! Sockets that clients send datagrams to, beside those of others.

use std::net::{SocketAddr, UdpSocket};

use guideway_model::plan::UdpSettings;
use rustix::net::{AddressFamily, SocketType, sockopt};

use crate::bed::datagrams::{Gate, Server, bed, client, exactly, mirror};
use crate::bed::endpoint::Endpoint;
use crate::bed::{Bed, DRIVERS, config, dial, plans, read_exactly};

#[test]
fn a_port_that_another_socket_has_is_not_shared_with_it() {
    for driver in DRIVERS {
        let server = Server::reflecting();
        for reuse_port in [false, true] {
            let gate = Gate::reserve();
            let other = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None).expect("socket");
            sockopt::set_socket_reuseport(&other, reuse_port).expect("SO_REUSEPORT");
            rustix::net::bind(&other, &gate.address()).expect("bind");
            let bed = Bed::start(config(driver));
            bed.activate(plans::plan(1, &[plans::listener(gate.key(), Some(&[server.share()]))]));
            let failure = bed.wait_failed(gate.key());
            assert_eq!(failure.address, gate.address().to_string());
            assert!(failure.message.starts_with("EADDRINUSE"), "{}", failure.message);
            drop(other);
            bed.wait_bound();
            mirror(&client(), gate.address());
        }
    }
}

#[test]
fn no_other_socket_gets_a_port_that_is_listened_on() {
    for driver in DRIVERS {
        let server = Server::reflecting();
        let gate = Gate::reserve();
        let _bed = bed(config(driver), &gate, &[server.share()], &UdpSettings::default());
        let other = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None).expect("socket");
        sockopt::set_socket_reuseaddr(&other, true).expect("SO_REUSEADDR");
        rustix::net::bind(&other, &gate.address()).expect_err("the port is taken");
    }
}

#[test]
fn tcp_and_udp_listen_on_one_port() {
    for driver in DRIVERS {
        let (server, endpoint) = (Server::reflecting(), Endpoint::named("tcp"));
        let gate = Gate::reserve();
        let bed = Bed::start(config(driver));
        let listeners = [
            plans::listener(gate.key(), Some(&[server.share()])),
            plans::listener(plans::exactly(gate.address()), Some(&[endpoint.share()])),
        ];
        bed.activate(plans::plan(1, &listeners));
        bed.wait_bound();
        mirror(&client(), gate.address());
        assert_eq!(read_exactly(&dial(gate.address()), 3), b"tcp");
        assert_eq!(bed.plane.figures().flows, 1);
    }
}

#[test]
fn a_listener_opens_on_a_port_that_a_flow_has() {
    for driver in DRIVERS {
        let server = Server::reflecting();
        let gate = Gate::reserve();
        let bed = bed(config(driver), &gate, &[server.share()], &UdpSettings::default());
        let client = client();
        let flow = mirror(&client, gate.address());
        let address = SocketAddr::from(([127, 0, 0, 3], flow.source.port()));
        let listener = |key| plans::listener(key, Some(&[server.share()]));
        bed.activate(plans::plan(2, &[listener(gate.key()), listener(exactly(address))]));
        bed.wait_bound();
        let other = UdpSocket::bind("127.0.0.1:0").expect("bind");
        other.set_read_timeout(Some(crate::bed::PATIENCE)).expect("timeout");
        mirror(&other, address);
        assert_eq!(flow, mirror(&client, gate.address()), "the flow keeps its port");
        // Having been let in beside a flow, it lets no one else in.
        let third = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None).expect("socket");
        sockopt::set_socket_reuseaddr(&third, true).expect("SO_REUSEADDR");
        rustix::net::bind(&third, &address).expect_err("the port is taken");
    }
}
