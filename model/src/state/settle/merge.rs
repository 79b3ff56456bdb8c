//! Which listeners of ListenerSets have a place in their Gateway.

use std::collections::BTreeSet;

use super::Work;
use crate::kind::Kind;
use crate::object::ObjectKey;
use crate::state::State;
use crate::state::index::{MergedSet, Name, Seniority};
use crate::status::owner::Owner;

impl State {
    /// Decides it again for the Gateways and ListenerSets in `work`, and adds the sets for which it has changed: they
    /// claim other sockets now.
    pub(super) fn merge(&mut self, work: &mut Work) {
        let keys = |work: &Work, kind| -> Vec<ObjectKey> {
            let keys = work.reclaim.iter().filter(|key| key.kind == kind);
            keys.cloned().collect()
        };
        let mut concerned = BTreeSet::new();
        for gateway in keys(work, Kind::Gateway) {
            let gateway = Name::of_key(&gateway);
            let sets = self.index.sets_of_gateway.iter_of(&gateway);
            work.reclaim.extend(sets.map(|set| set.key(Kind::ListenerSet)));
            concerned.insert(gateway);
        }
        for set in keys(work, Kind::ListenerSet) {
            let merged = self.merged(&set);
            concerned.extend(self.index.set_merged(&set, merged));
        }
        for gateway in concerned {
            let own = self.gateway(&gateway).map_or(0, |gateway| gateway.spec.listeners.len());
            let free = State::MERGED_LISTENERS.saturating_sub(own);
            work.reclaim.extend(self.index.give_places(&gateway, free));
        }
    }

    /// The Gateway that lets a ListenerSet in, and what the set brings.
    fn merged(&self, set: &ObjectKey) -> Option<(Name, MergedSet)> {
        let owner = Owner::of(self, set).filter(|owner| owner.fault(self).is_none())?;
        let merged = MergedSet {
            seniority: Seniority::of_object(self.get(set)?),
            listeners: owner.listeners.len(),
        };
        Some((Name::of(&owner.gateway.metadata), merged))
    }
}
