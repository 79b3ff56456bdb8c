//! Where new sessions go that are pinned, or whose endpoint is on its way out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use guideway_model::pin::{PinKey, Pins};
use guideway_model::plan::Standing;

use crate::bed::datagrams::client;
use crate::bed::endpoint::Endpoint;
use crate::bed::plans::Phases;
use crate::bed::{Bed, DRIVERS, Port, config, dial, read_exactly};
use crate::scene::{Scene, by_table, client_ip, key};

fn pin(bed: &Bed, pins: impl IntoIterator<Item = (PinKey, SocketAddr)>) {
    bed.plane.set_pins(Arc::new(Pins::from_iter(pins)));
}

#[test]
fn an_unknown_flow_follows_its_pin_and_a_known_one_stays() {
    for driver in DRIVERS {
        let scene = Scene::new(config(driver), 2);
        let phases = scene.first(2);
        scene.begin(&phases);
        let (known, met) = scene.open(20);
        let unknown: Vec<_> = (0..20).map(|_| client()).collect();
        let pool = phases.pool();
        let pinned = |client| (scene.key(&pool, client), scene.other(scene.by_table(&pool, client)));
        pin(&scene.bed, known.iter().chain(&unknown).map(pinned));
        for client in &unknown {
            assert_eq!(scene.meet(client).endpoint, pinned(client).1);
        }
        scene.assert_stay(&known, &met);
        // This node has become a holder of the pins that it has followed.
        let mut needs = scene.bed.plane.pin_needs();
        needs.sort();
        let mut expected: Vec<_> = unknown.iter().map(pinned).collect();
        expected.sort();
        assert_eq!(needs, expected);
    }
}

#[test]
fn a_draining_endpoint_keeps_its_flows_takes_pinned_ones_and_nothing_else() {
    for driver in DRIVERS {
        let scene = Scene::new(config(driver), 2);
        let (stays, drains) = (scene.server(0), scene.server(1));
        scene.begin(&scene.first(2));
        let (old, met) = scene.open(30);
        assert!(met.iter().any(|flow| flow.endpoint == drains));
        let standings = [(drains, Standing::Draining)];
        let draining = Phases {
            prepared: Some(&scene.shares[..1]),
            standings: &standings,
            ..scene.first(2)
        };
        scene.prepare(&draining, 2);
        let pinned = client();
        pin(&scene.bed, [(scene.key(&draining.pool(), &pinned), drains)]);
        assert_eq!(scene.meet(&pinned).endpoint, drains);
        let (_others, elsewhere) = scene.open(30);
        assert!(elsewhere.iter().all(|flow| flow.endpoint == stays));
        let after = Phases {
            standings: &standings,
            ..scene.first(1)
        };
        scene.activate(&after, 3);
        scene.assert_stay(&old, &met);
        assert_eq!(scene.meet(&pinned).endpoint, drains);
    }
}

#[test]
fn a_leaving_endpoint_gets_nothing_new_and_its_flows_are_chosen_anew() {
    for driver in DRIVERS {
        let scene = Scene::new(config(driver), 2);
        let (stays, leaves) = (scene.server(0), scene.server(1));
        scene.begin(&scene.first(2));
        let (old, met) = scene.open(30);
        let leaving = Phases {
            prepared: Some(&scene.shares[..1]),
            standings: &[(leaves, Standing::Leaving)],
            ..scene.first(2)
        };
        scene.activate(&leaving, 2);
        let pinned = client();
        pin(&scene.bed, [(scene.key(&leaving.pool(), &pinned), leaves)]);
        assert_eq!(scene.meet(&pinned).endpoint, stays);
        let (_others, elsewhere) = scene.open(30);
        assert!(elsewhere.iter().all(|flow| flow.endpoint == stays));
        for (client, met) in old.iter().zip(met) {
            let now = scene.meet(client);
            assert_eq!(now.endpoint, stays);
            assert_eq!(now == met, met.endpoint == stays);
        }
        assert_eq!(scene.bed.plane.pin_needs(), []);
    }
}

#[test]
fn after_a_loss_unknown_flows_go_where_the_lost_nodes_table_says() {
    for driver in DRIVERS {
        let scene = Scene::new(config(driver), 3);
        let phases = Phases {
            past: Some(&scene.shares[..2]),
            ..scene.first(3)
        };
        scene.begin(&phases);
        let (now, lost) = (phases.pool(), scene.first(2).pool());
        let (clients, met) = scene.open(60);
        let mut moved = 0;
        for (client, met) in clients.iter().zip(met) {
            let expected = scene.by_table(&lost, client);
            assert_eq!(met.endpoint, expected);
            moved += usize::from(scene.by_table(&now, client) != expected);
        }
        assert!(moved > 0);
        assert_eq!(scene.bed.plane.pin_needs().len(), moved);
    }
}

/// Two endpoints, which say 1 and 2, and what they say.
struct Words([Endpoint; 2]);

impl Words {
    fn new() -> Words {
        Words([Endpoint::named("1"), Endpoint::named("2")])
    }

    fn word(&self, address: SocketAddr) -> &[u8] {
        if self.0[0].address() == address { b"1" } else { b"2" }
    }

    fn other(&self, address: SocketAddr) -> SocketAddr {
        let mut all = self.0.iter().map(Endpoint::address);
        all.find(|other| *other != address).expect("another")
    }
}

/// Its own sockets hold such a session, and nothing brings it back elsewhere.
#[test]
fn tcp_under_five_tuple_affinity_follows_no_pin() {
    for driver in DRIVERS {
        let words = Words::new();
        let shares = words.0.each_ref().map(Endpoint::share);
        let (bed, port) = (Bed::start(config(driver)), Port::reserve());
        let socket = port.loopback_key();
        let phases = Phases {
            active: &shares,
            ..Phases::default()
        };
        bed.activate(phases.plan(1, socket));
        bed.wait_bound();
        let pool = phases.pool();
        let clients = (1..=u16::MAX).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let wrong = clients.map(|client| (key(&pool, socket, client), words.other(by_table(&pool, socket, client))));
        pin(&bed, wrong);
        for stream in (0..20).map(|_| dial(port.address())) {
            let chosen = by_table(&pool, socket, stream.local_addr().expect("address"));
            assert_eq!(read_exactly(&stream, 1), words.word(chosen));
        }
    }
}

#[test]
fn a_new_client_under_client_ip_affinity_follows_its_pin_unless_the_endpoint_is_drained() {
    for driver in DRIVERS {
        for standing in [Standing::Ready, Standing::Draining, Standing::Leaving] {
            let words = Words::new();
            let shares = words.0.each_ref().map(Endpoint::share);
            let (bed, port) = (Bed::start(config(driver)), Port::reserve());
            let socket = port.loopback_key();
            let ready = Phases {
                active: &shares,
                affinity: client_ip(Duration::from_secs(60)),
                ..Phases::default()
            };
            let client: SocketAddr = ([127, 0, 0, 1], 0).into();
            let chosen = by_table(&ready.pool(), socket, client);
            let pinned = words.other(chosen);
            let standings = [(pinned, standing)];
            let phases = Phases {
                standings: &standings,
                ..ready
            };
            bed.activate(phases.plan(1, socket));
            bed.wait_bound();
            pin(&bed, [(key(&phases.pool(), socket, client), pinned)]);
            let expected = if standing == Standing::Ready { pinned } else { chosen };
            for _ in 0..10 {
                assert_eq!(read_exactly(&dial(port.address()), 1), words.word(expected));
            }
        }
    }
}
