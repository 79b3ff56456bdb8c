//! Which pins are needed while tables change, and when everything has been looked at for that.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use guideway_model::node::SocketKey;
use guideway_model::pin::PinKey;

use crate::bed::datagrams::{client_on, mirror};
use crate::bed::endpoint::Endpoint;
use crate::bed::plans::Phases;
use crate::bed::{Bed, DRIVERS, Port, config, dial, eventually, read_exactly};
use crate::scene::{Scene, by_table, client_ip, key, name, needs};

/// Those of the clients that two active tables would send to different endpoints.
fn moving(scene: &Scene, clients: &[UdpSocket], one: &Phases<'_>, other: &Phases<'_>) -> BTreeSet<PinKey> {
    let (one, other) = (one.pool(), other.pool());
    let socket = scene.gate.key();
    let differs = |client: &SocketAddr| by_table(&one, socket, *client) != by_table(&other, socket, *client);
    let clients = clients.iter().map(name).filter(differs);
    clients.map(|client| key(&one, socket, client)).collect()
}

#[test]
fn needs_are_the_flows_that_two_tables_disagree_on() {
    for driver in DRIVERS {
        let scene = Scene::new(config(driver), 3);
        let (bed, old, new) = (&scene.bed, scene.first(2), scene.first(3));
        let both = Phases {
            prepared: Some(&scene.shares),
            ..old.clone()
        };
        scene.begin(&old);
        assert_eq!(bed.plane.walked(), None);
        let (mut clients, mut met) = scene.open(200);
        assert_eq!((needs(bed), bed.times_pins_needed()), (BTreeSet::new(), 0));
        scene.prepare(&both, 2);
        let expected = moving(&scene, &clients, &old, &new);
        assert!((30..110).contains(&expected.len()));
        assert_eq!(needs(bed), expected);
        bed.wait_pins_needed(0);
        let mut told = Vec::new();
        while told.len() < expected.len() {
            told.extend(bed.plane.pin_changes(20));
        }
        assert!(
            told.iter()
                .all(|(key, endpoint)| expected.contains(key) && endpoint.is_some())
        );
        assert_eq!(bed.plane.pin_changes(20), []);
        // A flow that begins between the two is needed as it is made.
        let more = scene.open(100);
        clients.extend(more.0);
        met.extend(more.1);
        let expected = moving(&scene, &clients, &old, &new);
        assert_eq!(needs(bed), expected);
        bed.wait_pins_needed(1);
        // The new table is active: the same flows differ from it, and all stay where they are.
        scene.activate(&new, 3);
        assert_eq!(bed.plane.walked(), None);
        scene.assert_stay(&clients, &met);
        assert_eq!(needs(bed), expected);
        // And with the old one back, none differs.
        scene.activate(&old, 4);
        eventually("needs to end", || {
            let left = needs(bed).len();
            if left == 0 { Ok(()) } else { Err(format!("{left} left")) }
        });
        let changes = bed.plane.pin_changes(1000);
        assert!(changes.iter().all(|(_, endpoint)| endpoint.is_none()) && !changes.is_empty());
    }
}

#[test]
fn a_need_ends_with_its_flow() {
    for driver in DRIVERS {
        let mut config = config(driver);
        config.udp_idle_timeout = Duration::from_secs(2);
        let scene = Scene::new(config, 2);
        let (bed, phases) = (&scene.bed, growing(&scene));
        scene.prepare(&phases, 1);
        bed.wait_bound();
        let (_clients, _) = scene.open(50);
        assert!(!needs(bed).is_empty());
        bed.wait_sessions(0);
        assert_eq!(needs(bed), BTreeSet::new());
        assert!(
            bed.plane
                .pin_changes(100)
                .iter()
                .all(|(_, endpoint)| endpoint.is_none())
        );
    }
}

/// From one server to two.
fn growing(scene: &Scene) -> Phases<'_> {
    Phases {
        prepared: Some(&scene.shares),
        ..scene.first(1)
    }
}

