//! Graces: after the loss of a node, keys that no one knows are chosen with the tables that it last had, for a while.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::State;
use super::pools::{Past, PoolRecord, WeightedList};
use crate::meta::UnixMillis;
use crate::object::ObjectKey;
use crate::outcome::Refusal;
use crate::pin::PoolNumber;

/// The time after the loss of nodes that had one generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grace {
    /// The latest loss.
    pub(super) lost: UnixMillis,
}

impl Grace {
    /// A grace lasts at most this long, in milliseconds.
    const LONGEST_MS: u64 = 60_000;

    fn until(self) -> UnixMillis {
        after(self.lost, Grace::LONGEST_MS)
    }
}

fn after(time: UnixMillis, ms: u64) -> UnixMillis {
    UnixMillis(time.0.saturating_add(ms))
}

impl State {
    /// Graces at most, each of another generation; beyond it the oldest is dropped and counted.
    pub const GRACES: usize = 4;

    /// Graces that were dropped before their time because there were too many.
    pub fn graces_dropped(&self) -> u64 {
        self.generations.dropped
    }

    /// The generations that keys without session and pin are chosen with because nodes that had them were lost, the
    /// latest loss first, each with when that ends.
    pub fn graces(&self) -> impl Iterator<Item = (u64, UnixMillis)> {
        let graces = self.generations.graces.iter().rev();
        graces.map(|(generation, grace)| (*generation, grace.until()))
    }

    /// When [`Command::Expire`](crate::Command::Expire) next has something to do; `None` while nothing ends by time.
    pub fn next_expiry(&self) -> Option<UnixMillis> {
        let graces = self.generations.graces.values().map(|grace| grace.until());
        let orphans = self.pins.orphans().map(|(pool, _, lost)| self.orphan_until(pool, lost));
        graces.chain(orphans).chain(self.next_deadline()).min()
    }

    /// A node is lost that had the active generation.
    pub(super) fn open_grace(&mut self) {
        let lost = self.time;
        // Generations rise, so the new one is the last.
        self.generations.graces.insert(self.generations.active, Grace { lost });
        if self.generations.graces.len() > State::GRACES
            && let Some((oldest, _)) = self.generations.graces.get_min().copied()
        {
            self.generations.graces.remove(&oldest);
            self.generations.dropped = self.generations.dropped.saturating_add(1);
            self.forget_past();
        }
    }

    /// Ends graces and orphans whose time is over at `before`.
    pub(super) fn expire(&mut self, before: UnixMillis) -> Result<(), Refusal> {
        self.check_two_phases()?;
        let before = before.min(self.time);
        let graces = self.generations.graces.iter();
        let over = graces.filter(|(_, grace)| grace.until() <= before);
        let over: Vec<u64> = over.map(|(generation, _)| *generation).collect();
        for generation in &over {
            self.generations.graces.remove(generation);
        }
        if !over.is_empty() {
            self.forget_past();
        }
        let orphans = self.pins.orphans();
        let over = orphans.filter(|(pool, _, lost)| self.orphan_until(*pool, *lost) <= before);
        let over: Vec<_> = over.map(|(pool, holder, _)| (pool, holder)).collect();
        for (pool, holder) in over {
            self.pins.end_shelf(pool, holder);
        }
        Ok(())
    }

    /// The lists of a pool that keys without session and pin are chosen with, each with its generation: the latest loss
    /// first.
    pub(crate) fn past_phases<'a>(&self, record: &'a PoolRecord) -> Vec<(u64, &'a WeightedList)> {
        let mut phases: Vec<(u64, &WeightedList)> = Vec::new();
        let lasts = record.idle_ms.min(Grace::LONGEST_MS);
        for (generation, grace) in self.generations.graces.iter().rev() {
            // Of nodes that were lost with the active list no key is to be chosen otherwise. Those lost before them had
            // longer to come over.
            if after(grace.lost, lasts) <= self.time || *generation >= record.since {
                break;
            }
            let past = record.past.iter().find(|past| past.is_of(*generation));
            let Some(Past { weighted, .. }) = past else { continue };
            if *weighted == record.active {
                break;
            }
            if phases.iter().all(|(_, other)| *other != weighted) {
                phases.push((*generation, weighted));
            }
        }
        phases
    }

    /// Keeps the list that was active through generation `through`, if a grace names one in which it was.
    pub(super) fn keep_past(&self, record: &mut PoolRecord, through: u64) {
        let past = Past {
            since: record.since,
            through,
            weighted: Arc::clone(&record.active),
        };
        if self.is_named(&past) {
            record.past.push(past);
        }
    }

    /// Drops lists that no grace names any more.
    fn forget_past(&mut self) {
        let routes: Vec<ObjectKey> = self.pools.past.iter().cloned().collect();
        for route in routes {
            let Some(found) = self.pools.records.get(&route) else {
                continue;
            };
            let mut record = Arc::clone(found);
            if record.past.iter().all(|past| self.is_named(past)) {
                continue;
            }
            Arc::make_mut(&mut record).past.retain(|past| self.is_named(past));
            self.store(&route, record);
        }
    }

    fn is_named(&self, past: &Past) -> bool {
        let mut generations = self.generations.graces.keys();
        generations.any(|generation| past.is_of(*generation))
    }

    /// When orphans of a pool end that were lost at `lost`.
    fn orphan_until(&self, pool: PoolNumber, lost: UnixMillis) -> UnixMillis {
        let route = self.pools.numbers.get(&pool);
        let record = route.and_then(|route| self.pool(route));
        after(lost, record.map_or(0, |record| record.idle_ms))
    }
}
