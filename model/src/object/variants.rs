//! The lists of all kinds that code over any object needs, each once.

/// `$body` with the object inside as `$inner`, whatever its kind.
macro_rules! for_each_variant {
    ($object:expr, $inner:ident => $body:expr) => {
        match $object {
            $crate::object::Object::Namespace($inner) => $body,
            $crate::object::Object::Service($inner) => $body,
            $crate::object::Object::Secret($inner) => $body,
            $crate::object::Object::ConfigMap($inner) => $body,
            $crate::object::Object::EndpointSlice($inner) => $body,
            $crate::object::Object::GatewayClass($inner) => $body,
            $crate::object::Object::Gateway($inner) => $body,
            $crate::object::Object::ListenerSet($inner) => $body,
            $crate::object::Object::TcpRoute($inner) => $body,
            $crate::object::Object::UdpRoute($inner) => $body,
            $crate::object::Object::TlsRoute($inner) => $body,
            $crate::object::Object::ReferenceGrant($inner) => $body,
            $crate::object::Object::BackendTlsPolicy($inner) => $body,
            $crate::object::Object::Backend($inner) => $body,
            $crate::object::Object::ClientTrafficPolicy($inner) => $body,
            $crate::object::Object::BackendTrafficPolicy($inner) => $body,
            $crate::object::Object::Drain($inner) => $body,
            $crate::object::Object::Role($inner) => $body,
            $crate::object::Object::ClusterRole($inner) => $body,
            $crate::object::Object::RoleBinding($inner) => $body,
            $crate::object::Object::ClusterRoleBinding($inner) => $body,
            $crate::object::Object::ApiToken($inner) => $body,
        }
    };
}

/// `$body` with both objects inside if they are of one kind, else `$otherwise`.
macro_rules! for_each_pair {
    (($one:expr, $other:expr), ($first:ident, $second:ident) => $body:expr, else $otherwise:expr) => {
        match ($one, $other) {
            ($crate::object::Object::Namespace($first), $crate::object::Object::Namespace($second)) => $body,
            ($crate::object::Object::Service($first), $crate::object::Object::Service($second)) => $body,
            ($crate::object::Object::Secret($first), $crate::object::Object::Secret($second)) => $body,
            ($crate::object::Object::ConfigMap($first), $crate::object::Object::ConfigMap($second)) => $body,
            ($crate::object::Object::EndpointSlice($first), $crate::object::Object::EndpointSlice($second)) => $body,
            ($crate::object::Object::GatewayClass($first), $crate::object::Object::GatewayClass($second)) => $body,
            ($crate::object::Object::Gateway($first), $crate::object::Object::Gateway($second)) => $body,
            ($crate::object::Object::ListenerSet($first), $crate::object::Object::ListenerSet($second)) => $body,
            ($crate::object::Object::TcpRoute($first), $crate::object::Object::TcpRoute($second)) => $body,
            ($crate::object::Object::UdpRoute($first), $crate::object::Object::UdpRoute($second)) => $body,
            ($crate::object::Object::TlsRoute($first), $crate::object::Object::TlsRoute($second)) => $body,
            ($crate::object::Object::ReferenceGrant($first), $crate::object::Object::ReferenceGrant($second)) => $body,
            ($crate::object::Object::BackendTlsPolicy($first), $crate::object::Object::BackendTlsPolicy($second)) => {
                $body
            }
            ($crate::object::Object::Backend($first), $crate::object::Object::Backend($second)) => $body,
            (
                $crate::object::Object::ClientTrafficPolicy($first),
                $crate::object::Object::ClientTrafficPolicy($second),
            ) => $body,
            (
                $crate::object::Object::BackendTrafficPolicy($first),
                $crate::object::Object::BackendTrafficPolicy($second),
            ) => $body,
            ($crate::object::Object::Drain($first), $crate::object::Object::Drain($second)) => $body,
            ($crate::object::Object::Role($first), $crate::object::Object::Role($second)) => $body,
            ($crate::object::Object::ClusterRole($first), $crate::object::Object::ClusterRole($second)) => $body,
            ($crate::object::Object::RoleBinding($first), $crate::object::Object::RoleBinding($second)) => $body,
            (
                $crate::object::Object::ClusterRoleBinding($first),
                $crate::object::Object::ClusterRoleBinding($second),
            ) => $body,
            ($crate::object::Object::ApiToken($first), $crate::object::Object::ApiToken($second)) => $body,
            _ => $otherwise,
        }
    };
}

