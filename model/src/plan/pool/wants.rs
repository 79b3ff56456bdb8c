//! What the objects say of a pool, before there are tables.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use guideway_maglev::{Target, flatten};

use super::share::{Share, shares};
use crate::kind::Kind;
use crate::object::ObjectKey;
use crate::plan::{Affinity, AffinityKind};
use crate::resource::AnyRoute;
use crate::state::State;
use crate::state::index::AttachPoint;
use crate::state::pools::WeightedList;
use crate::status::backend_traffic;
use crate::status::listener::terminates;
use crate::status::owner::Owner;

/// How long a UDP flow is silent until it ends, if no policy says.
const UDP_IDLE: Duration = Duration::from_secs(60);

/// What a pool should be.
pub(crate) struct Wants {
    pub(crate) weighted: WeightedList,
    /// Endpoints that keep the sessions they have, ascending.
    pub(crate) draining: Arc<[SocketAddr]>,
    /// How long what stands behind a pin can be silent, in milliseconds.
    pub(crate) idle_ms: u64,
}

/// What the pool of a route's first rule should be. `terminates` says whether TLS ends at a listener of the route.
pub(crate) fn wants(state: &State, route: &AnyRoute<'_>, terminates: bool) -> Wants {
    let shares = shares(state, route, terminates, None);
    let refs: Vec<(u64, Vec<(Target, u64)>)> = shares
        .iter()
        .map(|share| (share.weight, share.targets.clone()))
        .collect();
    let draining: BTreeSet<SocketAddr> = shares.iter().flat_map(|share| share.draining.iter().copied()).collect();
    let idle = idle(affinity(state, route), &shares).as_millis();
    Wants {
        weighted: flatten(&refs).into(),
        draining: draining.into_iter().collect(),
        idle_ms: u64::try_from(idle).unwrap_or(u64::MAX),
    }
}

/// What a route's pool keeps clients to.
pub(super) fn affinity(state: &State, route: &AnyRoute<'_>) -> Affinity {
    backend_traffic::affinity(state, route)
}

/// How long a node remembers what stands behind a pin without hearing from it.
fn idle(affinity: Affinity, shares: &[Share]) -> Duration {
    match affinity.kind {
        AffinityKind::ClientIp { timeout, .. } => timeout,
        AffinityKind::FiveTuple => {
            let set = shares.iter().map(|share| share.upstream.settings.udp.idle_timeout);
            set.map(|idle| idle.unwrap_or(UDP_IDLE)).max().unwrap_or(UDP_IDLE)
        }
    }
}

/// Whether TLS ends at a listener that the route is attached to.
pub(crate) fn ends_tls(state: &State, route: &ObjectKey) -> bool {
    if route.kind != Kind::TlsRoute {
        return false;
    }
    let points = state.index().attachments_of(route);
    let listeners: BTreeSet<&AttachPoint> = points.iter().map(|(point, _)| point).collect();
    listeners.into_iter().any(|point| {
        let owner = Owner::of(state, &point.owner);
        let listeners = owner.map_or(&[][..], |owner| owner.listeners);
        let mut named = listeners.iter().filter(|listener| listener.name == point.listener);
        named.any(terminates)
    })
}
