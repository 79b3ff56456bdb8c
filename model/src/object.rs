//! One stored object of any kind, and the key that finds it.

mod variants;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decode;
use crate::faults::Faults;
use crate::kind::Kind;
use crate::meta::rules::NameRule;
use crate::meta::{self, ObjectMeta};
use crate::outcome::Cause;
use crate::resource::rules::{IMMUTABLE, Rules};
use crate::resource::{
    AnyPolicy, AnyRoute, ApiToken, Backend, BackendTlsPolicy, BackendTrafficPolicy, ClientTrafficPolicy, ClusterRole,
    ClusterRoleBinding, ConfigMap, Drain, EndpointSlice, Gateway, GatewayClass, ListenerSet, Namespace, PolicyStatus,
    ReferenceGrant, Role, RoleBinding, RouteStatus, Secret, Service, TcpRoute, TlsRoute, UdpRoute,
};

pub(crate) use variants::{for_each_pair, for_each_type, for_each_variant};

/// Kind, namespace and name: unique in a cluster at one time. Ordered as lists are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// Stored kind.
    pub kind: Kind,
    /// Namespace; empty for cluster-scoped kinds.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// One object. The variants are shared, so that a state and its clones hold each object once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Object {
    /// core/v1
    Namespace(Arc<Namespace>),
    /// core/v1
    Service(Arc<Service>),
    /// core/v1
    Secret(Arc<Secret>),
    /// core/v1
    ConfigMap(Arc<ConfigMap>),
    /// discovery.k8s.io/v1
    EndpointSlice(Arc<EndpointSlice>),
    /// gateway.networking.k8s.io/v1
    GatewayClass(Arc<GatewayClass>),
    /// gateway.networking.k8s.io/v1
    Gateway(Arc<Gateway>),
    /// gateway.networking.k8s.io/v1
    ListenerSet(Arc<ListenerSet>),
    /// gateway.networking.k8s.io/v1
    #[serde(rename = "TCPRoute")]
    TcpRoute(Arc<TcpRoute>),
    /// gateway.networking.k8s.io/v1
    #[serde(rename = "UDPRoute")]
    UdpRoute(Arc<UdpRoute>),
    /// gateway.networking.k8s.io/v1
    #[serde(rename = "TLSRoute")]
    TlsRoute(Arc<TlsRoute>),
    /// gateway.networking.k8s.io/v1
    ReferenceGrant(Arc<ReferenceGrant>),
    /// gateway.networking.k8s.io/v1
    #[serde(rename = "BackendTLSPolicy")]
    BackendTlsPolicy(Arc<BackendTlsPolicy>),
    /// guideway.dev/v1alpha1
    Backend(Arc<Backend>),
    /// guideway.dev/v1alpha1
    ClientTrafficPolicy(Arc<ClientTrafficPolicy>),
    /// guideway.dev/v1alpha1
    BackendTrafficPolicy(Arc<BackendTrafficPolicy>),
    /// guideway.dev/v1alpha1
    Drain(Arc<Drain>),
    /// rbac.authorization.k8s.io/v1
    Role(Arc<Role>),
    /// rbac.authorization.k8s.io/v1
    ClusterRole(Arc<ClusterRole>),
    /// rbac.authorization.k8s.io/v1
    RoleBinding(Arc<RoleBinding>),
    /// rbac.authorization.k8s.io/v1
    ClusterRoleBinding(Arc<ClusterRoleBinding>),
    /// guideway.dev/v1alpha1
    ApiToken(Arc<ApiToken>),
}

/// What to do with fields that the type does not have, or has twice (Kubernetes `fieldValidation`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// Refuse, naming each path.
    #[default]
    Strict,
    /// Drop them and return a warning for each.
    Warn,
    /// Drop them silently.
    Ignore,
}

/// An object that was read, defaulted and validated.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The object, with server-side defaults filled in; its status is empty.
    pub object: Object,
    /// One sentence for each `Warning:` header.
    pub warnings: Vec<String>,
}

