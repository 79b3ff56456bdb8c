//! The weighted endpoints behind one route rule, and the table that chooses among them.

use std::net::SocketAddr;
use std::sync::Arc;

use guideway_maglev::{BuildError, Seed, Table, TableSize, Target, Weighted, flatten};

use self::share::{Share, shares};
use super::memory::Made;
use super::{BackendSettings, BackendTls};
use crate::meta::Uid;
use crate::resource::AnyRoute;
use crate::state::State;

mod share;

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
        /// What policies set for it; one for all endpoints with the same.
        upstream: Arc<Upstream>,
    },
    /// The share of an invalid backendRef: the session is refused.
    Reject {
        /// Which ref and why, for logs.
        origin: String,
    },
}

/// What policies set for sessions toward an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upstream {
    /// BackendTrafficPolicy.
    pub settings: BackendSettings,
    /// BackendTLSPolicy; looked at for sessions whose TLS ends here, not in Passthrough.
    pub tls: Option<BackendTls>,
}

/// The pool of a route's first rule. The table of the pool that the same route had before is taken over if it would be
/// built from the same weights. `terminates` says whether TLS ends at a listener of the route.
pub(super) fn make(
    state: &State,
    route: &AnyRoute<'_>,
    id: PoolId,
    size: TableSize,
    terminates: bool,
    before: Option<&Made>,
) -> Option<Made> {
    let shares = shares(state, route, terminates);
    let refs: Vec<(u64, Vec<(Target, u64)>)> = shares
        .iter()
        .map(|share| (share.weight, share.targets.clone()))
        .collect();
    let weighted: Arc<[Weighted]> = flatten(&refs).into();
    let table = match before.filter(|before| before.weighted == weighted) {
        Some(before) => Arc::clone(&before.pool.table),
        None => Arc::new(build(size, state.seed(), &weighted)?),
    };
    let entries = table.targets().iter().map(|target| entry(*target, &shares)).collect();
    let pool = Arc::new(Pool { id, table, entries });
    let pool = match before.filter(|before| before.pool == pool) {
        Some(before) => Arc::clone(&before.pool),
        None => pool,
    };
    Some(Made {
        pool,
        weighted,
        terminates,
    })
}

/// The table. Of more targets than it can name it takes the first in canonical order: serving with those that fit
/// beats serving with none.
fn build(size: TableSize, seed: Seed, weighted: &[Weighted]) -> Option<Table> {
    match Table::build(size, seed, weighted) {
        Ok(table) => Some(table),
        Err(BuildError::TooMany { limit, .. }) => {
            let fitting = weighted.get(..limit)?;
            Table::build(size, seed, fitting).ok()
        }
        // Flattening names each target once.
        Err(BuildError::Duplicate(_)) => None,
    }
}

fn entry(target: Target, shares: &[Share]) -> Entry {
    match target {
        Target::Endpoint(address) => {
            let from = shares.iter().find(|share| {
                let mut targets = share.targets.iter();
                share.weight > 0 && targets.any(|(other, _)| *other == target)
            });
            Entry::Endpoint {
                address,
                origin: from.map(|share| share.origin.clone()).unwrap_or_default(),
                upstream: from.map(|share| Arc::clone(&share.upstream)).unwrap_or_default(),
            }
        }
        Target::Reject(index) => Entry::Reject {
            origin: shares
                .get(usize::from(index))
                .map(|share| share.origin.clone())
                .unwrap_or_default(),
        },
    }
}
