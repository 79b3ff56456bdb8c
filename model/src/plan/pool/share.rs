//! From a route's backendRefs to targets.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use guideway_maglev::Target;

use super::Upstream;
use crate::kind::Kind;
use crate::object::Object;
use crate::resource::{
    AddressType, AnyRoute, Backend, BackendRef, EndpointSlice, IpProtocol, Service, ServicePort, SliceEndpoint,
};
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
    /// Where the targets come from, or why there are none.
    pub(super) origin: String,
    /// What policies set for the targets.
    pub(super) upstream: Arc<Upstream>,
}

/// The shares of a route's rule, in the order of its backendRefs. Only the first rule is served.
pub(super) fn shares(state: &State, route: &AnyRoute<'_>, terminates: bool) -> Vec<Share> {
    let mut shares: Vec<Share> = Vec::new();
    for backend in route.spec.backend_refs() {
        let found = share(state, route, backend, terminates);
        let mut found = found.unwrap_or_else(|problem| Share::refused(backend, problem));
        if let Some(same) = shares.iter().find(|share| share.upstream == found.upstream) {
            found.upstream = Arc::clone(&same.upstream);
        }
        shares.push(found);
    }
    shares
}

impl Share {
    fn refused(backend: &BackendRef, problem: String) -> Share {
        Share {
            weight: u64::from(backend.weight),
            targets: Vec::new(),
            origin: problem,
            upstream: Arc::default(),
        }
    }
}

/// What a backendRef brings in; an error says why it is nothing.
fn share(state: &State, route: &AnyRoute<'_>, backend: &BackendRef, terminates: bool) -> Result<Share, String> {
    let key = Name::of(route.metadata).key(route.kind);
    let referent = resolve(state, &key, backend).map_err(|fault| fault.message)?;
    let tls = match referent {
        Referent::Service(service, port) if terminates => backend_tls::tls(state, service, port)?,
        Referent::Service(..) | Referent::Backend(..) => None,
    };
    let (targets, origin) = match referent {
        Referent::Service(service, port) => {
            let origin = format!("Service/{}", Name::of(&service.metadata));
            (service_targets(state, service, port, protocol_of(route.kind)), origin)
        }
        Referent::Backend(backend, port) => {
            let origin = format!("Backend/{}", Name::of(&backend.metadata));
            (backend_targets(state, backend, port), origin)
        }
    };
    if targets.iter().all(|(_, weight)| *weight == 0) {
        return Err(format!("{origin}: it has no ready endpoint with weight"));
    }
    Ok(Share {
        weight: u64::from(backend.weight),
        targets,
        origin,
        upstream: Arc::new(Upstream {
            settings: backend_traffic::settings(state, route, &referent),
            tls,
        }),
    })
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

/// Ready endpoints of a Service's slices, each address and port once, all of one weight. A slice port serves a Service
/// port when their names are equal; the number that counts is the slice's.
fn service_targets(state: &State, service: &Service, port: &ServicePort, protocol: IpProtocol) -> Vec<(Target, u64)> {
    let mut addresses = BTreeSet::new();
    for slice in slices(state, &Name::of(&service.metadata)) {
        let ports = slice.ports.iter();
        let numbers = ports
            .filter(|candidate| candidate.protocol == protocol && candidate.name == port.name)
            .filter_map(|candidate| candidate.port);
        for number in numbers {
            let serving = slice.endpoints.iter().filter(|endpoint| takes_connections(endpoint));
            let ips = serving.filter_map(|endpoint| address(&slice, endpoint));
            addresses.extend(ips.map(|ip| SocketAddr::new(ip, number)));
        }
    }
    let targets = addresses.into_iter().map(|address| (Target::Endpoint(address), 1));
    targets.collect()
}

fn takes_connections(endpoint: &SliceEndpoint) -> bool {
    endpoint.conditions.is_ready() && endpoint.conditions.terminating != Some(true)
}

/// The first of an endpoint's addresses, which are all alike. Names are not looked up: a Backend is for that.
fn address(slice: &EndpointSlice, endpoint: &SliceEndpoint) -> Option<IpAddr> {
    let ip: IpAddr = endpoint.addresses.first()?.parse().ok()?;
    match slice.address_type {
        AddressType::IPv4 | AddressType::IPv6 => Some(ip.to_canonical()),
        AddressType::Fqdn => None,
    }
}

/// Endpoints of a Backend at `port`, or all. Each address of a DNS name has the weight of its endpoint.
fn backend_targets(state: &State, backend: &Backend, port: Option<u16>) -> Vec<(Target, u64)> {
    let mut targets = Vec::new();
    let endpoints = backend.spec.endpoints.iter();
    for endpoint in endpoints.filter(|endpoint| port.is_none_or(|port| endpoint.port == port)) {
        let mut add = |ip: IpAddr| {
            let address = SocketAddr::new(ip.to_canonical(), endpoint.port);
            targets.push((Target::Endpoint(address), u64::from(endpoint.weight)));
        };
        if let Some(ip) = endpoint.ip {
            add(ip);
        }
        if let Some(hostname) = &endpoint.hostname {
            let resolved = state.resolved(&hostname.to_ascii_lowercase());
            resolved
                .into_iter()
                .flat_map(|addresses| addresses.iter())
                .copied()
                .for_each(&mut add);
        }
    }
    targets
}
