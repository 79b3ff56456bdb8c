//! Attachment of routes to listeners (Gateway API, `parentRefs` and `allowedRoutes`).

use super::condition::enumerate;
use super::listener::{shape, tcp_route};
use crate::resource::{Gateway, Listener, ParentReference, RouteNamespaceScope};
use crate::state::State;
use crate::state::index::Name;

/// What became of one parentRef to a Gateway of ours.
#[derive(Clone, Debug)]
pub(crate) enum Attachment<'a> {
    /// The Gateway has no such listener.
    NoMatchingParent(String),
    /// It has, and none of them lets the route in.
    NotAllowedByListeners(String),
    /// To these listeners; whether they are accepted themselves does not matter.
    Attached(Vec<&'a Listener>),
}

/// Attaches a TCPRoute of `route_namespace` to `gateway` by `parent`.
pub(crate) fn attach<'a>(
    state: &State,
    route_namespace: &str,
    gateway: &'a Gateway,
    parent: &ParentReference,
) -> Attachment<'a> {
    let mut attached = Vec::new();
    let mut refusals = Vec::new();
    for listener in gateway
        .spec
        .listeners
        .iter()
        .filter(|listener| selects(parent, listener))
    {
        match refusal(state, route_namespace, gateway, listener) {
            None => attached.push(listener),
            Some(why) => refusals.push(format!("listener {:?} {why}", listener.name)),
        }
    }
    if attached.is_empty() && refusals.is_empty() {
        return Attachment::NoMatchingParent(no_listener(gateway, parent));
    }
    if attached.is_empty() {
        let gateway = Name::of(&gateway.metadata);
        return Attachment::NotAllowedByListeners(format!("Gateway {gateway}: {}", enumerate(&refusals, "; ")));
    }
    Attachment::Attached(attached)
}

fn selects(parent: &ParentReference, listener: &Listener) -> bool {
    parent.section_name.as_ref().is_none_or(|name| *name == listener.name)
        && parent.port.is_none_or(|port| port == listener.port)
}

fn no_listener(gateway: &Gateway, parent: &ParentReference) -> String {
    let wanted = match (&parent.section_name, parent.port) {
        (Some(name), Some(port)) => format!("named {name:?} at port {port}"),
        (Some(name), None) => format!("named {name:?}"),
        (None, Some(port)) => format!("at port {port}"),
        (None, None) => "at all".to_owned(),
    };
    let listeners = gateway.spec.listeners.iter();
    let has: Vec<String> = listeners
        .map(|listener| format!("{:?} at port {}", listener.name, listener.port))
        .collect();
    format!(
        "Gateway {} has no listener {wanted}; it has {}",
        Name::of(&gateway.metadata),
        enumerate(&has, ", ")
    )
}

/// Why a listener does not let the route in.
fn refusal(state: &State, route_namespace: &str, gateway: &Gateway, listener: &Listener) -> Option<String> {
    let shape = shape(listener);
    if !shape.served {
        return Some(format!(
            "is of protocol {}, which carries no TCPRoute",
            listener.protocol
        ));
    }
    if !shape.kinds.contains(&tcp_route()) {
        return Some("does not name TCPRoute in allowedRoutes.kinds".to_owned());
    }
    let namespaces = &listener.allowed_routes.namespaces;
    match namespaces.from {
        RouteNamespaceScope::All => None,
        RouteNamespaceScope::Same if route_namespace == gateway.metadata.namespace => None,
        RouteNamespaceScope::Same => Some(format!(
            "admits routes of its own namespace {:?} only (allowedRoutes.namespaces.from is Same)",
            gateway.metadata.namespace
        )),
        RouteNamespaceScope::Selector => {
            let labels = state
                .namespace(route_namespace)
                .map(|namespace| &namespace.metadata.labels);
            let admitted = namespaces
                .selector
                .as_ref()
                .zip(labels)
                .is_some_and(|(selector, labels)| selector.matches(labels));
            (!admitted).then(|| {
                format!("has an allowedRoutes.namespaces.selector that does not match namespace {route_namespace:?}")
            })
        }
    }
}