impl Object {
    /// The stored kind.
    pub fn kind(&self) -> Kind {
        match self {
            Object::Namespace(_) => Kind::Namespace,
            Object::Service(_) => Kind::Service,
            Object::Secret(_) => Kind::Secret,
            Object::ConfigMap(_) => Kind::ConfigMap,
            Object::EndpointSlice(_) => Kind::EndpointSlice,
            Object::GatewayClass(_) => Kind::GatewayClass,
            Object::Gateway(_) => Kind::Gateway,
            Object::ListenerSet(_) => Kind::ListenerSet,
            Object::TcpRoute(_) => Kind::TcpRoute,
            Object::UdpRoute(_) => Kind::UdpRoute,
            Object::TlsRoute(_) => Kind::TlsRoute,
            Object::ReferenceGrant(_) => Kind::ReferenceGrant,
            Object::BackendTlsPolicy(_) => Kind::BackendTlsPolicy,
            Object::Backend(_) => Kind::Backend,
            Object::ClientTrafficPolicy(_) => Kind::ClientTrafficPolicy,
            Object::BackendTrafficPolicy(_) => Kind::BackendTrafficPolicy,
            Object::Drain(_) => Kind::Drain,
            Object::Role(_) => Kind::Role,
            Object::ClusterRole(_) => Kind::ClusterRole,
            Object::RoleBinding(_) => Kind::RoleBinding,
            Object::ClusterRoleBinding(_) => Kind::ClusterRoleBinding,
            Object::ApiToken(_) => Kind::ApiToken,
        }
    }

    /// `metadata`.
    pub fn meta(&self) -> &ObjectMeta {
        for_each_variant!(self, inner => &inner.metadata)
    }

    /// `metadata`, to change; clones the object if it is shared.
    pub fn meta_mut(&mut self) -> &mut ObjectMeta {
        for_each_variant!(self, inner => &mut Arc::make_mut(inner).metadata)
    }

    /// The key that finds this object.
    pub fn key(&self) -> ObjectKey {
        let meta = self.meta();
        ObjectKey {
            kind: self.kind(),
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
        }
    }

