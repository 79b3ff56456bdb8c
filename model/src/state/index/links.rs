//! The edges that an object has by itself.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Index, Name, Seniority};
use crate::kind::Kind;
use crate::meta::UnixMillis;
use crate::object::{Object, ObjectKey};
use crate::resource::{
    AnyPolicy, AnyRoute, BackendRef, Drain, DrainPhase, Drained, Listener, ListenerSet, ParentReference, PolicyTarget,
    SecretReference,
};

/// An edge that an object has by itself.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Edge {
    Class(String, Name),
    Set(Name, Name),
    Parent(ObjectKey, ObjectKey),
    Backend(ObjectKey, ObjectKey),
    Slice(Name, Name),
    Hostname(String, Name),
    Certificate(ObjectKey, ObjectKey),
    Stranger(String, ObjectKey),
    Target(ObjectKey, Seniority),
    Address(IpAddr, ObjectKey),
    DrainedAddress(IpAddr, Seniority),
    DrainedBackend(Name, Seniority),
    DrainedNode(String, Seniority),
    Deadline(UnixMillis, ObjectKey),
}

impl Index {
    /// Replaces the edges that an object has by itself. Those that stay are not touched, so a change among a thousand
    /// endpoints costs what has changed.
    pub(in crate::state) fn relink(&mut self, before: Option<&Object>, now: Option<&Object>) {
        let edges = |object: &Object| edges_of(object).into_iter().collect::<BTreeSet<Edge>>();
        let before = before.map(edges).unwrap_or_default();
        let mut now = now.map(edges).unwrap_or_default();
        for edge in before {
            if !now.remove(&edge) {
                self.unlink(edge);
            }
        }
        for edge in now {
            self.link(edge);
        }
    }

    fn link(&mut self, edge: Edge) {
        match edge {
            Edge::Class(class, gateway) => self.gateways_of_class.insert(class, gateway),
            Edge::Set(gateway, set) => self.sets_of_gateway.insert(gateway, set),
            Edge::Parent(parent, route) => self.routes_of_parent.insert(parent, route),
            Edge::Backend(backend, route) => self.routes_of_backend.insert(backend, route),
            Edge::Slice(service, slice) => self.slices_of_service.insert(service, slice),
            Edge::Hostname(hostname, backend) => self.backends_of_hostname.insert(hostname, backend),
            Edge::Certificate(holder, user) => self.users_of_certificate.insert(holder, user),
            Edge::Stranger(namespace, referrer) => self.strangers_of_namespace.insert(namespace, referrer),
            Edge::Target(target, policy) => self.policies_of_target.insert(target, policy),
            Edge::Address(ip, holder) => self.holders_of_ip.insert(ip, holder),
            Edge::DrainedAddress(ip, drain) => self.drains_of_ip.insert(ip, drain),
            Edge::DrainedBackend(backend, drain) => self.drains_of_backend.insert(backend, drain),
            Edge::DrainedNode(node, drain) => self.drains_of_node.insert(node, drain),
            Edge::Deadline(deadline, drain) => self.deadlines.insert(deadline, drain),
        };
    }

    fn unlink(&mut self, edge: Edge) {
        match edge {
            Edge::Class(class, gateway) => self.gateways_of_class.remove(class, gateway),
            Edge::Set(gateway, set) => self.sets_of_gateway.remove(gateway, set),
            Edge::Parent(parent, route) => self.routes_of_parent.remove(parent, route),
            Edge::Backend(backend, route) => self.routes_of_backend.remove(backend, route),
            Edge::Slice(service, slice) => self.slices_of_service.remove(service, slice),
            Edge::Hostname(hostname, backend) => self.backends_of_hostname.remove(hostname, backend),
            Edge::Certificate(holder, user) => self.users_of_certificate.remove(holder, user),
            Edge::Stranger(namespace, referrer) => self.strangers_of_namespace.remove(namespace, referrer),
            Edge::Target(target, policy) => self.policies_of_target.remove(target, policy),
            Edge::Address(ip, holder) => self.holders_of_ip.remove(ip, holder),
            Edge::DrainedAddress(ip, drain) => self.drains_of_ip.remove(ip, drain),
            Edge::DrainedBackend(backend, drain) => self.drains_of_backend.remove(backend, drain),
            Edge::DrainedNode(node, drain) => self.drains_of_node.remove(node, drain),
            Edge::Deadline(deadline, drain) => self.deadlines.remove(deadline, drain),
        };
    }
}

/// The Gateway or ListenerSet that a parentRef of a route in `namespace` names; `None` for other kinds.
pub(crate) fn parent_key(parent: &ParentReference, namespace: &str) -> Option<ObjectKey> {
    let kind = Kind::by_name(&parent.group, &parent.kind);
    let kind = kind.filter(|kind| matches!(kind, Kind::Gateway | Kind::ListenerSet))?;
    Some(Name::new(parent.namespace_or(namespace), &parent.name).key(kind))
}

/// The Gateway that a ListenerSet wants to attach to; `None` if it names another kind.
pub(crate) fn parent_of_set(set: &ListenerSet) -> Option<Name> {
    let parent = &set.spec.parent_ref;
    let namespace = parent.namespace_or(&set.metadata.namespace);
    parent.is_gateway().then(|| Name::new(namespace, &parent.name))
}

/// The Service or Backend that a backendRef of a route in `namespace` names; `None` for other kinds.
pub(crate) fn backend_key(backend: &BackendRef, namespace: &str) -> Option<ObjectKey> {
    let kind = Kind::by_name(&backend.group, &backend.kind);
    let kind = kind.filter(|kind| matches!(kind, Kind::Service | Kind::Backend))?;
    Some(Name::new(backend.namespace_or(namespace), &backend.name).key(kind))
}

