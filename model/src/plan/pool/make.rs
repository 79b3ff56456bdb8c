//! Making a pool from its record and the objects.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use guideway_maglev::{BuildError, Seed, Table, TableSize, Target, Weighted};

use super::share::{Share, shares};
use super::wants::affinity;
use super::{Entry, Phase, Pool, PoolId, Standing};
use crate::object::ObjectKey;
use crate::plan::memory::Made;
use crate::resource::AnyRoute;
use crate::sealing::Sealer;
use crate::state::State;
use crate::state::pools::{PoolRecord, WeightedList, names};

/// What pools are made of.
pub(in crate::plan) struct Making<'a> {
    pub(in crate::plan) state: &'a State,
    pub(in crate::plan) size: TableSize,
    /// Whether TLS ends at a listener of the route.
    pub(in crate::plan) terminates: bool,
    /// What the route had before: its tables are taken over where they would be built from the same list.
    pub(in crate::plan) before: Option<&'a Made>,
    /// Opens Secrets; without it the pool trusts nobody that a Secret names.
    pub(in crate::plan) sealer: Option<&'a dyn Sealer>,
}

impl Making<'_> {
    /// The pool of a route's first rule.
    pub(in crate::plan) fn make(&self, route: &AnyRoute<'_>, key: &ObjectKey, id: PoolId) -> Option<Made> {
        let record = self.state.pool(key)?;
        let shares = shares(self.state, route, self.terminates, self.sealer);
        let mut tables = Tables::of(self);
        let mut entries = Entries::of(record, &shares);
        let table = tables.get(&record.active)?;
        for target in table.targets() {
            entries.place(*target);
        }
        let prepared = self.state.prepared_generation().zip(record.prepared.as_ref());
        let mut phase = |(generation, list): (u64, &WeightedList)| {
            let table = tables.get(list)?;
            let entries = table.targets().iter().map(|target| entries.place(*target)).collect();
            Some(Phase {
                generation,
                table,
                entries,
            })
        };
        let prepared = prepared.and_then(&mut phase);
        let past = self.state.past_phases(record).into_iter().filter_map(phase).collect();
        // A drain that was cancelled is not over for living sessions while the endpoint is on its way back in.
        let waiting = record.waiting.iter().flat_map(|list| list.iter());
        let waiting = waiting.map(|weighted| weighted.target);
        let draining = record.draining.iter().map(|address| Target::Endpoint(*address));
        for target in waiting.chain(draining) {
            if matches!(target, Target::Endpoint(_)) {
                entries.place(target);
            }
        }
        let pool = Pool {
            number: record.number,
            affinity: affinity(self.state, route),
            prepared,
            past,
            ..Pool::new(id, table, entries.list)
        };
        let before = self.before.filter(|before| *before.pool == pool);
        Some(Made {
            pool: before.map_or_else(|| Arc::new(pool), |before| Arc::clone(&before.pool)),
            tables: tables.made,
            terminates: self.terminates,
        })
    }
}

/// The tables of one pool, each built once.
struct Tables<'a> {
    size: TableSize,
    seed: Seed,
    before: &'a [(WeightedList, Arc<Table>)],
    made: Vec<(WeightedList, Arc<Table>)>,
}

impl<'a> Tables<'a> {
    fn of(making: &Making<'a>) -> Tables<'a> {
        Tables {
            size: making.size,
            seed: making.state.seed(),
            before: making.before.map_or(&[], |before| &before.tables),
            made: Vec::new(),
        }
    }

    fn get(&mut self, list: &WeightedList) -> Option<Arc<Table>> {
        let mut known = self.made.iter().chain(self.before);
        let same = known.find(|(other, _)| other == list);
        let table = match same {
            Some((_, table)) => Arc::clone(table),
            None => Arc::new(build(self.size, self.seed, list)?),
        };
        if self.made.iter().all(|(other, _)| other != list) {
            self.made.push((Arc::clone(list), Arc::clone(&table)));
        }
        Some(table)
    }
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

/// The entries of one pool, each target once.
struct Entries<'a> {
    list: Vec<Entry>,
    places: BTreeMap<Target, u16>,
    record: &'a PoolRecord,
    shares: &'a [Share],
    /// The first share with weight that brings a target in, or keeps it for its sessions.
    share_of: BTreeMap<Target, &'a Share>,
}

impl<'a> Entries<'a> {
    /// The place of what there is no room for: no entry has it.
    const NOWHERE: u16 = u16::MAX;

    fn of(record: &'a PoolRecord, shares: &'a [Share]) -> Entries<'a> {
        let mut share_of = BTreeMap::new();
        for share in shares.iter().filter(|share| share.weight > 0) {
            for (target, _) in &share.targets {
                share_of.entry(target.canonical()).or_insert(share);
            }
        }
        for share in shares {
            for address in &share.draining {
                share_of.entry(Target::Endpoint(*address)).or_insert(share);
            }
        }
        Entries {
            list: Vec::new(),
            places: BTreeMap::new(),
            record,
            shares,
            share_of,
        }
    }

    /// The place of a target, which gets an entry if it has none.
    fn place(&mut self, target: Target) -> u16 {
        if let Some(place) = self.places.get(&target) {
            return *place;
        }
        let place = u16::try_from(self.list.len()).unwrap_or(Self::NOWHERE);
        if place != Self::NOWHERE {
            self.list.push(self.entry(target));
            self.places.insert(target, place);
        }
        place
    }

    fn entry(&self, target: Target) -> Entry {
        match target {
            Target::Endpoint(address) => {
                // Of one that has left no one knows any more from where it came, unless there is only one place.
                let only = match self.shares {
                    [only] if !only.targets.is_empty() => Some(only),
                    _ => None,
                };
                let from = self.share_of.get(&target).copied().or(only);
                Entry::Endpoint {
                    address,
                    origin: from.map(|share| share.origin.clone()).unwrap_or_default(),
                    upstream: from.map(|share| Arc::clone(&share.upstream)).unwrap_or_default(),
                    standing: self.standing(address),
                }
            }
            Target::Reject(index) => {
                let share = self.shares.get(usize::from(index));
                let origin = share.map(|share| match share.targets.as_slice() {
                    [] => share.origin.clone(),
                    _ => format!("{}: its endpoints are being prepared", share.origin),
                });
                Entry::Reject {
                    origin: origin.unwrap_or_default(),
                }
            }
        }
    }

    fn standing(&self, address: SocketAddr) -> Standing {
        if names(self.record.wanted(), address) {
            Standing::Ready
        } else if self.record.draining.binary_search(&address).is_ok() {
            Standing::Draining
        } else {
            Standing::Leaving
        }
    }
}
