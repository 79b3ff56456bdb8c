//! Attachment of routes to listeners (Gateway API, `parentRefs` and `allowedRoutes`).

use super::condition::enumerate;
use super::listener::shape;
use super::owner::Owner;
use crate::kind::Kind;
use crate::resource::{AnyRoute, Listener, ParentReference, RouteNamespaceScope};
use crate::state::State;
use crate::state::host::HostKey;
use crate::state::index::{Points, parent_key};

/// What became of one parentRef to a Gateway or ListenerSet of ours.
#[derive(Clone, Debug)]
pub(crate) enum Attachment<'a> {
    /// The parent has no such listener.
    NoMatchingParent(String),
    /// It has, and none of them lets the route in.
    NotAllowedByListeners(String),
    /// Some would let it in, and it has no host name that they serve.
    NoMatchingListenerHostname(String),
    /// To these listeners, each with the host names that the route carries there (any, where the listener is not of
    /// protocol TLS). Whether the listeners are accepted themselves does not matter.
    Attached(Vec<(&'a Listener, Vec<HostKey>)>),
}

/// Attaches a route to `owner` by `parent`.
pub(crate) fn attach<'a>(
    state: &State,
    route: &AnyRoute<'_>,
    owner: &Owner<'a>,
    parent: &ParentReference,
) -> Attachment<'a> {
    let mut attached = Vec::new();
    let (mut refusals, mut strangers) = (Vec::new(), Vec::new());
    for listener in owner.listeners.iter().filter(|listener| selects(parent, listener)) {
        if let Some(why) = refusal(state, route, owner, listener) {
            refusals.push(format!("listener {:?} {why}", listener.name));
            continue;
        }
        let names = names(route, listener);
        if names.is_empty() {
            let served = listener.hostname.as_deref().unwrap_or_default();
            strangers.push(format!("listener {:?} serves {served:?}", listener.name));
        } else {
            attached.push((listener, names));
        }
    }
    if !attached.is_empty() {
        Attachment::Attached(attached)
    } else if !strangers.is_empty() {
        Attachment::NoMatchingListenerHostname(format!(
            "{}: none of spec.hostnames is served: {}",
            owner.key,
            enumerate(&strangers, "; ")
        ))
    } else if !refusals.is_empty() {
        Attachment::NotAllowedByListeners(format!("{}: {}", owner.key, enumerate(&refusals, "; ")))
    } else {
        Attachment::NoMatchingParent(no_listener(owner, parent))
    }
}

/// Everywhere a route is attached.
pub(crate) fn attach_points(state: &State, route: &AnyRoute<'_>) -> Points {
    let mut points = Points::new();
    for parent in &route.spec.parent_refs {
        let key = parent_key(parent, &route.metadata.namespace);
        let Some(owner) = key.and_then(|key| Owner::of(state, &key)) else {
            continue;
        };
        if let Attachment::Attached(listeners) = attach(state, route, &owner, parent) {
            for (listener, names) in listeners {
                let point = owner.point(&listener.name);
                points.extend(names.into_iter().map(|name| (point.clone(), name)));
            }
        }
    }
    points
}

/// The host names that a route carries on a listener: those of both, the more specific of each pair.
fn names(route: &AnyRoute<'_>, listener: &Listener) -> Vec<HostKey> {
    if route.kind != Kind::TlsRoute {
        return vec![HostKey::any()];
    }
    let served = HostKey::of(listener.hostname.as_deref());
    if route.hostnames.is_empty() {
        return vec![served];
    }
    let names = route.hostnames.iter().map(|hostname| HostKey::of(Some(hostname)));
    names.filter_map(|name| name.intersect(&served)).collect()
}

fn selects(parent: &ParentReference, listener: &Listener) -> bool {
    parent.section_name.as_ref().is_none_or(|name| *name == listener.name)
        && parent.port.is_none_or(|port| port == listener.port)
}

fn no_listener(owner: &Owner<'_>, parent: &ParentReference) -> String {
    let wanted = match (&parent.section_name, parent.port) {
        (Some(name), Some(port)) => format!("named {name:?} at port {port}"),
        (Some(name), None) => format!("named {name:?}"),
        (None, Some(port)) => format!("at port {port}"),
        (None, None) => "at all".to_owned(),
    };
    let listeners = owner.listeners.iter();
    let has: Vec<String> = listeners
        .map(|listener| format!("{:?} at port {}", listener.name, listener.port))
        .collect();
    format!(
        "{} has no listener {wanted}; it has {}",
        owner.key,
        enumerate(&has, ", ")
    )
}

/// Why a listener does not let the route in.
fn refusal(state: &State, route: &AnyRoute<'_>, owner: &Owner<'_>, listener: &Listener) -> Option<String> {
    let shape = shape(listener);
    let kind = route.kind.info().name;
    if shape.carries != Some(route.kind) {
        return Some(format!("is of protocol {}, which carries no {kind}", listener.protocol));
    }
    if shape.kinds.is_empty() {
        return Some(format!("does not name {kind} in allowedRoutes.kinds"));
    }
    let namespace = &route.metadata.namespace;
    let namespaces = &listener.allowed_routes.namespaces;
    match namespaces.from {
        RouteNamespaceScope::All => None,
        RouteNamespaceScope::Same if *namespace == owner.key.namespace => None,
        RouteNamespaceScope::Same => Some(format!(
            "admits routes of its own namespace {:?} only (allowedRoutes.namespaces.from is Same)",
            owner.key.namespace
        )),
        RouteNamespaceScope::Selector => {
            let labels = state.namespace(namespace).map(|namespace| &namespace.metadata.labels);
            let selector = namespaces.selector.as_ref();
            let admitted = selector
                .zip(labels)
                .is_some_and(|(selector, labels)| selector.matches(labels));
            (!admitted).then(|| {
                format!("has an allowedRoutes.namespaces.selector that does not match namespace {namespace:?}")
            })
        }
    }
}
