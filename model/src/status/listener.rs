//! What can be said of a listener by looking at its Gateway alone.

use crate::resource::{GATEWAY_GROUP, Gateway, Listener, RouteGroupKind};

/// Protocols that are served, for messages.
pub(crate) const SERVED: &str = "TCP is served";

/// Which routes a listener can carry.
#[derive(Clone, Debug)]
pub(crate) struct Shape<'a> {
    pub(crate) listener: &'a Listener,
    /// Whether its protocol is served.
    pub(crate) served: bool,
    /// Route kinds that may attach: those that the protocol carries and `allowedRoutes.kinds` names.
    pub(crate) kinds: Vec<RouteGroupKind>,
    /// Kinds in `allowedRoutes.kinds` that the protocol does not carry.
    pub(crate) wrong_kinds: Vec<&'a RouteGroupKind>,
}

/// The kind `TCPRoute`.
pub(crate) fn tcp_route() -> RouteGroupKind {
    RouteGroupKind {
        group: GATEWAY_GROUP.to_owned(),
        kind: "TCPRoute".to_owned(),
    }
}

/// Which routes `listener` can carry.
pub(crate) fn shape(listener: &Listener) -> Shape<'_> {
    let carried = carried_kinds(&listener.protocol);
    let served = !carried.is_empty();
    let named = &listener.allowed_routes.kinds;
    let (kinds, wrong_kinds) = if named.is_empty() {
        (carried, Vec::new())
    } else {
        let (right, wrong): (Vec<_>, Vec<_>) = named.iter().partition(|kind| carried.contains(kind));
        (right.into_iter().cloned().collect(), wrong)
    };
    Shape {
        listener,
        served,
        kinds,
        wrong_kinds,
    }
}

/// Other listeners of the Gateway that want the same port for something else. All of them lose: within one object
/// there is no telling which one its author meant.
pub(crate) fn rivals<'a>(gateway: &'a Gateway, listener: &Listener) -> Vec<&'a Listener> {
    let others = gateway
        .spec
        .listeners
        .iter()
        .filter(|other| other.name != listener.name);
    others.filter(|other| clash(listener, other)).collect()
}

/// Route kinds that a listener of this protocol carries; empty if it is not served.
fn carried_kinds(protocol: &str) -> Vec<RouteGroupKind> {
    match protocol {
        "TCP" => vec![tcp_route()],
        _ => Vec::new(),
    }
}

/// Whether two listeners of one Gateway cannot both have their port (Gateway API, listener distinctness).
fn clash(one: &Listener, other: &Listener) -> bool {
    // Listeners told apart by host name share a port with each other, and with no listener that takes all of it.
    let by_hostname = |protocol: &str| matches!(protocol, "HTTP" | "HTTPS" | "TLS");
    let pair = [one.protocol.as_str(), other.protocol.as_str()];
    one.port == other.port
        && match pair {
            ["TCP", "TCP"] | ["UDP", "UDP"] => true,
            ["TCP", protocol] | [protocol, "TCP"] => by_hostname(protocol),
            _ => false,
        }
}
