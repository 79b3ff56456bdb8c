//! Plans built by hand.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use guideway_maglev::{Seed, Table, TableSize, Target, Weighted};
use guideway_model::Plan;
use guideway_model::meta::Uid;
use guideway_model::node::{BindAddress, Protocol, SocketKey};
use guideway_model::pin::PoolNumber;
use guideway_model::plan::{
    Affinity, BackendSettings, ClientSettings, Entry, Listener, ListenerName, ListenerService, OpaqueListener, Phase,
    Pool, PoolId, Route, Standing, Upstream,
};

/// A target and its weight.
pub(crate) type Share = (Target, u64);

pub(crate) const SEED: Seed = Seed([42; 16]);

pub(crate) fn endpoint(address: SocketAddr) -> Share {
    (Target::Endpoint(address), 1)
}

pub(crate) fn exactly(address: SocketAddr) -> SocketKey {
    SocketKey {
        protocol: Protocol::Tcp,
        address: BindAddress::Exactly(address.ip()),
        port: address.port(),
    }
}

pub(crate) fn node_default(port: u16) -> SocketKey {
    SocketKey {
        protocol: Protocol::Tcp,
        address: BindAddress::NodeDefault,
        port,
    }
}

pub(crate) fn pool(shares: &[Share], settings: &BackendSettings) -> Arc<Pool> {
    let upstream = Arc::new(Upstream {
        settings: settings.clone(),
        ..Upstream::default()
    });
    let weighted: Vec<Weighted> = shares
        .iter()
        .map(|(target, weight)| Weighted {
            target: *target,
            weight: *weight,
        })
        .collect();
    let table = Table::build(TableSize::DEFAULT, SEED, &weighted).expect("table");
    let entries = table
        .targets()
        .iter()
        .map(|target| match target {
            Target::Endpoint(address) => Entry::Endpoint {
                address: *address,
                origin: String::new(),
                upstream: Arc::clone(&upstream),
                standing: Standing::Ready,
            },
            Target::Reject(_) => Entry::Reject {
                origin: "nothing/here".into(),
            },
        })
        .collect();
    let id = PoolId {
        route: Uid("uid".into()),
        rule: 0,
    };
    Arc::new(Pool::new(id, Arc::new(table), entries))
}

/// A pool on its way from one table to another.
#[derive(Clone, Debug, Default)]
pub(crate) struct Phases<'a> {
    /// The active table.
    pub(crate) active: &'a [Share],
    /// The prepared table, of generation 100.
    pub(crate) prepared: Option<&'a [Share]>,
    /// The table of a node that was lost.
    pub(crate) past: Option<&'a [Share]>,
    /// Endpoints that take less than new sessions.
    pub(crate) standings: &'a [(SocketAddr, Standing)],
    pub(crate) affinity: Affinity,
}

impl Phases<'_> {
    /// The pool, of number 7.
    pub(crate) fn pool(&self) -> Pool {
        let mut pool = Pool::clone(&pool(self.active, &BackendSettings::default()));
        pool.number = PoolNumber(7);
        pool.affinity = self.affinity;
        let known = |pool: &Pool, wanted: SocketAddr| {
            pool.entries.iter().position(|entry| match entry {
                Entry::Endpoint { address, .. } => *address == wanted,
                Entry::Reject { .. } => false,
            })
        };
        let mut more: Vec<SocketAddr> = self.standings.iter().map(|(address, _)| *address).collect();
        for (target, _) in self.prepared.iter().chain(&self.past).copied().flatten() {
            match target {
                Target::Endpoint(address) => more.push(*address),
                Target::Reject(_) => panic!("phases of endpoints"),
            }
        }
        for address in more {
            if known(&pool, address).is_none() {
                pool.entries.push(Entry::Endpoint {
                    address,
                    origin: String::new(),
                    upstream: Arc::default(),
                    standing: Standing::Ready,
                });
            }
        }
        for (address, standing) in self.standings {
            let place = known(&pool, *address).expect("an entry");
            if let Entry::Endpoint { standing: own, .. } = &mut pool.entries[place] {
                *own = *standing;
            }
        }
        let phase = |shares: &[Share]| {
            let table = Arc::clone(&super::plans::pool(shares, &BackendSettings::default()).table);
            let entries = table.targets().iter().map(|target| match target {
                Target::Endpoint(address) => u16::try_from(known(&pool, *address).expect("an entry")).expect("few"),
                Target::Reject(_) => panic!("phases of endpoints"),
            });
            Phase {
                generation: 100,
                entries: entries.collect(),
                table,
            }
        };
        let (prepared, past) = (self.prepared.map(phase), self.past.map(phase));
        pool.prepared = prepared;
        pool.past = past.into_iter().collect();
        pool.indexed()
    }

    /// The same behind a listener.
    pub(crate) fn listener(&self, socket: SocketKey) -> Listener {
        let mut listener = listener(socket, Some(self.active));
        let ListenerService::Opaque(service) = &mut listener.service else {
            panic!("an opaque listener")
        };
        if let Some(route) = &mut service.route {
            route.pool = Arc::new(self.pool());
        }
        listener
    }

    /// A plan with that listener alone.
    pub(crate) fn plan(&self, generation: u64, socket: SocketKey) -> Plan {
        let mut plan = plan(generation, &[self.listener(socket)]);
        plan.prepared = self.prepared.map(|_| 100);
        plan
    }
}

/// A listener named after its port, so that metrics of one test are told apart from those of another.
pub(crate) fn listener(socket: SocketKey, shares: Option<&[Share]>) -> Listener {
    listener_with(socket, shares, &ClientSettings::default(), &BackendSettings::default())
}

/// The same with policies.
pub(crate) fn listener_with(
    socket: SocketKey,
    shares: Option<&[Share]>,
    client: &ClientSettings,
    backend: &BackendSettings,
) -> Listener {
    Listener {
        socket,
        service: ListenerService::Opaque(OpaqueListener {
            name: ListenerName {
                namespace: "test".into(),
                gateway: "bed".into(),
                listener: format!("port-{}", socket.port),
            },
            settings: Arc::new(client.clone()),
            route: shares.map(|shares| Route {
                namespace: "test".into(),
                name: format!("route-{}", socket.port),
                pool: pool(shares, backend),
            }),
        }),
    }
}

pub(crate) fn plan(generation: u64, listeners: &[Listener]) -> Plan {
    let mut listeners = listeners.to_vec();
    listeners.sort_by_key(|listener| listener.socket);
    Plan::new(generation, SEED, listeners)
}

/// An address of this machine on which nothing listens.
pub(crate) fn nobody() -> SocketAddr {
    // Bound but not listening: connections are refused, and no one else gets the port.
    static HOLDERS: std::sync::Mutex<Vec<super::Port>> = std::sync::Mutex::new(Vec::new());
    let port = super::Port::reserve();
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.number());
    HOLDERS.lock().expect("holders").push(port);
    address
}
