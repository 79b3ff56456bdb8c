//! Status of a Gateway.

use std::collections::BTreeSet;

use super::addresses::{dialled, unusable};
use super::binds::Verdict;
use super::condition::{ACCEPTED, Derived, Moment, PROGRAMMED, enumerate, merge, waiting};
use super::owner::Owner;
use super::view::{Judged, View};
use crate::node::SocketKey;
use crate::resource::{Gateway, GatewayStatus};
use crate::state::State;
use crate::state::index::Name;

/// Types that are ours in a Gateway of a class that is ours.
pub(crate) const OWN: [&str; 2] = [ACCEPTED, PROGRAMMED];

/// What a Gateway has before its controller has looked at it, and when it has none.
pub(crate) fn unclaimed() -> GatewayStatus {
    GatewayStatus {
        conditions: waiting(&OWN),
        ..GatewayStatus::default()
    }
}

/// The status of a Gateway whose class is ours.
pub(crate) fn derive(state: &State, owner: &Owner<'_>, moment: Moment) -> GatewayStatus {
    let gateway = owner.gateway;
    let fault = owner.fault(state);
    let views = View::all(state, owner, fault.is_some());
    let accepted = accepted(fault, views.iter().map(|view| &view.judged));
    let programmed = programmed(gateway, &accepted, &views);
    let held: BTreeSet<SocketKey> = views.iter().flat_map(|view| view.judged.sockets()).collect();
    GatewayStatus {
        addresses: dialled(state, &held),
        conditions: merge(&gateway.status.conditions, &OWN, vec![accepted, programmed], moment),
        listeners: views
            .into_iter()
            .map(|view| view.status(state, owner, moment))
            .collect(),
        attached_listener_sets: state.index().accepted_sets(&Name::of(&gateway.metadata)),
    }
}

/// `Accepted` of an object with listeners: one valid listener is enough.
pub(crate) fn accepted<'a, 'b: 'a>(
    fault: Option<(&'static str, String)>,
    listeners: impl Iterator<Item = &'a Judged<'b>>,
) -> Derived {
    if let Some((reason, message)) = fault {
        return Derived::fails(ACCEPTED, reason, message);
    }
    let (valid, bad): (Vec<_>, Vec<_>) = listeners.partition(|judged| judged.is_valid());
    if bad.is_empty() {
        return Derived::holds(ACCEPTED, "Accepted", "its configuration is valid");
    }
    let bad: Vec<String> = bad.into_iter().map(Judged::complaint).collect();
    let message = format!("listeners that are not valid: {}", enumerate(&bad, ", "));
    if valid.is_empty() {
        Derived::fails(ACCEPTED, "ListenersNotValid", message)
    } else {
        Derived::holds(ACCEPTED, "ListenersNotValid", message)
    }
}

/// What the nodes say of all listeners together.
pub(crate) enum Together {
    Failed(String),
    Pending(String),
    Bound,
    /// None of them is served.
    Nothing,
}

/// Sums up what the nodes say.
pub(crate) fn together(views: &[View<'_>]) -> Together {
    let (mut failed, mut pending, mut bound) = (Vec::new(), Vec::new(), 0_usize);
    for view in views {
        let of = |message: &str| format!("listener {:?}: {message}", view.judged.shape.listener.name);
        match &view.binds {
            Some(Verdict::Failed(message)) => failed.push(of(message)),
            Some(Verdict::Pending(message)) => pending.push(of(message)),
            Some(Verdict::Bound) => bound += 1,
            None => {}
        }
    }
    if !failed.is_empty() {
        Together::Failed(enumerate(&failed, "; "))
    } else if !pending.is_empty() {
        Together::Pending(enumerate(&pending, "; "))
    } else if bound == 0 {
        Together::Nothing
    } else {
        Together::Bound
    }
}

fn programmed(gateway: &Gateway, accepted: &Derived, views: &[View<'_>]) -> Derived {
    if !accepted.is_true() {
        return Derived::fails(PROGRAMMED, "Invalid", accepted.message.clone());
    }
    if let Some(message) = unusable(gateway) {
        return Derived::fails(PROGRAMMED, "AddressNotUsable", message);
    }
    match together(views) {
        Together::Failed(message) => Derived::fails(PROGRAMMED, "AddressNotUsable", message),
        Together::Pending(message) => Derived::fails(PROGRAMMED, "Pending", message),
        Together::Nothing => Derived::fails(PROGRAMMED, "Invalid", "no listener can be served"),
        Together::Bound => Derived::holds(
            PROGRAMMED,
            "Programmed",
            "every live node listens for every accepted listener",
        ),
    }
}
