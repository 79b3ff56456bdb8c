//! Writes to the status sub-resource: others write theirs, never ours.

use std::sync::Arc;

use super::condition::keep_own;
use super::{backend, class, drain, gateway, listener_set, policy, route, service, view};
use crate::object::Object;
use crate::resource::{ListenerStatus, PolicyStatus, RouteStatus};
use crate::state::State;

/// `written`, which is `stored` with a status that someone wrote, with our part of the status as it was. Deriving it
/// again then knows since when each of our conditions has held.
pub(crate) fn keep_ours(state: &State, stored: &Object, mut written: Object) -> Object {
    let ours = state.index().ours.contains(&stored.key());
    if let (Some(stored), Some(written)) = (stored.as_route(), written.route_status_mut()) {
        keep_parents(stored.status, written);
    }
    if let (Some(stored), Some(written)) = (stored.as_policy(), written.policy_status_mut()) {
        keep_ancestors(stored.status, written);
    }
    match (stored, &mut written) {
        (Object::GatewayClass(stored), Object::GatewayClass(written)) if class::is_ours(stored) => {
            let written = Arc::make_mut(written);
            keep_own(&stored.status.conditions, &class::OWN, &mut written.status.conditions);
        }
        (Object::Gateway(stored), Object::Gateway(written)) if ours => {
            let written = &mut Arc::make_mut(written).status;
            keep_own(&stored.status.conditions, &gateway::OWN, &mut written.conditions);
            keep_listeners(&stored.status.listeners, &mut written.listeners);
        }
        (Object::ListenerSet(stored), Object::ListenerSet(written)) if ours => {
            let written = &mut Arc::make_mut(written).status;
            keep_own(&stored.status.conditions, &listener_set::OWN, &mut written.conditions);
            keep_listeners(&stored.status.listeners, &mut written.listeners);
        }
        (Object::Service(stored), Object::Service(written)) => {
            let written = Arc::make_mut(written);
            keep_own(&stored.status.conditions, &service::OWN, &mut written.status.conditions);
        }
        (Object::Backend(stored), Object::Backend(written)) => {
            let written = Arc::make_mut(written);
            keep_own(&stored.status.conditions, &backend::OWN, &mut written.status.conditions);
        }
        (Object::Drain(stored), Object::Drain(written)) => {
            let written = Arc::make_mut(written);
            let mut conditions = std::mem::take(&mut written.status.conditions);
            keep_own(&stored.status.conditions, &drain::OWN, &mut conditions);
            // All else is ours: what was reported cannot be derived again.
            written.status = stored.status.clone();
            written.status.conditions = conditions;
        }
        _ => {}
    }
    written
}

fn keep_parents(stored: &RouteStatus, written: &mut RouteStatus) {
    written.parents.retain(|entry| !route::is_ours(entry));
    let ours = stored.parents.iter().filter(|entry| route::is_ours(entry));
    written.parents.extend(ours.cloned());
}

fn keep_ancestors(stored: &PolicyStatus, written: &mut PolicyStatus) {
    written.ancestors.retain(|entry| !policy::is_ours(entry));
    let ours = stored.ancestors.iter().filter(|entry| policy::is_ours(entry));
    written.ancestors.extend(ours.cloned());
}

fn keep_listeners(stored: &[ListenerStatus], written: &mut Vec<ListenerStatus>) {
    for listener in written.iter_mut() {
        let before = stored.iter().find(|before| before.name == listener.name);
        let own = before.map_or(&[][..], |before| before.conditions.as_slice());
        keep_own(own, &view::OWN, &mut listener.conditions);
    }
    for before in stored {
        if !written.iter().any(|listener| listener.name == before.name) {
            let mut kept = ListenerStatus {
                conditions: Vec::new(),
                ..before.clone()
            };
            keep_own(&before.conditions, &view::OWN, &mut kept.conditions);
            written.push(kept);
        }
    }
}
