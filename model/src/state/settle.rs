//! What follows from a command: the index is brought in step, and every status that may have changed is derived again.
//!
//! The work is proportional to what depends on the change. In order: edges of the objects that changed, sockets that
//! Gateways claim, listeners that routes are attached to, then status, which reads all three.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::State;
use super::batch::Batch;
use super::index::{AttachPoint, Name, Seniority};
use crate::kind::Kind;
use crate::meta::Timestamp;
use crate::node::SocketKey;
use crate::object::{Object, ObjectKey};
use crate::resource::{NamespacePhase, TcpRoute};
use crate::status::attach::{Attachment, attach};
use crate::status::condition::Moment;
use crate::status::{backend, class, gateway, route};

/// What a command changed besides objects.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// Socket groups that a node reported on.
    pub(super) sockets: BTreeSet<SocketKey>,
    /// Whether the set of live nodes, or what they said of themselves, has changed.
    pub(super) members: bool,
    /// DNS names that have other addresses now.
    pub(super) names: BTreeSet<String>,
}

/// The object with `$status` in place of its own, if they differ; an object is copied only then.
macro_rules! replaced {
    ($kind:ident, $object:expr, $status:expr) => {{
        let status = $status;
        (status != $object.status).then(|| {
            let mut object = Arc::clone($object);
            Arc::make_mut(&mut object).status = status;
            Object::$kind(object)
        })
    }};
}

/// What is still to be looked at.
#[derive(Debug, Default)]
struct Work {
    /// Gateways whose spec, class or existence has changed.
    reclaim: BTreeSet<Name>,
    /// Routes that may attach elsewhere than before.
    reattach: BTreeSet<Name>,
    /// Objects whose status may change, in the order in which their changes are published.
    restate: BTreeSet<ObjectKey>,
}

impl Work {
    fn restate(&mut self, kind: Kind, name: &Name) {
        self.restate.insert(name.key(kind));
    }

    fn restate_all<'a>(&mut self, kind: Kind, names: impl Iterator<Item = &'a Name>) {
        self.restate.extend(names.map(|name| name.key(kind)));
    }
}

impl State {
    /// Brings index and status in step with the objects in `batch` and with `events`.
    pub(super) fn settle(&mut self, batch: &mut Batch, events: &Events) {
        let mut work = Work::default();
        for (key, before) in batch.touched() {
            let now = self.objects.get(&key).cloned();
            self.relink(&key, before.as_ref(), now.as_ref(), &mut work);
            self.forget_names(before.as_ref());
        }
        let (lost, freed) = self.reclaim(&mut work);
        for name in lost {
            self.reset_status(batch, &name);
        }
        self.forget_binds(&freed);
        self.reattach(&mut work);
        self.heed(batch, events, &mut work);
        for key in work.restate {
            self.restate(batch, &key);
        }
    }

    /// The index of the objects, from scratch.
    pub(super) fn rebuild_index(&mut self) {
        self.index = super::index::Index::default();
        let mut work = Work::default();
        for (key, object) in self.objects.clone() {
            self.relink(&key, None, Some(&object), &mut work);
        }
        self.reclaim(&mut work);
        self.reattach(&mut work);
    }

    /// Moves the edges of one object, and notes who depends on it.
    fn relink(&mut self, key: &ObjectKey, before: Option<&Object>, now: Option<&Object>, work: &mut Work) {
        if let Some(before) = before {
            self.index.unlink(before);
        }
        if let Some(now) = now {
            self.index.link(now);
        }
        let name = Name::new(&key.namespace, &key.name);
        work.restate.insert(key.clone());
        let generation = |object: &Object| (object.meta().uid.clone(), object.meta().generation);
        let same_spec = before.map(generation) == now.map(generation);
        match key.kind {
            Kind::Namespace => {
                let labels = |object: &Object| object.meta().labels.clone();
                if before.map(labels) != now.map(labels) {
                    let routes = self.list(Kind::TcpRoute, Some(&key.name), None);
                    work.reattach.extend(routes.map(|route| Name::of(route.meta())));
                }
            }
            Kind::Service | Kind::Backend if !same_spec => {
                let routes = self
                    .index
                    .routes_of_backend
                    .of(&(key.kind, name))
                    .cloned()
                    .collect::<Vec<_>>();
                work.restate_all(Kind::TcpRoute, routes.iter());
            }
            Kind::GatewayClass if !same_spec => {
                work.reclaim.extend(self.index.gateways_of_class.of(&key.name).cloned());
            }
            Kind::Gateway if !same_spec => {
                work.reclaim.insert(name);
            }
            Kind::TcpRoute if !same_spec => {
                work.reattach.insert(name);
            }
            // No status depends on where a Service's connections go, only the plan does.
            Kind::EndpointSlice
            | Kind::Service
            | Kind::Backend
            | Kind::GatewayClass
            | Kind::Gateway
            | Kind::TcpRoute => {}
        }
    }

