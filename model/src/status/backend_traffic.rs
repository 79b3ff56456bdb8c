//! Status of a BackendTrafficPolicy, and which one a backendRef has.

use super::backend_ref::{Referent, resolve};
use super::condition::{ACCEPTED, Derived, Moment};
use super::policy::{as_ancestor, conflicted, rival, status, winner};
use crate::kind::Kind;
use crate::object::{Object, ObjectKey};
use crate::plan::{Affinity, BackendSettings};
use crate::resource::{AnyPolicy, AnyRoute, BackendTrafficPolicy, PolicyStatus, PolicyTarget};
use crate::state::State;
use crate::state::index::{Name, target_key};

/// What sessions of a route's first rule toward `referent` are set to.
pub(crate) fn settings(state: &State, route: &AnyRoute<'_>, referent: &Referent<'_>) -> BackendSettings {
    let policy = of_route(state, route).or_else(|| of_referent(state, referent));
    policy.map(|policy| policy.spec.settings()).unwrap_or_default()
}

/// What clients of a route's first rule are kept to. A client has one endpoint in all of the rule, so this is no matter of
/// one backendRef: of those that have a policy, the first says.
pub(crate) fn affinity(state: &State, route: &AnyRoute<'_>) -> Affinity {
    let key = Name::of(route.metadata).key(route.kind);
    let policy = of_route(state, route).or_else(|| {
        let mut refs = route.spec.backend_refs().iter();
        refs.find_map(|backend| of_referent(state, &resolve(state, &key, backend).ok()?))
    });
    policy.map(|policy| policy.spec.affinity.settings()).unwrap_or_default()
}

/// The policy for a route's first rule, or for the route.
fn of_route<'a>(state: &'a State, route: &AnyRoute<'_>) -> Option<&'a BackendTrafficPolicy> {
    let own = Name::of(route.metadata).key(route.kind);
    let rule = route.spec.rules.first().and_then(|rule| rule.name.as_deref());
    rule.and_then(|rule| find(state, &own, Some(rule)))
        .or_else(|| find(state, &own, None))
}

/// The policy for the port of a Service, for the Service, or for the Backend.
fn of_referent<'a>(state: &'a State, referent: &Referent<'_>) -> Option<&'a BackendTrafficPolicy> {
    match referent {
        Referent::Service(service, port) => {
            let key = Name::of(&service.metadata).key(Kind::Service);
            find(state, &key, Some(&port.name)).or_else(|| find(state, &key, None))
        }
        Referent::Backend(backend, _) => find(state, &Name::of(&backend.metadata).key(Kind::Backend), None),
    }
}

fn find<'a>(state: &'a State, target: &ObjectKey, section: Option<&str>) -> Option<&'a BackendTrafficPolicy> {
    match winner(state, Kind::BackendTrafficPolicy, target, section)? {
        Object::BackendTrafficPolicy(policy) => Some(policy),
        _ => None,
    }
}

/// The status of a policy: one entry for each target.
pub(crate) fn derive(state: &State, policy: &BackendTrafficPolicy, moment: Moment) -> PolicyStatus {
    let any = AnyPolicy {
        kind: Kind::BackendTrafficPolicy,
        metadata: &policy.metadata,
        targets: &policy.spec.target_refs,
        status: &policy.status,
    };
    let entries = policy.spec.target_refs.iter();
    let entries = entries.map(|target| {
        let accepted = accepted(state, &any, target);
        (as_ancestor(target, &policy.metadata.namespace), vec![accepted])
    });
    status(&any, entries.collect(), moment)
}

fn accepted(state: &State, policy: &AnyPolicy<'_>, target: &PolicyTarget) -> Derived {
    let Some(key) = target_key(target, &policy.metadata.namespace).filter(|key| can_be_target(key.kind)) else {
        let message = format!(
            "a {} cannot be the target; use a TCPRoute, UDPRoute, TLSRoute, Service or Backend",
            target.kind
        );
        return Derived::fails(ACCEPTED, "Invalid", message);
    };
    let Some(object) = state.get(&key) else {
        return Derived::fails(ACCEPTED, "TargetNotFound", format!("there is no {key}"));
    };
    if let Some(section) = &target.section_name
        && !has_section(object, section)
    {
        let message = format!("{key} has no {} named {section:?}", section_word(&key));
        return Derived::fails(ACCEPTED, "TargetNotFound", message);
    }
    if let Some(rival) = rival(state, policy, target) {
        return conflicted(&rival);
    }
    let message = "in force for new sessions, unless a policy for the route or for a part of the target says otherwise";
    Derived::holds(ACCEPTED, "Accepted", message)
}

fn can_be_target(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::TcpRoute | Kind::UdpRoute | Kind::TlsRoute | Kind::Service | Kind::Backend
    )
}

/// Whether an object has a part of this name: a rule of a route, a port of a Service.
pub(crate) fn has_section(object: &Object, section: &str) -> bool {
    if let Some(route) = object.as_route() {
        let mut rules = route.spec.rules.iter();
        return rules.any(|rule| rule.name.as_deref() == Some(section));
    }
    match object {
        Object::Service(service) => service.spec.ports.iter().any(|port| port.name == section),
        _ => false,
    }
}

fn section_word(key: &ObjectKey) -> &'static str {
    match key.kind {
        Kind::Service => "port",
        Kind::Backend => "part",
        _ => "rule",
    }
}
