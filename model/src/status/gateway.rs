//! Status of a Gateway and its listeners.
//!
//! Conflicts between two Gateways: a socket group belongs to the older of those that want it (creation, then namespace
//! and name), as the Gateway API rules for listeners of different objects that share one Gateway; the younger listener
//! is `Conflicted`. No winner would let anyone who may create a Gateway take down one that is running. Claims are
//! compared, not outcomes, so that a verdict never hangs on a chain of other verdicts. Within one Gateway all clashing
//! listeners lose.
//!
//! A listener's `Accepted` is about the configuration alone. What a node reports about its sockets shows in
//! `Programmed`, never in `Accepted`: a port that is busy on one node must not take the listener from the others.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::binds::{Binds, Verdict};
use super::class;
use super::condition::{ACCEPTED, CONFLICTED, Derived, Moment, PROGRAMMED, RESOLVED_REFS, enumerate, merge, waiting};
use super::listener::{SERVED, Shape, rivals, shape};
use crate::node::{BindAddress, BindResult, NodeRecord, Protocol, SocketKey};
use crate::resource::{Gateway, GatewayAddress, GatewayStatus, GatewayStatusAddress, ListenerStatus};
use crate::state::State;
use crate::state::index::{AttachPoint, Claim, Claims, Name, Seniority};

/// Types that are ours in a Gateway of a class that is ours.
pub(crate) const OWN: [&str; 2] = [ACCEPTED, PROGRAMMED];
/// Types that are ours in its listeners.
pub(crate) const OWN_OF_LISTENER: [&str; 4] = [ACCEPTED, PROGRAMMED, RESOLVED_REFS, CONFLICTED];
/// Most addresses in a status.
const ADDRESSES: usize = 16;

/// What a Gateway has before its controller has looked at it, and when it has none.
pub(crate) fn unclaimed() -> GatewayStatus {
    GatewayStatus {
        conditions: waiting(&OWN),
        ..GatewayStatus::default()
    }
}

/// The sockets that a Gateway of ours claims: for each listener that could serve, each of its addresses.
pub(crate) fn claims(state: &State, gateway: &Gateway) -> Claims {
    let mut claims = Claims::new();
    if fault(state, gateway).is_some() {
        return claims;
    }
    let addresses = bind_addresses(gateway);
    let seniority = Seniority::of(&gateway.metadata);
    for listener in &gateway.spec.listeners {
        if shape(listener).kinds.is_empty() || !rivals(gateway, listener).is_empty() {
            continue;
        }
        for address in &addresses {
            let socket = SocketKey {
                protocol: Protocol::Tcp,
                address: *address,
                port: listener.port,
            };
            let claim = Claim {
                gateway: seniority.clone(),
                listener: listener.name.clone(),
            };
            claims.insert((socket, claim));
        }
    }
    claims
}

/// The status of a Gateway whose class is ours.
pub(crate) fn derive(state: &State, gateway: &Gateway, moment: Moment) -> GatewayStatus {
    let fault = fault(state, gateway);
    let claims = state.index().claims_of(&Name::of(&gateway.metadata));
    let views: Vec<View<'_>> = gateway
        .spec
        .listeners
        .iter()
        .map(|listener| View::of(state, gateway, shape(listener), &claims, fault.is_some()))
        .collect();
    let accepted = accepted(fault, &views);
    let programmed = programmed(gateway, &accepted, &views);
    let previous = &gateway.status;
    GatewayStatus {
        addresses: addresses(state, gateway, &claims),
        conditions: merge(&previous.conditions, &OWN, vec![accepted, programmed], moment),
        listeners: views
            .into_iter()
            .map(|view| view.status(state, gateway, moment))
            .collect(),
        attached_listener_sets: 0,
    }
}

