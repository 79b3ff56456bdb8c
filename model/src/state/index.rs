//! Who depends on whom. Everything in here follows from the objects: a snapshot does not carry it, and one change of
//! an object costs only the entries that the object has.

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::edges::Edges;
use crate::kind::Kind;
use crate::meta::ObjectMeta;
use crate::node::SocketKey;
use crate::object::{Object, ObjectKey};
use crate::resource::TcpRoute;

/// Namespace and name, where the kind is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Name {
    pub(crate) fn new(namespace: &str, name: &str) -> Name {
        Name {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    pub(crate) fn of(meta: &ObjectMeta) -> Name {
        Name::new(&meta.namespace, &meta.name)
    }

    pub(crate) fn key(&self, kind: Kind) -> ObjectKey {
        ObjectKey {
            kind,
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Precedence of the Gateway API: the older first, then by namespace and name. The least goes first.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seniority {
    created_seconds: u64,
    pub(crate) name: Name,
}

impl Seniority {
    pub(crate) fn of(meta: &ObjectMeta) -> Seniority {
        let created = meta.creation_timestamp.unwrap_or_default().unix_seconds;
        Seniority {
            created_seconds: u64::try_from(created).unwrap_or(0),
            name: Name::of(meta),
        }
    }
}

/// A listener of a Gateway, as routes see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AttachPoint {
    pub(crate) gateway: Name,
    pub(crate) listener: String,
}

/// A listener that wants a socket group; of several, the least has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claim {
    pub(crate) gateway: Seniority,
    pub(crate) listener: String,
}

/// The sockets that one Gateway claims, each with its listener.
pub(crate) type Claims = BTreeSet<(SocketKey, Claim)>;

/// Where one route is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Attachments {
    seniority: Seniority,
    points: Arc<BTreeSet<AttachPoint>>,
}

/// Dependencies between objects, and what routes and Gateways hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Index {
    /// By name of the class.
    pub(crate) gateways_of_class: Edges<String, Name>,
    /// By Gateway that a parentRef names, there or not.
    pub(crate) routes_of_gateway: Edges<Name, Name>,
    /// By Service or Backend that a backendRef names, there or not.
    pub(crate) routes_of_backend: Edges<(Kind, Name), Name>,
    /// By Service, there or not.
    pub(crate) slices_of_service: Edges<Name, Name>,
    /// By lower-case DNS name.
    pub(crate) backends_of_hostname: Edges<String, Name>,
    /// Gateways whose class is ours.
    pub(crate) ours: OrdSet<Name>,
    /// By socket group.
    pub(crate) claims: Edges<SocketKey, Claim>,
    claims_of: OrdMap<Name, Arc<Claims>>,
    /// Accepted routes by listener; the first carries the traffic.
    pub(crate) attached: Edges<AttachPoint, Seniority>,
    attached_count: OrdMap<AttachPoint, i32>,
    attachments_of: OrdMap<Name, Attachments>,
}

impl Index {
    /// Adds the edges that an object has by itself.
    pub(super) fn link(&mut self, object: &Object) {
        for edge in edges_of(object) {
            match edge {
                Edge::Class(class, gateway) => self.gateways_of_class.insert(class, gateway),
                Edge::Parent(gateway, route) => self.routes_of_gateway.insert(gateway, route),
                Edge::Backend(backend, route) => self.routes_of_backend.insert(backend, route),
                Edge::Slice(service, slice) => self.slices_of_service.insert(service, slice),
                Edge::Hostname(hostname, backend) => self.backends_of_hostname.insert(hostname, backend),
            };
        }
    }

    /// Removes them.
    pub(super) fn unlink(&mut self, object: &Object) {
        for edge in edges_of(object) {
            match edge {
                Edge::Class(class, gateway) => self.gateways_of_class.remove(class, gateway),
                Edge::Parent(gateway, route) => self.routes_of_gateway.remove(gateway, route),
                Edge::Backend(backend, route) => self.routes_of_backend.remove(backend, route),
                Edge::Slice(service, slice) => self.slices_of_service.remove(service, slice),
                Edge::Hostname(hostname, backend) => self.backends_of_hostname.remove(hostname, backend),
            };
        }
    }