/// `$body` with the type of objects of a kind as `$inner`.
macro_rules! for_each_type {
    ($kind:expr, $inner:ident => $body:expr) => {
        match $kind {
            $crate::kind::Kind::Namespace => {
                type $inner = $crate::resource::Namespace;
                $body
            }
            $crate::kind::Kind::Service => {
                type $inner = $crate::resource::Service;
                $body
            }
            $crate::kind::Kind::Secret => {
                type $inner = $crate::resource::Secret;
                $body
            }
            $crate::kind::Kind::ConfigMap => {
                type $inner = $crate::resource::ConfigMap;
                $body
            }
            $crate::kind::Kind::EndpointSlice => {
                type $inner = $crate::resource::EndpointSlice;
                $body
            }
            $crate::kind::Kind::GatewayClass => {
                type $inner = $crate::resource::GatewayClass;
                $body
            }
            $crate::kind::Kind::Gateway => {
                type $inner = $crate::resource::Gateway;
                $body
            }
            $crate::kind::Kind::ListenerSet => {
                type $inner = $crate::resource::ListenerSet;
                $body
            }
            $crate::kind::Kind::TcpRoute => {
                type $inner = $crate::resource::TcpRoute;
                $body
            }
            $crate::kind::Kind::UdpRoute => {
                type $inner = $crate::resource::UdpRoute;
                $body
            }
            $crate::kind::Kind::TlsRoute => {
                type $inner = $crate::resource::TlsRoute;
                $body
            }
            $crate::kind::Kind::ReferenceGrant => {
                type $inner = $crate::resource::ReferenceGrant;
                $body
            }
            $crate::kind::Kind::BackendTlsPolicy => {
                type $inner = $crate::resource::BackendTlsPolicy;
                $body
            }
            $crate::kind::Kind::Backend => {
                type $inner = $crate::resource::Backend;
                $body
            }
            $crate::kind::Kind::ClientTrafficPolicy => {
                type $inner = $crate::resource::ClientTrafficPolicy;
                $body
            }
            $crate::kind::Kind::BackendTrafficPolicy => {
                type $inner = $crate::resource::BackendTrafficPolicy;
                $body
            }
            $crate::kind::Kind::Drain => {
                type $inner = $crate::resource::Drain;
                $body
            }
            $crate::kind::Kind::Role => {
                type $inner = $crate::resource::Role;
                $body
            }
            $crate::kind::Kind::ClusterRole => {
                type $inner = $crate::resource::ClusterRole;
                $body
            }
            $crate::kind::Kind::RoleBinding => {
                type $inner = $crate::resource::RoleBinding;
                $body
            }
            $crate::kind::Kind::ClusterRoleBinding => {
                type $inner = $crate::resource::ClusterRoleBinding;
                $body
            }
            $crate::kind::Kind::ApiToken => {
                type $inner = $crate::resource::ApiToken;
                $body
            }
        }
    };
}

/// Makes an object of each type.
macro_rules! impl_from_each {
    ($($kind:ident)+) => {
        $(impl From<std::sync::Arc<$crate::resource::$kind>> for $crate::object::Object {
            fn from(object: std::sync::Arc<$crate::resource::$kind>) -> Self {
                $crate::object::Object::$kind(object)
            }
        })+
    };
}

impl_from_each! {
    Namespace
    Service
    Secret
    ConfigMap
    EndpointSlice
    GatewayClass
    Gateway
    ListenerSet
    TcpRoute
    UdpRoute
    TlsRoute
    ReferenceGrant
    BackendTlsPolicy
    Backend
    ClientTrafficPolicy
    BackendTrafficPolicy
    Drain
    Role
    ClusterRole
    RoleBinding
    ClusterRoleBinding
    ApiToken
}

pub(crate) use for_each_pair;
pub(crate) use for_each_type;
pub(crate) use for_each_variant;