/// What keeps the whole Gateway from being accepted: reason and message.
fn fault(state: &State, gateway: &Gateway) -> Option<(&'static str, String)> {
    let class = state.gateway_class(&gateway.spec.gateway_class_name)?;
    if let Some(message) = class::fault(class) {
        return Some(("InvalidParameters", message));
    }
    let infrastructure = gateway.spec.infrastructure.as_ref();
    if let Some(parameters) = infrastructure.and_then(|infrastructure| infrastructure.parameters_ref.as_ref()) {
        let message = format!(
            "spec.infrastructure.parametersRef names {} {:?}, and no kind of parameters is known: remove it",
            parameters.kind, parameters.name
        );
        return Some(("InvalidParameters", message));
    }
    let unsupported: Vec<String> = gateway
        .spec
        .addresses
        .iter()
        .enumerate()
        .filter(|(_, address)| !is_supported(address))
        .map(|(position, address)| {
            let value = address.value.as_deref().unwrap_or_default();
            format!("spec.addresses[{position}] {} {value:?}", address.address_type)
        })
        .collect();
    (!unsupported.is_empty()).then(|| {
        let message = format!(
            "only addresses of type IPAddress can be bound, not {}",
            enumerate(&unsupported, ", ")
        );
        ("UnsupportedAddress", message)
    })
}

fn is_supported(address: &GatewayAddress) -> bool {
    address.address_type == GatewayAddress::IP_ADDRESS
        && address
            .value
            .as_deref()
            .is_none_or(|value| value.parse::<IpAddr>().is_ok())
}

/// Where the listeners bind. An address without a value asks for one to be assigned, which is not done: it is left
/// out here and shows as `AddressNotAssigned`.
fn bind_addresses(gateway: &Gateway) -> BTreeSet<BindAddress> {
    if gateway.spec.addresses.is_empty() {
        return BTreeSet::from([BindAddress::NodeDefault]);
    }
    let values = gateway
        .spec
        .addresses
        .iter()
        .filter_map(|address| address.value.as_deref());
    values
        .filter_map(|value| value.parse::<IpAddr>().ok())
        .map(|address| BindAddress::Exactly(address.to_canonical()))
        .collect()
}

/// One listener with everything that decides its conditions.
struct View<'a> {
    shape: Shape<'a>,
    accepted: Derived,
    programmed: Derived,
    resolved: Derived,
    conflicted: Derived,
    /// What the nodes say, if it is accepted.
    binds: Option<Verdict>,
}

impl<'a> View<'a> {
    fn of(state: &State, gateway: &'a Gateway, shape: Shape<'a>, claims: &Claims, rejected: bool) -> View<'a> {
        let sockets: BTreeSet<SocketKey> = claims
            .iter()
            .filter(|(_, claim)| claim.listener == shape.listener.name)
            .map(|(socket, _)| *socket)
            .collect();
        let conflict = conflict_within(gateway, &shape).or_else(|| conflict_across(state, gateway, &sockets));
        let accepted = listener_accepted(&shape, conflict.as_deref());
        let binds =
            (accepted.is_true() && !rejected && !sockets.is_empty()).then(|| Binds::of(state, &sockets).verdict());
        View {
            programmed: listener_programmed(gateway, &accepted, rejected, binds.as_ref()),
            resolved: listener_resolved(&shape),
            conflicted: match conflict {
                Some(message) => Derived::holds(CONFLICTED, "ProtocolConflict", message),
                None => Derived::fails(CONFLICTED, "NoConflicts", "no other listener wants its port"),
            },
            shape,
            accepted,
            binds,
        }
    }

    fn status(self, state: &State, gateway: &Gateway, moment: Moment) -> ListenerStatus {
        let name = &self.shape.listener.name;
        let previous = gateway.status.listeners.iter().find(|previous| previous.name == *name);
        let point = AttachPoint {
            gateway: Name::of(&gateway.metadata),
            listener: name.clone(),
        };
        let conditions = vec![self.accepted, self.programmed, self.resolved, self.conflicted];
        let supported = conditions.last().is_some_and(|conflicted| !conflicted.is_true());
        ListenerStatus {
            name: name.clone(),
            attached_routes: state.index().attached_count(&point),
            supported_kinds: if supported { self.shape.kinds } else { Vec::new() },
            conditions: merge(
                previous.map_or(&[], |previous| previous.conditions.as_slice()),
                &OWN_OF_LISTENER,
                conditions,
                moment,
            ),
        }
    }
}

