//! The weighted endpoints behind one route rule, and the table that chooses among them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use guideway_maglev::Table;

use super::{Affinity, BackendSettings, BackendTls, Phase};
use crate::meta::Uid;
use crate::pin::PoolNumber;

mod make;
mod share;
mod wants;

pub(super) use make::Making;
pub(crate) use share::undrained;
pub(crate) use wants::{Wants, ends_tls, wants};

/// Identity of a pool, stable across edits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolId {
    /// uid of the route.
    pub route: Uid,
    /// Index of the rule.
    pub rule: u16,
}

/// The weighted endpoints behind one route rule. See [`Pool::choose`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Identity.
    pub id: PoolId,
    /// What pins call it.
    pub number: PoolNumber,
    /// What clients are kept to.
    pub affinity: Affinity,
    /// The table of the active generation: chooses among the first of `entries`.
    pub table: Arc<Table>,
    /// One for each of `table.targets()`, same order; then what only other tables name, and endpoints that are being
    /// drained or are on their way in.
    pub entries: Vec<Entry>,
    /// The table that is on its way in, if it differs.
    pub prepared: Option<Phase>,
    /// Tables that nodes had which were lost a short while ago, where they differ: the latest loss first.
    pub past: Vec<Phase>,
    /// The place of each endpoint in `entries`.
    pub(super) places: BTreeMap<SocketAddr, u16>,
}

/// What an entry stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entry {
    /// An address:port that serves.
    Endpoint {
        /// Its address.
        address: SocketAddr,
        /// The object it comes from, such as `Service/default/postgres`.
        origin: String,
        /// What policies set for it; one for all endpoints with the same.
        upstream: Arc<Upstream>,
        /// Which sessions it takes.
        standing: Standing,
    },
    /// The share of an invalid backendRef: the session is refused.
    Reject {
        /// Which ref and why, for logs.
        origin: String,
    },
}

/// Which sessions an endpoint takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// New ones.
    #[default]
    Ready,
    /// Those it has, and UDP flows that come over from another node.
    Draining,
    /// None: it was taken out without a drain, and is named until the table without it is active.
    Leaving,
}

/// What policies set for sessions toward an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upstream {
    /// BackendTrafficPolicy.
    pub settings: BackendSettings,
    /// BackendTLSPolicy; looked at for sessions whose TLS ends here, not in Passthrough.
    pub tls: Option<BackendTls>,
}

impl Pool {
    /// A pool with one table, in which every endpoint is ready.
    pub fn new(id: PoolId, table: Arc<Table>, entries: Vec<Entry>) -> Pool {
        let pool = Pool {
            id,
            number: PoolNumber::default(),
            affinity: Affinity::default(),
            table,
            entries,
            prepared: None,
            past: Vec::new(),
            places: BTreeMap::new(),
        };
        pool.indexed()
    }

    /// With the places of its endpoints; to be called when `entries` have changed.
    pub fn indexed(mut self) -> Pool {
        let entries = self.entries.iter().zip(0u16..);
        let endpoints = entries.filter_map(|(entry, place)| match entry {
            Entry::Endpoint { address, .. } => Some((*address, place)),
            Entry::Reject { .. } => None,
        });
        self.places = endpoints.collect();
        self
    }

    /// Its tables: the active one, the prepared one, those of lost nodes.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        let others = self.prepared.iter().chain(&self.past);
        std::iter::once(&self.table).chain(others.map(|phase| &phase.table))
    }
}
