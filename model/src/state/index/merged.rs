//! The listeners that ListenerSets merge into a Gateway, and which of them have a place there.
//!
//! A Gateway takes [`State::MERGED_LISTENERS`](crate::State::MERGED_LISTENERS): its own, then those of the ListenerSets
//! that it lets in, the older set first, each in the order of its spec (GEP-1713). Every listener of such a set counts,
//! also one that is not valid: whether it is hangs on other objects, and who has a place must not.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Index, Name, Seniority};
use crate::object::ObjectKey;

/// A ListenerSet as a part of its Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MergedSet {
    pub(crate) seniority: Seniority,
    /// How many listeners it has.
    pub(crate) listeners: usize,
}

/// What ListenerSets have of one Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// Listeners of all sets together.
    wanted: usize,
    /// How many of its first listeners each set has a place for; sets without any are left out.
    taken: Arc<BTreeMap<ObjectKey, usize>>,
}

impl Index {
    /// How many of its first listeners a ListenerSet has a place for; `None` for one that no Gateway lets in.
    pub(crate) fn places_of(&self, set: &ObjectKey) -> Option<usize> {
        let (gateway, _) = self.merged_sets.get(set)?;
        let places = self.places.get(gateway);
        Some(places.and_then(|places| places.taken.get(set)).copied().unwrap_or(0))
    }

    /// How many listeners have no place in their Gateway.
    pub(crate) fn listeners_beyond(&self) -> usize {
        let places = self.places.values();
        places
            .map(|places| places.wanted.saturating_sub(places.taken.values().sum()))
            .sum()
    }

    /// Records which Gateway lets a ListenerSet in, if any does. Returns the Gateways that it leaves or joins, or where it
    /// has changed: their places are to be [given out](Index::give_places) again.
    pub(in crate::state) fn set_merged(&mut self, set: &ObjectKey, merged: Option<(Name, MergedSet)>) -> Vec<Name> {
        let before = match &merged {
            Some(merged) => self.merged_sets.insert(set.clone(), merged.clone()),
            None => self.merged_sets.remove(set),
        };
        if before == merged {
            return Vec::new();
        }
        let mut concerned = Vec::new();
        if let Some((gateway, set)) = before {
            let places = self.places.entry(gateway.clone()).or_default();
            places.wanted = places.wanted.saturating_sub(set.listeners);
            self.merged_of_gateway.remove(gateway.clone(), set);
            concerned.push(gateway);
        }
        if let Some((gateway, set)) = merged {
            let places = self.places.entry(gateway.clone()).or_default();
            places.wanted = places.wanted.saturating_add(set.listeners);
            self.merged_of_gateway.insert(gateway.clone(), set);
            concerned.push(gateway);
        }
        concerned
    }

    /// Gives the `free` places of a Gateway to the listeners of its ListenerSets. Returns the sets that have more or fewer
    /// than before. Costs the sets that have a place, however many have none.
    pub(in crate::state) fn give_places(&mut self, gateway: &Name, mut free: usize) -> Vec<ObjectKey> {
        let mut taken = BTreeMap::new();
        for set in self.merged_of_gateway.iter_of(gateway) {
            let places = set.listeners.min(free);
            if places == 0 {
                break;
            }
            free -= places;
            taken.insert(set.seniority.key.clone(), places);
        }
        let before = self.places.get(gateway).cloned().unwrap_or_default();
        let gone = before.taken.keys().filter(|set| !taken.contains_key(*set));
        let differs = |(set, places): &(&ObjectKey, &usize)| before.taken.get(*set) != Some(*places);
        let changed = taken.iter().filter(differs).map(|(set, _)| set);
        let changed = gone.chain(changed).cloned().collect();
        if before.wanted == 0 {
            self.places.remove(gateway);
        } else {
            let taken = Arc::new(taken);
            self.places.insert(gateway.clone(), Places { taken, ..before });
        }
        changed
    }
}
