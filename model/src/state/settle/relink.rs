//! Who depends on an object that has changed.

use std::net::IpAddr;

use super::Work;
use crate::kind::Kind;
use crate::object::{Object, ObjectKey};
use crate::resource::AnyRoute;
use crate::state::State;
use crate::state::index::{Name, backend_key, target_key};

impl State {
    /// Moves the edges of one object, and notes who depends on it.
    pub(super) fn relink(&mut self, key: &ObjectKey, before: Option<&Object>, now: Option<&Object>, work: &mut Work) {
        self.index.relink(before, now);
        work.restate.insert(key.clone());
        let generation = |object: &Object| (object.meta().uid.clone(), object.meta().generation);
        let same_spec = before.map(generation) == now.map(generation);
        self.restate_drains(before, now, work);
        match key.kind {
            Kind::Namespace => {
                let labels = |object: &Object| object.meta().labels.clone();
                if before.map(labels) != now.map(labels) {
                    self.regroup(&key.name, work);
                }
            }
            Kind::EndpointSlice => {
                for object in before.into_iter().chain(now) {
                    if let Object::EndpointSlice(slice) = object
                        && let Some(service) = slice.service_name()
                    {
                        work.restate
                            .insert(Name::new(&key.namespace, service).key(Kind::Service));
                    }
                }
            }
            // Also for what was reported: whether flows are chosen anew depends on how far it is.
            Kind::Drain => {
                work.redrain.insert(key.clone());
            }
            _ if same_spec => {}
            Kind::Service | Kind::Backend => {
                if key.kind == Kind::Backend {
                    self.redrain_backend(&Name::of_key(key), work);
                }
                work.restate.extend(self.index.routes_of_backend.of(key).cloned());
                self.restate_policies(key, work);
            }
            Kind::Secret | Kind::ConfigMap => {
                let users = self.index.users_of_certificate.of(key);
                depend_on_certificate(users, work);
            }
            Kind::GatewayClass => {
                let gateways = self.index.gateways_of_class.of(&key.name);
                work.reclaim.extend(gateways.map(|gateway| gateway.key(Kind::Gateway)));
            }
            Kind::Gateway | Kind::ListenerSet => {
                work.reclaim.insert(key.clone());
            }
            Kind::TcpRoute | Kind::UdpRoute | Kind::TlsRoute => {
                work.reattach.insert(key.clone());
                self.restate_policies(key, work);
                for route in before.into_iter().chain(now).filter_map(Object::as_route) {
                    self.restate_backend_policies(&route, work);
                }
            }
            Kind::ReferenceGrant => {
                let strangers = self.index.strangers_of_namespace.of(&key.namespace);
                depend_on_certificate(strangers, work);
            }
            Kind::BackendTlsPolicy | Kind::ClientTrafficPolicy | Kind::BackendTrafficPolicy => {
                for policy in before.into_iter().chain(now).filter_map(Object::as_policy) {
                    let targets = policy.targets.iter();
                    for target in targets.filter_map(|target| target_key(target, &key.namespace)) {
                        self.restate_policies(&target, work);
                    }
                }
            }
            // They say who may do what, and nothing of traffic.
            Kind::Role | Kind::ClusterRole | Kind::RoleBinding | Kind::ClusterRoleBinding | Kind::ApiToken => {}
        }
    }

    /// Drains of a Backend that may have other endpoints, or that has come or gone.
    pub(super) fn redrain_backend(&self, backend: &Name, work: &mut Work) {
        for drain in self.index.drains_of_backend.of(backend) {
            work.redrain.insert(drain.key.clone());
            work.restate.insert(drain.key.clone());
        }
    }

    /// Drains of an endpoint that something has or had: they say whether it is there.
    fn restate_drains(&self, before: Option<&Object>, now: Option<&Object>, work: &mut Work) {
        if self.index.drains_of_ip.iter().next().is_none() {
            return;
        }
        for object in before.into_iter().chain(now) {
            let addresses: Vec<IpAddr> = match object {
                Object::EndpointSlice(slice) => {
                    let endpoints = slice.endpoints.iter();
                    endpoints.filter_map(|endpoint| slice.address(endpoint)).collect()
                }
                Object::Backend(backend) => {
                    let endpoints = self.endpoints_of_backend(backend).into_iter();
                    endpoints.map(|(address, _)| address.ip()).collect()
                }
                _ => return,
            };
            for ip in &addresses {
                let drains = self.index.drains_of_ip.of(ip);
                work.restate.extend(drains.map(|drain| drain.key.clone()));
            }
        }
    }

    /// A namespace has other labels: whom selectors let in may change.
    fn regroup(&self, namespace: &str, work: &mut Work) {
        let keys = |kind| self.list(kind, Some(namespace), None).map(Object::key);
        for kind in [Kind::TcpRoute, Kind::UdpRoute, Kind::TlsRoute] {
            work.reattach.extend(keys(kind));
        }
        work.reclaim.extend(keys(Kind::ListenerSet));
    }

    /// Policies that are for `target`.
    pub(super) fn restate_policies(&self, target: &ObjectKey, work: &mut Work) {
        let policies = self.index.policies_of_target.iter_of(target);
        work.restate.extend(policies.map(|policy| policy.key.clone()));
    }

    /// Policies that are for the backends of a route: they name the Gateways that use them.
    pub(super) fn restate_backend_policies(&self, route: &AnyRoute<'_>, work: &mut Work) {
        for backend in route.spec.backend_refs() {
            if let Some(backend) = backend_key(backend, &route.metadata.namespace) {
                self.restate_policies(&backend, work);
            }
        }
    }
}

/// Objects whose certificates may be others than before, or permitted no longer.
fn depend_on_certificate<'a>(users: impl Iterator<Item = &'a ObjectKey>, work: &mut Work) {
    for user in users {
        if matches!(user.kind, Kind::Gateway | Kind::ListenerSet) {
            work.recertify.insert(user.clone());
        }
        work.restate.insert(user.clone());
    }
}
