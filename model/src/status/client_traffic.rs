//! Status of a ClientTrafficPolicy, and which one a listener has.

use super::condition::{ACCEPTED, Derived, Moment};
use super::owner::{Owner, gateway_key};
use super::policy::{as_ancestor, conflicted, rival, status, winner};
use crate::kind::Kind;
use crate::object::{Object, ObjectKey};
use crate::plan::ClientSettings;
use crate::resource::{AnyPolicy, ClientTrafficPolicy, PolicyStatus, PolicyTarget};
use crate::state::State;
use crate::state::index::target_key;

/// What a listener of `owner` is set to.
pub(crate) fn settings(state: &State, owner: &Owner<'_>, listener: &str) -> ClientSettings {
    let find = |target: &ObjectKey, section| winner(state, Kind::ClientTrafficPolicy, target, section);
    let gateway = gateway_key(owner.gateway);
    let found = find(&owner.key, Some(listener))
        .or_else(|| find(&owner.key, None))
        .or_else(|| find(&gateway, None));
    match found {
        Some(Object::ClientTrafficPolicy(policy)) => policy.spec.settings(),
        _ => ClientSettings::default(),
    }
}

/// The status of a policy: one entry for each target that is ours, or that is not there.
pub(crate) fn derive(state: &State, policy: &ClientTrafficPolicy, moment: Moment) -> PolicyStatus {
    let any = AnyPolicy {
        kind: Kind::ClientTrafficPolicy,
        metadata: &policy.metadata,
        targets: &policy.spec.target_refs,
        status: &policy.status,
    };
    let namespace = &policy.metadata.namespace;
    let entries = policy.spec.target_refs.iter();
    let entries = entries.filter_map(|target| {
        let accepted = accepted(state, &any, target)?;
        Some((as_ancestor(target, namespace), vec![accepted]))
    });
    status(&any, entries.collect(), moment)
}

fn accepted(state: &State, policy: &AnyPolicy<'_>, target: &PolicyTarget) -> Option<Derived> {
    let key = target_key(target, &policy.metadata.namespace);
    let Some(key) = key.filter(|key| matches!(key.kind, Kind::Gateway | Kind::ListenerSet)) else {
        let message = format!("a {} cannot be the target; use a Gateway or a ListenerSet", target.kind);
        return Some(Derived::fails(ACCEPTED, "Invalid", message));
    };
    let Some(owner) = Owner::of(state, &key) else {
        // One that is another controller's gets no answer.
        return state.get(&key).is_none().then(|| {
            let message = format!("there is no {key}");
            Derived::fails(ACCEPTED, "TargetNotFound", message)
        });
    };
    if let Some(section) = &target.section_name
        && !owner.listeners.iter().any(|listener| listener.name == *section)
    {
        let message = format!("{key} has no listener {section:?}");
        return Some(Derived::fails(ACCEPTED, "TargetNotFound", message));
    }
    if let Some(rival) = rival(state, policy, target) {
        return Some(conflicted(&rival));
    }
    Some(Derived::holds(
        ACCEPTED,
        "Accepted",
        "in force for new sessions of its target, unless a policy for a part of it says otherwise",
    ))
}
