//! Status of a route: one entry for each parentRef to a Gateway or ListenerSet of ours.

use super::attach::{Attachment, attach};
use super::backend_ref::resolve;
use super::condition::{ACCEPTED, Derived, Moment, PARTIALLY_INVALID, RESOLVED_REFS, SUPERSEDED, enumerate, merge};
use super::owner::Owner;
use crate::kind::Kind;
use crate::resource::{AnyRoute, Listener, ParentReference, RouteParentStatus, RouteStatus};
use crate::state::host::HostKey;
use crate::state::index::{Name, parent_key};
use crate::state::{CONTROLLER_NAME, State};

/// Most entries in `parents`; what others have written beyond it is dropped.
const PARENTS: usize = 32;
/// Types that are ours in our entries.
const OWN: [&str; 4] = [ACCEPTED, RESOLVED_REFS, PARTIALLY_INVALID, SUPERSEDED];

/// The status of a route: our entries in the order of its parentRefs, then those of other controllers. Parents of other
/// kinds and of other controllers get no answer.
pub(crate) fn derive(state: &State, route: &AnyRoute<'_>, moment: Moment) -> RouteStatus {
    let refs = resolved_refs(state, route);
    let mut parents: Vec<RouteParentStatus> = route
        .spec
        .parent_refs
        .iter()
        .filter_map(|parent| {
            let owner = Owner::of(state, &parent_key(parent, &route.metadata.namespace)?)?;
            Some(entry(state, route, &owner, parent, &refs, moment))
        })
        .collect();
    parents.extend(route.status.parents.iter().filter(|entry| !is_ours(entry)).cloned());
    parents.truncate(PARENTS);
    RouteStatus { parents }
}

/// Whether this controller has written the entry.
pub(crate) fn is_ours(entry: &RouteParentStatus) -> bool {
    entry.controller_name == CONTROLLER_NAME
}

fn entry(
    state: &State,
    route: &AnyRoute<'_>,
    owner: &Owner<'_>,
    parent: &ParentReference,
    refs: &Derived,
    moment: Moment,
) -> RouteParentStatus {
    let fails = |reason, message| (Derived::fails(ACCEPTED, reason, message), None);
    let (accepted, superseded) = match attach(state, route, owner, parent) {
        Attachment::NoMatchingParent(message) => fails("NoMatchingParent", message),
        Attachment::NotAllowedByListeners(message) => fails("NotAllowedByListeners", message),
        Attachment::NoMatchingListenerHostname(message) => fails("NoMatchingListenerHostname", message),
        Attachment::Attached(listeners) => (
            Derived::holds(ACCEPTED, "Accepted", "the route is attached"),
            superseded(state, route, owner, &listeners),
        ),
    };
    let mut conditions = vec![accepted, refs.clone()];
    conditions.extend(superseded);
    conditions.extend(partially_invalid(route));
    let previous = route
        .status
        .parents
        .iter()
        .find(|entry| is_ours(entry) && entry.parent_ref == *parent);
    RouteParentStatus {
        parent_ref: parent.clone(),
        controller_name: CONTROLLER_NAME.to_owned(),
        conditions: merge(
            previous.map_or(&[], |entry| entry.conditions.as_slice()),
            &OWN,
            conditions,
            moment,
        ),
    }
}

/// Whether every backendRef leads somewhere. A Service without endpoints does: only its traffic is refused.
fn resolved_refs(state: &State, route: &AnyRoute<'_>) -> Derived {
    let key = Name::of(route.metadata).key(route.kind);
    let refs = route.spec.backend_refs().iter();
    let mut faults: Vec<_> = refs.filter_map(|backend| resolve(state, &key, backend).err()).collect();
    faults.sort_by_key(|fault| fault.reason);
    let Some(worst) = faults.first().map(|fault| fault.reason) else {
        return Derived::holds(RESOLVED_REFS, "ResolvedRefs", "every backendRef leads to a backend");
    };
    let messages: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
    let message = format!("{}; the share of each is refused", enumerate(&messages, "; "));
    Derived::fails(RESOLVED_REFS, worst.as_str(), message)
}

/// Says of which listeners and host names an older route carries the traffic.
fn superseded(
    state: &State,
    route: &AnyRoute<'_>,
    owner: &Owner<'_>,
    listeners: &[(&Listener, Vec<HostKey>)],
) -> Option<Derived> {
    let own = Name::of(route.metadata).key(route.kind);
    let (mut lost, mut places) = (Vec::new(), 0_usize);
    for (listener, names) in listeners {
        for name in names {
            places += 1;
            let pair = (owner.point(&listener.name), name.clone());
            let carrier = state.index().carried.first(&pair);
            if let Some(carrier) = carrier.filter(|carrier| carrier.key != own) {
                let what = match route.kind {
                    Kind::TlsRoute => format!("{name} of listener {:?}", listener.name),
                    _ => format!("listener {:?}", listener.name),
                };
                lost.push(format!("{what} by {}", carrier.key));
            }
        }
    }
    if lost.is_empty() {
        return None;
    }
    let reason = match route.kind {
        _ if lost.len() == places => "OlderRoute",
        Kind::TlsRoute => "OlderRouteForSomeHostnames",
        _ => "OlderRouteOnSomeListeners",
    };
    let message = format!("an older route carries the traffic: {}", enumerate(&lost, "; "));
    Some(Derived::holds(SUPERSEDED, reason, message))
}

fn partially_invalid(route: &AnyRoute<'_>) -> Option<Derived> {
    (route.spec.rules.len() > 1).then(|| {
        let message = "Dropped Rule: a route has one rule; those after the first are not served";
        Derived::holds(PARTIALLY_INVALID, "UnsupportedValue", message)
    })
}
