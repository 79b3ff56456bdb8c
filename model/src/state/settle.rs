//! What follows from a command: the index is brought in step, and every status that may have changed is derived again.
//!
//! The work is proportional to what depends on the change. In order: edges of the objects that changed, sockets that
//! Gateways and ListenerSets claim, names of their certificates, listeners that routes are attached to, which ListenerSets
//! are accepted, then status, which reads all of them, and the pools of routes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::State;
use super::batch::Batch;
use super::host::HostKey;
use super::index::{Holder, Name, Seniority, Takes};
use crate::kind::Kind;
use crate::node::SocketKey;
use crate::object::ObjectKey;
use crate::plan::memory::Touched;
use crate::status::attach::attach_points;
use crate::status::claims::claims;
use crate::status::listener_set;
use crate::status::owner::Owner;

mod certify;
mod merge;
mod relink;
mod stated;

/// What a command changed besides objects.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// Socket groups that a node reported on.
    pub(super) sockets: BTreeSet<SocketKey>,
    /// Whether the set of live nodes, or what they said of themselves, has changed.
    pub(super) members: bool,
    /// DNS names that have other addresses now.
    pub(super) names: BTreeSet<String>,
    /// Addresses that a DNS name has won or lost.
    pub(super) addresses: BTreeSet<IpAddr>,
}

/// What is still to be looked at.
#[derive(Debug, Default)]
struct Work {
    /// Gateways and ListenerSets whose spec, class, parent or existence has changed.
    reclaim: BTreeSet<ObjectKey>,
    /// Gateways and ListenerSets whose listeners may show other certificates than before.
    recertify: BTreeSet<ObjectKey>,
    /// Routes that may attach elsewhere than before.
    reattach: BTreeSet<ObjectKey>,
    /// Drains that may empty other endpoints than before.
    redrain: BTreeSet<ObjectKey>,
    /// Objects whose status may change, in the order in which their changes are published.
    restate: BTreeSet<ObjectKey>,
    /// What may be behind some routes now.
    touched: Touched,
}

/// What has moved on a socket group.
struct Moved {
    /// Who had settled its use before.
    before: Option<Holder>,
    /// Host names that were claimed or given up.
    names: BTreeSet<HostKey>,
}

impl State {
    /// Brings index and status in step with the objects in `batch` and with `events`.
    pub(super) fn settle(&mut self, batch: &mut Batch, events: &Events) {
        let mut work = Work::default();
        let drained = self.index.drained.clone();
        let changed = batch.touched();
        for (key, before) in &changed {
            let (key, before) = (key, before.as_ref());
            let now = self.objects.get(key).cloned();
            self.relink(key, before, now.as_ref(), &mut work);
            self.forget_names(before);
        }
        let (lost, freed) = self.reclaim(&mut work);
        for key in lost {
            self.reset_status(batch, &key);
        }
        self.forget_binds(&freed);
        self.certify(&mut work);
        self.reattach(&mut work);
        self.heed(batch, events, &mut work);
        self.judge_sets(&mut work);
        for drain in self.passed_drains() {
            work.redrain.insert(drain.clone());
            work.restate.insert(drain);
        }
        self.redrain(std::mem::take(&mut work.redrain));
        for key in std::mem::take(&mut work.restate) {
            self.restate(batch, &key);
        }
        for (key, before) in &changed {
            work.touched.by_change(self, before.as_ref(), self.objects.get(key));
        }
        for name in &events.names {
            work.touched.by_name(self, name);
        }
        for address in drained.differing(&self.index.drained) {
            work.touched.routes.extend(self.routes_of_endpoint(*address));
        }
        self.settle_pools(&work.touched.routes);
        self.advance();
    }

    /// The index of the objects, from scratch.
    pub(super) fn rebuild_index(&mut self) {
        self.index = super::index::Index::default();
        for (name, addresses) in &self.resolved {
            for ip in addresses.iter() {
                self.index.names_of_ip.insert(*ip, name.clone());
            }
        }
        let mut work = Work::default();
        for (key, object) in self.objects.clone() {
            self.relink(&key, None, Some(&object), &mut work);
        }
        self.reclaim(&mut work);
        self.certify(&mut work);
        self.reattach(&mut work);
        self.judge_sets(&mut work);
        self.redrain(work.redrain);
    }

