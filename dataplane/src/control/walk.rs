//! After a change of plan: everything that is alive is looked at under the new tables, for pins that it needs.
//!
//! The relay threads walk their flows as soon as they run the plan. The entries of client-IP affinity are walked here, and
//! only when every thread runs it: an entry that is made under an older plan is then one that the walk still comes to.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use guideway_model::Plan;

use crate::affinity;
use crate::control::Control;
use crate::core::affinity::Pools;

/// Slices of affinity entries before other work of the control thread has its turn.
const SLICES: usize = 16;

/// A walk that is not over.
#[derive(Debug)]
pub(crate) struct Walk {
    prepared: Option<u64>,
    /// Where the walk of the affinity entries goes on; `None` when it is done.
    entries: Option<affinity::Walk>,
}

impl Control {
    /// Every relay thread runs a plan: what lives is looked at. A walk of an older plan is over.
    pub(super) fn begin_walk(&mut self, plan: &Plan) {
        let pools = pools(plan);
        self.entries_walked &= same(&pools, &self.pools);
        self.pools = pools;
        self.walk = Some(Walk {
            prepared: plan.prepared,
            entries: (!self.entries_walked).then(affinity::Walk::default),
        });
    }

    /// Whether a walk has something to do at once.
    pub(super) fn walks(&self) -> bool {
        self.walk.as_ref().is_some_and(|walk| walk.entries.is_some())
    }

    /// Goes on with the walk.
    pub(super) fn go_on_walking(&mut self) {
        let Some(walk) = &mut self.walk else { return };
        for _ in 0..SLICES {
            let Some(from) = walk.entries else { break };
            walk.entries = affinity::walk(&self.shared, &self.pools, from);
        }
        self.entries_walked |= walk.entries.is_none();
        let seats = &self.shared.seats;
        let done = walk.entries.is_none() && seats.iter().all(|seat| seat.plans_walked() == self.plans_sent);
        if !done {
            return;
        }
        let prepared = walk.prepared;
        self.walk = None;
        let Some(generation) = prepared else { return };
        let walked = &self.shared.walked;
        let told = self
            .shared
            .inbox
            .unless_planned(|| walked.store(generation, Ordering::Release));
        if told {
            self.observer.walked(generation);
        }
    }
}

/// The pools of a plan, as pins name them.
fn pools(plan: &Plan) -> Pools {
    let routes = plan.listeners.iter().flat_map(|listener| listener.service.routes());
    routes
        .map(|route| (route.pool.number, Arc::clone(&route.pool)))
        .collect()
}

fn same(one: &Pools, other: &Pools) -> bool {
    let pairs = || one.values().zip(other.values());
    one.len() == other.len() && pairs().all(|(one, other)| Arc::ptr_eq(one, other))
}
