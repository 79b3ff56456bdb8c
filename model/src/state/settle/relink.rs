//! Who depends on an object that has changed.

use super::Work;
use crate::kind::Kind;
use crate::object::{Object, ObjectKey};
use crate::resource::AnyRoute;
use crate::state::State;
use crate::state::index::{Name, backend_key, target_key};

impl State {
    /// Moves the edges of one object, and notes who depends on it.
    pub(super) fn relink(&mut self, key: &ObjectKey, before: Option<&Object>, now: Option<&Object>, work: &mut Work) {
        if let Some(before) = before {
            self.index.unlink(before);
        }
        if let Some(now) = now {
            self.index.link(now);
        }
        work.restate.insert(key.clone());
        let generation = |object: &Object| (object.meta().uid.clone(), object.meta().generation);
        let same_spec = before.map(generation) == now.map(generation);
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
            _ if same_spec => {}
            Kind::Service | Kind::Backend => {
                work.restate.extend(self.index.routes_of_backend.of(key).cloned());
                self.restate_policies(key, work);
            }
            Kind::Secret | Kind::ConfigMap => {
                work.restate.extend(self.index.users_of_certificate.of(key).cloned());
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
                work.restate
                    .extend(self.index.strangers_of_namespace.of(&key.namespace).cloned());
            }
            Kind::BackendTlsPolicy | Kind::ClientTrafficPolicy | Kind::BackendTrafficPolicy => {
                for policy in before.into_iter().chain(now).filter_map(Object::as_policy) {
                    let targets = policy.targets.iter();
                    for target in targets.filter_map(|target| target_key(target, &key.namespace)) {
                        self.restate_policies(&target, work);
                    }
                }
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
