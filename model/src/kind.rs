//! The kinds that are stored and replicated, and how the API names them.

use serde::{Deserialize, Serialize};

/// A stored kind. `Ord` is the order of lists that mix kinds and of the state's map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// core/v1 Namespace
    Namespace,
    /// core/v1 Service
    Service,
    /// core/v1 Secret
    Secret,
    /// core/v1 ConfigMap
    ConfigMap,
    /// discovery.k8s.io/v1 EndpointSlice
    EndpointSlice,
    /// gateway.networking.k8s.io/v1 GatewayClass
    GatewayClass,
    /// gateway.networking.k8s.io/v1 Gateway
    Gateway,
    /// gateway.networking.k8s.io/v1 ListenerSet
    ListenerSet,
    /// gateway.networking.k8s.io/v1 TCPRoute
    #[serde(rename = "TCPRoute")]
    TcpRoute,
    /// gateway.networking.k8s.io/v1 UDPRoute
    #[serde(rename = "UDPRoute")]
    UdpRoute,
    /// gateway.networking.k8s.io/v1 TLSRoute
    #[serde(rename = "TLSRoute")]
    TlsRoute,
    /// gateway.networking.k8s.io/v1 ReferenceGrant
    ReferenceGrant,
    /// gateway.networking.k8s.io/v1 BackendTLSPolicy
    #[serde(rename = "BackendTLSPolicy")]
    BackendTlsPolicy,
    /// guideway.dev/v1alpha1 Backend
    Backend,
    /// guideway.dev/v1alpha1 ClientTrafficPolicy
    ClientTrafficPolicy,
    /// guideway.dev/v1alpha1 BackendTrafficPolicy
    BackendTrafficPolicy,
    /// guideway.dev/v1alpha1 Drain
    Drain,
    /// rbac.authorization.k8s.io/v1 Role
    Role,
    /// rbac.authorization.k8s.io/v1 ClusterRole
    ClusterRole,
    /// rbac.authorization.k8s.io/v1 RoleBinding
    RoleBinding,
    /// rbac.authorization.k8s.io/v1 ClusterRoleBinding
    ClusterRoleBinding,
    /// guideway.dev/v1alpha1 ApiToken
    ApiToken,
}

/// How the API names a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindInfo {
    /// The stored kind this row describes.
    pub kind: Kind,
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Version that is stored and emitted.
    pub version: &'static str,
    /// Older versions that are accepted and served by relabelling.
    pub accepted_versions: &'static [&'static str],
    /// `kind` in manifests.
    pub name: &'static str,
    /// Resource name in paths.
    pub plural: &'static str,
    /// Lower-case singular, as kubectl takes it.
    pub singular: &'static str,
    /// kubectl's short names.
    pub short_names: &'static [&'static str],
    /// False for cluster-scoped kinds.
    pub namespaced: bool,
    /// True where PUT and PATCH on `/status` exist.
    pub has_status: bool,
}

