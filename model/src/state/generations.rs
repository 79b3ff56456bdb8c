//! Generations of tables: at most one is prepared, and it always becomes active.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use super::State;
use super::events::Happening;
use super::graces::Grace;
use crate::meta::UnixMillis;
use crate::node::{Incarnation, NodeId};
use crate::object::ObjectKey;
use crate::outcome::Refusal;

/// Where the tables of the cluster stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Generations {
    pub(super) active: u64,
    pub(super) prepared: Option<Preparation>,
    /// By generation, which is by loss too; see [`super::graces`].
    pub(super) graces: OrdMap<u64, Grace>,
    /// Graces that were dropped before their time.
    pub(super) dropped: u64,
}

/// A generation on its way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Preparation {
    pub(super) generation: u64,
    pub(super) since: UnixMillis,
    /// Routes whose pools it changes.
    pub(super) pools: OrdSet<ObjectKey>,
    /// Nodes that it need not wait for, each with the start that this is true of.
    pub(super) ready: OrdMap<NodeId, Ready>,
}

/// Why a preparation does not wait for a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ready {
    pub(super) incarnation: Incarnation,
    /// Rather than prepared.
    pub(super) passed_over: bool,
}

impl State {
    /// The cluster level from which on tables change in two phases. Below it, every change is active at once, and the
    /// commands of the two phases are refused.
    pub const TWO_PHASES: u32 = 2;

    /// Generation of the tables that are active; 0 before the first change of a table.
    pub fn active_generation(&self) -> u64 {
        self.generations.active
    }

    /// Generation of the tables that are prepared, if any are.
    pub fn prepared_generation(&self) -> Option<u64> {
        self.generations.prepared.as_ref().map(|prepared| prepared.generation)
    }

    /// Since when the prepared generation is being prepared.
    pub fn preparing_since(&self) -> Option<UnixMillis> {
        self.generations.prepared.as_ref().map(|prepared| prepared.since)
    }

    /// Live nodes that have not prepared yet: those the prepared generation waits for.
    pub fn preparing_nodes(&self) -> Vec<NodeId> {
        let Some(preparation) = &self.generations.prepared else {
            return Vec::new();
        };
        let live = self.nodes().filter(|(_, record)| record.live);
        let waiting = live.filter(|(id, record)| {
            let ready = preparation.ready.get(id).map(|ready| ready.incarnation);
            ready.is_none() || ready != record.incarnation
        });
        waiting.map(|(id, _)| id).collect()
    }

    /// A start of a node has prepared. Another generation than the prepared one is none that anything waits for.
    pub(super) fn prepared(&mut self, node: NodeId, incarnation: Incarnation, generation: u64) -> Result<(), Refusal> {
        self.check_two_phases()?;
        self.check_start(node, incarnation)?;
        let preparation = self.generations.prepared.as_mut();
        if let Some(preparation) = preparation.filter(|preparation| preparation.generation == generation) {
            let ready = Ready {
                incarnation,
                passed_over: false,
            };
            preparation.ready.insert(node, ready);
        }
        Ok(())
    }

    /// The prepared generation does not wait for a node any longer. Its sessions may not be pinned, so it counts as a
    /// loss.
    pub(super) fn pass_over(&mut self, node: NodeId, generation: u64) -> Result<(), Refusal> {
        self.check_two_phases()?;
        let record = self.nodes.get(&node).ok_or(Refusal::UnknownNode(node))?;
        let (incarnation, name) = (record.incarnation, record.facts.name.clone());
        if self.prepared_generation() != Some(generation) || !self.preparing_nodes().contains(&node) {
            return Ok(());
        }
        if let (Some(preparation), Some(incarnation)) = (self.generations.prepared.as_mut(), incarnation) {
            let ready = Ready {
                incarnation,
                passed_over: true,
            };
            preparation.ready.insert(node, ready);
            self.open_grace();
            self.note(Happening::PassedOver { node, name, generation });
        }
        Ok(())
    }

    /// Goes as far as it can: makes the prepared generation active that no live node holds up, and prepares the next of
    /// the lists that wait.
    pub(super) fn advance(&mut self) {
        loop {
            if self.generations.prepared.is_some() {
                if !self.preparing_nodes().is_empty() {
                    return;
                }
                self.activate();
            } else if self.pools.waiting.is_empty() {
                return;
            } else {
                self.prepare();
            }
        }
    }

    fn prepare(&mut self) {
        let pools = std::mem::take(&mut self.pools.waiting);
        for route in &pools {
            if let Some(record) = self.pools.records.get_mut(route) {
                let record = Arc::make_mut(record);
                record.prepared = record.waiting.take();
            }
        }
        self.generations.prepared = Some(Preparation {
            generation: self.generations.active.saturating_add(1),
            since: self.time,
            pools,
            ready: OrdMap::new(),
        });
    }

    fn activate(&mut self) {
        let Some(preparation) = self.generations.prepared.take() else {
            return;
        };
        let before = self.generations.active;
        self.generations.active = preparation.generation;
        for route in &preparation.pools {
            let Some(found) = self.pools.records.get(route) else {
                continue;
            };
            let mut record = Arc::clone(found);
            let changed = Arc::make_mut(&mut record);
            let Some(next) = changed.prepared.take() else {
                continue;
            };
            self.keep_past(changed, before);
            changed.active = next;
            changed.since = preparation.generation;
            if let Some(wanted) = changed.waiting.take() {
                self.turn(route, changed, wanted);
            }
            self.store(route, record);
        }
    }

    pub(super) fn check_two_phases(&self) -> Result<(), Refusal> {
        if self.level >= State::TWO_PHASES {
            return Ok(());
        }
        Err(Refusal::LevelTooLow {
            needed: State::TWO_PHASES,
            level: self.level,
        })
    }

    /// Raises the cluster level to what every member supports. Pools get their numbers with the level that has pins.
    pub(super) fn raise_level(&mut self) {
        let supported = self.nodes.values().map(|record| record.facts.level).min();
        let level = supported.unwrap_or(0).min(State::LEVEL);
        if level <= self.level {
            return;
        }
        let had_two_phases = self.level >= State::TWO_PHASES;
        self.level = level;
        if !had_two_phases && level >= State::TWO_PHASES {
            self.derive_pools();
        }
    }
}
