//! What a data plane needs, compiled from the replicated state.

use std::net::SocketAddr;
use std::sync::Arc;

use guideway_maglev::{Seed, Table};

use crate::meta::Uid;
use crate::node::SocketKey;
use crate::state::State;

/// Everything a data plane needs. Immutable; unchanged tables are shared with the plan before it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Rises with every plan that differs: the state's revision it was compiled from.
    pub generation: u64,
    /// Key of the flow hash.
    pub seed: Seed,
    /// One per socket group, ordered by socket.
    pub listeners: Vec<Listener>,
}

/// One socket group and what to do with its sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The group of sockets.
    pub socket: SocketKey,
    /// Who asked for it: metric labels, access log, `Programmed` condition.
    pub name: ListenerName,
    /// The route that carries traffic; `None` closes each session with `no_route`.
    pub route: Option<Route>,
}

/// Which listener of which Gateway.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListenerName {
    /// Namespace of the Gateway.
    pub namespace: String,
    /// Name of the Gateway.
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

/// Identity of a pool, stable across edits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolId {
    /// uid of the route.
    pub route: Uid,
    /// Index of the rule.
    pub rule: u16,
}

/// The weighted endpoints behind one route rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Identity.
    pub id: PoolId,
    /// Chooses among `entries`.
    pub table: Arc<Table>,
    /// One for each of `table.targets()`, same order.
    pub entries: Vec<Entry>,
}

/// What a row of the table stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entry {
    /// An address:port that serves.
    Endpoint {
        /// Its address.
        address: SocketAddr,
        /// The object it comes from, such as `Service/default/postgres`.
        origin: String,
    },
    /// The share of an invalid backendRef: the session is refused.
    Reject {
        /// Which ref and why, for logs.
        origin: String,
    },
}

/// Compiles the plan of `state`. Tables whose inputs are the same as in `previous` are taken over from it, so a change
/// costs the tables it touches; the result does not otherwise depend on `previous`.
pub fn compile(_state: &State, _previous: Option<&Plan>) -> Plan {
    Plan {
        generation: 0,
        seed: Seed([0; 16]),
        listeners: Vec::new(),
    }
}
