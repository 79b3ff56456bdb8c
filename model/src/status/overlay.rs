//! Writes to the status sub-resource: others write theirs, never ours.

use std::sync::Arc;

use super::condition::keep_own;
use super::{backend, class, gateway, route};
use crate::object::Object;
use crate::resource::ListenerStatus;
use crate::state::State;
use crate::state::index::Name;

/// `written`, which is `stored` with a status that someone wrote, with our part of the status as it was. Deriving it
/// again then knows since when each of our conditions has held.
pub(crate) fn keep_ours(state: &State, stored: &Object, mut written: Object) -> Object {
    match (stored, &mut written) {
        (Object::GatewayClass(stored), Object::GatewayClass(written)) if class::is_ours(stored) => {
            let written = Arc::make_mut(written);
            keep_own(&stored.status.conditions, &class::OWN, &mut written.status.conditions);
        }
        (Object::Gateway(stored), Object::Gateway(written))
            if state.index().ours.contains(&Name::of(&stored.metadata)) =>
        {
            let written = Arc::make_mut(written);
            keep_own(&stored.status.conditions, &gateway::OWN, &mut written.status.conditions);
            for listener in &mut written.status.listeners {
                let before = stored
                    .status
                    .listeners
                    .iter()
                    .find(|before| before.name == listener.name);
                let own = before.map_or(&[][..], |before| before.conditions.as_slice());
                keep_own(own, &gateway::OWN_OF_LISTENER, &mut listener.conditions);
            }
            let missing: Vec<_> = stored
                .status
                .listeners
                .iter()
                .filter(|before| {
                    !written
                        .status
                        .listeners
                        .iter()
                        .any(|listener| listener.name == before.name)
                })
                .map(|before| {
                    let mut kept = ListenerStatus {
                        conditions: Vec::new(),
                        ..before.clone()
                    };
                    keep_own(&before.conditions, &gateway::OWN_OF_LISTENER, &mut kept.conditions);
                    kept
                })
                .collect();
            written.status.listeners.extend(missing);
        }
        (Object::TcpRoute(stored), Object::TcpRoute(written)) => {
            let parents = &mut Arc::make_mut(written).status.parents;
            parents.retain(|entry| !route::is_ours(entry));
            parents.extend(
                stored
                    .status
                    .parents
                    .iter()
                    .filter(|entry| route::is_ours(entry))
                    .cloned(),
            );
        }
        (Object::Backend(stored), Object::Backend(written)) => {
            let written = Arc::make_mut(written);
            keep_own(&stored.status.conditions, &backend::OWN, &mut written.status.conditions);
        }
        _ => {}
    }
    written
}
