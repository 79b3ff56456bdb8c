//! How many flows there may be, and what happens to those beyond.

use std::time::Duration;

use guideway_dataplane::Config;
use guideway_model::plan::{ClientSettings, UdpSettings};

use crate::bed::datagrams::{Gate, Server, answers, bed, client, client_on, listener, mirror};
use crate::bed::{Bed, DRIVERS, config, plans};

/// Lives until it is told otherwise.
fn limited(config: Config, gate: &Gate, server: &Server, settings: &ClientSettings) -> Bed {
    let bed = Bed::start(config);
    let udp = UdpSettings {
        idle_timeout: Some(Duration::from_secs(3600)),
        ..UdpSettings::default()
    };
    let listener = listener(gate.key(), Some(&[server.share()]), settings, &udp);
    bed.activate(plans::plan(1, &[listener]));
    bed.wait_bound();
    bed
}

#[test]
fn beyond_a_listeners_limit_new_flows_are_shed_and_old_ones_live() {
    for driver in DRIVERS {
        let server = Server::reflecting();
        let gate = Gate::reserve();
        let settings = ClientSettings {
            max_flows: Some(5),
            ..ClientSettings::default()
        };
        let bed = limited(config(driver), &gate, &server, &settings);
        // Over both threads together.
        let served: Vec<_> = (0..5).map(|_| client()).collect();
        let first: Vec<_> = served.iter().map(|client| mirror(client, gate.address())).collect();
        for client in (0..5).map(|_| client()) {
            assert!(!answers(&client, gate.address()));
        }
        let again: Vec<_> = served.iter().map(|client| mirror(client, gate.address())).collect();
        assert_eq!(first, again);
        assert_eq!(bed.plane.figures().flows, 5);
        // A higher limit counts at once.
        let udp = UdpSettings::default();
        let wider = listener(gate.key(), Some(&[server.share()]), &ClientSettings::default(), &udp);
        bed.activate(plans::plan(2, &[wider]));
        mirror(&client(), gate.address());
    }
}

#[test]
fn beyond_a_clients_limit_other_clients_are_still_served() {
    for driver in DRIVERS {
        let server = Server::reflecting();
        let gate = Gate::reserve();
        let mut config = config(driver);
        config.udp_max_flows_per_client = 3;
        let bed = limited(config, &gate, &server, &ClientSettings::default());
        let first: Vec<_> = (0..3).map(|_| client()).collect();
        for client in &first {
            mirror(client, gate.address());
        }
        assert!(!answers(&client(), gate.address()));
        let other = client_on([127, 0, 0, 9].into());
        mirror(&other, gate.address());
        for client in &first {
            mirror(client, gate.address());
        }
        assert_eq!(bed.plane.figures().flows, 4);
    }
}

#[test]
fn a_flow_that_ended_makes_room_for_another() {
    for driver in DRIVERS {
        let server = Server::reflecting();
        let gate = Gate::reserve();
        let mut config = config(driver);
        (config.udp_max_flows, config.udp_max_flows_per_client) = (2, 2);
        let settings = UdpSettings {
            expected_replies: Some(1),
            ..UdpSettings::default()
        };
        let bed = bed(config, &gate, &[server.share()], &settings);
        for _ in 0..20 {
            mirror(&client(), gate.address());
            bed.wait_sessions(0);
        }
    }
}

#[test]
fn a_flow_takes_half_of_what_a_session_takes() {
    for driver in DRIVERS {
        let server = Server::reflecting();
        let gate = Gate::reserve();
        let mut config = config(driver);
        config.max_sessions = Some(3);
        let bed = limited(config, &gate, &server, &ClientSettings::default());
        let clients: Vec<_> = (0..6).map(|_| client()).collect();
        for client in &clients {
            mirror(client, gate.address());
        }
        assert!(!answers(&client(), gate.address()));
        assert_eq!(bed.plane.figures().flows, 6);
    }
}
