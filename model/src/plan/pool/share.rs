//! From a route's backendRefs to targets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use guideway_maglev::Target;

use super::Upstream;
use crate::kind::Kind;
use crate::object::Object;
use crate::resource::{
    AnyRoute, Backend, BackendRef, EndpointConditions, EndpointSlice, IpProtocol, Service, ServicePort,
};
use crate::sealing::Sealer;
use crate::state::State;
use crate::state::index::Name;
use crate::status::backend_ref::{Referent, protocol_of, resolve};
use crate::status::{backend_tls, backend_traffic};

/// What one backendRef brings into the pool.
#[derive(Clone, Debug)]
pub(super) struct Share {
    pub(super) weight: u64,
    /// None for an invalid ref, or one that has nothing to connect to: its share is refused.
    pub(super) targets: Vec<(Target, u64)>,
    /// Endpoints that keep the sessions they have and take no new ones, ascending; none of them is in `targets`.
    pub(super) draining: Vec<SocketAddr>,
    /// Where the targets come from, or why there are none.
    pub(super) origin: String,
    /// What policies set for the targets.
    pub(super) upstream: Arc<Upstream>,
}

/// The shares of a route's rule, in the order of its backendRefs. Only the first rule is served.
pub(super) fn shares(state: &State, route: &AnyRoute<'_>, terminates: bool, sealer: Option<&dyn Sealer>) -> Vec<Share> {
    let mut shares: Vec<Share> = Vec::new();
    for backend in route.spec.backend_refs() {
        let found = share(state, route, backend, terminates, sealer);
        let mut found = found.unwrap_or_else(|problem| Share::refused(backend, problem));
        if let Some(same) = shares.iter().find(|share| share.upstream == found.upstream) {
            found.upstream = Arc::clone(&same.upstream);
        }
        shares.push(found);
    }
    shares
}

impl Share {
    /// What has no weight takes no new session, and keeps those it has.
    fn keep_weightless(&mut self) {
        let whole = self.weight == 0;
        let weightless = self.targets.iter().filter(|(_, weight)| whole || *weight == 0);
        let addresses = weightless.filter_map(|(target, _)| match target {
            Target::Endpoint(address) => Some(*address),
            Target::Reject(_) => None,
        });
        self.draining.extend(addresses);
        self.draining.sort_unstable();
        self.draining.dedup();
    }

    fn refused(backend: &BackendRef, problem: String) -> Share {
        Share {
            weight: u64::from(backend.weight),
            targets: Vec::new(),
            draining: Vec::new(),
            origin: problem,
            upstream: Arc::default(),
        }
    }
}

/// What a backendRef brings in; an error says why it is nothing.
fn share(
    state: &State,
    route: &AnyRoute<'_>,
    backend: &BackendRef,
    terminates: bool,
    sealer: Option<&dyn Sealer>,
) -> Result<Share, String> {
    let key = Name::of(route.metadata).key(route.kind);
    let referent = resolve(state, &key, backend).map_err(|fault| fault.message)?;
    let tls = match referent {
        Referent::Service(service, port) if terminates => backend_tls::tls(state, service, port, sealer)?,
        Referent::Service(..) | Referent::Backend(..) => None,
    };
    let (found, origin) = endpoints(state, route, &referent);
    let found = found.drained(state, route.kind == Kind::UdpRoute);
    let mut share = Share {
        weight: u64::from(backend.weight),
        targets: found.targets(),
        draining: found.draining.into_iter().collect(),
        origin,
        upstream: Arc::new(Upstream {
            settings: backend_traffic::settings(state, route, &referent),
            tls,
        }),
    };
    share.keep_weightless();
    if share.targets.iter().all(|(_, weight)| *weight == 0) {
        // What it has to keep is kept: only new sessions are refused.
        share.targets.clear();
        share.origin.push_str(": it has no ready endpoint with weight");
    }
    Ok(share)
}

/// For each backendRef with weight that leads somewhere, what it leads to, and the endpoints there that would take new
/// sessions if nothing were drained.
pub(crate) fn undrained(state: &State, route: &AnyRoute<'_>) -> Vec<(String, Vec<SocketAddr>)> {
    let key = Name::of(route.metadata).key(route.kind);
    let refs = route.spec.backend_refs().iter().filter(|backend| backend.weight > 0);
    refs.filter_map(|backend| {
        let (found, origin) = endpoints(state, route, &resolve(state, &key, backend).ok()?);
        let ready = found.ready.into_iter().filter(|(_, weight)| *weight > 0);
        Some((origin, ready.map(|(address, _)| address).collect()))
    })
    .collect()
}

