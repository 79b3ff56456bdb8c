//! Status of a ListenerSet.

use super::condition::{ACCEPTED, Derived, Moment, PROGRAMMED, merge, waiting};
use super::gateway::{Together, accepted, together};
use super::owner::Owner;
use super::view::{Judged, View};
use crate::resource::{ListenerSet, ListenerSetStatus};
use crate::state::State;

/// Types that are ours in a ListenerSet whose Gateway is ours.
pub(crate) const OWN: [&str; 2] = [ACCEPTED, PROGRAMMED];

/// What a ListenerSet has before its controller has looked at it, and when it has none.
pub(crate) fn unclaimed() -> ListenerSetStatus {
    ListenerSetStatus {
        conditions: waiting(&OWN),
        ..ListenerSetStatus::default()
    }
}

/// Whether the ListenerSet is accepted, and so counts for its Gateway.
pub(crate) fn is_accepted(state: &State, owner: &Owner<'_>) -> bool {
    accepted(owner.fault(state), Judged::all(state, owner).iter()).is_true()
}

/// The status of a ListenerSet whose Gateway is ours.
pub(crate) fn derive(state: &State, set: &ListenerSet, owner: &Owner<'_>, moment: Moment) -> ListenerSetStatus {
    let fault = owner.fault(state);
    let views = View::all(state, owner, fault.is_some());
    let accepted = accepted(fault, views.iter().map(|view| &view.judged));
    let programmed = programmed(&accepted, &views);
    ListenerSetStatus {
        conditions: merge(&set.status.conditions, &OWN, vec![accepted, programmed], moment),
        listeners: views
            .into_iter()
            .map(|view| view.status(state, owner, moment))
            .collect(),
    }
}

fn programmed(accepted: &Derived, views: &[View<'_>]) -> Derived {
    if !accepted.is_true() {
        return Derived::fails(PROGRAMMED, accepted.reason, accepted.message.clone());
    }
    match together(views) {
        Together::Failed(message) => Derived::fails(PROGRAMMED, "PortUnavailable", message),
        Together::Pending(message) => Derived::fails(PROGRAMMED, "Pending", message),
        Together::Nothing => Derived::fails(PROGRAMMED, "Invalid", "no listener can be served"),
        Together::Bound => Derived::holds(
            PROGRAMMED,
            "Programmed",
            "every live node listens for every accepted listener",
        ),
    }
}