fn conflict_within(gateway: &Gateway, shape: &Shape<'_>) -> Option<String> {
    let rivals: Vec<String> = rivals(gateway, shape.listener)
        .into_iter()
        .map(|rival| format!("{:?} ({})", rival.name, rival.protocol))
        .collect();
    (!rivals.is_empty()).then(|| {
        format!(
            "{} at port {} cannot be told apart from listener {} of the same Gateway; none of them is served",
            shape.listener.protocol,
            shape.listener.port,
            enumerate(&rivals, ", ")
        )
    })
}

fn conflict_across(state: &State, gateway: &Gateway, sockets: &BTreeSet<SocketKey>) -> Option<String> {
    let own = Name::of(&gateway.metadata);
    let taken: Vec<String> = sockets
        .iter()
        .filter_map(|socket| {
            let holder = state.index().claims.first(socket)?;
            let place = match socket.address {
                BindAddress::NodeDefault => "the nodes' data address".to_owned(),
                BindAddress::Exactly(address) => address.to_string(),
            };
            (holder.gateway.name != own).then(|| {
                format!(
                    "port {} of {place} belongs to listener {:?} of Gateway {}, which is older",
                    socket.port, holder.listener, holder.gateway.name
                )
            })
        })
        .collect();
    (!taken.is_empty()).then(|| enumerate(&taken, "; "))
}

fn listener_accepted(shape: &Shape<'_>, conflict: Option<&str>) -> Derived {
    if let Some(conflict) = conflict {
        Derived::fails(ACCEPTED, "ProtocolConflict", conflict)
    } else if !shape.served {
        let message = format!("protocol {} is not served; {SERVED}", shape.listener.protocol);
        Derived::fails(ACCEPTED, "UnsupportedProtocol", message)
    } else {
        Derived::holds(ACCEPTED, "Accepted", "the listener is valid")
    }
}

fn listener_programmed(gateway: &Gateway, accepted: &Derived, rejected: bool, binds: Option<&Verdict>) -> Derived {
    if !accepted.is_true() {
        let reason = match accepted.reason {
            "ProtocolConflict" => "ProtocolConflict",
            _ => "Invalid",
        };
        return Derived::fails(PROGRAMMED, reason, accepted.message.clone());
    }
    if rejected {
        return Derived::fails(PROGRAMMED, "Invalid", "the Gateway is not accepted");
    }
    match binds {
        Some(Verdict::Bound) => Derived::holds(PROGRAMMED, "Programmed", "every live node listens"),
        Some(Verdict::Failed(message)) => Derived::fails(PROGRAMMED, "Invalid", message.clone()),
        Some(Verdict::Pending(message)) => Derived::fails(PROGRAMMED, "Pending", message.clone()),
        None if bind_addresses(gateway).is_empty() => {
            Derived::fails(PROGRAMMED, "Pending", "the Gateway has no address to listen on")
        }
        None => Derived::fails(
            PROGRAMMED,
            "Invalid",
            "no route can attach, so there is nothing to listen for",
        ),
    }
}

fn listener_resolved(shape: &Shape<'_>) -> Derived {
    if shape.wrong_kinds.is_empty() {
        return Derived::holds(
            RESOLVED_REFS,
            "ResolvedRefs",
            "the listener refers to nothing that is missing",
        );
    }
    let wrong: Vec<String> = shape
        .wrong_kinds
        .iter()
        .map(|kind| format!("{}/{}", kind.group, kind.kind))
        .collect();
    let message = format!(
        "allowedRoutes.kinds: a listener of protocol {} carries no {}",
        shape.listener.protocol,
        enumerate(&wrong, ", ")
    );
    Derived::fails(RESOLVED_REFS, "InvalidRouteKinds", message)
}