const KINDS: &[KindInfo] = &[
    KindInfo {
        kind: Kind::Namespace,
        group: "",
        version: "v1",
        accepted_versions: &[],
        name: "Namespace",
        plural: "namespaces",
        singular: "namespace",
        short_names: &["ns"],
        namespaced: false,
        has_status: true,
    },
    KindInfo {
        kind: Kind::Service,
        group: "",
        version: "v1",
        accepted_versions: &[],
        name: "Service",
        plural: "services",
        singular: "service",
        short_names: &["svc"],
        namespaced: true,
        has_status: true,
    },
    KindInfo {
        kind: Kind::Secret,
        group: "",
        version: "v1",
        accepted_versions: &[],
        name: "Secret",
        plural: "secrets",
        singular: "secret",
        short_names: &[],
        namespaced: true,
        has_status: false,
    },
    KindInfo {
        kind: Kind::ConfigMap,
        group: "",
        version: "v1",
        accepted_versions: &[],
        name: "ConfigMap",
        plural: "configmaps",
        singular: "configmap",
        short_names: &["cm"],
        namespaced: true,
        has_status: false,
    },
    KindInfo {
        kind: Kind::EndpointSlice,
        group: "discovery.k8s.io",
        version: "v1",
        accepted_versions: &[],
        name: "EndpointSlice",
        plural: "endpointslices",
        singular: "endpointslice",
        short_names: &[],
        namespaced: true,
        has_status: false,
    },
    KindInfo {
        kind: Kind::GatewayClass,
        group: "gateway.networking.k8s.io",
        version: "v1",
        accepted_versions: &["v1beta1"],
        name: "GatewayClass",
        plural: "gatewayclasses",
        singular: "gatewayclass",
        short_names: &["gc"],
        namespaced: false,
        has_status: true,
    },
    KindInfo {
        kind: Kind::Gateway,
        group: "gateway.networking.k8s.io",
        version: "v1",
        accepted_versions: &["v1beta1"],
        name: "Gateway",
        plural: "gateways",
        singular: "gateway",
        short_names: &["gtw"],
        namespaced: true,
        has_status: true,
    },
    KindInfo {
        kind: Kind::ListenerSet,
        group: "gateway.networking.k8s.io",
        version: "v1",
        accepted_versions: &[],
        name: "ListenerSet",
        plural: "listenersets",
        singular: "listenerset",
        short_names: &["lset"],
        namespaced: true,
        has_status: true,
    },
    KindInfo {
        kind: Kind::TcpRoute,
        group: "gateway.networking.k8s.io",
        version: "v1",
        accepted_versions: &["v1alpha2"],
        name: "TCPRoute",
        plural: "tcproutes",
        singular: "tcproute",
        short_names: &[],
        namespaced: true,
        has_status: true,
    },
    KindInfo {
        kind: Kind::UdpRoute,
        group: "gateway.networking.k8s.io",
        version: "v1",
        accepted_versions: &["v1alpha2"],
        name: "UDPRoute",
        plural: "udproutes",
        singular: "udproute",
        short_names: &[],
        namespaced: true,
        has_status: true,
    },
    KindInfo {
        kind: Kind::TlsRoute,
        group: "gateway.networking.k8s.io",
        version: "v1",
        accepted_versions: &["v1alpha3", "v1alpha2"],
        name: "TLSRoute",
        plural: "tlsroutes",
        singular: "tlsroute",
        short_names: &[],
        namespaced: true,
        has_status: true,
    },
    KindInfo {
        kind: Kind::ReferenceGrant,
        group: "gateway.networking.k8s.io",
        version: "v1",
        accepted_versions: &["v1beta1"],
        name: "ReferenceGrant",
        plural: "referencegrants",
        singular: "referencegrant",
        short_names: &["refgrant"],
        namespaced: true,
        has_status: false,
    },
    KindInfo {
        kind: Kind::BackendTlsPolicy,
        group: "gateway.networking.k8s.io",
        version: "v1",
        accepted_versions: &["v1alpha3"],
        name: "BackendTLSPolicy",
        plural: "backendtlspolicies",
        singular: "backendtlspolicy",
        short_names: &["btlspolicy"],
        namespaced: true,
        has_status: true,
    },
    KindInfo {
        kind: Kind::Backend,
        group: "guideway.dev",
        version: "v1alpha1",
        accepted_versions: &[],
        name: "Backend",
        plural: "backends",
        singular: "backend",
        short_names: &[],
        namespaced: true,
        has_status: true,
    },
    KindInfo {
        kind: Kind::ClientTrafficPolicy,
        group: "guideway.dev",
        version: "v1alpha1",
        accepted_versions: &[],
        name: "ClientTrafficPolicy",
        plural: "clienttrafficpolicies",
        singular: "clienttrafficpolicy",
        short_names: &["ctp"],
        namespaced: true,
        has_status: true,
    },
    KindInfo {
        kind: Kind::BackendTrafficPolicy,
        group: "guideway.dev",
        version: "v1alpha1",
        accepted_versions: &[],
        name: "BackendTrafficPolicy",
        plural: "backendtrafficpolicies",
        singular: "backendtrafficpolicy",
        short_names: &["btp"],
        namespaced: true,
        has_status: true,
    },
    KindInfo {
        kind: Kind::Drain,
        group: "guideway.dev",
        version: "v1alpha1",
        accepted_versions: &[],
        name: "Drain",
        plural: "drains",
        singular: "drain",
        short_names: &[],
        namespaced: false,
        has_status: true,
    },
    KindInfo {
        kind: Kind::Role,
        group: "rbac.authorization.k8s.io",
        version: "v1",
        accepted_versions: &[],
        name: "Role",
        plural: "roles",
        singular: "role",
        short_names: &[],
        namespaced: true,
        has_status: false,
    },
    KindInfo {
        kind: Kind::ClusterRole,
        group: "rbac.authorization.k8s.io",
        version: "v1",
        accepted_versions: &[],
        name: "ClusterRole",
        plural: "clusterroles",
        singular: "clusterrole",
        short_names: &[],
        namespaced: false,
        has_status: false,
    },
    KindInfo {
        kind: Kind::RoleBinding,
        group: "rbac.authorization.k8s.io",
        version: "v1",
        accepted_versions: &[],
        name: "RoleBinding",
        plural: "rolebindings",
        singular: "rolebinding",
        short_names: &[],
        namespaced: true,
        has_status: false,
    },
    KindInfo {
        kind: Kind::ClusterRoleBinding,
        group: "rbac.authorization.k8s.io",
        version: "v1",
        accepted_versions: &[],
        name: "ClusterRoleBinding",
        plural: "clusterrolebindings",
        singular: "clusterrolebinding",
        short_names: &[],
        namespaced: false,
        has_status: false,
    },
    KindInfo {
        kind: Kind::ApiToken,
        group: "guideway.dev",
        version: "v1alpha1",
        accepted_versions: &[],
        name: "ApiToken",
        plural: "apitokens",
        singular: "apitoken",
        short_names: &[],
        namespaced: false,
        has_status: false,
    },
];

impl Kind {
    /// Every stored kind, in `Ord` order.
    pub fn all() -> impl Iterator<Item = Kind> {
        KINDS.iter().map(|info| info.kind)
    }

    /// The row that describes this kind.
    pub fn info(self) -> &'static KindInfo {
        &KINDS[self as usize]
    }

    /// The kind with this group and path name.
    pub fn by_resource(group: &str, plural: &str) -> Option<Kind> {
        KINDS
            .iter()
            .find(|info| info.group == group && info.plural == plural)
            .map(|info| info.kind)
    }

    /// The kind with this group and manifest name.
    pub fn by_name(group: &str, name: &str) -> Option<Kind> {
        KINDS
            .iter()
            .find(|info| info.group == group && info.name == name)
            .map(|info| info.kind)
    }
}

impl KindInfo {
    /// `group/version`, or only the version in the core group: the value of `apiVersion`.
    pub fn api_version(&self) -> String {
        self.api_version_as(self.version)
    }

    /// `apiVersion` for one of the served versions.
    pub fn api_version_as(&self, version: &str) -> String {
        if self.group.is_empty() {
            version.to_owned()
        } else {
            format!("{}/{}", self.group, version)
        }
    }

    /// Whether `version` is the stored one or an accepted older one.
    pub fn serves(&self, version: &str) -> bool {
        self.version == version || self.accepted_versions.contains(&version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_indexed_by_kind() {
        for (index, info) in KINDS.iter().enumerate() {
            assert_eq!(info.kind as usize, index);
        }
    }
}
