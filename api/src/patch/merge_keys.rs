//! How strategic merge treats the fields of core, discovery and rbac kinds: Kubernetes' `patchStrategy` and `patchMergeKey`.
//! kubectl makes its patches from the same table, compiled in.

use guideway_model::Kind;

use crate::resource::{Resource, Source};

/// A field whose treatment is not plain, or that holds such fields.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// Name in JSON.
    pub(crate) name: &'static str,
    /// How it is merged.
    pub(crate) merging: Merging,
    /// Fields inside it, or inside its items.
    pub(crate) fields: &'static [Field],
}

/// How a field is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Merging {
    /// Objects are merged field by field; arrays are replaced.
    Plain,
    /// An array of objects, merged by this key.
    ByKey(&'static str),
    /// An array of scalars, merged as a set.
    AsSet,
}

const METADATA: Field = Field {
    name: "metadata",
    merging: Merging::Plain,
    fields: &[
        Field {
            name: "finalizers",
            merging: Merging::AsSet,
            fields: &[],
        },
        Field {
            name: "ownerReferences",
            merging: Merging::ByKey("uid"),
            fields: &[],
        },
    ],
};

const STATUS_WITH_CONDITIONS: Field = Field {
    name: "status",
    merging: Merging::Plain,
    fields: &[Field {
        name: "conditions",
        merging: Merging::ByKey("type"),
        fields: &[],
    }],
};

const SERVICE_SPEC: Field = Field {
    name: "spec",
    merging: Merging::Plain,
    fields: &[Field {
        name: "ports",
        merging: Merging::ByKey("port"),
        fields: &[],
    }],
};

/// The top-level fields of a resource that need care.
pub(crate) fn fields_of(resource: &Resource) -> &'static [Field] {
    match resource.source {
        Source::Stored(Kind::Service) => &[METADATA, SERVICE_SPEC, STATUS_WITH_CONDITIONS],
        Source::Stored(Kind::Namespace) => &[METADATA, STATUS_WITH_CONDITIONS],
        Source::Stored(
            Kind::Secret
            | Kind::ConfigMap
            | Kind::EndpointSlice
            | Kind::GatewayClass
            | Kind::Gateway
            | Kind::ListenerSet
            | Kind::TcpRoute
            | Kind::UdpRoute
            | Kind::TlsRoute
            | Kind::ReferenceGrant
            | Kind::BackendTlsPolicy
            | Kind::Backend
            | Kind::ClientTrafficPolicy
            | Kind::BackendTrafficPolicy
            | Kind::Drain
            | Kind::Role
            | Kind::ClusterRole
            | Kind::RoleBinding
            | Kind::ClusterRoleBinding
            | Kind::ApiToken,
        )
        | Source::Computed(_) => &[METADATA],
    }
}
