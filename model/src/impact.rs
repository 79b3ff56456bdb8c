//! What a change of plans means: for tables, and for each living session.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::AddAssign;

use guideway_maglev::{Seed, Table, disruption};
use serde::{Deserialize, Serialize};

use crate::node::{Protocol, SocketKey};
use crate::plan::{Entry, KeyKind, ListenerName, ListenerService, Plan, Pool, PoolId, Standing};
use crate::session::SessionRow;

/// What becomes of one living session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// It goes on as it is, with no trace of the change.
    Stays,
    /// It goes on, and a pin says so to the other nodes.
    Pinned,
    /// It goes on at another endpoint.
    Moved,
    /// It ends.
    Closed,
}

/// How many sessions a change has each effect on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EffectCounts {
    /// Those that go on as they are.
    pub stays: u64,
    /// Those that are pinned.
    pub pinned: u64,
    /// Those that go to another endpoint.
    pub moved: u64,
    /// Those that end.
    pub closed: u64,
}

/// What a change means for tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Impact {
    /// Pools whose choice changes, by route.
    pub pools: Vec<PoolImpact>,
    /// `namespace/name` of routes that carry nothing any more.
    pub routes_gone: Vec<String>,
    /// Listeners that are not served any more.
    pub listeners_gone: Vec<ListenerName>,
}

/// What a change means for one pool. Rows stand for shares: of all clients, so many go elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PoolImpact {
    /// `namespace/name` of its route.
    pub route: String,
    /// Rows of the table.
    pub rows: u64,
    /// Rows that have another endpoint, or none, after the change.
    pub moved_rows: u64,
    /// Endpoints that are in no table any more, and keep nothing.
    pub endpoints_gone: Vec<SocketAddr>,
    /// Endpoints that keep what they have from now on.
    pub endpoints_draining: Vec<SocketAddr>,
}

/// Two plans, made ready to look at sessions one by one.
pub struct Comparison<'a> {
    before: &'a Plan,
    after: &'a Plan,
    pools_after: BTreeMap<&'a PoolId, &'a Pool>,
    /// By listener and `namespace/name` of the route: how the sessions came in, and the pool they were chosen in.
    carried: BTreeMap<(&'a ListenerName, String), (SocketKey, &'a Pool)>,
    listeners_after: BTreeSet<&'a ListenerName>,
}

/// What the change from one plan to another means for tables. What is on its way in either of them counts as there.
pub fn impact(before: &Plan, after: &Plan) -> Impact {
    let pools_after: BTreeMap<&PoolId, &Pool> = pools(after).map(|(_, pool)| (&pool.id, pool)).collect();
    let mut impact = Impact::default();
    let mut seen = BTreeSet::new();
    for (route, pool) in pools(before) {
        if !seen.insert(&pool.id) {
            continue;
        }
        match pools_after.get(&pool.id) {
            Some(other) => impact.pools.extend(pool_impact(route, pool, other)),
            None => impact.routes_gone.push(route),
        }
    }
    impact.pools.sort_by(|one, other| one.route.cmp(&other.route));
    impact.routes_gone.sort();
    let (before, after) = (listeners(before), listeners(after));
    impact.listeners_gone = before.difference(&after).map(|name| (*name).clone()).collect();
    impact
}

fn pool_impact(route: String, before: &Pool, after: &Pool) -> Option<PoolImpact> {
    let (old, new) = (&before.table, latest(after));
    let rows = u64::try_from(old.size().rows()).unwrap_or(u64::MAX);
    let moved_rows = match disruption(old, new) {
        Ok(disruption) => u64::try_from(disruption.moved).unwrap_or(rows),
        // Another size moves nearly everything.
        Err(_) => rows,
    };
    let (mut gone, mut draining) = (Vec::new(), Vec::new());
    for (address, standing) in endpoints(before).filter(|(_, standing)| *standing != Standing::Leaving) {
        let now = after.entry(address).and_then(|entry| after.standing(entry));
        match now {
            None | Some(Standing::Leaving) => gone.push(address),
            Some(Standing::Draining) if standing == Standing::Ready => draining.push(address),
            Some(Standing::Draining | Standing::Ready) => {}
        }
    }
    gone.sort();
    draining.sort();
    let something = moved_rows > 0 || !gone.is_empty() || !draining.is_empty();
    something.then_some(PoolImpact {
        route,
        rows,
        moved_rows,
        endpoints_gone: gone,
        endpoints_draining: draining,
    })
}

