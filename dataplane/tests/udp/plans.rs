//! Plans that come and go under live flows.

use std::time::Duration;

use guideway_model::plan::{ClientSettings, UdpSettings};

use crate::bed::datagrams::{Gate, Mirror, Server, answers, bed, client, listener, mirror};
use crate::bed::{DRIVERS, config, plans};

#[test]
fn flows_stay_while_their_endpoint_is_in_the_pool() {
    for driver in DRIVERS {
        let servers: Vec<Server> = (0..6).map(|_| Server::reflecting()).collect();
        let gate = Gate::reserve();
        let bed = bed(config(driver), &gate, &[servers[0].share()], &UdpSettings::default());
        let clients: Vec<_> = (0..100).map(|_| client()).collect();
        let look = || -> Vec<Mirror> { clients.iter().map(|client| mirror(client, gate.address())).collect() };
        let before = look();
        for generation in 2..=20 {
            let shares: Vec<plans::Share> = servers[..=usize::try_from(generation % 6).expect("small")]
                .iter()
                .map(Server::share)
                .collect();
            bed.activate(plans::plan(generation, &[plans::listener(gate.key(), Some(&shares))]));
        }
        assert_eq!(before, look());
        assert_eq!(bed.plane.figures().flows, 100);
    }
}

#[test]
fn a_removed_endpoints_flows_go_elsewhere_with_their_next_datagram() {
    for driver in DRIVERS {
        let (stays, goes) = (Server::reflecting(), Server::reflecting());
        let gate = Gate::reserve();
        let shares = [stays.share(), goes.share()];
        let bed = bed(config(driver), &gate, &shares, &UdpSettings::default());
        let clients: Vec<_> = (0..50).map(|_| client()).collect();
        let before: Vec<Mirror> = clients.iter().map(|client| mirror(client, gate.address())).collect();
        assert!(before.iter().any(|flow| flow.endpoint == goes.address()));
        bed.activate(plans::plan(2, &[plans::listener(gate.key(), Some(&shares[..1]))]));
        for (client, before) in clients.iter().zip(before) {
            let after = mirror(client, gate.address());
            assert_eq!(after.endpoint, stays.address());
            assert_eq!(after == before, before.endpoint == stays.address());
        }
        assert_eq!(bed.plane.figures().flows, 50);
    }
}

#[test]
fn an_endpoint_that_comes_back_in_time_keeps_its_flows() {
    for driver in DRIVERS {
        let (one, other) = (Server::reflecting(), Server::reflecting());
        let gate = Gate::reserve();
        let bed = bed(config(driver), &gate, &[one.share()], &UdpSettings::default());
        let client = client();
        let before = mirror(&client, gate.address());
        for (generation, server) in [(2, &other), (3, &one)] {
            let listener = plans::listener(gate.key(), Some(&[server.share()]));
            bed.activate(plans::plan(generation, &[listener]));
        }
        assert_eq!(before, mirror(&client, gate.address()));
    }
}

#[test]
fn flows_end_with_their_listener() {
    for driver in DRIVERS {
        let server = Server::reflecting();
        let (gone, stays) = (Gate::reserve(), Gate::reserve());
        let listener = |gate: &Gate| plans::listener(gate.key(), Some(&[server.share()]));
        let bed = bed(config(driver), &gone, &[server.share()], &UdpSettings::default());
        bed.activate(plans::plan(2, &[listener(&gone), listener(&stays)]));
        bed.wait_bound();
        let clients: Vec<_> = (0..600).map(|_| client()).collect();
        for client in &clients {
            mirror(client, gone.address());
        }
        let other = client();
        let before = mirror(&other, stays.address());
        bed.activate(plans::plan(3, &[listener(&stays)]));
        bed.wait_sessions(1);
        assert!(!answers(&clients[0], gone.address()));
        assert_eq!(before, mirror(&other, stays.address()));
        // It may come back at once, and the same clients with it.
        bed.activate(plans::plan(4, &[listener(&gone), listener(&stays)]));
        bed.wait_bound();
        mirror(&clients[0], gone.address());
    }
}

#[test]
fn flows_end_with_their_route() {
    for driver in DRIVERS {
        let server = Server::reflecting();
        let gate = Gate::reserve();
        let bed = bed(config(driver), &gate, &[server.share()], &UdpSettings::default());
        let client = client();
        mirror(&client, gate.address());
        bed.activate(plans::plan(2, &[plans::listener(gate.key(), None)]));
        bed.wait_sessions(0);
        assert!(!answers(&client, gate.address()));
        assert_eq!(bed.plane.figures().flows, 0);
    }
}

#[test]
fn a_shorter_idle_timeout_counts_for_flows_that_live() {
    for driver in DRIVERS {
        let server = Server::reflecting();
        let gate = Gate::reserve();
        let long = UdpSettings {
            idle_timeout: Some(Duration::from_secs(3600)),
            ..UdpSettings::default()
        };
        let bed = bed(config(driver), &gate, &[server.share()], &long);
        mirror(&client(), gate.address());
        let short = UdpSettings {
            idle_timeout: Some(Duration::from_millis(50)),
            ..UdpSettings::default()
        };
        let listener = listener(gate.key(), Some(&[server.share()]), &ClientSettings::default(), &short);
        bed.activate(plans::plan(2, &[listener]));
        bed.wait_sessions(0);
    }
}
