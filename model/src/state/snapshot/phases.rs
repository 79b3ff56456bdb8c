//! Generations, pools and pins in snapshots. What follows from the objects is not in them: which lists wait, which
//! endpoints are being drained, how long pins last.

use std::net::SocketAddr;
use std::sync::Arc;

use guideway_maglev::{Target, Weighted};
use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::Record;
use crate::kind::Kind;
use crate::meta::UnixMillis;
use crate::node::{Incarnation, NodeId};
use crate::object::ObjectKey;
use crate::pin::{Holder, PoolNumber, compact};
use crate::state::State;
use crate::state::generations::{Generations, Preparation, Ready};
use crate::state::graces::Grace;
use crate::state::pools::{Past, PoolRecord, Pools, WeightedList};

/// Holds in one record.
const GROUPED_HOLDS: usize = 4096;

/// How many of each there are.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Counts {
    pools: usize,
    holds: usize,
}

/// Generations, and what there is once of pools and pins.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PhasesRecord {
    active: u64,
    prepared: Option<PreparationRecord>,
    graces: Vec<(u64, Grace)>,
    graces_dropped: u64,
    last_pool: PoolNumber,
    last_serial: u64,
    shed: u64,
    sequences: Vec<(NodeId, u64)>,
    /// Holders whose pins are orphans, and since when.
    lost: Vec<(NodeId, Incarnation, UnixMillis)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PreparationRecord {
    generation: u64,
    since: UnixMillis,
    ready: Vec<(NodeId, Ready)>,
}

/// One pool.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PoolRecordV2 {
    route: ObjectKey,
    number: PoolNumber,
    since: u64,
    active: Vec<(TargetRecord, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prepared: Option<Vec<(TargetRecord, u64)>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    past: Vec<PastRecord>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PastRecord {
    since: u64,
    through: u64,
    weighted: Vec<(TargetRecord, u64)>,
}

#[derive(Serialize, Deserialize)]
enum TargetRecord {
    Endpoint(SocketAddr),
    Reject(u16),
}

/// Some holds of one holder, in compact form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HoldsRecord {
    node: NodeId,
    incarnation: Incarnation,
    holds: String,
}

/// How many there are in `state`; `None` below the level that has them, of which older code reads snapshots.
pub(super) fn counts(state: &State) -> Option<Counts> {
    (state.level >= State::TWO_PHASES).then(|| Counts {
        pools: state.pools.records.len(),
        holds: state.pins.holds(),
    })
}

/// The records of `state`, made as they are taken.
pub(super) fn records(state: &State) -> impl Iterator<Item = Record> + Send + use<> {
    let has_phases = counts(state).is_some();
    let phases = has_phases.then(|| Record::Phases(phases(state)));
    let pools = has_phases.then(|| state.pools.records.clone()).into_iter().flatten();
    let pools = pools.map(|(route, record)| Record::Pool(pool(route, &record)));
    let pins = state.pins.clone();
    let holders: Vec<Holder> = pins.holders().collect();
    let holds = holders.into_iter().flat_map(move |holder| {
        let pins = pins.clone();
        let mut last = None;
        std::iter::from_fn(move || {
            let rows = pins.rows(holder, last, GROUPED_HOLDS);
            last = Some(rows.last()?.0);
            let holds = compact::write_rows(&rows);
            let Holder { node, incarnation } = holder;
            Some(Record::Holds(HoldsRecord {
                node,
                incarnation,
                holds,
            }))
        })
    });
    phases.into_iter().chain(pools).chain(holds)
}

fn phases(state: &State) -> PhasesRecord {
    let Generations {
        active,
        prepared,
        graces,
        dropped,
    } = &state.generations;
    let prepared = prepared.as_ref().map(|prepared| PreparationRecord {
        generation: prepared.generation,
        since: prepared.since,
        ready: prepared.ready.iter().map(|(node, ready)| (*node, *ready)).collect(),
    });
    let lost = state.pins.holders().filter_map(|holder| {
        let lost = state.pins.lost(holder)?;
        Some((holder.node, holder.incarnation, lost))
    });
    PhasesRecord {
        active: *active,
        prepared,
        graces: graces.iter().map(|(generation, grace)| (*generation, *grace)).collect(),
        graces_dropped: *dropped,
        last_pool: state.pools.last,
        last_serial: state.pins.last_serial(),
        shed: state.pins.shed(),
        sequences: state.pins.sequences().collect(),
        lost: lost.collect(),
    }
}

fn pool(route: ObjectKey, record: &PoolRecord) -> PoolRecordV2 {
    let past = record.past.iter().map(|past| PastRecord {
        since: past.since,
        through: past.through,
        weighted: write_list(&past.weighted),
    });
    PoolRecordV2 {
        route,
        number: record.number,
        since: record.since,
        active: write_list(&record.active),
        prepared: record.prepared.as_ref().map(write_list),
        past: past.collect(),
    }
}

fn write_list(list: &WeightedList) -> Vec<(TargetRecord, u64)> {
    let targets = list.iter().map(|weighted| {
        let target = match weighted.target {
            Target::Endpoint(address) => TargetRecord::Endpoint(address),
            Target::Reject(index) => TargetRecord::Reject(index),
        };
        (target, weighted.weight)
    });
    targets.collect()
}