/// What becomes of one living session to `endpoint` whose client came to a listener on `socket`. `after` is `None` if
/// nothing carries its kind any more.
///
/// | endpoint is now | connection | flow | client-IP affinity |
/// |---|---|---|---|
/// | ready | stays | stays, pinned if a table says otherwise | the same |
/// | draining | stays | the same | stays; the client's next session goes elsewhere |
/// | gone | stays | chosen anew | connections stay, flows are chosen anew |
/// | without its route or listener | stays | closed | connections stay, flows are closed |
pub fn effect(
    before: &Pool,
    after: Option<&Pool>,
    seed: Seed,
    socket: SocketKey,
    client: SocketAddr,
    endpoint: SocketAddr,
) -> Effect {
    let relayed = socket.protocol == Protocol::Tcp;
    let Some(after) = after else {
        // Its own socket holds a connection; a flow is of its listener.
        return if relayed { Effect::Stays } else { Effect::Closed };
    };
    let kind = after.key_kind(socket.protocol);
    let hash = |pool: &Pool| pool.flow_key(socket, client).hash(seed);
    let standing = after.entry(endpoint).and_then(|entry| after.standing(entry));
    match (standing, kind) {
        (Some(Standing::Ready | Standing::Draining), KeyKind::Relayed)
        | (Some(Standing::Draining), KeyKind::Client) => Effect::Stays,
        (Some(Standing::Draining), KeyKind::Flow) | (Some(Standing::Ready), KeyKind::Flow | KeyKind::Client) => {
            let was = before.needs_pin(before.key_kind(socket.protocol), hash(before), endpoint);
            if after.needs_pin(kind, hash(after), endpoint) && !was {
                Effect::Pinned
            } else {
                Effect::Stays
            }
        }
        (Some(Standing::Leaving) | None, _) if relayed => Effect::Stays,
        (Some(Standing::Leaving) | None, _) => match after.by_tables(hash(after)) {
            Ok(_) => Effect::Moved,
            Err(_) => Effect::Closed,
        },
    }
}

impl<'a> Comparison<'a> {
    /// Makes two plans ready.
    pub fn new(before: &'a Plan, after: &'a Plan) -> Comparison<'a> {
        let mut carried = BTreeMap::new();
        for (socket, listener, route) in carriers(before) {
            let name = format!("{}/{}", route.namespace, route.name);
            carried
                .entry((listener, name))
                .or_insert_with(|| (socket, route.pool.as_ref()));
        }
        Comparison {
            before,
            after,
            pools_after: carriers(after)
                .map(|(_, _, route)| (&route.pool.id, route.pool.as_ref()))
                .collect(),
            carried,
            listeners_after: listeners(after),
        }
    }

    /// What becomes of one living session of a node that runs the first plan. One that has no endpoint yet, or that an
    /// older plan chose for a route that is gone already, stays as it is.
    pub fn effect(&self, row: &SessionRow) -> Effect {
        let key = (row.listener.as_ref(), row.route.to_string());
        let Some(((socket, before), endpoint)) = self.carried.get(&key).zip(row.endpoint) else {
            return Effect::Stays;
        };
        let served = self.listeners_after.contains(row.listener.as_ref());
        let after = self.pools_after.get(&before.id).copied().filter(|_| served);
        effect(before, after, self.after.seed, *socket, row.client, endpoint)
    }

    /// How many sessions the change has each effect on.
    pub fn count<'r>(&self, rows: impl IntoIterator<Item = &'r SessionRow>) -> EffectCounts {
        let mut counts = EffectCounts::default();
        for row in rows {
            counts.add(self.effect(row));
        }
        counts
    }

    /// What the change means for tables.
    pub fn impact(&self) -> Impact {
        impact(self.before, self.after)
    }
}

impl EffectCounts {
    /// Counts one session.
    pub fn add(&mut self, effect: Effect) {
        let count = match effect {
            Effect::Stays => &mut self.stays,
            Effect::Pinned => &mut self.pinned,
            Effect::Moved => &mut self.moved,
            Effect::Closed => &mut self.closed,
        };
        *count = count.saturating_add(1);
    }
}

impl AddAssign for EffectCounts {
    fn add_assign(&mut self, other: EffectCounts) {
        self.stays = self.stays.saturating_add(other.stays);
        self.pinned = self.pinned.saturating_add(other.pinned);
        self.moved = self.moved.saturating_add(other.moved);
        self.closed = self.closed.saturating_add(other.closed);
    }
}

/// The table that a pool is on its way to.
fn latest(pool: &Pool) -> &Table {
    pool.prepared.as_ref().map_or(&pool.table, |phase| &phase.table)
}

fn endpoints(pool: &Pool) -> impl Iterator<Item = (SocketAddr, Standing)> {
    pool.entries.iter().filter_map(|entry| match entry {
        Entry::Endpoint { address, standing, .. } => Some((*address, *standing)),
        Entry::Reject { .. } => None,
    })
}

/// Each route of each listener, with where it listens.
fn carriers(plan: &Plan) -> impl Iterator<Item = (SocketKey, &ListenerName, &crate::plan::Route)> {
    plan.listeners.iter().flat_map(|listener| {
        let found: Vec<_> = match &listener.service {
            ListenerService::Opaque(opaque) => opaque.route.iter().map(|route| (&opaque.name, route)).collect(),
            ListenerService::Tls(port) => {
                let listeners = port.listeners.iter();
                let routes = listeners.flat_map(|listener| {
                    let routes = listener.routes.iter();
                    routes.map(|(_, route)| (&listener.name, route))
                });
                routes.collect()
            }
        };
        found.into_iter().map(|(name, route)| (listener.socket, name, route))
    })
}

fn pools(plan: &Plan) -> impl Iterator<Item = (String, &Pool)> {
    carriers(plan).map(|(_, _, route)| (format!("{}/{}", route.namespace, route.name), route.pool.as_ref()))
}

fn listeners(plan: &Plan) -> BTreeSet<&ListenerName> {
    let names = plan.listeners.iter().flat_map(|listener| match &listener.service {
        ListenerService::Opaque(opaque) => vec![&opaque.name],
        ListenerService::Tls(port) => port.listeners.iter().map(|listener| &listener.name).collect(),
    });
    names.collect()
}

#[cfg(test)]
mod tests;
