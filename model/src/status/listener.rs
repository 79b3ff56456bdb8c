//! What can be said of a listener by looking at its Gateway or ListenerSet alone.

use crate::kind::Kind;
use crate::node::Protocol;
use crate::resource::{Listener, RouteGroupKind, TlsMode};

/// Protocols that are served, for messages.
pub(crate) const SERVED: &str = "TCP, UDP and TLS are";

/// Which routes a listener can carry.
#[derive(Clone, Debug)]
pub(crate) struct Shape<'a> {
    pub(crate) listener: &'a Listener,
    /// The kind of route that its protocol carries; `None` for a protocol that is not served.
    pub(crate) carries: Option<Kind>,
    /// Route kinds that may attach: what the protocol carries, if `allowedRoutes.kinds` names it or is empty.
    pub(crate) kinds: Vec<RouteGroupKind>,
    /// Kinds in `allowedRoutes.kinds` that the protocol does not carry.
    pub(crate) wrong_kinds: Vec<&'a RouteGroupKind>,
}

impl Shape<'_> {
    /// Protocol of its sockets.
    pub(crate) fn transport(&self) -> Option<Protocol> {
        self.carries.map(|kind| match kind {
            Kind::UdpRoute => Protocol::Udp,
            _ => Protocol::Tcp,
        })
    }

    /// Whether it shares its port with others, told apart by host name.
    pub(crate) fn is_by_name(&self) -> bool {
        self.carries == Some(Kind::TlsRoute)
    }

    /// Whether TLS ends at it, so that it needs a certificate.
    pub(crate) fn terminates(&self) -> bool {
        terminates(self.listener)
    }
}

/// Whether TLS ends at a listener.
pub(crate) fn terminates(listener: &Listener) -> bool {
    let mode = listener.tls.as_ref().map(|tls| tls.mode).unwrap_or_default();
    listener.protocol == "TLS" && mode == TlsMode::Terminate
}

/// A kind of route as `supportedKinds` has it.
fn route_kind(kind: Kind) -> RouteGroupKind {
    let info = kind.info();
    RouteGroupKind {
        group: info.group.to_owned(),
        kind: info.name.to_owned(),
    }
}

/// Which routes `listener` can carry.
pub(crate) fn shape(listener: &Listener) -> Shape<'_> {
    let carries = match listener.protocol.as_str() {
        "TCP" => Some(Kind::TcpRoute),
        "UDP" => Some(Kind::UdpRoute),
        "TLS" => Some(Kind::TlsRoute),
        _ => None,
    };
    let carried = carries.map(route_kind);
    let named = &listener.allowed_routes.kinds;
    let (kinds, wrong_kinds) = if named.is_empty() {
        (carried.into_iter().collect(), Vec::new())
    } else {
        let (right, wrong): (Vec<_>, Vec<_>) = named.iter().partition(|kind| carried.as_ref() == Some(kind));
        (right.into_iter().take(1).cloned().collect(), wrong)
    };
    Shape {
        listener,
        carries,
        kinds,
        wrong_kinds,
    }
}

/// Other listeners of the same object that want the same port for something that is not served, and that would stand in
/// the way if it were. All of them lose. What served listeners do to each other is decided socket by socket.
pub(crate) fn rivals<'a>(listeners: &'a [Listener], listener: &Listener) -> Vec<&'a Listener> {
    let others = listeners.iter().filter(|other| other.name != listener.name);
    others.filter(|other| clash(listener, other)).collect()
}

fn clash(one: &Listener, other: &Listener) -> bool {
    one.port == other.port
        && match [one.protocol.as_str(), other.protocol.as_str()] {
            ["TCP", "HTTP" | "HTTPS"] | ["HTTP" | "HTTPS", "TCP"] => true,
            // Both are told apart by SNI alone.
            ["TLS", "HTTPS"] | ["HTTPS", "TLS"] => one.hostname == other.hostname,
            _ => false,
        }
}
