//! What is known of why a session is at its endpoint, besides the reason itself.

use std::net::SocketAddr;

use guideway_model::State;
use guideway_model::node::SocketKey;
use guideway_model::plan::{Entry, Listener, ListenerService, Plan, Pool, Route, Standing, Why};
use guideway_model::session::{SessionDetail, SessionRow, TablePlace};
use serde_json::Value;

use crate::pins::pin_name;

/// Fields of `status.choice`: row and generation of the table that was asked, and what overrode it. Pin, affinity entry and
/// Drain are sought now; what has gone since is not named.
pub(super) fn facts(
    state: &State,
    plan: Option<&Plan>,
    detail: &SessionDetail,
    why: Why,
) -> Vec<(&'static str, Value)> {
    let mut facts = Vec::new();
    if let Some(place) = detail.place {
        facts.push(("generation", Value::from(place.generation)));
    }
    let found = plan.and_then(|plan| pool_of(plan, &detail.row));
    match why {
        Why::Table | Why::Leaving | Why::Redispatch => {
            facts.extend(detail.place.map(|place| ("row", Value::from(place.row))));
            let drain = found
                .zip(plan)
                .zip(detail.place)
                .and_then(|(((_, pool), plan), place)| {
                    let drained = named_by(pool, place).filter(|_| u64::from(place.generation) == plan.generation)?;
                    Some(state.is_draining(drained)?.metadata.name.clone())
                });
            if let (Why::Leaving, Some(drain)) = (why, drain) {
                facts.push(("drain", Value::from(drain)));
            }
        }
        Why::Pin | Why::Affinity => {
            let field = if why == Why::Pin { "pin" } else { "affinityEntry" };
            let name = found.and_then(|(socket, pool)| {
                let flow = pool.flow_key(socket, detail.row.client);
                pin_name(pool.pin_key(flow))
            });
            facts.extend(name.map(|name| (field, Value::from(name))));
        }
        Why::Grace => {}
    }
    facts
}

/// The endpoint that a row names and that is being drained.
fn named_by(pool: &Pool, place: TablePlace) -> Option<SocketAddr> {
    let entry = pool.table.rows().get(usize::try_from(place.row).ok()?)?;
    match pool.entries.get(usize::from(*entry))? {
        Entry::Endpoint {
            address,
            standing: Standing::Draining,
            ..
        } => Some(*address),
        Entry::Endpoint { .. } | Entry::Reject { .. } => None,
    }
}

/// The pool that a session of this listener and route goes by.
fn pool_of<'a>(plan: &'a Plan, row: &SessionRow) -> Option<(SocketKey, &'a Pool)> {
    let carries = |route: &Route| row.route.split_once('/') == Some((&route.namespace, &route.name));
    let routes = plan.listeners.iter().flat_map(|listener| {
        let routes = routes_of(listener, row);
        routes.into_iter().map(|route| (listener.socket, route))
    });
    let mut found = routes.filter(|(_, route)| carries(route));
    found.next().map(|(socket, route)| (socket, &*route.pool))
}

fn routes_of<'a>(listener: &'a Listener, row: &SessionRow) -> Vec<&'a Route> {
    match &listener.service {
        ListenerService::Opaque(opaque) if opaque.name == *row.listener => opaque.route.iter().collect(),
        ListenerService::Opaque(_) => Vec::new(),
        ListenerService::Tls(port) => {
            let listeners = port.listeners.iter().filter(|listener| listener.name == *row.listener);
            let routes = listeners.flat_map(|listener| &listener.routes);
            routes.map(|(_, route)| route).collect()
        }
    }
}
