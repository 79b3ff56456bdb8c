//! A data plane with one UDP listener before servers that say who they are, for tests of pins.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use guideway_dataplane::Config;
use guideway_model::node::SocketKey;
use guideway_model::pin::PinKey;
use guideway_model::plan::{Affinity, AffinityKind, Entry, Pool, Replication};

use crate::bed::Bed;
use crate::bed::datagrams::{Gate, Mirror, Server, client, mirror};
use crate::bed::plans::{Phases, SEED, Share};

/// The data plane, its listener and its servers.
pub(crate) struct Scene {
    pub(crate) bed: Bed,
    pub(crate) gate: Gate,
    /// Of the servers, in their order.
    pub(crate) shares: Vec<Share>,
    servers: Vec<Server>,
}

impl Scene {
    /// With so many servers, and no plan yet.
    pub(crate) fn new(config: Config, servers: usize) -> Scene {
        let servers: Vec<Server> = (0..servers).map(|_| Server::reflecting()).collect();
        Scene {
            bed: Bed::start(config),
            gate: Gate::reserve(),
            shares: servers.iter().map(Server::share).collect(),
            servers,
        }
    }

    /// A pool whose active table has the first servers.
    pub(crate) fn first(&self, servers: usize) -> Phases<'_> {
        Phases {
            active: &self.shares[..servers],
            ..Phases::default()
        }
    }

    /// The address of a server.
    pub(crate) fn server(&self, number: usize) -> SocketAddr {
        self.servers[number].address()
    }

    /// Another server than this one.
    pub(crate) fn other(&self, than: SocketAddr) -> SocketAddr {
        let mut all = self.servers.iter().map(Server::address);
        all.find(|other| *other != than).expect("another")
    }

    /// Activates the first plan and waits until it listens.
    pub(crate) fn begin(&self, phases: &Phases<'_>) {
        self.activate(phases, 1);
        self.bed.wait_bound();
    }

    pub(crate) fn activate(&self, phases: &Phases<'_>, generation: u64) {
        self.bed.activate(phases.plan(generation, self.gate.key()));
    }

    pub(crate) fn prepare(&self, phases: &Phases<'_>, generation: u64) {
        self.bed.prepare(phases.plan(generation, self.gate.key()));
    }

    /// What a client's flow meets.
    pub(crate) fn meet(&self, client: &UdpSocket) -> Mirror {
        mirror(client, self.gate.address())
    }

    /// New clients, each with a flow, and what the flows met.
    pub(crate) fn open(&self, count: usize) -> (Vec<UdpSocket>, Vec<Mirror>) {
        let clients: Vec<UdpSocket> = (0..count).map(|_| client()).collect();
        let met = clients.iter().map(|client| self.meet(client)).collect();
        (clients, met)
    }

    /// Each flow meets what it has met before.
    pub(crate) fn assert_stay(&self, clients: &[UdpSocket], met: &[Mirror]) {
        for (client, met) in clients.iter().zip(met) {
            assert_eq!(self.meet(client), *met);
        }
    }

    /// Where the active table of a pool sends a client.
    pub(crate) fn by_table(&self, pool: &Pool, client: &UdpSocket) -> SocketAddr {
        by_table(pool, self.gate.key(), name(client))
    }

    /// What a pin of a client's flow is known by.
    pub(crate) fn key(&self, pool: &Pool, client: &UdpSocket) -> PinKey {
        key(pool, self.gate.key(), name(client))
    }
}

/// Where the active table sends a client.
pub(crate) fn by_table(pool: &Pool, socket: SocketKey, client: SocketAddr) -> SocketAddr {
    let hash = pool.flow_key(socket, client).hash(SEED);
    let entry = pool.table.choose(hash).expect("an endpoint");
    match &pool.entries[usize::from(entry)] {
        Entry::Endpoint { address, .. } => *address,
        Entry::Reject { .. } => panic!("an endpoint"),
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

/// The keys of all that needs a pin.
pub(crate) fn needs(bed: &Bed) -> BTreeSet<PinKey> {
    bed.plane.pin_needs().into_iter().map(|(key, _)| key).collect()
}
