//! The status that an object should have.

use std::sync::Arc;

use crate::meta::Timestamp;
use crate::object::{Object, ObjectKey};
use crate::resource::NamespacePhase;
use crate::state::State;
use crate::state::batch::Batch;
use crate::status::condition::Moment;
use crate::status::owner::Owner;
use crate::status::{
    backend, backend_tls, backend_traffic, class, client_traffic, drain, gateway, listener_set, route, service,
};

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

impl State {
    /// The object with its derived status, if that differs from the one it has.
    pub(in crate::state) fn stated(&self, object: &Object) -> Option<Object> {
        let moment = Moment {
            generation: object.meta().generation,
            now: Timestamp::from(self.time()),
        };
        match object {
            Object::Namespace(namespace) => {
                let mut status = namespace.status.clone();
                status.phase = Some(NamespacePhase::Active);
                replaced!(Namespace, namespace, status)
            }
            Object::Service(service) => replaced!(Service, service, service::derive(self, service, moment)),
            Object::GatewayClass(class) if class::is_ours(class) => {
                replaced!(GatewayClass, class, class::derive(class, moment))
            }
            Object::Gateway(gateway) => {
                let owner = Owner::of(self, &object.key())?;
                replaced!(Gateway, gateway, gateway::derive(self, &owner, moment))
            }
            Object::ListenerSet(set) => {
                let owner = Owner::of(self, &object.key())?;
                replaced!(ListenerSet, set, listener_set::derive(self, set, &owner, moment))
            }
            Object::Backend(backend) => replaced!(Backend, backend, backend::derive(self, backend, moment)),
            Object::Drain(drain) => replaced!(Drain, drain, drain::derive(self, drain, moment)),
            Object::BackendTlsPolicy(policy) => {
                replaced!(BackendTlsPolicy, policy, backend_tls::derive(self, policy, moment))
            }
            Object::ClientTrafficPolicy(policy) => {
                replaced!(
                    ClientTrafficPolicy,
                    policy,
                    client_traffic::derive(self, policy, moment)
                )
            }
            Object::BackendTrafficPolicy(policy) => {
                replaced!(
                    BackendTrafficPolicy,
                    policy,
                    backend_traffic::derive(self, policy, moment)
                )
            }
            Object::TcpRoute(_) | Object::UdpRoute(_) | Object::TlsRoute(_) => self.stated_route(object, moment),
            Object::Secret(_)
            | Object::ConfigMap(_)
            | Object::EndpointSlice(_)
            | Object::ReferenceGrant(_)
            | Object::GatewayClass(_)
            | Object::Role(_)
            | Object::ClusterRole(_)
            | Object::RoleBinding(_)
            | Object::ClusterRoleBinding(_)
            | Object::ApiToken(_) => None,
        }
    }

    fn stated_route(&self, object: &Object, moment: Moment) -> Option<Object> {
        let route = object.as_route()?;
        let status = route::derive(self, &route, moment);
        if status == *route.status {
            return None;
        }
        let mut stated = object.clone();
        *stated.route_status_mut()? = status;
        Some(stated)
    }

    /// A Gateway or ListenerSet that has left our hands is as if no controller had seen it.
    pub(super) fn reset_status(&mut self, batch: &mut Batch, key: &ObjectKey) {
        let reset = match self.objects().get(key) {
            Some(Object::Gateway(gateway)) => {
                let mut gateway = Arc::clone(gateway);
                Arc::make_mut(&mut gateway).status = gateway::unclaimed();
                Object::Gateway(gateway)
            }
            Some(Object::ListenerSet(set)) => {
                let mut set = Arc::clone(set);
                Arc::make_mut(&mut set).status = listener_set::unclaimed();
                Object::ListenerSet(set)
            }
            _ => return,
        };
        self.put(batch, reset);
    }
}
