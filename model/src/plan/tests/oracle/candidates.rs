//! Listeners that may be served, and who takes a socket from whom.

use std::net::IpAddr;

use super::routes::granted;
use crate::kind::Kind;
use crate::meta::{LabelSelector, ObjectMeta};
use crate::node::{BindAddress, Protocol, SocketKey};
use crate::object::Object;
use crate::resource::{AnyRoute, Gateway, Listener, ListenerNamespaceScope, RouteNamespaceScope, TlsMode};
use crate::state::{CONTROLLER_NAME, State};

/// A listener that may be served, with the order of its object among all that want a socket.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) kind: Kind,
    pub(super) metadata: &'a ObjectMeta,
    pub(super) gateway: &'a Gateway,
    pub(super) siblings: &'a [Listener],
    pub(super) listener: &'a Listener,
    pub(super) order: (i64, bool, i64, &'a str, &'a str),
}

pub(super) fn seconds(metadata: &ObjectMeta) -> i64 {
    metadata.creation_timestamp.expect("stored").unix_seconds
}

pub(super) fn gateways(state: &State) -> Vec<&Gateway> {
    let ours = |gateway: &&Gateway| {
        let mut classes = state.list(Kind::GatewayClass, None, None);
        let ours = classes.any(|object| match object {
            Object::GatewayClass(class) => {
                class.metadata.name == gateway.spec.gateway_class_name
                    && class.spec.controller_name == CONTROLLER_NAME
                    && class.spec.parameters_ref.is_none()
            }
            _ => false,
        });
        let mut addresses = gateway.spec.addresses.iter();
        ours && addresses.all(|address| {
            let parses = |value: &String| value.parse::<IpAddr>().is_ok();
            address.address_type == "IPAddress" && address.value.as_ref().is_none_or(parses)
        })
    };
    let all = state.list(Kind::Gateway, None, None).filter_map(|object| match object {
        Object::Gateway(gateway) => Some(&**gateway),
        _ => None,
    });
    all.filter(ours).collect()
}

pub(super) fn selects(state: &State, selector: Option<&LabelSelector>, namespace: &str) -> bool {
    let labels = state.namespace(namespace).map(|namespace| &namespace.metadata.labels);
    selector
        .zip(labels)
        .is_some_and(|(selector, labels)| selector.matches(labels))
}

/// Every listener of a protocol that is served, of objects that are accepted as a whole.
pub(super) fn candidates(state: &State) -> Vec<Candidate<'_>> {
    let mut found = Vec::new();
    for gateway in gateways(state) {
        let own = &gateway.metadata;
        for listener in &gateway.spec.listeners {
            found.push(Candidate {
                kind: Kind::Gateway,
                metadata: own,
                gateway,
                siblings: &gateway.spec.listeners,
                listener,
                order: (seconds(own), false, seconds(own), &own.namespace, &own.name),
            });
        }
        for object in state.list(Kind::ListenerSet, None, None) {
            let Object::ListenerSet(set) = object else { continue };
            let (parent, metadata) = (&set.spec.parent_ref, &set.metadata);
            let named = (parent.kind.as_str(), parent.name.as_str()) == ("Gateway", own.name.as_str())
                && parent.namespace.as_ref().unwrap_or(&metadata.namespace) == &own.namespace;
            let allowed = gateway.spec.allowed_listeners.clone().unwrap_or_default().namespaces;
            let let_in = match allowed.from {
                ListenerNamespaceScope::All => true,
                ListenerNamespaceScope::None => false,
                ListenerNamespaceScope::Same => metadata.namespace == own.namespace,
                ListenerNamespaceScope::Selector => selects(state, allowed.selector.as_ref(), &metadata.namespace),
            };
            if named && let_in {
                let since = seconds(metadata).max(seconds(own));
                found.extend(set.spec.listeners.iter().map(|listener| Candidate {
                    kind: Kind::ListenerSet,
                    metadata,
                    gateway,
                    siblings: &set.spec.listeners,
                    listener,
                    order: (since, true, seconds(metadata), &metadata.namespace, &metadata.name),
                }));
            }
        }
    }
    found.retain(Candidate::may_be_served);
    found
}

