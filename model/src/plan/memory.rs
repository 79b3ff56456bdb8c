//! What one compilation leaves to the next.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use guideway_maglev::{Table, TableSize};
use imbl::OrdMap;
use imbl::ordmap::DiffItem;

use super::{Certificate, Pool};
use crate::kind::Kind;
use crate::node::SocketKey;
use crate::object::{Object, ObjectKey, spec_equal};
use crate::resource::Backend;
use crate::state::State;
use crate::state::edges::Edges;
use crate::state::host::HostKey;
use crate::state::index::{AttachPoint, Claim, Drainer, Name, Seniority, target_key};
use crate::state::pools::{PoolRecord, WeightedList};

/// The parts of the state that a plan was compiled from, and what was made of them. Everything is shared with the state;
/// what it costs are the versions of objects that the state itself has dropped since.
#[derive(Clone)]
pub(super) struct Memory {
    pub(super) size: TableSize,
    /// By route.
    pub(super) made: OrdMap<ObjectKey, Made>,
    /// By Secret.
    pub(super) certificates: OrdMap<Name, Arc<Certificate>>,
    objects: OrdMap<ObjectKey, Object>,
    resolved: OrdMap<String, Arc<[IpAddr]>>,
    records: OrdMap<ObjectKey, Arc<PoolRecord>>,
    claims: Edges<SocketKey, Claim>,
    carried: Edges<(AttachPoint, HostKey), Seniority>,
    drained: Edges<SocketAddr, Drainer>,
}

/// A pool, and what it was built from besides objects.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) pool: Arc<Pool>,
    /// Its tables, each with the list that it was built from.
    pub(super) tables: Vec<(WeightedList, Arc<Table>)>,
    /// Whether TLS ends at a listener of its route.
    pub(super) terminates: bool,
}

/// What may be another one than before.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Routes whose pool may.
    pub(crate) routes: BTreeSet<ObjectKey>,
    /// Whether some listener may serve otherwise, with the same routes.
    pub(super) listeners: bool,
}

impl Memory {
    /// Remembers `state`, with nothing made of it yet.
    pub(super) fn of(state: &State, size: TableSize) -> Memory {
        Memory {
            size,
            made: OrdMap::new(),
            certificates: OrdMap::new(),
            objects: state.objects().clone(),
            resolved: state.all_resolved().clone(),
            records: state.pool_records().clone(),
            claims: state.index().claims.clone(),
            carried: state.index().carried.clone(),
            drained: state.index().drained.clone(),
        }
    }

    /// Whether the same listeners are served by the same routes in `state`. May say no although they are.
    pub(super) fn has_shape_of(&self, state: &State) -> bool {
        self.claims.is_same(&state.index().claims) && self.carried.is_same(&state.index().carried)
    }

    /// What may be another one in `state`. Costs what differs, for a state that has grown out of the remembered one; any
    /// other state gives the right answer too.
    pub(super) fn touched(&self, state: &State) -> Touched {
        let mut touched = Touched::default();
        for difference in self.objects.diff(state.objects()) {
            let (old, new) = match difference {
                DiffItem::Add(_, new) => (None, Some(new)),
                DiffItem::Remove(_, old) => (Some(old), None),
                DiffItem::Update { old, new } => (Some(old.1), Some(new.1)),
            };
            touched.by_change(state, old, new);
        }
        for difference in self.resolved.diff(state.all_resolved()) {
            let (DiffItem::Add(hostname, _)
            | DiffItem::Remove(hostname, _)
            | DiffItem::Update { new: (hostname, _), .. }) = difference;
            touched.by_name(state, hostname);
        }
        for difference in self.records.diff(state.pool_records()) {
            let (DiffItem::Add(route, _) | DiffItem::Remove(route, _) | DiffItem::Update { new: (route, _), .. }) =
                difference;
            touched.routes.insert(route.clone());
        }
        for route in state.pools_with_past() {
            if !self.has_past_of(state, route) {
                touched.routes.insert(route.clone());
            }
        }
        for address in self.drained.differing(&state.index().drained) {
            touched.routes.extend(state.routes_of_endpoint(*address));
        }
        touched
    }

