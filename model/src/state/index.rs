//! Who depends on whom. Everything in here follows from the objects: a snapshot does not carry it, and one change of
//! an object costs only the entries that the object has.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::edges::Edges;
use super::host::HostKey;
use crate::meta::UnixMillis;
use crate::node::SocketKey;
use crate::object::ObjectKey;

mod certified;
mod links;
mod merged;
mod name;
mod sockets;

pub(crate) use certified::{Certified, CertifiedName};
pub(crate) use links::{backend_key, parent_key, parent_of_set, secret_name, target_key};
pub(crate) use merged::MergedSet;
pub(crate) use name::{AttachPoint, Claim, Name, Rank, Seniority, Takes};
pub(crate) use sockets::{Conflict, Holder};

/// The sockets that one Gateway or ListenerSet claims, each with its listener.
pub(crate) type Claims = BTreeSet<(SocketKey, Claim)>;

/// The listeners that one route is attached to, each with a host name that it carries there.
pub(crate) type Points = BTreeSet<(AttachPoint, HostKey)>;

/// What empties an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Drainer {
    /// The Drain; of several, the oldest goes first.
    pub(crate) drain: Seniority,
    /// Whether UDP flows leave with their next datagram.
    pub(crate) rechooses_flows: bool,
}

/// Where one route is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Attachments {
    seniority: Seniority,
    points: Arc<Points>,
}

/// Dependencies between objects, and what routes, Gateways and ListenerSets hold. What an object refers to is in here
/// whether it exists or not.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Index {
    /// By name of the class.
    pub(crate) gateways_of_class: Edges<String, Name>,
    /// By Gateway that a ListenerSet names as its parent.
    pub(crate) sets_of_gateway: Edges<Name, Name>,
    /// By Gateway or ListenerSet that a parentRef names.
    pub(crate) routes_of_parent: Edges<ObjectKey, ObjectKey>,
    /// By Service or Backend that a backendRef names.
    pub(crate) routes_of_backend: Edges<ObjectKey, ObjectKey>,
    /// By Service.
    pub(crate) slices_of_service: Edges<Name, Name>,
    /// By lower-case DNS name.
    pub(crate) backends_of_hostname: Edges<String, Name>,
    /// Gateways, ListenerSets and policies, by the Secret or ConfigMap that they take certificates from.
    pub(crate) users_of_certificate: Edges<ObjectKey, ObjectKey>,
    /// Objects that refer to something in this namespace from another one: what a ReferenceGrant in it may concern.
    pub(crate) strangers_of_namespace: Edges<String, ObjectKey>,
    /// By target; of those of one kind, the first goes first.
    pub(crate) policies_of_target: Edges<ObjectKey, Seniority>,
    /// EndpointSlices and Backends, by address that they have.
    pub(crate) holders_of_ip: Edges<IpAddr, ObjectKey>,
    /// Lower-case DNS names, by address that they stand for.
    pub(crate) names_of_ip: Edges<IpAddr, String>,
    /// Drains of an endpoint, by its address.
    pub(crate) drains_of_ip: Edges<IpAddr, Seniority>,
    /// By Backend that is emptied.
    pub(crate) drains_of_backend: Edges<Name, Seniority>,
    /// By name of the node that is emptied; the first goes first.
    pub(crate) drains_of_node: Edges<String, Seniority>,
    /// Drains that wait, by their deadline.
    pub(crate) deadlines: Edges<UnixMillis, ObjectKey>,
    /// By endpoint; the first goes first.
    pub(crate) drained: Edges<SocketAddr, Drainer>,
    /// What each Drain empties.
    pub(super) drained_by: OrdMap<ObjectKey, (Drainer, Arc<BTreeSet<SocketAddr>>)>,
    /// Gateways whose class is ours, and ListenerSets whose Gateway is.
    pub(crate) ours: OrdSet<ObjectKey>,
    /// ListenerSets that their Gateway lets in, whether they are accepted or not.
    merged_sets: OrdMap<ObjectKey, (Name, MergedSet)>,
    /// The same by Gateway, in their order in the list of its listeners.
    merged_of_gateway: Edges<Name, MergedSet>,
    /// By Gateway that lets a ListenerSet in.
    places: OrdMap<Name, merged::Places>,
    /// Accepted ListenerSets, each with its Gateway.
    accepted_sets: OrdMap<Name, Name>,
    accepted_count: OrdMap<Name, i32>,
    /// By socket group.
    pub(crate) claims: Edges<SocketKey, Claim>,
    /// Those of protocol TLS, by socket group and host name.
    pub(crate) names: Edges<(SocketKey, HostKey), Claim>,
    claims_of: OrdMap<ObjectKey, Arc<Claims>>,
    /// Listeners where TLS ends, by name of their certificates.
    certified: Edges<CertifiedName, Claim>,
    certified_of: OrdMap<ObjectKey, Arc<Certified>>,
    /// Accepted routes by listener and host name (any, where the listener is not of protocol TLS); the first carries the
    /// traffic.
    pub(crate) carried: Edges<(AttachPoint, HostKey), Seniority>,
    attached_count: OrdMap<AttachPoint, i32>,
    attachments_of: OrdMap<ObjectKey, Attachments>,
}

