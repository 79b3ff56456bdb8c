//! Plans built by hand.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use guideway_maglev::{Seed, Table, TableSize, Target, Weighted};
use guideway_model::Plan;
use guideway_model::meta::Uid;
use guideway_model::node::{BindAddress, Protocol, SocketKey};
use guideway_model::plan::{
    BackendSettings, ClientSettings, Entry, Listener, ListenerName, ListenerService, OpaqueListener, Pool, PoolId,
    Route, Upstream,
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
            },
            Target::Reject(_) => Entry::Reject {
                origin: "nothing/here".into(),
            },
        })
        .collect();
    Arc::new(Pool {
        id: PoolId {
            route: Uid("uid".into()),
            rule: 0,
        },
        table: Arc::new(table),
        entries,
    })
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