    /// Computes again what each Gateway in `work` claims, and notes who is touched by it. Returns the Gateways that
    /// have ceased to be ours, and the socket groups that no one claims any more.
    fn reclaim(&mut self, work: &mut Work) -> (Vec<Name>, BTreeSet<SocketKey>) {
        let mut lost = Vec::new();
        let mut moved = BTreeSet::new();
        for name in std::mem::take(&mut work.reclaim) {
            let ours = self
                .gateway(&name)
                .is_some_and(|gateway| self.is_ours(&gateway.spec.gateway_class_name));
            let was_ours = if ours {
                self.index.ours.insert(name.clone()).is_some()
            } else {
                self.index.ours.remove(&name).is_some()
            };
            if was_ours && !ours {
                lost.push(name.clone());
            }
            let claims = match self.gateway(&name) {
                Some(found) if ours => gateway::claims(self, found),
                _ => Default::default(),
            };
            let before = self.index.claims_of(&name);
            moved.extend(before.symmetric_difference(&claims).map(|(socket, _)| *socket));
            self.index.set_claims(&name, claims);
            work.restate(Kind::Gateway, &name);
            work.reattach.extend(self.index.routes_of_gateway.of(&name).cloned());
        }
        for socket in &moved {
            let claimants: Vec<Name> = self
                .index
                .claims
                .of(socket)
                .map(|claim| claim.gateway.name.clone())
                .collect();
            work.restate_all(Kind::Gateway, claimants.iter());
        }
        moved.retain(|socket| self.index.claims.first(socket).is_none());
        (lost, moved)
    }

    /// Attaches each route in `work` again, and notes whose count of routes or whose carrier has changed.
    fn reattach(&mut self, work: &mut Work) {
        let mut carriers: BTreeMap<AttachPoint, Option<Seniority>> = BTreeMap::new();
        for name in std::mem::take(&mut work.reattach) {
            let found = self.route(&name);
            let seniority = found.map(|route| Seniority::of(&route.metadata));
            let points = found.map(|route| self.attach_points(route)).unwrap_or_default();
            let before = self.index.attachments_of(&name);
            for point in before.symmetric_difference(&points) {
                carriers
                    .entry(point.clone())
                    .or_insert_with(|| self.index.attached.first(point).cloned());
            }
            self.index.set_attachments(&name, seniority, points);
            work.restate(Kind::TcpRoute, &name);
        }
        for (point, carrier) in carriers {
            work.restate(Kind::Gateway, &point.gateway);
            if self.index.attached.first(&point) != carrier.as_ref() {
                let routes = self.index.attached.of(&point).map(|route| &route.name);
                work.restate_all(Kind::TcpRoute, routes);
            }
        }
    }

    fn attach_points(&self, route: &TcpRoute) -> BTreeSet<AttachPoint> {
        let mut points = BTreeSet::new();
        for parent in &route.spec.parent_refs {
            let Some(gateway) = route::parent_gateway(self, route, parent) else {
                continue;
            };
            if let Attachment::Attached(listeners) = attach(self, &route.metadata.namespace, gateway, parent) {
                points.extend(listeners.into_iter().map(|listener| AttachPoint {
                    gateway: Name::of(&gateway.metadata),
                    listener: listener.name.clone(),
                }));
            }
        }
        points
    }

    /// Notes who depends on what is not an object.
    fn heed(&mut self, batch: &mut Batch, events: &Events, work: &mut Work) {
        for socket in &events.sockets {
            let claims = self.index.claims.of(socket).map(|claim| &claim.gateway.name);
            work.restate_all(Kind::Gateway, claims);
        }
        if events.members {
            work.restate_all(Kind::Gateway, self.index.ours.iter());
        }
        for name in &events.names {
            let backends: Vec<Name> = self.index.backends_of_hostname.of(name).cloned().collect();
            for backend in &backends {
                // What a name stands for is part of the Backend: its version rises even if its status reads the same.
                self.force(batch, &backend.key(Kind::Backend));
            }
            work.restate_all(Kind::Backend, backends.iter());
        }
    }

    /// A Gateway that has left our hands is as if no controller had seen it.
    fn reset_status(&mut self, batch: &mut Batch, name: &Name) {
        if let Some(mut reset) = self.gateway(name).cloned() {
            Arc::make_mut(&mut reset).status = gateway::unclaimed();
            self.put(batch, Object::Gateway(reset));
        }
    }

    /// Derives the status of one object and stores it if it differs. Objects whose status is not ours are left alone.
    fn restate(&mut self, batch: &mut Batch, key: &ObjectKey) {
        if let Some(stated) = self.objects.get(key).and_then(|object| self.stated(object)) {
            self.put(batch, stated);
        }
    }

    /// The object with its derived status, if that differs from the one it has.
    pub(super) fn stated(&self, object: &Object) -> Option<Object> {
        let moment = Moment {
            generation: object.meta().generation,
            now: Timestamp::from(self.time),
        };
        match object {
            Object::Namespace(namespace) => {
                let mut status = namespace.status.clone();
                status.phase = Some(NamespacePhase::Active);
                replaced!(Namespace, namespace, status)
            }
            Object::GatewayClass(class) if class::is_ours(class) => {
                replaced!(GatewayClass, class, class::derive(class, moment))
            }
            Object::Gateway(gateway) if self.index.ours.contains(&Name::of(&gateway.metadata)) => {
                replaced!(Gateway, gateway, gateway::derive(self, gateway, moment))
            }
            Object::TcpRoute(route) => replaced!(TcpRoute, route, route::derive(self, route, moment)),
            Object::Backend(backend) => replaced!(Backend, backend, backend::derive(self, backend, moment)),
            Object::Service(_) | Object::EndpointSlice(_) | Object::GatewayClass(_) | Object::Gateway(_) => None,
        }
    }
}
