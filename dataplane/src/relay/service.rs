//! What becomes of the connections that a socket takes.

use std::rc::Rc;

use guideway_model::Plan;
use guideway_model::node::SocketKey;
use guideway_model::plan::{ListenerService, OpaqueListener};

use crate::lane::Lane;
use crate::shared::Shared;
use crate::sockets::tuning::Tuning;
use crate::tls::door::Door;

/// What becomes of the connections that a socket takes.
#[derive(Clone, Debug)]
pub(super) enum Service {
    /// They are carried without a look inside.
    Opaque(Rc<Lane>),
    /// They say themselves where they go.
    Tls(Rc<Door>),
}

impl Service {
    /// What `plan` makes of a socket; what was before is taken over as far as nothing has changed.
    pub(super) fn of(plan: &Plan, key: SocketKey, previous: Option<&Service>, shared: &Shared) -> Option<Service> {
        Some(match service(plan, key)? {
            ListenerService::Opaque(listener) => {
                let previous = match previous {
                    Some(Service::Opaque(lane)) => Some(lane),
                    Some(Service::Tls(_)) | None => None,
                };
                Service::Opaque(Lane::of(key, listener, plan.seed, &shared.timeouts, previous))
            }
            ListenerService::Tls(port) => {
                let previous = match previous {
                    Some(Service::Tls(door)) => Some(door),
                    Some(Service::Opaque(_)) | None => None,
                };
                let credentials = shared.credentials();
                let defaults = &shared.timeouts;
                Service::Tls(Door::of(key, port, plan.seed, &credentials, defaults, previous))
            }
        })
    }

    /// What clients are to inherit from the listening socket. Those of a TLS port are tuned when their listener is known.
    pub(super) fn client_tuning(&self) -> Tuning {
        match self {
            Service::Opaque(lane) => lane.client_tuning(),
            Service::Tls(_) => Tuning::default(),
        }
    }
}

/// The listener of a socket, if its sessions are carried without a look inside.
pub(super) fn listener(plan: &Plan, key: SocketKey) -> Option<&OpaqueListener> {
    match service(plan, key)? {
        ListenerService::Opaque(listener) => Some(listener),
        ListenerService::Tls(_) => None,
    }
}

fn service(plan: &Plan, key: SocketKey) -> Option<&ListenerService> {
    let place = plan
        .listeners
        .binary_search_by_key(&key, |listener| listener.socket)
        .ok()?;
    Some(&plan.listeners.get(place)?.service)
}