/// A client that dials two addresses of a node has two flows with one key.
#[test]
fn two_flows_with_one_key_are_one_need_that_ends_with_the_second() {
    for driver in DRIVERS {
        let scene = Scene::new(config(driver), 2);
        let (bed, phases) = (&scene.bed, growing(&scene));
        let mut second = scene.gate.key();
        let other: SocketAddr = ([127, 0, 0, 3], scene.gate.port()).into();
        second.address = guideway_model::node::BindAddress::Exactly(other.ip());
        let with = |generation, sockets: &[SocketKey]| {
            let listeners: Vec<_> = sockets.iter().map(|socket| phases.listener(*socket)).collect();
            let mut plan = crate::bed::plans::plan(generation, &listeners);
            plan.prepared = Some(100);
            plan
        };
        bed.prepare(with(1, &[scene.gate.key(), second]));
        bed.wait_bound();
        let (clients, _) = scene.open(20);
        for client in &clients {
            mirror(client, other);
        }
        let needed = needs(bed);
        assert!(!needed.is_empty());
        assert_eq!(bed.plane.figures().flows, 40);
        bed.activate(with(2, &[scene.gate.key()]));
        bed.wait_sessions(20);
        assert_eq!(needs(bed), needed);
        bed.activate(with(3, &[]));
        bed.wait_sessions(0);
        assert_eq!(needs(bed), BTreeSet::new());
    }
}

/// One walk for each plan with a prepared generation, and not before the last flow and the last entry.
#[test]
fn the_walk_is_over_when_everything_was_looked_at() {
    const CLIENTS: usize = 1500;
    for driver in DRIVERS {
        let scene = Scene::new(config(driver), 2);
        scene.begin(&scene.first(1));
        // Several slices of flows on each thread.
        let (clients, _) = scene.open(CLIENTS);
        let expected = moving(&scene, &clients, &scene.first(1), &scene.first(2));
        for generation in 2..8 {
            scene.prepare(&growing(&scene), generation);
            assert_eq!(needs(&scene.bed), expected);
            assert_eq!(scene.bed.walks(100), usize::try_from(generation).expect("few") - 1);
        }
    }
}

#[test]
fn the_entries_of_client_ip_affinity_need_pins_and_its_flows_do_not() {
    for driver in DRIVERS {
        let endpoints = [Endpoint::named("1"), Endpoint::named("2")];
        let shares = endpoints.each_ref().map(Endpoint::share);
        let (bed, port) = (Bed::start(config(driver)), Port::reserve());
        let socket = port.loopback_key();
        let local: SocketAddr = ([127, 0, 0, 1], 0).into();
        let affinity = client_ip(Duration::from_secs(60));
        let whole = Phases {
            active: &shares,
            affinity,
            ..Phases::default()
        };
        // The old table has the other of the two, so this client would move.
        let next = by_table(&whole.pool(), socket, local);
        let old: Vec<_> = endpoints.iter().filter(|endpoint| endpoint.address() != next).collect();
        let shares_before = [old[0].share()];
        let before = Phases {
            active: &shares_before,
            affinity,
            ..Phases::default()
        };
        bed.activate(before.plan(1, socket));
        bed.wait_bound();
        let streams: Vec<_> = (0..5).map(|_| dial(port.address())).collect();
        let words: BTreeSet<Vec<u8>> = streams.iter().map(|stream| read_exactly(stream, 1)).collect();
        assert_eq!((words.len(), needs(&bed).len()), (1, 0));
        let both = Phases {
            prepared: Some(&shares),
            ..before
        };
        bed.prepare(both.plan(2, socket));
        let pool = both.pool();
        let expected = (pool.pin_key(pool.flow_key(socket, local)), old[0].address());
        assert_eq!(bed.plane.pin_needs(), [expected]);
        // Its sessions are over; the entry is remembered, and needed.
        drop(streams);
        bed.wait_sessions(0);
        bed.activate(whole.plan(3, socket));
        assert_eq!(BTreeSet::from([read_exactly(&dial(port.address()), 1)]), words);
        assert_eq!(bed.plane.pin_needs(), [expected]);
    }
}

#[test]
fn nothing_is_needed_in_a_steady_state() {
    const FLOWS: u16 = 10_000;
    for driver in DRIVERS {
        let mut config = config(driver);
        config.max_sessions = Some(usize::from(FLOWS));
        let scene = Scene::new(config, 3);
        scene.begin(&scene.first(3));
        let mut open: Vec<UdpSocket> = Vec::new();
        for number in 0..FLOWS {
            if open.len() == 500 {
                open.clear();
            }
            // A port that is used again on the same address would be the same flow again.
            let [_, block] = (number / 500 + 1).to_be_bytes();
            let client = client_on([127, 0, block, 1].into());
            scene.meet(&client);
            open.push(client);
            if number % 1000 == 0 {
                assert_eq!(scene.bed.plane.pin_changes(10), []);
            }
        }
        let plane = &scene.bed.plane;
        assert_eq!(plane.figures().flows, u64::from(FLOWS));
        assert_eq!((plane.pin_needs(), scene.bed.times_pins_needed()), (Vec::new(), 0));
    }
}
