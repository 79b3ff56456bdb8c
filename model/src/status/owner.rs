//! Gateways and ListenerSets, as far as they are alike: objects that have listeners.

use super::{addresses, class};
use crate::kind::Kind;
use crate::object::{Object, ObjectKey};
use crate::resource::{Gateway, Listener, ListenerNamespaceScope, ListenerSet, ListenerStatus};
use crate::state::State;
use crate::state::index::{AttachPoint, Name, Rank, parent_of_set};

/// A Gateway whose class is ours, or a ListenerSet whose Gateway is one.
#[derive(Clone, Debug)]
pub(crate) struct Owner<'a> {
    pub(crate) key: ObjectKey,
    pub(crate) listeners: &'a [Listener],
    /// What the listeners' status was last.
    statuses: &'a [ListenerStatus],
    /// The Gateway itself, or the parent.
    pub(crate) gateway: &'a Gateway,
    set: Option<&'a ListenerSet>,
}

impl<'a> Owner<'a> {
    /// The Gateway or ListenerSet of this key, if it is ours.
    pub(crate) fn of(state: &'a State, key: &ObjectKey) -> Option<Owner<'a>> {
        match state.get(key)? {
            Object::Gateway(gateway) => state.is_ours(&gateway.spec.gateway_class_name).then(|| Owner {
                key: key.clone(),
                listeners: &gateway.spec.listeners,
                statuses: &gateway.status.listeners,
                gateway,
                set: None,
            }),
            Object::ListenerSet(set) => {
                let gateway = state.gateway(&parent_of_set(set)?)?;
                state.is_ours(&gateway.spec.gateway_class_name).then(|| Owner {
                    key: key.clone(),
                    listeners: &set.spec.listeners,
                    statuses: &set.status.listeners,
                    gateway,
                    set: Some(set),
                })
            }
            _ => None,
        }
    }

    /// Those of its listeners that have a place in the list of the Gateway; all of them where nothing of it is accepted
    /// anyway.
    pub(crate) fn placed(&self, state: &State) -> &'a [Listener] {
        let places = self.set.and_then(|_| state.index().places_of(&self.key));
        let places = places.unwrap_or(self.listeners.len()).min(self.listeners.len());
        &self.listeners[..places]
    }

    pub(crate) fn rank(&self) -> Rank {
        match self.set {
            None => Rank::of_gateway(self.gateway),
            Some(set) => Rank::of_set(&set.metadata, self.gateway),
        }
    }

    /// A listener as routes see it.
    pub(crate) fn point(&self, listener: &str) -> AttachPoint {
        AttachPoint {
            owner: self.key.clone(),
            listener: listener.to_owned(),
        }
    }

    /// What the status of a listener was last.
    pub(crate) fn status_of(&self, listener: &str) -> Option<&'a ListenerStatus> {
        self.statuses.iter().find(|status| status.name == listener)
    }

    /// What keeps all of it from being accepted, whatever its listeners are: reason and message.
    pub(crate) fn fault(&self, state: &State) -> Option<(&'static str, String)> {
        let Some(set) = self.set else {
            return gateway_fault(state, self.gateway);
        };
        if let Some(message) = not_allowed(state, set, self.gateway) {
            return Some(("NotAllowed", message));
        }
        let (reason, message) = gateway_fault(state, self.gateway)?;
        let gateway = Name::of(&self.gateway.metadata);
        let message = format!("Gateway {gateway} is not accepted ({reason}): {message}");
        Some(("ParentNotAccepted", message))
    }
}

/// What keeps the whole Gateway from being accepted: reason and message.
///
/// A Gateway without a valid listener of its own is not accepted either, and yet its ListenerSets are served: what is
/// wrong with one object's listeners does not take down those of another.
fn gateway_fault(state: &State, gateway: &Gateway) -> Option<(&'static str, String)> {
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
    addresses::unsupported(gateway).map(|message| ("UnsupportedAddress", message))
}

/// Why a Gateway does not let a ListenerSet in.
fn not_allowed(state: &State, set: &ListenerSet, gateway: &Gateway) -> Option<String> {
    let namespaces = gateway
        .spec
        .allowed_listeners
        .as_ref()
        .map(|allowed| &allowed.namespaces);
    let from = namespaces.map(|namespaces| namespaces.from).unwrap_or_default();
    let own = &set.metadata.namespace;
    let name = Name::of(&gateway.metadata);
    match from {
        ListenerNamespaceScope::All => None,
        ListenerNamespaceScope::Same if *own == gateway.metadata.namespace => None,
        ListenerNamespaceScope::Same => Some(format!(
            "Gateway {name} admits ListenerSets of its own namespace only (allowedListeners.namespaces.from is Same)"
        )),
        ListenerNamespaceScope::Selector => {
            let labels = state.namespace(own).map(|namespace| &namespace.metadata.labels);
            let selector = namespaces.and_then(|namespaces| namespaces.selector.as_ref());
            let admitted = selector
                .zip(labels)
                .is_some_and(|(selector, labels)| selector.matches(labels));
            (!admitted).then(|| {
                format!(
                    "Gateway {name} has an allowedListeners.namespaces.selector that does not match namespace {own:?}"
                )
            })
        }
        ListenerNamespaceScope::None => Some(format!(
            "Gateway {name} admits no ListenerSet: set spec.allowedListeners.namespaces.from on it"
        )),
    }
}

/// The key of a Gateway.
pub(crate) fn gateway_key(gateway: &Gateway) -> ObjectKey {
    Name::of(&gateway.metadata).key(Kind::Gateway)
}
