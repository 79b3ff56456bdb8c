//! The two halves of an object that are written apart: everything but status, and status.

use std::sync::Arc;

use crate::object::{Object, spec_equal};
use crate::resource::GatewayClassStatus;
use crate::status::condition::{ACCEPTED, waiting};
use crate::status::{gateway, listener_set};

/// `written` with what the server keeps of `stored`: identity, creation, version and status.
/// The generation rises if the spec differs.
pub(super) fn with_main(stored: &Object, mut written: Object) -> Object {
    copy_status(stored, &mut written);
    let kept = stored.meta();
    let meta = written.meta_mut();
    meta.uid = kept.uid.clone();
    meta.creation_timestamp = kept.creation_timestamp;
    meta.deletion_timestamp = kept.deletion_timestamp;
    meta.deletion_grace_period_seconds = kept.deletion_grace_period_seconds;
    meta.generate_name = kept.generate_name.clone();
    meta.resource_version = kept.resource_version;
    meta.generation = kept.generation;
    if !spec_equal(stored, &written) {
        let meta = written.meta_mut();
        meta.generation = meta.generation.saturating_add(1);
    }
    written
}

/// A new object with the status that it has before anyone has looked at it.
pub(super) fn with_fresh_status(mut object: Object) -> Object {
    match &mut object {
        Object::Namespace(object) => Arc::make_mut(object).status = Default::default(),
        Object::Service(object) => Arc::make_mut(object).status = Default::default(),
        Object::EndpointSlice(_)
        | Object::Secret(_)
        | Object::ConfigMap(_)
        | Object::ReferenceGrant(_)
        | Object::Role(_)
        | Object::ClusterRole(_)
        | Object::RoleBinding(_)
        | Object::ClusterRoleBinding(_)
        | Object::ApiToken(_) => {}
        Object::GatewayClass(object) => {
            Arc::make_mut(object).status = GatewayClassStatus {
                conditions: waiting(&[ACCEPTED]),
                ..GatewayClassStatus::default()
            };
        }
        Object::Gateway(object) => Arc::make_mut(object).status = gateway::unclaimed(),
        Object::ListenerSet(object) => Arc::make_mut(object).status = listener_set::unclaimed(),
        Object::TcpRoute(object) => Arc::make_mut(object).status = Default::default(),
        Object::UdpRoute(object) => Arc::make_mut(object).status = Default::default(),
        Object::TlsRoute(object) => Arc::make_mut(object).status = Default::default(),
        Object::BackendTlsPolicy(object) => Arc::make_mut(object).status = Default::default(),
        Object::ClientTrafficPolicy(object) => Arc::make_mut(object).status = Default::default(),
        Object::BackendTrafficPolicy(object) => Arc::make_mut(object).status = Default::default(),
        Object::Backend(object) => Arc::make_mut(object).status = Default::default(),
        Object::Drain(object) => Arc::make_mut(object).status = Default::default(),
    }
    object
}

/// `stored` with the status of `written`, and with what it says of who set which fields.
pub(super) fn with_status(stored: &Object, written: &Object) -> Object {
    let mut replaced = stored.clone();
    copy_status(written, &mut replaced);
    if replaced.meta().managed_fields != written.meta().managed_fields {
        let managed = written.meta().managed_fields.clone();
        replaced.meta_mut().managed_fields = managed;
    }
    replaced
}

fn copy_status(from: &Object, to: &mut Object) {
    match (from, to) {
        (Object::Namespace(from), Object::Namespace(to)) => Arc::make_mut(to).status.clone_from(&from.status),
        (Object::Service(from), Object::Service(to)) => Arc::make_mut(to).status.clone_from(&from.status),
        (Object::GatewayClass(from), Object::GatewayClass(to)) => Arc::make_mut(to).status.clone_from(&from.status),
        (Object::Gateway(from), Object::Gateway(to)) => Arc::make_mut(to).status.clone_from(&from.status),
        (Object::ListenerSet(from), Object::ListenerSet(to)) => Arc::make_mut(to).status.clone_from(&from.status),
        (Object::UdpRoute(from), Object::UdpRoute(to)) => Arc::make_mut(to).status.clone_from(&from.status),
        (Object::TlsRoute(from), Object::TlsRoute(to)) => Arc::make_mut(to).status.clone_from(&from.status),
        (Object::BackendTlsPolicy(from), Object::BackendTlsPolicy(to)) => {
            Arc::make_mut(to).status.clone_from(&from.status);
        }
        (Object::ClientTrafficPolicy(from), Object::ClientTrafficPolicy(to)) => {
            Arc::make_mut(to).status.clone_from(&from.status);
        }
        (Object::BackendTrafficPolicy(from), Object::BackendTrafficPolicy(to)) => {
            Arc::make_mut(to).status.clone_from(&from.status);
        }
        (Object::TcpRoute(from), Object::TcpRoute(to)) => Arc::make_mut(to).status.clone_from(&from.status),
        (Object::Backend(from), Object::Backend(to)) => Arc::make_mut(to).status.clone_from(&from.status),
        (Object::Drain(from), Object::Drain(to)) => Arc::make_mut(to).status.clone_from(&from.status),
        // Some kinds have no status, and the callers' two objects are of one kind: their keys are equal.
        _ => {}
    }
}
