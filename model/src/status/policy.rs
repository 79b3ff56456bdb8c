//! What policies have in common (GEP-713): which one goes first, and what is said of it by ancestor.
//!
//! A policy is taken as a whole: of those that apply, the most specific one sets everything, and what it leaves out is
//! not looked up in a less specific one. For a listener that is: the policy for the listener, then for its ListenerSet,
//! then for the Gateway. For a backendRef: the policy for the rule of the route, then for the route, then for the port
//! of the Service, then for the Service or Backend: what is said of one use goes before what is said of the thing used.
//! Two policies of one kind for the very same target conflict; the older one has it.

use super::condition::{ACCEPTED, Derived, Moment, RESOLVED_REFS, merge};
use crate::kind::Kind;
use crate::object::{Object, ObjectKey};
use crate::resource::{AnyPolicy, ParentReference, PolicyAncestorStatus, PolicyStatus, PolicyTarget};
use crate::state::index::{Name, target_key};
use crate::state::{CONTROLLER_NAME, State};

/// Most entries in `ancestors`; what others have written beyond it is dropped.
const ANCESTORS: usize = 16;
/// Types that are ours in our entries.
const OWN: [&str; 2] = [ACCEPTED, RESOLVED_REFS];

/// The policy of `kind` that goes first for all of `target` or, with `section`, for this part of it alone.
pub(crate) fn winner<'a>(
    state: &'a State,
    kind: Kind,
    target: &ObjectKey,
    section: Option<&str>,
) -> Option<&'a Object> {
    let wanted = |found: &PolicyTarget| found.section_name.as_deref() == section;
    of_kind(state, kind, target).find(|object| targets(object, target).any(wanted))
}

/// The older policy that has the target in place of `policy`.
pub(crate) fn rival(state: &State, policy: &AnyPolicy<'_>, target: &PolicyTarget) -> Option<ObjectKey> {
    let key = target_key(target, &policy.metadata.namespace)?;
    let found = winner(state, policy.kind, &key, target.section_name.as_deref())?;
    let own = Name::of(policy.metadata).key(policy.kind);
    Some(found.key()).filter(|found| *found != own)
}

/// That an older policy has the target.
pub(crate) fn conflicted(rival: &ObjectKey) -> Derived {
    let message = format!("{rival} is older and has the same target; it is in force in place of this one");
    Derived::fails(ACCEPTED, "Conflicted", message)
}

/// Whether this controller has written the entry.
pub(crate) fn is_ours(entry: &PolicyAncestorStatus) -> bool {
    entry.controller_name == CONTROLLER_NAME
}

/// The status with our `entries`, then those of other controllers. Of several entries for one ancestor, the one with
/// the worst news is shown.
pub(crate) fn status(
    policy: &AnyPolicy<'_>,
    entries: Vec<(ParentReference, Vec<Derived>)>,
    moment: Moment,
) -> PolicyStatus {
    let mut merged: Vec<(ParentReference, Vec<Derived>)> = Vec::new();
    let news = |conditions: &[Derived]| conditions.iter().filter(|condition| condition.is_true()).count();
    for (ancestor, conditions) in entries {
        match merged.iter_mut().find(|(other, _)| *other == ancestor) {
            None => merged.push((ancestor, conditions)),
            Some((_, shown)) if news(&conditions) < news(shown) => *shown = conditions,
            Some(_) => {}
        }
    }
    let previous = &policy.status.ancestors;
    let ours = merged.into_iter().map(|(ancestor_ref, conditions)| {
        let before = previous
            .iter()
            .find(|entry| is_ours(entry) && entry.ancestor_ref == ancestor_ref);
        let before = before.map_or(&[][..], |entry| entry.conditions.as_slice());
        PolicyAncestorStatus {
            conditions: merge(before, &OWN, conditions, moment),
            ancestor_ref,
            controller_name: CONTROLLER_NAME.to_owned(),
        }
    });
    let foreign = previous.iter().filter(|entry| !is_ours(entry)).cloned();
    PolicyStatus {
        ancestors: ours.chain(foreign).take(ANCESTORS).collect(),
    }
}

/// The target itself as an ancestor.
pub(crate) fn as_ancestor(target: &PolicyTarget, namespace: &str) -> ParentReference {
    ParentReference {
        group: target.group.clone(),
        kind: target.kind.clone(),
        namespace: Some(namespace.to_owned()),
        name: target.name.clone(),
        section_name: target.section_name.clone(),
        port: None,
    }
}

/// Policies of `kind` for the target or a part of it, the first in precedence first.
fn of_kind<'a>(state: &'a State, kind: Kind, target: &ObjectKey) -> impl Iterator<Item = &'a Object> {
    let policies = state.index().policies_of_target.iter_of(target);
    let keys = policies.filter(move |policy| policy.key.kind == kind);
    keys.filter_map(|policy| state.get(&policy.key))
}

/// The entries of a policy for a target.
fn targets<'a>(object: &'a Object, target: &'a ObjectKey) -> impl Iterator<Item = &'a PolicyTarget> {
    let policy = object.as_policy();
    policy.into_iter().flat_map(move |policy| {
        let targets = policy.targets.iter();
        targets.filter(move |found| target_key(found, &policy.metadata.namespace).as_ref() == Some(target))
    })
}
