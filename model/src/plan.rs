//! What a data plane needs, compiled from the replicated state.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use guideway_maglev::{Seed, Table};
use serde::{Deserialize, Serialize};

use crate::node::SocketKey;

mod choice;
mod compile;
mod draft;
pub(crate) mod memory;
pub(crate) mod pool;
mod settings;
mod tls;
mod workers;

pub use choice::{Affinity, AffinityKind, Choice, KeyKind, NoChoice, Phase, Replication, Why};
pub use compile::{compile, compile_on, compile_opened};
pub(crate) use pool::undrained;
pub use pool::{Entry, Pool, PoolId, Standing, Upstream};
pub use settings::{BackendSettings, ClientSettings, Keepalive, UdpSettings};
pub use tls::{BackendTls, Certificate, HostPattern, Roots, Specificity, TlsHandling, TlsListener, TlsPort, Unmatched};

use memory::Memory;

/// Everything a data plane needs. Immutable; unchanged tables are shared with the plan before it.
#[derive(Clone)]
pub struct Plan {
    /// Generation of the tables that are active.
    pub generation: u64,
    /// Generation of the tables that are prepared, if any are.
    pub prepared: Option<u64>,
    /// Key of the flow hash.
    pub seed: Seed,
    /// One per socket group, ordered by socket.
    pub listeners: Vec<Listener>,
    /// What the next compilation takes over; no part of what the plan means.
    memory: Option<Memory>,
}

/// One socket group and what to do with its sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The group of sockets.
    pub socket: SocketKey,
    /// Where its sessions go.
    pub service: ListenerService,
}

/// Where the sessions of a socket group go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenerService {
    /// Protocols TCP and UDP: one listener has the port, one route carries all of it.
    Opaque(OpaqueListener),
    /// Protocol TLS: listeners and routes are told apart by the name in the ClientHello.
    Tls(Arc<TlsPort>),
}

/// A listener whose sessions are carried without a look inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpaqueListener {
    /// Who asked for it: metric labels, access log, `Programmed` condition.
    pub name: ListenerName,
    /// What a ClientTrafficPolicy sets.
    pub settings: Arc<ClientSettings>,
    /// The route that carries traffic; `None` closes each session with `no_route`, and drops datagrams.
    pub route: Option<Route>,
}

/// Which listener of which Gateway or ListenerSet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ListenerName {
    /// Namespace of the Gateway or ListenerSet.
    pub namespace: String,
    /// Name of the Gateway or ListenerSet, the latter with `ListenerSet:` before it.
    pub gateway: String,
    /// Name of the listener in it.
    pub listener: String,
}

/// The route that carries a listener's traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Namespace of the route.
    pub namespace: String,
    /// Name of the route.
    pub name: String,
    /// Its endpoints.
    pub pool: Arc<Pool>,
}

impl Plan {
    /// A plan that was not compiled from a state. `listeners` must be ordered by socket.
    pub fn new(generation: u64, seed: Seed, listeners: Vec<Listener>) -> Plan {
        Plan {
            generation,
            prepared: None,
            seed,
            listeners,
            memory: None,
        }
    }

    /// How many tables this plan has that `previous` has not: those that were built for it.
    pub fn tables_built(&self, previous: Option<&Plan>) -> usize {
        let before = previous.map(Plan::tables).unwrap_or_default();
        self.tables().difference(&before).count()
    }

    /// The plan with nothing of what lost nodes had: every unknown key is chosen by the active tables.
    pub fn without_past(mut self) -> Plan {
        for listener in &mut self.listeners {
            match &mut listener.service {
                ListenerService::Opaque(listener) => listener.route.iter_mut().for_each(Route::forget_past),
                ListenerService::Tls(port) => {
                    let listeners = Arc::make_mut(port).listeners.iter_mut();
                    let routes = listeners.flat_map(|listener| &mut listener.routes);
                    routes.for_each(|(_, route)| route.forget_past());
                }
            }
        }
        self
    }

    /// The distinct tables, by address.
    fn tables(&self) -> BTreeSet<*const Table> {
        let routes = self.listeners.iter().flat_map(|listener| listener.service.routes());
        let tables = routes.flat_map(|route| route.pool.tables());
        tables.map(Arc::as_ptr).collect()
    }
}

impl Route {
    fn forget_past(&mut self) {
        if !self.pool.past.is_empty() {
            Arc::make_mut(&mut self.pool).past.clear();
        }
    }
}

impl ListenerService {
    /// Every route that carries something here.
    pub fn routes(&self) -> Vec<&Route> {
        match self {
            ListenerService::Opaque(listener) => listener.route.iter().collect(),
            ListenerService::Tls(port) => {
                let routes = port.listeners.iter().flat_map(|listener| &listener.routes);
                routes.map(|(_, route)| route).collect()
            }
        }
    }
}

/// Plans are equal when they say the same; what they remember does not count.
impl PartialEq for Plan {
    fn eq(&self, other: &Plan) -> bool {
        (self.generation, self.prepared) == (other.generation, other.prepared)
            && self.seed == other.seed
            && self.listeners == other.listeners
    }
}

impl Eq for Plan {}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("generation", &self.generation)
            .field("prepared", &self.prepared)
            .field("listeners", &self.listeners)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
