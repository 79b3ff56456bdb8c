//! Where new sessions go that are pinned, or whose endpoint is on its way out.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use guideway_model::node::SocketKey;
use guideway_model::pin::{PinKey, Pins};
use guideway_model::plan::{Affinity, AffinityKind, Pool, Replication, Standing};

use crate::bed::datagrams::{Gate, Mirror, Server, client, mirror};
use crate::bed::endpoint::Endpoint;
use crate::bed::plans::{Phases, SEED};
use crate::bed::{Bed, DRIVERS, Port, config, dial, read_exactly};

/// Where the active table sends a client.
pub(crate) fn by_table(pool: &Pool, socket: SocketKey, client: SocketAddr) -> SocketAddr {
    let hash = pool.flow_key(socket, client).hash(SEED);
    let entry = pool.table.choose(hash).expect("an endpoint");
    match &pool.entries[usize::from(entry)] {
        guideway_model::plan::Entry::Endpoint { address, .. } => *address,
        guideway_model::plan::Entry::Reject { .. } => panic!("an endpoint"),
    }
}

pub(crate) fn client_ip(timeout: Duration) -> Affinity {
    Affinity {
        kind: AffinityKind::ClientIp {
            v4_prefix: 32,
            v6_prefix: 64,
            timeout,
        },
        replication: Replication::OnChange,
    }
}

pub(crate) fn key(pool: &Pool, socket: SocketKey, client: SocketAddr) -> PinKey {
    pool.pin_key(pool.flow_key(socket, client))
}

pub(crate) fn name(client: &UdpSocket) -> SocketAddr {
    client.local_addr().expect("address")
}

fn pin(bed: &Bed, pins: impl IntoIterator<Item = (PinKey, SocketAddr)>) {
    bed.plane.set_pins(Arc::new(Pins::from_iter(pins)));
}

#[test]
fn an_unknown_flow_follows_its_pin_and_a_known_one_stays() {
    for driver in DRIVERS {
        let servers = [Server::reflecting(), Server::reflecting()];
        let shares = [servers[0].share(), servers[1].share()];
        let gate = Gate::reserve();
        let bed = Bed::start(config(driver));
        let phases = Phases {
            active: &shares,
            ..Phases::default()
        };
        bed.activate(phases.plan(1, gate.key()));
        bed.wait_bound();
        let pool = phases.pool();
        let clients: Vec<UdpSocket> = (0..40).map(|_| client()).collect();
        let (known, unknown) = clients.split_at(20);
        let before: Vec<Mirror> = known.iter().map(|client| mirror(client, gate.address())).collect();
        let other = |client: &UdpSocket| {
            let chosen = by_table(&pool, gate.key(), name(client));
            let mut all = servers.iter().map(Server::address);
            all.find(|address| *address != chosen).expect("another")
        };
        pin(
            &bed,
            clients
                .iter()
                .map(|client| (key(&pool, gate.key(), name(client)), other(client))),
        );
        for client in unknown {
            assert_eq!(mirror(client, gate.address()).endpoint, other(client));
        }
        for (client, before) in known.iter().zip(before) {
            assert_eq!(mirror(client, gate.address()), before);
        }
        // This node has become a holder of the pins that it has followed.
        let mut needs = bed.plane.pin_needs();
        needs.sort();
        let mut expected: Vec<_> = unknown
            .iter()
            .map(|client| (key(&pool, gate.key(), name(client)), other(client)))
            .collect();
        expected.sort();
        assert_eq!(needs, expected);
    }
}