    /// The sockets that a Gateway claims.
    pub(crate) fn claims_of(&self, gateway: &Name) -> Arc<Claims> {
        self.claims_of.get(gateway).cloned().unwrap_or_default()
    }

    /// Replaces the sockets that a Gateway claims.
    pub(super) fn set_claims(&mut self, gateway: &Name, claims: Claims) {
        for (socket, claim) in self.claims_of(gateway).difference(&claims) {
            self.claims.remove(*socket, claim.clone());
        }
        for (socket, claim) in &claims {
            self.claims.insert(*socket, claim.clone());
        }
        if claims.is_empty() {
            self.claims_of.remove(gateway);
        } else {
            self.claims_of.insert(gateway.clone(), Arc::new(claims));
        }
    }

    /// How many accepted routes are attached to a listener.
    pub(crate) fn attached_count(&self, point: &AttachPoint) -> i32 {
        self.attached_count.get(point).copied().unwrap_or(0)
    }

    /// The listeners that a route is attached to.
    pub(crate) fn attachments_of(&self, route: &Name) -> Arc<BTreeSet<AttachPoint>> {
        self.attachments_of
            .get(route)
            .map(|attachments| Arc::clone(&attachments.points))
            .unwrap_or_default()
    }

    /// Replaces the listeners that a route is attached to; `None` for a route that is gone.
    pub(super) fn set_attachments(
        &mut self,
        route: &Name,
        seniority: Option<Seniority>,
        points: BTreeSet<AttachPoint>,
    ) {
        if let Some(old) = self.attachments_of.remove(route) {
            for point in old.points.iter() {
                self.attached.remove(point.clone(), old.seniority.clone());
                self.count(point, -1);
            }
        }
        let Some(seniority) = seniority.filter(|_| !points.is_empty()) else {
            return;
        };
        for point in &points {
            self.attached.insert(point.clone(), seniority.clone());
            self.count(point, 1);
        }
        let attachments = Attachments {
            seniority,
            points: Arc::new(points),
        };
        self.attachments_of.insert(route.clone(), attachments);
    }

    fn count(&mut self, point: &AttachPoint, by: i32) {
        let count = self.attached_count(point).saturating_add(by);
        if count == 0 {
            self.attached_count.remove(point);
        } else {
            self.attached_count.insert(point.clone(), count);
        }
    }
}

/// An edge that an object has by itself.
enum Edge {
    Class(String, Name),
    Parent(Name, Name),
    Backend((Kind, Name), Name),
    Slice(Name, Name),
    Hostname(String, Name),
}

fn edges_of(object: &Object) -> Vec<Edge> {
    let name = Name::of(object.meta());
    match object {
        Object::Namespace(_) | Object::Service(_) | Object::GatewayClass(_) => Vec::new(),
        Object::EndpointSlice(slice) => {
            let service = slice.service_name().map(|service| Name::new(&name.namespace, service));
            service.map(|service| Edge::Slice(service, name)).into_iter().collect()
        }
        Object::Gateway(gateway) => vec![Edge::Class(gateway.spec.gateway_class_name.clone(), name)],
        Object::TcpRoute(route) => route_edges(route, &name),
        Object::Backend(backend) => {
            let hostnames = backend
                .spec
                .endpoints
                .iter()
                .filter_map(|endpoint| endpoint.hostname.as_deref());
            hostnames
                .map(|hostname| Edge::Hostname(hostname.to_ascii_lowercase(), name.clone()))
                .collect()
        }
    }
}

fn route_edges(route: &TcpRoute, name: &Name) -> Vec<Edge> {
    let parents = route.spec.parent_refs.iter().filter(|parent| parent.is_gateway());
    let parents = parents.map(|parent| Name::new(parent.namespace_or(&name.namespace), &parent.name));
    let backends = route.spec.rules.iter().flat_map(|rule| &rule.backend_refs);
    let backends = backends.filter_map(|backend| {
        let kind = if backend.is_service() {
            Kind::Service
        } else if backend.is_backend() {
            Kind::Backend
        } else {
            return None;
        };
        Some((kind, Name::new(backend.namespace_or(&name.namespace), &backend.name)))
    });
    parents
        .map(|gateway| Edge::Parent(gateway, name.clone()))
        .chain(backends.map(|backend| Edge::Backend(backend, name.clone())))
        .collect()
}