    /// Whether the pool of a route, whose record is the same, has the past phases that it should have by now: they end
    /// with time, and when another node is lost.
    fn has_past_of(&self, state: &State, route: &ObjectKey) -> bool {
        let Some((made, record)) = self.made.get(route).zip(state.pool(route)) else {
            return true;
        };
        let phases = state.past_phases(record).into_iter();
        let made = made.pool.past.iter().map(|phase| phase.generation);
        phases.map(|(generation, _)| generation).eq(made)
    }
}

impl Touched {
    /// Adds what depends on an object that has changed.
    pub(crate) fn by_change(&mut self, state: &State, old: Option<&Object>, new: Option<&Object>) {
        // Not by generation: the other state may be of another cluster.
        let same_spec = old
            .zip(new)
            .is_some_and(|(old, new)| old.meta().uid == new.meta().uid && spec_equal(old, new));
        for object in old.into_iter().chain(new) {
            self.by_object(state, object, same_spec);
        }
    }

    /// Adds what depends on a DNS name that has other addresses.
    pub(crate) fn by_name(&mut self, state: &State, hostname: &str) {
        for backend in state.index().backends_of_hostname.of(&hostname.to_owned()) {
            self.by_backend(state, &backend.key(Kind::Backend));
        }
    }

    /// Adds what depends on one version of an object that has changed. `same_spec` says that nothing has but its status
    /// and metadata.
    fn by_object(&mut self, state: &State, object: &Object, same_spec: bool) {
        let key = object.key();
        match object {
            Object::EndpointSlice(slice) => {
                if let Some(service) = slice.service_name() {
                    let service = Name::new(&key.namespace, service);
                    self.by_backend(state, &service.key(Kind::Service));
                }
            }
            // The version of a certificate is that of its Secret.
            Object::Secret(_) | Object::ConfigMap(_) => {
                for user in state.index().users_of_certificate.of(&key) {
                    self.by_user(state, user);
                }
            }
            _ if same_spec => {}
            Object::TcpRoute(_) | Object::UdpRoute(_) | Object::TlsRoute(_) => {
                self.routes.insert(key);
            }
            Object::Service(_) => self.by_backend(state, &key),
            Object::Backend(backend) => {
                self.by_backend(state, &key);
                self.by_drained(state, backend);
            }
            Object::Drain(drain) => self.routes.extend(state.routes_of_drain(drain)),
            Object::ReferenceGrant(_) => {
                for referrer in state.index().strangers_of_namespace.of(&key.namespace) {
                    self.by_user(state, referrer);
                }
            }
            Object::Gateway(_) | Object::ListenerSet(_) | Object::ClientTrafficPolicy(_) => self.listeners = true,
            Object::BackendTlsPolicy(_) | Object::BackendTrafficPolicy(_) => self.by_policy(state, object),
            Object::Namespace(_)
            | Object::GatewayClass(_)
            | Object::Role(_)
            | Object::ClusterRole(_)
            | Object::RoleBinding(_)
            | Object::ClusterRoleBinding(_)
            | Object::ApiToken(_) => {}
        }
    }

    /// Adds what depends on something that `user` refers to.
    fn by_user(&mut self, state: &State, user: &ObjectKey) {
        match user.kind {
            Kind::Gateway | Kind::ListenerSet => self.listeners = true,
            Kind::TcpRoute | Kind::UdpRoute | Kind::TlsRoute => {
                self.routes.insert(user.clone());
            }
            _ => {
                if let Some(policy) = state.get(user) {
                    self.by_policy(state, policy);
                }
            }
        }
    }

    fn by_policy(&mut self, state: &State, object: &Object) {
        let Some(policy) = object.as_policy() else { return };
        for target in policy.targets {
            match target_key(target, &policy.metadata.namespace) {
                Some(key) if matches!(key.kind, Kind::Service | Kind::Backend) => self.by_backend(state, &key),
                Some(key) => {
                    self.routes.insert(key);
                }
                None => {}
            }
        }
    }

    /// Routes that reach an endpoint of a Backend some other way: it is emptied there too.
    fn by_drained(&mut self, state: &State, backend: &Backend) {
        let mut drains = state.index().drains_of_backend.iter_of(&Name::of(&backend.metadata));
        if drains.next().is_some() {
            for (address, _) in state.endpoints_of_backend(backend) {
                self.routes.extend(state.routes_of_endpoint(address));
            }
        }
    }

    fn by_backend(&mut self, state: &State, backend: &ObjectKey) {
        self.routes.extend(state.index().routes_of_backend.of(backend).cloned());
    }
}