    /// What all kinds of route have, if this is a route.
    pub fn as_route(&self) -> Option<AnyRoute<'_>> {
        let kind = self.kind();
        let (metadata, spec, hostnames, status) = match self {
            Object::TcpRoute(route) => (&route.metadata, &route.spec, &[][..], &route.status),
            Object::UdpRoute(route) => (&route.metadata, &route.spec, &[][..], &route.status),
            Object::TlsRoute(route) => {
                let spec = &route.spec;
                (&route.metadata, &spec.route, spec.hostnames.as_slice(), &route.status)
            }
            _ => return None,
        };
        Some(AnyRoute {
            kind,
            metadata,
            spec,
            hostnames,
            status,
        })
    }

    /// The status of a route, to change; clones the object if it is shared.
    pub fn route_status_mut(&mut self) -> Option<&mut RouteStatus> {
        match self {
            Object::TcpRoute(route) => Some(&mut Arc::make_mut(route).status),
            Object::UdpRoute(route) => Some(&mut Arc::make_mut(route).status),
            Object::TlsRoute(route) => Some(&mut Arc::make_mut(route).status),
            _ => None,
        }
    }

    /// What all kinds of policy have, if this is a policy.
    pub fn as_policy(&self) -> Option<AnyPolicy<'_>> {
        let kind = self.kind();
        let (metadata, targets, status) = match self {
            Object::BackendTlsPolicy(policy) => (&policy.metadata, &policy.spec.target_refs, &policy.status),
            Object::ClientTrafficPolicy(policy) => (&policy.metadata, &policy.spec.target_refs, &policy.status),
            Object::BackendTrafficPolicy(policy) => (&policy.metadata, &policy.spec.target_refs, &policy.status),
            _ => return None,
        };
        Some(AnyPolicy {
            kind,
            metadata,
            targets,
            status,
        })
    }

    /// The status of a policy, to change; clones the object if it is shared.
    pub fn policy_status_mut(&mut self) -> Option<&mut PolicyStatus> {
        match self {
            Object::BackendTlsPolicy(policy) => Some(&mut Arc::make_mut(policy).status),
            Object::ClientTrafficPolicy(policy) => Some(&mut Arc::make_mut(policy).status),
            Object::BackendTrafficPolicy(policy) => Some(&mut Arc::make_mut(policy).status),
            _ => None,
        }
    }

    /// Reads one object of `kind` from JSON: checks `apiVersion` and `kind`, unknown fields by `fields`,
    /// fills in defaults, then validates. Every fault is in the list, each with its field path.
    ///
    /// `null` counts as absent. `status` in the input is dropped; [`Object::decode_status`] reads it for the sub-resource.
    /// Two things may be missing that the API layer knows better: `metadata.namespace`, which is in the request's path,
    /// and `metadata.name` if `metadata.generateName` is there; see [`Object::set_name`]. A field that occurs twice
    /// cannot be seen here: JSON values keep the last one.
    pub fn decode(kind: Kind, json: Value, fields: FieldValidation) -> Result<Decoded, Vec<Cause>> {
        decode::decode(kind, json, fields)
    }

    /// This object with the `status` of `json` in place of its own (a write to the sub-resource). Everything else in
    /// `json` but its `apiVersion` and `kind` is ignored, its metadata too; an absent `status` empties it.
    pub fn decode_status(&self, json: Value, fields: FieldValidation) -> Result<Decoded, Vec<Cause>> {
        decode::decode_status(self, json, fields)
    }

    /// Gives the object the name that was made from `generateName`, before it is proposed.
    pub fn set_name(&mut self, name: String) {
        self.meta_mut().name = name;
        self.fill_defaults();
    }

    /// JSON as the API emits it, labelled with one of the kind's served versions.
    pub fn encode(&self, version: &str) -> Value {
        let info = self.kind().info();
        let mut json = for_each_variant!(self, inner => serde_json::to_value(inner)).unwrap_or_default();
        if let Value::Object(fields) = &mut json {
            fields.shift_insert(0, "kind".to_owned(), Value::from(info.name));
            fields.shift_insert(0, "apiVersion".to_owned(), Value::from(info.api_version_as(version)));
        }
        json
    }

    pub(crate) fn fill_defaults(&mut self) {
        for_each_variant!(self, inner => Arc::make_mut(inner).fill_defaults());
    }

    pub(crate) fn check(&self, version: &str, faults: &mut Faults) {
        for_each_variant!(self, inner => {
            meta::rules::check(&inner.metadata, self.kind().info(), names_of(&**inner), faults);
            inner.check(version, faults);
        });
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        for_each_variant!(self, inner => inner.warnings())
    }

    pub(crate) fn check_status(&self, faults: &mut Faults) {
        for_each_variant!(self, inner => inner.check_status(faults));
    }
}

/// What forbids that `new` takes the place of `old`: name, namespace and fields that must not change.
pub fn validate_update(old: &Object, new: &Object) -> Vec<Cause> {
    let mut faults = Faults::default();
    for (field, before, after) in [
        ("metadata.name", &old.meta().name, &new.meta().name),
        ("metadata.namespace", &old.meta().namespace, &new.meta().namespace),
    ] {
        if before != after {
            faults.invalid_text(field, after, IMMUTABLE);
        }
    }
    for_each_pair!(
        (old, new),
        (old, new) => new.check_update(old, &mut faults),
        else faults.invalid_text("kind", new.kind().info().name, IMMUTABLE)
    );
    faults.into_causes()
}

/// Whether two objects want the same: all but `metadata` and `status` are equal. A change of it raises
/// `metadata.generation`.
pub fn spec_equal(one: &Object, other: &Object) -> bool {
    for_each_pair!((one, other), (one, other) => one.wants_same(other), else false)
}

fn names_of<T: Rules>(_: &T) -> NameRule {
    T::NAMES
}