    /// Computes again what each Gateway and ListenerSet in `work` claims, and notes who is touched by it. Returns those
    /// that have ceased to be ours, and the socket groups that no one claims any more.
    fn reclaim(&mut self, work: &mut Work) -> (Vec<ObjectKey>, BTreeSet<SocketKey>) {
        let mut lost = Vec::new();
        let mut moved: BTreeMap<SocketKey, Moved> = BTreeMap::new();
        self.merge(work);
        while let Some(key) = work.reclaim.pop_first() {
            let owner = Owner::of(self, &key);
            let ours = owner.is_some();
            let claims = owner.map(|owner| claims(self, &owner)).unwrap_or_default();
            let was_ours = if ours {
                self.index.ours.insert(key.clone()).is_some()
            } else {
                self.index.ours.remove(&key).is_some()
            };
            if was_ours && !ours {
                lost.push(key.clone());
            }
            let before = self.index.claims_of(&key);
            for (socket, claim) in before.symmetric_difference(&claims) {
                let moved = moved.entry(*socket).or_insert_with(|| Moved {
                    before: self.index.holder(socket),
                    names: BTreeSet::new(),
                });
                if let Takes::Name(name) = &claim.takes {
                    moved.names.insert(name.clone());
                }
            }
            self.index.set_claims(&key, claims);
            work.reattach.extend(self.index.routes_of_parent.iter_of(&key).cloned());
            self.restate_policies(&key, work);
            work.recertify.insert(key.clone());
            work.restate.insert(key);
        }
        for (socket, moved) in &moved {
            self.restate_claimants(socket, moved, work);
        }
        let freed = moved.into_keys();
        let freed = freed.filter(|socket| self.index.claims.first(socket).is_none());
        (lost, freed.collect())
    }

    fn restate_claimants(&self, socket: &SocketKey, moved: &Moved, work: &mut Work) {
        if self.index.holder(socket) != moved.before {
            let claims = self.index.claims.of(socket);
            work.restate.extend(claims.map(|claim| claim.rank.owner.clone()));
            return;
        }
        for name in &moved.names {
            let concerned = self.index.concerned(socket, name).into_iter();
            work.restate.extend(concerned.map(|claim| claim.rank.owner.clone()));
        }
    }

    /// Attaches each route in `work` again, and notes whose count of routes or whose carrier has changed.
    fn reattach(&mut self, work: &mut Work) {
        let mut carriers = BTreeMap::new();
        for key in std::mem::take(&mut work.reattach) {
            let object = self.objects.get(&key).cloned();
            let route = object.as_ref().and_then(|object| object.as_route());
            let points = route.map(|route| attach_points(self, &route)).unwrap_or_default();
            let before = self.index.attachments_of(&key);
            for pair in before.symmetric_difference(&points) {
                let carrier = || self.index.carried.first(pair).cloned();
                carriers.entry(pair.clone()).or_insert_with(carrier);
            }
            let seniority = object.as_ref().map(Seniority::of_object);
            self.index.set_attachments(&key, seniority, points);
            if key.kind == Kind::TlsRoute {
                // Whether TLS ends at a listener of it may have changed.
                work.touched.routes.insert(key.clone());
                if let Some(route) = route {
                    self.restate_backend_policies(&route, work);
                }
            }
            work.restate.insert(key);
        }
        for (pair, carrier) in carriers {
            if self.index.carried.first(&pair) != carrier.as_ref() {
                let routes = self.index.carried.of(&pair).map(|route| route.key.clone());
                work.restate.extend(routes);
            }
            work.restate.insert(pair.0.owner);
        }
    }

    /// Decides again which ListenerSets in `work` are accepted, and notes the Gateways whose count changes.
    fn judge_sets(&mut self, work: &mut Work) {
        let sets: Vec<ObjectKey> = work
            .restate
            .iter()
            .filter(|key| key.kind == Kind::ListenerSet)
            .cloned()
            .collect();
        for key in sets {
            let owner = Owner::of(self, &key);
            let accepted = owner.filter(|owner| listener_set::is_accepted(self, owner));
            let gateway = accepted.map(|owner| Name::of(&owner.gateway.metadata));
            let changed = self.index.set_accepted(&Name::of_key(&key), gateway);
            work.restate
                .extend(changed.iter().map(|gateway| gateway.key(Kind::Gateway)));
        }
    }

    /// Notes who depends on what is not an object.
    fn heed(&mut self, batch: &mut Batch, events: &Events, work: &mut Work) {
        for socket in &events.sockets {
            let claims = self.index.claims.of(socket);
            work.restate.extend(claims.map(|claim| claim.rank.owner.clone()));
        }
        if events.members {
            work.restate.extend(self.index.ours.iter().cloned());
            let drains = self.index.drains_of_node.iter();
            work.restate.extend(drains.map(|(_, drain)| drain.key.clone()));
        }
        for ip in &events.addresses {
            let drains = self.index.drains_of_ip.of(ip);
            work.restate.extend(drains.map(|drain| drain.key.clone()));
        }
        for name in &events.names {
            let backends: Vec<Name> = self.index.backends_of_hostname.of(name).cloned().collect();
            for backend in backends {
                self.redrain_backend(&backend, work);
                let key = backend.key(Kind::Backend);
                // What a name stands for is part of the Backend: its version rises even if its status reads the same.
                self.force(batch, &key);
                work.restate.insert(key);
            }
        }
    }

    /// Derives the status of one object and stores it if it differs. Objects whose status is not ours are left alone.
    fn restate(&mut self, batch: &mut Batch, key: &ObjectKey) {
        if let Some(stated) = self.objects.get(key).and_then(|object| self.stated(object)) {
            if key.kind == Kind::Drain {
                // Whether its deadline is waited for is in its status.
                self.index.relink(self.objects.get(key), Some(&stated));
            }
            self.put(batch, stated);
        }
    }
}
