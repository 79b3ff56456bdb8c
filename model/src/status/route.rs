//! Status of a TCPRoute: one entry for each parentRef to a Gateway of ours.

use super::attach::{Attachment, attach};
use super::backend_ref::resolve;
use super::condition::{ACCEPTED, Derived, Moment, PARTIALLY_INVALID, RESOLVED_REFS, SUPERSEDED, enumerate, merge};
use crate::resource::{Gateway, Listener, ParentReference, RouteParentStatus, RouteStatus, TcpRoute};
use crate::state::index::{AttachPoint, Name};
use crate::state::{CONTROLLER_NAME, State};

/// Most entries in `parents`; what others have written beyond it is dropped.
const PARENTS: usize = 32;
/// Types that are ours in our entries.
const OWN: [&str; 4] = [ACCEPTED, RESOLVED_REFS, PARTIALLY_INVALID, SUPERSEDED];

/// The status of a route: our entries in the order of its parentRefs, then those of other controllers.
pub(crate) fn derive(state: &State, route: &TcpRoute, moment: Moment) -> RouteStatus {
    let refs = resolved_refs(state, route);
    let mut parents: Vec<RouteParentStatus> = route
        .spec
        .parent_refs
        .iter()
        .filter_map(|parent| {
            let gateway = parent_gateway(state, route, parent)?;
            Some(entry(state, route, gateway, parent, &refs, moment))
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

/// The Gateway of ours that a parentRef names. Parents of other kinds and of other controllers get no answer.
pub(crate) fn parent_gateway<'a>(state: &'a State, route: &TcpRoute, parent: &ParentReference) -> Option<&'a Gateway> {
    if !parent.is_gateway() {
        return None;
    }
    let name = Name::new(parent.namespace_or(&route.metadata.namespace), &parent.name);
    let gateway = state.gateway(&name)?;
    state.index().ours.contains(&name).then_some(gateway)
}

fn entry(
    state: &State,
    route: &TcpRoute,
    gateway: &Gateway,
    parent: &ParentReference,
    refs: &Derived,
    moment: Moment,
) -> RouteParentStatus {
    let mut conditions = Vec::new();
    match attach(state, &route.metadata.namespace, gateway, parent) {
        Attachment::NoMatchingParent(message) => conditions.push(Derived::fails(ACCEPTED, "NoMatchingParent", message)),
        Attachment::NotAllowedByListeners(message) => {
            conditions.push(Derived::fails(ACCEPTED, "NotAllowedByListeners", message));
        }
        Attachment::Attached(listeners) => {
            conditions.push(Derived::holds(ACCEPTED, "Accepted", "the route is attached"));
            conditions.extend(superseded(state, route, gateway, &listeners));
        }
    }
    conditions.insert(1, refs.clone());
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
fn resolved_refs(state: &State, route: &TcpRoute) -> Derived {
    let refs = route
        .spec
        .rules
        .first()
        .map_or(&[][..], |rule| rule.backend_refs.as_slice());
    let mut faults: Vec<_> = refs
        .iter()
        .filter_map(|backend| resolve(state, &route.metadata.namespace, backend).err())
        .collect();
    faults.sort_by_key(|fault| fault.reason);
    let Some(worst) = faults.first().map(|fault| fault.reason) else {
        return Derived::holds(RESOLVED_REFS, "ResolvedRefs", "every backendRef leads to a backend");
    };
    let messages: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
    let message = format!("{}; the share of each is refused", enumerate(&messages, "; "));
    Derived::fails(RESOLVED_REFS, worst.as_str(), message)
}

/// Says which listeners an older route carries the traffic of.
fn superseded(state: &State, route: &TcpRoute, gateway: &Gateway, listeners: &[&Listener]) -> Option<Derived> {
    let own = Name::of(&route.metadata);
    let lost: Vec<String> = listeners
        .iter()
        .filter_map(|listener| {
            let point = AttachPoint {
                gateway: Name::of(&gateway.metadata),
                listener: listener.name.clone(),
            };
            let carrier = state.index().attached.first(&point)?;
            (carrier.name != own).then(|| format!("listener {:?} by TCPRoute {}", listener.name, carrier.name))
        })
        .collect();
    if lost.is_empty() {
        return None;
    }
    let reason = if lost.len() == listeners.len() {
        "OlderRoute"
    } else {
        "OlderRouteOnSomeListeners"
    };
    let message = format!("an older route carries the traffic: {}", enumerate(&lost, "; "));
    Some(Derived::holds(SUPERSEDED, reason, message))
}

fn partially_invalid(route: &TcpRoute) -> Option<Derived> {
    (route.spec.rules.len() > 1).then(|| {
        let message = "Dropped Rule: a TCPRoute has one rule; those after the first are not served";
        Derived::holds(PARTIALLY_INVALID, "UnsupportedValue", message)
    })
}