fn accepted(fault: Option<(&'static str, String)>, views: &[View<'_>]) -> Derived {
    if let Some((reason, message)) = fault {
        return Derived::fails(ACCEPTED, reason, message);
    }
    let bad: Vec<String> = views
        .iter()
        .filter(|view| !view.accepted.is_true())
        .map(|view| format!("{:?} ({})", view.shape.listener.name, view.accepted.reason))
        .collect();
    if bad.is_empty() {
        return Derived::holds(ACCEPTED, "Accepted", "the Gateway is valid");
    }
    let message = format!("listeners that are not valid: {}", enumerate(&bad, ", "));
    if bad.len() < views.len() {
        Derived::holds(ACCEPTED, "ListenersNotValid", message)
    } else {
        Derived::fails(ACCEPTED, "ListenersNotValid", message)
    }
}

fn programmed(gateway: &Gateway, accepted: &Derived, views: &[View<'_>]) -> Derived {
    if !accepted.is_true() {
        return Derived::fails(PROGRAMMED, "Invalid", accepted.message.clone());
    }
    if gateway.spec.addresses.iter().any(|address| address.value.is_none()) {
        let message = "spec.addresses has an entry without value, and none is assigned; give the address, or leave \
                       out spec.addresses to listen on the nodes' data addresses";
        return Derived::fails(PROGRAMMED, "AddressNotAssigned", message);
    }
    let (mut failed, mut pending, mut bound) = (Vec::new(), Vec::new(), 0_usize);
    for view in views {
        let of = |message: &str| format!("listener {:?}: {message}", view.shape.listener.name);
        match &view.binds {
            Some(Verdict::Failed(message)) => failed.push(of(message)),
            Some(Verdict::Pending(message)) => pending.push(of(message)),
            Some(Verdict::Bound) => bound += 1,
            None => {}
        }
    }
    if !failed.is_empty() {
        Derived::fails(PROGRAMMED, "AddressNotUsable", enumerate(&failed, "; "))
    } else if !pending.is_empty() {
        Derived::fails(PROGRAMMED, "Pending", enumerate(&pending, "; "))
    } else if bound == 0 {
        Derived::fails(PROGRAMMED, "Invalid", "no listener can be served")
    } else {
        Derived::holds(
            PROGRAMMED,
            "Programmed",
            "every live node listens for every accepted listener",
        )
    }
}

/// The addresses that clients can dial: each on which some live node listens.
fn addresses(state: &State, gateway: &Gateway, claims: &Claims) -> Vec<GatewayStatusAddress> {
    let own = Name::of(&gateway.metadata);
    let held: BTreeSet<SocketKey> = claims
        .iter()
        .map(|(socket, _)| *socket)
        .filter(|socket| {
            let holder = state.index().claims.first(socket);
            holder.is_some_and(|holder| holder.gateway.name == own)
        })
        .collect();
    let mut addresses = BTreeSet::new();
    for (_, node) in state.nodes().filter(|(_, node)| node.live) {
        for socket in &held {
            if node.binds.get(socket) == Some(&BindResult::Bound) {
                addresses.extend(dialled(socket.address, node));
            }
        }
    }
    addresses
        .into_iter()
        .take(ADDRESSES)
        .map(|address| GatewayStatusAddress {
            address_type: GatewayAddress::IP_ADDRESS.to_owned(),
            value: address.to_string(),
        })
        .collect()
}

/// The address that reaches a socket of a node. A node that listens on all its addresses is reached where the other
/// nodes reach it, as far as that is an address.
fn dialled(address: BindAddress, node: &NodeRecord) -> Option<IpAddr> {
    match address {
        BindAddress::Exactly(address) => Some(address),
        BindAddress::NodeDefault => node.facts.data_address.or_else(|| {
            let peer: std::net::SocketAddr = node.facts.peer_address.parse().ok()?;
            Some(peer.ip())
        }),
    }
}
