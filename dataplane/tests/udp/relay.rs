//! Datagrams there and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::mpsc::sync_channel;

use guideway_model::node::{BindAddress, Protocol, SocketKey};
use guideway_model::plan::UdpSettings;

use crate::bed::datagrams::{Gate, Server, ask, bed, client, client_on, echo, exactly, free_port};
use crate::bed::{Bed, DRIVERS, PATIENCE, config, pattern, plans};

const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

#[test]
fn replies_leave_from_the_very_address_that_was_dialled() {
    for driver in DRIVERS {
        let endpoint = Server::echo();
        let bed = Bed::start(config(driver));
        let port = free_port(Ipv4Addr::UNSPECIFIED.into());
        let everywhere = SocketKey {
            protocol: Protocol::Udp,
            address: BindAddress::NodeDefault,
            port,
        };
        bed.activate(plans::plan(
            1,
            &[plans::listener(everywhere, Some(&[endpoint.share()]))],
        ));
        bed.wait_bound();
        let client = client();
        for last in [1, 7, 8, 7] {
            let dialled = SocketAddr::from(([127, 0, 0, last], port));
            assert_eq!(ask(&client, dialled, b"hello"), b"hello");
        }
        // One client, but each address that it dials is answered from itself: three flows.
        assert_eq!(bed.plane.figures().flows, 3);
        assert_eq!(ask(&client_on(V6), SocketAddr::new(V6, port), b"hello"), b"hello");
    }
}

#[test]
fn each_family_reaches_each() {
    for driver in DRIVERS {
        let servers = [Server::echo(), Server::serve_on(V6, echo)];
        for server in &servers {
            let bed = Bed::start(config(driver));
            let gate = Gate::reserve();
            let v6 = SocketAddr::new(V6, free_port(V6));
            let listeners = [gate.key(), exactly(v6)].map(|key| plans::listener(key, Some(&[server.share()])));
            bed.activate(plans::plan(1, &listeners));
            bed.wait_bound();
            assert_eq!(ask(&client(), gate.address(), b"four"), b"four");
            assert_eq!(ask(&client_on(V6), v6, b"six"), b"six");
        }
    }
}

#[test]
fn datagrams_of_every_size_pass() {
    for driver in DRIVERS {
        let endpoint = Server::serve_on(V6, echo);
        let bed = Bed::start(config(driver));
        let v6 = SocketAddr::new(V6, free_port(V6));
        bed.activate(plans::plan(
            1,
            &[plans::listener(exactly(v6), Some(&[endpoint.share()]))],
        ));
        bed.wait_bound();
        let client = client_on(V6);
        let bytes = pattern(5, 70_000);
        for size in [0, 1, 1472, 1473, 9000, 0, 65_507, 65_527] {
            assert!(ask(&client, v6, &bytes[..size]) == bytes[..size], "{size} bytes");
        }
    }
}

#[test]
fn ten_thousand_numbered_datagrams_keep_their_order_both_ways() {
    const COUNT: u32 = 10_000;
    const WINDOW: u32 = 100;
    for driver in DRIVERS {
        let (sender, arrived) = sync_channel(COUNT as usize);
        let endpoint = Server::serve(move |socket, bytes, from| {
            sender.send(bytes.to_vec()).expect("room");
            echo(socket, bytes, from);
        });
        let gate = Gate::reserve();
        let _bed = bed(config(driver), &gate, &[endpoint.share()], &UdpSettings::default());
        let client = client();
        client.connect(gate.address()).expect("connect");
        let mut answer = [0; 2000];
        // Lengths vary, so that some datagrams could leave together and others not.
        let datagram = |number: u32| {
            let mut bytes = number.to_be_bytes().to_vec();
            bytes.resize(4 + (number / 7 % 5) as usize * 300, 9);
            bytes
        };
        for first in (0..COUNT).step_by(WINDOW as usize) {
            for number in first..first + WINDOW {
                client.send(&datagram(number)).expect("send");
            }
            for number in first..first + WINDOW {
                let length = client.recv(&mut answer).expect("an echo in time");
                assert!(answer[..length] == datagram(number), "echo {number}");
            }
        }
        for number in 0..COUNT {
            let bytes = arrived.recv_timeout(PATIENCE).expect("arrived");
            assert!(bytes == datagram(number), "arrival {number}");
        }
    }
}

#[test]
fn the_flows_of_many_clients_do_not_mix() {
    for driver in DRIVERS {
        let servers = [Server::echo(), Server::echo(), Server::echo()];
        let shares: Vec<plans::Share> = servers.iter().map(Server::share).collect();
        let gate = Gate::reserve();
        let bed = bed(config(driver), &gate, &shares, &UdpSettings::default());
        let clients: Vec<_> = (0..300).map(|_| client()).collect();
        for round in 0..5u8 {
            for (number, client) in (0u16..).zip(&clients) {
                let [high, low] = number.to_be_bytes();
                client.send_to(&[round, high, low], gate.address()).expect("send");
            }
            for (number, client) in (0u16..).zip(&clients) {
                let [high, low] = number.to_be_bytes();
                let mut answer = [0; 9];
                let length = client.recv(&mut answer).expect("an echo in time");
                assert_eq!(answer[..length], [round, high, low]);
            }
        }
        assert_eq!(bed.plane.figures().flows, 300);
    }
}