fn read_list(list: Vec<(TargetRecord, u64)>) -> Result<WeightedList, String> {
    let targets = list.into_iter().map(|(target, weight)| {
        let target = match target {
            TargetRecord::Endpoint(address) => Target::Endpoint(address).canonical(),
            TargetRecord::Reject(index) => Target::Reject(index),
        };
        Weighted { target, weight }
    });
    let list: WeightedList = targets.collect();
    if list.is_sorted_by(|one, other| one.target < other.target) {
        Ok(list)
    } else {
        Err("the targets of a pool are out of order".to_owned())
    }
}

/// Puts the records together again.
#[derive(Default)]
pub(super) struct PhasesReader {
    phases: Option<PhasesRecord>,
    pools: Vec<PoolRecordV2>,
    holds: Vec<HoldsRecord>,
}

impl PhasesReader {
    pub(super) fn phases(&mut self, record: PhasesRecord) -> Result<(), String> {
        match self.phases.replace(record) {
            None => Ok(()),
            Some(_) => Err("generations for a second time".to_owned()),
        }
    }

    pub(super) fn pool(&mut self, record: PoolRecordV2) {
        self.pools.push(record);
    }

    pub(super) fn holds(&mut self, record: HoldsRecord) {
        self.holds.push(record);
    }

    /// Completes a state that has everything else, its index too. An older snapshot says nothing of pools: they follow
    /// from the objects.
    pub(super) fn finish(self, state: &mut State, counts: Option<Counts>) -> Result<(), String> {
        let Some(counts) = counts else {
            state.derive_pools();
            return Ok(());
        };
        let phases = self.phases.ok_or("there are no generations")?;
        let routes = [Kind::TcpRoute, Kind::UdpRoute, Kind::TlsRoute];
        let routes: usize = routes
            .into_iter()
            .map(|kind| state.list(kind, None, None).count())
            .sum();
        if (self.pools.len(), routes) != (counts.pools, counts.pools) {
            let found = self.pools.len();
            let announced = counts.pools;
            return Err(format!(
                "the header announces {announced} pools, {found} were found, and {routes} routes"
            ));
        }
        state.pools = Pools {
            last: phases.last_pool,
            ..Pools::default()
        };
        for pool in self.pools {
            read_pool(state, pool)?;
        }
        state.generations = read_generations(state, &phases);
        for record in self.holds {
            read_holds(state, record, phases.last_serial)?;
        }
        if state.pins.holds() != counts.holds {
            let found = state.pins.holds();
            return Err(format!(
                "the header announces {} holds, {found} were found",
                counts.holds
            ));
        }
        state.pins.restore(phases.last_serial, phases.shed, phases.sequences);
        for (node, incarnation, lost) in phases.lost {
            state.pins.orphan(Holder { node, incarnation }, lost);
        }
        Ok(())
    }
}

fn read_pool(state: &mut State, pool: PoolRecordV2) -> Result<(), String> {
    let route = pool.route;
    let wants = state.wants_of(&route);
    let wants = wants.ok_or_else(|| format!("a pool of {route}, which is not in the snapshot"))?;
    let past = pool.past.into_iter().map(|past| {
        Ok(Past {
            since: past.since,
            through: past.through,
            weighted: read_list(past.weighted)?,
        })
    });
    let mut record = PoolRecord {
        number: pool.number,
        since: pool.since,
        active: read_list(pool.active)?,
        prepared: pool.prepared.map(read_list).transpose()?,
        waiting: None,
        past: past.collect::<Result<_, String>>()?,
        draining: wants.draining,
        idle_ms: wants.idle_ms,
    };
    if *record.wanted() != wants.weighted {
        record.waiting = Some(wants.weighted);
        state.pools.waiting.insert(route.clone());
    }
    if !record.past.is_empty() {
        state.pools.past.insert(route.clone());
    }
    if let Some(other) = state.pools.numbers.insert(record.number, route.clone()) {
        return Err(format!("pool {} is that of {route} and of {other}", record.number.0));
    }
    state.pools.records.insert(route, Arc::new(record));
    Ok(())
}

fn read_generations(state: &State, phases: &PhasesRecord) -> Generations {
    let prepared = phases.prepared.as_ref().map(|prepared| {
        let changed = state.pools.records.iter();
        let changed = changed.filter(|(_, record)| record.prepared.is_some());
        Preparation {
            generation: prepared.generation,
            since: prepared.since,
            pools: changed.map(|(route, _)| route.clone()).collect(),
            ready: prepared.ready.iter().copied().collect(),
        }
    });
    Generations {
        active: phases.active,
        prepared,
        graces: phases.graces.iter().copied().collect::<OrdMap<_, _>>(),
        dropped: phases.graces_dropped,
    }
}

fn read_holds(state: &mut State, record: HoldsRecord, last_serial: u64) -> Result<(), String> {
    let HoldsRecord {
        node,
        incarnation,
        holds,
    } = record;
    let holder = Holder { node, incarnation };
    let rows = compact::read_rows(&holds).map_err(|error| error.to_string())?;
    for (key, endpoint, serial) in rows {
        if !state.knows_endpoint(key.pool, endpoint) {
            return Err(format!("a pin to {endpoint}, which pool {} has not", key.pool.0));
        }
        if serial > last_serial || state.pins.held(&key, holder).is_some() {
            return Err(format!("a pin of node {node} that is there twice, or too new"));
        }
        state.pins.put(key, endpoint, holder, serial);
    }
    Ok(())
}