impl Candidate<'_> {
    fn may_be_served(&self) -> bool {
        let listener = self.listener;
        let carried = match listener.protocol.as_str() {
            "TCP" => "TCPRoute",
            "UDP" => "UDPRoute",
            "TLS" => "TLSRoute",
            _ => return false,
        };
        let kinds = &listener.allowed_routes.kinds;
        let clash = self.siblings.iter().any(|other| {
            let pair = (listener.protocol.as_str(), other.protocol.as_str());
            other.port == listener.port && (pair == ("TCP", "HTTP") || pair == ("TCP", "HTTPS"))
        });
        !clash && (kinds.is_empty() || kinds.iter().any(|kind| kind.kind == carried))
    }

    pub(super) fn by_name(&self) -> bool {
        self.listener.protocol == "TLS"
    }

    pub(super) fn sockets(&self) -> Vec<SocketKey> {
        let protocol = match self.listener.protocol.as_str() {
            "UDP" => Protocol::Udp,
            _ => Protocol::Tcp,
        };
        let at = |address| SocketKey {
            protocol,
            address,
            port: self.listener.port,
        };
        let addresses = &self.gateway.spec.addresses;
        if addresses.is_empty() {
            return vec![at(BindAddress::NodeDefault)];
        }
        let addresses = addresses.iter().map(|address| match &address.value {
            None => BindAddress::NodeDefault,
            Some(value) => BindAddress::Exactly(value.parse().expect("checked")),
        });
        let usable = |address: &BindAddress| !matches!(address, BindAddress::Exactly(ip) if ip.is_multicast());
        addresses.filter(usable).map(at).collect()
    }

    /// Whether another candidate takes the socket from it.
    pub(super) fn loses(&self, socket: &SocketKey, all: &[Candidate<'_>]) -> bool {
        let mut here: Vec<&Candidate<'_>> = all.iter().filter(|other| other.sockets().contains(socket)).collect();
        here.sort_by_key(|other| other.order);
        let settled = here.iter().find(|first| {
            let siblings = here.iter().filter(|other| other.order == first.order);
            siblings.clone().count() == 1 || siblings.clone().all(|sibling| sibling.by_name())
        });
        let Some(settled) = settled else { return true };
        if self.order < settled.order || self.by_name() != settled.by_name() {
            return true;
        }
        if !self.by_name() {
            return self.order != settled.order;
        }
        here.iter().any(|other| {
            let itself = other.order == self.order && other.listener.name == self.listener.name;
            !itself
                && other.by_name()
                && other.order >= settled.order
                && other.order <= self.order
                && other.listener.hostname == self.listener.hostname
        })
    }

    pub(super) fn admits(&self, state: &State, route: &AnyRoute<'_>) -> bool {
        let (named, own) = (&self.listener.allowed_routes.namespaces, &route.metadata.namespace);
        let carried = match self.listener.protocol.as_str() {
            "TCP" => Kind::TcpRoute,
            "UDP" => Kind::UdpRoute,
            _ => Kind::TlsRoute,
        };
        let let_in = match named.from {
            RouteNamespaceScope::All => true,
            RouteNamespaceScope::Same => *own == self.metadata.namespace,
            RouteNamespaceScope::Selector => selects(state, named.selector.as_ref(), own),
        };
        let asked = route.spec.parent_refs.iter().any(|parent| {
            (parent.kind.as_str(), parent.name.as_str()) == (self.kind.info().name, self.metadata.name.as_str())
                && parent.namespace.as_ref().unwrap_or(own) == &self.metadata.namespace
                && parent
                    .section_name
                    .as_ref()
                    .is_none_or(|name| *name == self.listener.name)
                && parent.port.is_none_or(|port| port == self.listener.port)
        });
        route.kind == carried && let_in && asked
    }

    /// Whether it can end TLS, or need not.
    pub(super) fn has_certificate(&self, state: &State) -> bool {
        let Some(tls) = self.listener.tls.as_ref().filter(|tls| tls.mode == TlsMode::Terminate) else {
            return true;
        };
        tls.certificate_refs.iter().any(|reference| {
            let namespace = reference.namespace.as_ref().unwrap_or(&self.metadata.namespace);
            let referrer = (self.kind, self.metadata.namespace.as_str());
            let mut secrets = state.list(Kind::Secret, Some(namespace), None);
            reference.kind == "Secret"
                && granted(state, referrer, ("", "Secret"), namespace, &reference.name)
                && secrets.any(|object| match object {
                    Object::Secret(secret) => secret.metadata.name == reference.name && !secret.data.is_empty(),
                    _ => false,
                })
        })
    }
}
