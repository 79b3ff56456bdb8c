//! Routes of a listener, and where they lead.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::candidates::{Candidate, seconds};
use super::names::{best, covers, labels};
use crate::kind::Kind;
use crate::object::Object;
use crate::plan::{Entry, Pool, Standing};
use crate::resource::{AnyRoute, BackendRef, IpProtocol, ReferenceGrantFrom};
use crate::state::State;

/// Routes that a listener lets in, the oldest first, each with the names that it carries there.
pub(super) fn attached<'a>(state: &'a State, candidate: &Candidate<'_>) -> Vec<(AnyRoute<'a>, Vec<Vec<String>>)> {
    let kinds = [Kind::TcpRoute, Kind::UdpRoute, Kind::TlsRoute];
    let all = kinds.into_iter().flat_map(|kind| state.list(kind, None, None));
    let routes = all
        .filter_map(Object::as_route)
        .filter(|route| candidate.admits(state, route));
    let served = labels(candidate.listener.hostname.as_ref());
    let mut found: Vec<(AnyRoute<'a>, Vec<Vec<String>>)> = routes
        .map(|route| {
            let wanted: Vec<Vec<String>> = match route.hostnames {
                [] => vec![labels(None)],
                names => names.iter().map(|name| labels(Some(name))).collect(),
            };
            let narrower = wanted.into_iter().filter_map(|wanted| match () {
                () if covers(&served, &wanted) => Some(wanted),
                () if covers(&wanted, &served) => Some(served.clone()),
                () => None,
            });
            (route, narrower.collect())
        })
        .collect();
    found.sort_by_key(|(route, _)| (seconds(route.metadata), &route.metadata.namespace, &route.metadata.name));
    found
}

/// What a listener does with `asked`: the namespace and name of the route, or none.
pub(super) fn carrier<'a>(state: &'a State, candidate: &Candidate<'_>, asked: Option<&str>) -> Option<AnyRoute<'a>> {
    if !candidate.has_certificate(state) {
        return None;
    }
    let routes = attached(state, candidate);
    if !candidate.by_name() {
        return routes.into_iter().next().map(|(route, _)| route);
    }
    let pairs = routes
        .iter()
        .flat_map(|(route, patterns)| patterns.iter().map(move |pattern| (pattern, *route)));
    best(pairs, asked)
}

/// Endpoints that a backendRef leads to; none if its share is refused.
pub(super) fn endpoints(state: &State, route: &AnyRoute<'_>, backend: &BackendRef) -> BTreeSet<SocketAddr> {
    let own = &route.metadata.namespace;
    let namespace = backend.namespace.as_ref().unwrap_or(own);
    let mut found = BTreeSet::new();
    if !granted(
        state,
        (route.kind, own),
        (&backend.group, &backend.kind),
        namespace,
        &backend.name,
    ) {
        return found;
    }
    let protocol = match route.kind {
        Kind::UdpRoute => IpProtocol::Udp,
        _ => IpProtocol::Tcp,
    };
    for object in Kind::all().flat_map(|kind| state.list(kind, Some(namespace), None)) {
        match object {
            Object::Backend(found_backend)
                if backend.kind == "Backend" && found_backend.metadata.name == backend.name =>
            {
                for endpoint in found_backend
                    .spec
                    .endpoints
                    .iter()
                    .filter(|endpoint| endpoint.weight > 0)
                {
                    let resolved = endpoint.hostname.as_ref().and_then(|name| state.resolved(name));
                    let addresses = resolved.into_iter().flat_map(|found| found.iter().copied());
                    let addresses = addresses.chain(endpoint.ip);
                    found.extend(addresses.map(|ip| SocketAddr::new(ip, endpoint.port)));
                }
            }
            Object::Service(service) if backend.kind == "Service" && service.metadata.name == backend.name => {
                let ports = service.spec.ports.iter();
                for port in ports.filter(|port| Some(port.port) == backend.port && port.protocol == protocol) {
                    let mut terminating = BTreeSet::new();
                    for slice in state.list(Kind::EndpointSlice, Some(namespace), None) {
                        let Object::EndpointSlice(slice) = slice else { continue };
                        if slice.service_name() != Some(&backend.name) {
                            continue;
                        }
                        let numbers = slice
                            .ports
                            .iter()
                            .filter(|found| found.name == port.name && found.protocol == protocol);
                        for number in numbers.filter_map(|found| found.port) {
                            for endpoint in &slice.endpoints {
                                let ip: IpAddr = endpoint.addresses[0].parse().expect("an address");
                                let conditions = endpoint.conditions;
                                match (conditions.ready, conditions.serving, conditions.terminating) {
                                    (Some(true), _, None) => found.insert(SocketAddr::new(ip, number)),
                                    (_, Some(true), Some(true)) => terminating.insert(SocketAddr::new(ip, number)),
                                    _ => false,
                                };
                            }
                        }
                    }
                    if found.is_empty() {
                        found = terminating;
                    }
                }
            }
            _ => {}
        }
    }
    found
}

/// Whether some Drain empties an endpoint.
fn is_drained(state: &State, address: SocketAddr) -> bool {
    let mut drains = state.list(Kind::Drain, None, None);
    drains.any(|object| {
        let Object::Drain(drain) = object else { return false };
        let target = &drain.spec.target;
        let endpoint = target.endpoint.as_ref();
        let backend = target.backend.as_ref();
        endpoint.is_some_and(|endpoint| (endpoint.ip, endpoint.port) == (address.ip(), address.port()))
            || backend.is_some_and(|named| {
                let mut backends = state.list(Kind::Backend, Some(&named.namespace), None);
                backends.any(|object| {
                    let Object::Backend(backend) = object else { return false };
                    let mut endpoints = backend.spec.endpoints.iter();
                    backend.metadata.name == named.name
                        && endpoints.any(|endpoint| {
                            let resolved = endpoint.hostname.as_ref().and_then(|name| state.resolved(name));
                            let mut ips = resolved.into_iter().flat_map(|found| found.iter().copied());
                            endpoint.port == address.port()
                                && (endpoint.ip == Some(address.ip()) || ips.any(|ip| ip == address.ip()))
                        })
                })
            })
    })
}

/// The pool holds the endpoints of each ref with weight, and refuses exactly if one of them leads nowhere.
pub(super) fn check_pool(state: &State, route: &AnyRoute<'_>, pool: &Pool) {
    assert_eq!(pool.id.route, route.metadata.uid);
    if route.kind == Kind::TlsRoute && state.list(Kind::BackendTlsPolicy, None, None).next().is_some() {
        // What a policy makes of it is tested elsewhere.
        return;
    }
    let (mut expected, mut refuses) = (BTreeSet::new(), false);
    for backend in route.spec.backend_refs().iter().filter(|backend| backend.weight > 0) {
        let mut found = endpoints(state, route, backend);
        found.retain(|address| !is_drained(state, *address));
        refuses |= found.is_empty();
        expected.extend(found);
    }
    let mut found = BTreeSet::new();
    let active = &pool.entries[..pool.table.targets().len()];
    for entry in active {
        if let Entry::Endpoint {
            address,
            standing: Standing::Ready,
            ..
        } = entry
        {
            found.insert(*address);
        }
    }
    assert_eq!(found, expected);
    let rejects = active.iter().any(|entry| matches!(entry, Entry::Reject { .. }));
    assert_eq!(rejects, refuses);
}

pub(super) fn granted(state: &State, from: (Kind, &str), to: (&str, &str), namespace: &str, name: &str) -> bool {
    let mut grants = state.list(Kind::ReferenceGrant, Some(namespace), None);
    namespace == from.1
        || grants.any(|object| {
            let Object::ReferenceGrant(grant) = object else {
                return false;
            };
            let referrer = |entry: &&ReferenceGrantFrom| entry.kind == from.0.info().name && entry.namespace == from.1;
            let mut to_entries = grant.spec.to.iter();
            grant.spec.from.iter().find(referrer).is_some()
                && to_entries.any(|entry| {
                    (entry.group.as_str(), entry.kind.as_str()) == to
                        && entry.name.as_ref().is_none_or(|wanted| wanted == name)
                })
        })
}