/// The object that a policy in `namespace` is for; `None` for a kind that is not known.
pub(crate) fn target_key(target: &PolicyTarget, namespace: &str) -> Option<ObjectKey> {
    let kind = Kind::by_name(&target.group, &target.kind)?;
    Some(Name::new(namespace, &target.name).key(kind))
}

fn edges_of(object: &Object) -> Vec<Edge> {
    let name = Name::of(object.meta());
    if let Some(route) = object.as_route() {
        return route_edges(&route, &object.key());
    }
    let mut edges = match object.as_policy() {
        Some(policy) => target_edges(&policy, object),
        None => Vec::new(),
    };
    match object {
        Object::EndpointSlice(slice) => {
            let service = slice.service_name().map(|service| Name::new(&name.namespace, service));
            edges.extend(service.map(|service| Edge::Slice(service, name)));
            let addresses = slice.endpoints.iter().filter_map(|endpoint| slice.address(endpoint));
            let key = object.key();
            edges.extend(addresses.map(|ip| Edge::Address(ip, key.clone())));
        }
        Object::Gateway(gateway) => {
            edges.push(Edge::Class(gateway.spec.gateway_class_name.clone(), name));
            edges.extend(certificate_edges(&gateway.spec.listeners, &object.key()));
        }
        Object::ListenerSet(set) => {
            edges.extend(parent_of_set(set).map(|gateway| Edge::Set(gateway, name)));
            edges.extend(certificate_edges(&set.spec.listeners, &object.key()));
        }
        Object::Backend(backend) => {
            let endpoints = backend.spec.endpoints.iter();
            let hostnames = endpoints.filter_map(|endpoint| endpoint.hostname.as_deref());
            edges.extend(hostnames.map(|hostname| Edge::Hostname(hostname.to_ascii_lowercase(), name.clone())));
            let addresses = backend.spec.endpoints.iter().filter_map(|endpoint| endpoint.ip);
            let key = object.key();
            edges.extend(addresses.map(|ip| Edge::Address(ip.to_canonical(), key.clone())));
        }
        Object::Drain(drain) => edges.extend(drain_edges(drain)),
        Object::BackendTlsPolicy(policy) => {
            for authority in &policy.spec.validation.ca_certificate_refs {
                let kind = Kind::by_name(&authority.group, &authority.kind);
                let holder = kind.filter(|kind| matches!(kind, Kind::Secret | Kind::ConfigMap));
                let holder = holder.map(|kind| Name::new(&name.namespace, &authority.name).key(kind));
                edges.extend(holder.map(|holder| Edge::Certificate(holder, object.key())));
            }
        }
        _ => {}
    }
    edges
}

fn drain_edges(drain: &Drain) -> Vec<Edge> {
    let seniority = Seniority::of(Kind::Drain, &drain.metadata);
    let target = drain.spec.target.drained().map(|target| match target {
        Drained::Endpoint(address) => Edge::DrainedAddress(address.ip(), seniority.clone()),
        Drained::Backend { namespace, name } => Edge::DrainedBackend(Name::new(namespace, name), seniority.clone()),
        Drained::Node(name) => Edge::DrainedNode(name.to_owned(), seniority.clone()),
    });
    let mut edges: Vec<Edge> = target.into_iter().collect();
    if drain.status.phase == DrainPhase::Draining
        && let Some(deadline) = drain.deadline()
    {
        edges.push(Edge::Deadline(deadline, seniority.key));
    }
    edges
}

fn target_edges(policy: &AnyPolicy<'_>, object: &Object) -> Vec<Edge> {
    let targets = policy.targets.iter();
    targets
        .filter_map(|target| target_key(target, &policy.metadata.namespace))
        .map(|target| Edge::Target(target, Seniority::of_object(object)))
        .collect()
}

fn certificate_edges(listeners: &[Listener], owner: &ObjectKey) -> Vec<Edge> {
    let refs = listeners.iter().filter_map(|listener| listener.tls.as_ref());
    let mut edges = Vec::new();
    for reference in refs.flat_map(|tls| &tls.certificate_refs) {
        let secret = secret_name(reference, &owner.namespace);
        if secret.namespace != owner.namespace {
            edges.push(Edge::Stranger(secret.namespace.clone(), owner.clone()));
        }
        if Kind::by_name(&reference.group, &reference.kind) == Some(Kind::Secret) {
            edges.push(Edge::Certificate(secret.key(Kind::Secret), owner.clone()));
        }
    }
    edges
}

/// The name that a reference from an object in `namespace` means.
pub(crate) fn secret_name(reference: &SecretReference, namespace: &str) -> Name {
    Name::new(reference.namespace.as_deref().unwrap_or(namespace), &reference.name)
}

fn route_edges(route: &AnyRoute<'_>, key: &ObjectKey) -> Vec<Edge> {
    let parents = route.spec.parent_refs.iter();
    let parents = parents.filter_map(|parent| parent_key(parent, &key.namespace));
    let mut edges: Vec<Edge> = parents.map(|parent| Edge::Parent(parent, key.clone())).collect();
    for backend in route.spec.rules.iter().flat_map(|rule| &rule.backend_refs) {
        let namespace = backend.namespace_or(&key.namespace);
        if namespace != key.namespace {
            edges.push(Edge::Stranger(namespace.to_owned(), key.clone()));
        }
        edges.extend(backend_key(backend, &key.namespace).map(|backend| Edge::Backend(backend, key.clone())));
    }
    edges
}
