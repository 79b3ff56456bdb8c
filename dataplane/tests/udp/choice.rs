//! Which endpoint a flow goes to, and when its client goes to another.

use std::collections::BTreeMap;

use guideway_maglev::Target;
use guideway_model::flow::FlowKey;
use guideway_model::node::Protocol;
use guideway_model::plan::{BackendSettings, Entry, UdpSettings};

use crate::bed::datagrams::{Gate, Nobody, Server, answers, bed, client, mirror};
use crate::bed::{DRIVERS, config, plans};

#[test]
fn weights_hold_over_fresh_sockets() {
    const CLIENTS: u32 = 1000;
    for driver in DRIVERS {
        let servers = [Server::reflecting(), Server::reflecting()];
        let shares = [
            (Target::Endpoint(servers[0].address()), 70),
            (Target::Endpoint(servers[1].address()), 30),
        ];
        let gate = Gate::reserve();
        let _bed = bed(config(driver), &gate, &shares, &UdpSettings::default());
        let pool = plans::pool(&shares, &BackendSettings::default());
        let mut counts = BTreeMap::new();
        let clients: Vec<_> = (0..CLIENTS).map(|_| client()).collect();
        for client in &clients {
            let name = client.local_addr().expect("address");
            let hash = FlowKey::five_tuple(Protocol::Udp, gate.port(), name).hash(plans::SEED);
            let expected = pool.table.choose(hash).map(|entry| &pool.entries[usize::from(entry)]);
            let endpoint = mirror(client, gate.address()).endpoint;
            assert!(matches!(expected, Some(Entry::Endpoint { address, .. }) if *address == endpoint));
            *counts.entry(endpoint).or_insert(0) += 1;
        }
        // Five points are more than three standard deviations.
        let first = f64::from(counts[&servers[0].address()]) / f64::from(CLIENTS);
        assert!((0.65..=0.75).contains(&first), "{counts:?}");
    }
}

#[test]
fn the_share_of_an_invalid_backend_is_dropped() {
    for driver in DRIVERS {
        let server = Server::reflecting();
        let shares = [server.share(), (Target::Reject(0), 1)];
        let gate = Gate::reserve();
        let bed = bed(config(driver), &gate, &shares, &UdpSettings::default());
        let pool = plans::pool(&shares, &BackendSettings::default());
        let (mut dropped, mut served) = (0, 0);
        for client in (0..30).map(|_| client()).collect::<Vec<_>>() {
            let name = client.local_addr().expect("address");
            let hash = FlowKey::five_tuple(Protocol::Udp, gate.port(), name).hash(plans::SEED);
            let entry = pool.table.choose(hash).expect("entry");
            match pool.entries[usize::from(entry)] {
                Entry::Endpoint { .. } => {
                    mirror(&client, gate.address());
                    served += 1;
                }
                Entry::Reject { .. } => {
                    assert!(!answers(&client, gate.address()));
                    dropped += 1;
                }
            }
        }
        assert!(dropped > 0 && served > 0, "{dropped} dropped, {served} served");
        assert_eq!(bed.plane.figures().flows, served);
    }
}

#[test]
fn a_client_goes_on_after_three_refusals_in_a_row() {
    for driver in DRIVERS {
        let dead = Nobody::at();
        let live = Server::reflecting();
        let shares = [
            (Target::Endpoint(dead.address()), 100_000),
            (Target::Endpoint(live.address()), 1),
        ];
        let gate = Gate::reserve();
        let bed = bed(config(driver), &gate, &shares, &UdpSettings::default());
        let client = client();
        let tries = (1..100).find(|_| answers(&client, gate.address()));
        // On the loopback a refusal is there when the send returns.
        assert_eq!(tries, Some(4));
        // And there the client stays, with one flow.
        let (first, second) = (mirror(&client, gate.address()), mirror(&client, gate.address()));
        assert_eq!((first.endpoint, &first), (live.address(), &second));
        assert_eq!(bed.plane.figures().flows, 1);
    }
}

#[test]
fn a_flow_without_another_endpoint_stays_where_it_is() {
    for driver in DRIVERS {
        let dead = Nobody::at();
        let gate = Gate::reserve();
        let shares = [plans::endpoint(dead.address())];
        let bed = bed(config(driver), &gate, &shares, &UdpSettings::default());
        let client = client();
        for _ in 0..10 {
            assert!(!answers(&client, gate.address()));
        }
        assert_eq!(bed.plane.figures().flows, 1);
    }
}

#[test]
fn a_one_way_flow_is_not_moved_by_refusals() {
    for driver in DRIVERS {
        let dead = Nobody::at();
        let live = Server::reflecting();
        let shares = [
            (Target::Endpoint(dead.address()), 100_000),
            (Target::Endpoint(live.address()), 1),
        ];
        let settings = UdpSettings {
            one_way: true,
            ..UdpSettings::default()
        };
        let gate = Gate::reserve();
        let _bed = bed(config(driver), &gate, &shares, &settings);
        let client = client();
        for _ in 0..12 {
            assert!(!answers(&client, gate.address()));
        }
    }
}

#[test]
fn a_reply_between_refusals_starts_the_count_anew() {
    for driver in DRIVERS {
        // Answers every second datagram, and refuses the others: it is closed while they come.
        let flaky = Nobody::at();
        let address = flaky.address();
        let other = Server::reflecting();
        let shares = [
            (Target::Endpoint(address), 100_000),
            (Target::Endpoint(other.address()), 1),
        ];
        let gate = Gate::reserve();
        let bed = bed(config(driver), &gate, &shares, &UdpSettings::default());
        let client = client();
        drop(flaky);
        for _ in 0..5 {
            for _ in 0..2 {
                assert!(!answers(&client, gate.address()));
            }
            let server = std::net::UdpSocket::bind(address).expect("the port is ours");
            client.send_to(b"?", gate.address()).expect("send");
            let mut question = [0; 9];
            let (length, from) = server.recv_from(&mut question).expect("question");
            server.send_to(&question[..length], from).expect("answer");
            assert_eq!(client.recv(&mut [0; 9]).expect("an answer in time"), 1);
        }
        assert_eq!(bed.plane.figures().flows, 1);
    }
}