#[test]
fn a_draining_endpoint_keeps_its_flows_takes_pinned_ones_and_nothing_else() {
    for driver in DRIVERS {
        let (stays, drains) = (Server::reflecting(), Server::reflecting());
        let both = [stays.share(), drains.share()];
        let gate = Gate::reserve();
        let bed = Bed::start(config(driver));
        let before = Phases {
            active: &both,
            ..Phases::default()
        };
        bed.activate(before.plan(1, gate.key()));
        bed.wait_bound();
        let old: Vec<UdpSocket> = (0..30).map(|_| client()).collect();
        let seen: Vec<Mirror> = old.iter().map(|client| mirror(client, gate.address())).collect();
        assert!(seen.iter().any(|flow| flow.endpoint == drains.address()));
        let standings = [(drains.address(), Standing::Draining)];
        let draining = Phases {
            active: &both,
            prepared: Some(&both[..1]),
            standings: &standings,
            ..Phases::default()
        };
        bed.prepare(draining.plan(2, gate.key()));
        let pool = draining.pool();
        let pinned = client();
        pin(&bed, [(key(&pool, gate.key(), name(&pinned)), drains.address())]);
        assert_eq!(mirror(&pinned, gate.address()).endpoint, drains.address());
        for client in (0..30).map(|_| client()) {
            assert_eq!(mirror(&client, gate.address()).endpoint, stays.address());
        }
        let after = Phases {
            active: &both[..1],
            standings: &standings,
            ..Phases::default()
        };
        bed.activate(after.plan(3, gate.key()));
        for (client, seen) in old.iter().zip(seen) {
            assert_eq!(mirror(client, gate.address()), seen);
        }
        assert_eq!(mirror(&pinned, gate.address()).endpoint, drains.address());
    }
}

#[test]
fn a_leaving_endpoint_gets_nothing_new_and_its_flows_are_chosen_anew() {
    for driver in DRIVERS {
        let (stays, leaves) = (Server::reflecting(), Server::reflecting());
        let both = [stays.share(), leaves.share()];
        let gate = Gate::reserve();
        let bed = Bed::start(config(driver));
        let before = Phases {
            active: &both,
            ..Phases::default()
        };
        bed.activate(before.plan(1, gate.key()));
        bed.wait_bound();
        let old: Vec<UdpSocket> = (0..30).map(|_| client()).collect();
        let seen: Vec<Mirror> = old.iter().map(|client| mirror(client, gate.address())).collect();
        let leaving = Phases {
            active: &both,
            prepared: Some(&both[..1]),
            standings: &[(leaves.address(), Standing::Leaving)],
            ..Phases::default()
        };
        bed.activate(leaving.plan(2, gate.key()));
        let pool = leaving.pool();
        let pinned = client();
        pin(&bed, [(key(&pool, gate.key(), name(&pinned)), leaves.address())]);
        assert_eq!(mirror(&pinned, gate.address()).endpoint, stays.address());
        for client in (0..30).map(|_| client()) {
            assert_eq!(mirror(&client, gate.address()).endpoint, stays.address());
        }
        for (client, seen) in old.iter().zip(seen) {
            let now = mirror(client, gate.address());
            assert_eq!(now.endpoint, stays.address());
            assert_eq!(now == seen, seen.endpoint == stays.address());
        }
        assert_eq!(bed.plane.pin_needs(), []);
    }
}

#[test]
fn after_a_loss_unknown_flows_go_where_the_lost_nodes_table_says() {
    for driver in DRIVERS {
        let servers = [Server::reflecting(), Server::reflecting(), Server::reflecting()];
        let shares = servers.each_ref().map(Server::share);
        let gate = Gate::reserve();
        let bed = Bed::start(config(driver));
        let phases = Phases {
            active: &shares,
            past: Some(&shares[..2]),
            ..Phases::default()
        };
        bed.activate(phases.plan(1, gate.key()));
        bed.wait_bound();
        let lost = Phases {
            active: &shares[..2],
            ..Phases::default()
        };
        let (now, lost) = (phases.pool(), lost.pool());
        let mut moved = 0;
        for client in (0..60).map(|_| client()).collect::<Vec<_>>() {
            let expected = by_table(&lost, gate.key(), name(&client));
            assert_eq!(mirror(&client, gate.address()).endpoint, expected);
            moved += usize::from(by_table(&now, gate.key(), name(&client)) != expected);
        }
        assert!(moved > 0);
        assert_eq!(bed.plane.pin_needs().len(), moved);
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