/// The endpoints of a referent, and what it is called.
fn endpoints(state: &State, route: &AnyRoute<'_>, referent: &Referent<'_>) -> (Found, String) {
    match referent {
        Referent::Service(service, port) => {
            let origin = format!("Service/{}", Name::of(&service.metadata));
            (of_service(state, service, port, protocol_of(route.kind)), origin)
        }
        Referent::Backend(backend, port) => {
            let origin = format!("Backend/{}", Name::of(&backend.metadata));
            (of_backend(state, backend, *port), origin)
        }
    }
}

/// The endpoints of a referent.
#[derive(Debug, Default)]
struct Found {
    /// Those that take new sessions, each with its weight; an address that is there twice has the sum.
    ready: Vec<(SocketAddr, u64)>,
    /// Those that keep what they have.
    draining: BTreeSet<SocketAddr>,
}

impl Found {
    /// Without those that a Drain empties: they keep what they have, but for flows that are to be chosen anew.
    fn drained(mut self, state: &State, flows: bool) -> Found {
        let keeps = |address: &SocketAddr| match state.drainer(*address) {
            Some(drainer) => !(flows && drainer.rechooses_flows),
            None => true,
        };
        self.draining.retain(keeps);
        for (address, _) in self
            .ready
            .extract_if(.., |(address, _)| state.drainer(*address).is_some())
        {
            if keeps(&address) {
                self.draining.insert(address);
            }
        }
        self
    }

    fn targets(&self) -> Vec<(Target, u64)> {
        let ready = self.ready.iter();
        ready
            .map(|(address, weight)| (Target::Endpoint(*address), *weight))
            .collect()
    }
}

fn slices<'a>(state: &'a State, service: &Name) -> impl Iterator<Item = Arc<EndpointSlice>> + use<'a> {
    let names: Vec<Name> = state.index().slices_of_service.of(service).cloned().collect();
    names
        .into_iter()
        .filter_map(|name| match state.get(&name.key(Kind::EndpointSlice)) {
            Some(Object::EndpointSlice(slice)) => Some(Arc::clone(slice)),
            _ => None,
        })
}

/// Endpoints of a Service's slices, each address and port once, all of one weight. A slice port serves a Service port when
/// their names are equal; the number that counts is the slice's.
///
/// If none is ready, those that answer while they terminate take new sessions, as kube-proxy has it: rather an endpoint
/// that will go than none.
fn of_service(state: &State, service: &Service, port: &ServicePort, protocol: IpProtocol) -> Found {
    let mut found: BTreeMap<SocketAddr, Readiness> = BTreeMap::new();
    for slice in slices(state, &Name::of(&service.metadata)) {
        let ports = slice.ports.iter();
        let numbers = ports
            .filter(|candidate| candidate.protocol == protocol && candidate.name == port.name)
            .filter_map(|candidate| candidate.port);
        for number in numbers {
            for endpoint in &slice.endpoints {
                if let Some(readiness) = Readiness::of(endpoint.conditions)
                    && let Some(ip) = slice.address(endpoint)
                {
                    let best = found.entry(SocketAddr::new(ip, number)).or_insert(readiness);
                    *best = readiness.min(*best);
                }
            }
        }
    }
    let best = found.values().min().copied();
    let (ready, draining): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, readiness)| Some(*readiness) == best);
    Found {
        ready: ready.into_iter().map(|(address, _)| (address, 1)).collect(),
        draining: draining.into_iter().map(|(address, _)| address).collect(),
    }
}

/// What an endpoint of a slice takes, the better first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Readiness {
    /// New sessions.
    Ready,
    /// The sessions it has, until it has shut down.
    Terminating,
}

impl Readiness {
    /// `None` for an endpoint that takes nothing.
    fn of(conditions: EndpointConditions) -> Option<Readiness> {
        if conditions.terminating == Some(true) {
            conditions.is_serving().then_some(Readiness::Terminating)
        } else {
            conditions.is_ready().then_some(Readiness::Ready)
        }
    }
}

/// Endpoints of a Backend at `port`, or all. Each address of a DNS name has the weight of its endpoint.
fn of_backend(state: &State, backend: &Backend, port: Option<u16>) -> Found {
    let endpoints = state.endpoints_of_backend(backend).into_iter();
    let wanted = endpoints.filter(|(address, _)| port.is_none_or(|port| address.port() == port));
    Found {
        ready: wanted.map(|(address, weight)| (address, u64::from(weight))).collect(),
        draining: BTreeSet::new(),
    }
}
