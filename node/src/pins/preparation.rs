//! What this node owes before the prepared generation may become active. Pure.
//!
//! ```text
//!            the state has a prepared generation
//!  (none) ──────────────────────────────────────► walking ── the data plane has walked it ──► settling
//!    ▲                                               │                                           │
//!    │ it is active: prepared, or passed over        │            every pin of the walk is held, │
//!    └───────────────────────────────────────────────┴───────────────────────────────────────────┘
//!                                                                                  `Prepared` is due
//! ```

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use guideway_model::pin::PinKey;

use super::difference::Difference;

/// One generation on its way in.
#[derive(Debug)]
pub(super) struct Preparation {
    generation: u64,
    since: Instant,
    step: Step,
    /// Whether the cluster waits for this node.
    awaited: bool,
    /// Whether `Prepared` was proposed and did not fail.
    said: bool,
}

#[derive(Debug)]
enum Step {
    /// The data plane looks at its sessions.
    Walking,
    /// These keys, which differed when it was through, are not known to be settled. Those that come later do not count:
    /// new sessions must not keep a generation back.
    Settling(BTreeSet<PinKey>),
}

/// How the preparation of a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// From the moment it was seen prepared until it was seen active.
    pub(crate) took: Duration,
    /// Keys without the pin that they need, if the cluster went on without this node.
    pub(crate) passed_over: Option<usize>,
}

impl Preparation {
    pub(super) fn new(generation: u64, now: Instant) -> Preparation {
        Preparation {
            generation,
            since: now,
            step: Step::Walking,
            awaited: false,
            said: false,
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether the cluster waits for this node.
    pub(super) fn is_awaited(&self) -> bool {
        self.awaited
    }

    pub(super) fn set_awaited(&mut self, awaited: bool) {
        self.awaited = awaited;
    }

    /// The data plane has walked a generation, and what it needs is in `difference`.
    pub(super) fn walked(&mut self, generation: u64, difference: &Difference) {
        match self.step {
            Step::Walking if generation == self.generation => {
                self.step = Step::Settling(difference.unsettled());
            }
            Step::Walking | Step::Settling(_) => {}
        }
    }

    /// Whether `Prepared` is to be proposed now.
    pub(super) fn is_due(&mut self, difference: &Difference) -> bool {
        let Step::Settling(owed) = &mut self.step else {
            return false;
        };
        while owed.first().is_some_and(|key| difference.is_settled(key)) {
            owed.pop_first();
        }
        owed.is_empty() && self.awaited && !self.said
    }

    /// `Prepared` is proposed, or that has failed.
    pub(super) fn set_said(&mut self, said: bool) {
        self.said = said;
    }

    /// Whether the cluster waits for what it was told.
    pub(super) fn was_ignored(&self) -> bool {
        self.awaited && self.said
    }

    /// The generation is active.
    pub(super) fn end(self, difference: &Difference, now: Instant) -> Ended {
        Ended {
            took: now.saturating_duration_since(self.since),
            passed_over: (self.awaited && !self.said).then(|| difference.unpinned()),
        }
    }
}