impl Index {
    /// The sockets that a Gateway or ListenerSet claims.
    pub(crate) fn claims_of(&self, owner: &ObjectKey) -> Arc<Claims> {
        self.claims_of.get(owner).cloned().unwrap_or_default()
    }

    /// Replaces the sockets that a Gateway or ListenerSet claims.
    pub(super) fn set_claims(&mut self, owner: &ObjectKey, claims: Claims) {
        for (socket, claim) in self.claims_of(owner).difference(&claims) {
            self.claims.remove(*socket, claim.clone());
            if let Takes::Name(name) = &claim.takes {
                self.names.remove((*socket, name.clone()), claim.clone());
            }
        }
        for (socket, claim) in &claims {
            self.claims.insert(*socket, claim.clone());
            if let Takes::Name(name) = &claim.takes {
                self.names.insert((*socket, name.clone()), claim.clone());
            }
        }
        if claims.is_empty() {
            self.claims_of.remove(owner);
        } else {
            self.claims_of.insert(owner.clone(), Arc::new(claims));
        }
    }

    /// Replaces the endpoints that a Drain empties; `None` for a Drain that is gone.
    pub(super) fn set_drained(&mut self, drain: &ObjectKey, drained: Option<(Drainer, BTreeSet<SocketAddr>)>) {
        let before = self.drained_by.get(drain);
        let is_same = match (before, &drained) {
            (Some((before, old)), Some((drainer, new))) => before == drainer && **old == *new,
            _ => false,
        };
        if is_same {
            return;
        }
        if let Some((drainer, addresses)) = self.drained_by.remove(drain) {
            for address in addresses.iter() {
                self.drained.remove(*address, drainer.clone());
            }
        }
        let Some((drainer, addresses)) = drained.filter(|(_, addresses)| !addresses.is_empty()) else {
            return;
        };
        for address in &addresses {
            self.drained.insert(*address, drainer.clone());
        }
        self.drained_by.insert(drain.clone(), (drainer, Arc::new(addresses)));
    }

    /// How many accepted ListenerSets a Gateway has.
    pub(crate) fn accepted_sets(&self, gateway: &Name) -> i32 {
        self.accepted_count.get(gateway).copied().unwrap_or(0)
    }

    /// Records by which Gateway a ListenerSet is accepted, if by any. Returns the Gateways whose count has changed.
    pub(super) fn set_accepted(&mut self, set: &Name, gateway: Option<Name>) -> Vec<Name> {
        let before = match &gateway {
            Some(gateway) => self.accepted_sets.insert(set.clone(), gateway.clone()),
            None => self.accepted_sets.remove(set),
        };
        if before == gateway {
            return Vec::new();
        }
        let mut changed = Vec::new();
        for (gateway, by) in [(before, -1), (gateway, 1)] {
            let Some(gateway) = gateway else { continue };
            let count = self.accepted_sets(&gateway).saturating_add(by);
            if count == 0 {
                self.accepted_count.remove(&gateway);
            } else {
                self.accepted_count.insert(gateway.clone(), count);
            }
            changed.push(gateway);
        }
        changed
    }

    /// How many accepted routes are attached to a listener.
    pub(crate) fn attached_count(&self, point: &AttachPoint) -> i32 {
        self.attached_count.get(point).copied().unwrap_or(0)
    }

    /// The listeners that a route is attached to.
    pub(crate) fn attachments_of(&self, route: &ObjectKey) -> Arc<Points> {
        self.attachments_of
            .get(route)
            .map(|attachments| Arc::clone(&attachments.points))
            .unwrap_or_default()
    }

    /// Replaces the listeners that a route is attached to; `None` for a route that is gone.
    pub(super) fn set_attachments(&mut self, route: &ObjectKey, seniority: Option<Seniority>, points: Points) {
        if let Some(old) = self.attachments_of.remove(route) {
            for point in old.points.iter() {
                self.carried.remove(point.clone(), old.seniority.clone());
            }
            self.count(&old.points, -1);
        }
        let Some(seniority) = seniority.filter(|_| !points.is_empty()) else {
            return;
        };
        for point in &points {
            self.carried.insert(point.clone(), seniority.clone());
        }
        self.count(&points, 1);
        let attachments = Attachments {
            seniority,
            points: Arc::new(points),
        };
        self.attachments_of.insert(route.clone(), attachments);
    }

    /// A route counts once on a listener, however many host names it has there.
    fn count(&mut self, points: &Points, by: i32) {
        let listeners: BTreeSet<&AttachPoint> = points.iter().map(|(point, _)| point).collect();
        for point in listeners {
            let count = self.attached_count(point).saturating_add(by);
            if count == 0 {
                self.attached_count.remove(point);
            } else {
                self.attached_count.insert(point.clone(), count);
            }
        }
    }
}
