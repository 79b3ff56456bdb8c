//! What the API serves: the stored kinds, and those that are computed when they are asked for.

use guideway_model::Kind;

/// One row of discovery: how a resource is called and what works on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    /// API group; empty for the core group.
    pub(crate) group: &'static str,
    /// Version that is stored and preferred.
    pub(crate) version: &'static str,
    /// Older versions, served by relabelling.
    pub(crate) accepted_versions: &'static [&'static str],
    /// `kind` in manifests.
    pub(crate) name: &'static str,
    /// Name in paths.
    pub(crate) plural: &'static str,
    /// Lower-case singular.
    pub(crate) singular: &'static str,
    /// kubectl's short names.
    pub(crate) short_names: &'static [&'static str],
    /// False for cluster-scoped resources.
    pub(crate) namespaced: bool,
    /// Whether `/status` is a sub-resource.
    pub(crate) has_status: bool,
    /// Where its objects come from.
    pub(crate) source: Source,
}

/// Where objects come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The replicated state.
    Stored(Kind),
    /// Computed when it is asked for.
    Computed(Computed),
}

/// A resource that is computed when it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Computed {
    /// What has happened that no object shows.
    Event,
    /// The members.
    Node,
    /// What the data planes carry.
    Session,
    /// The pins of the state.
    Pin,
    /// Where one client would go.
    RouteReview,
    /// Who may do what.
    Access(AccessReview),
}

/// A question of who someone is or what they may do. Only ever created, and never kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessReview {
    /// Whether the caller may do something.
    SelfSubjectAccess,
    /// Whether someone may do something.
    SubjectAccess,
    /// The same, in one namespace.
    LocalSubjectAccess,
    /// All that the caller may do in a namespace.
    SelfSubjectRules,
    /// Who the caller is.
    SelfSubject,
}

/// What a request does, in Kubernetes' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Reads one object.
    Get,
    /// Reads a collection.
    List,
    /// Follows a collection.
    Watch,
    /// Adds an object.
    Create,
    /// Replaces an object.
    Update,
    /// Changes parts of an object.
    Patch,
    /// Removes an object.
    Delete,
    /// Removes what a selector finds.
    DeleteCollection,
}

const fn computed(
    source: Computed,
    name: &'static str,
    plural: &'static str,
    singular: &'static str,
    short_names: &'static [&'static str],
) -> Resource {
    Resource {
        group: "guideway.dev",
        version: "v1alpha1",
        accepted_versions: &[],
        name,
        plural,
        singular,
        short_names,
        namespaced: !matches!(source, Computed::Node),
        has_status: false,
        source: Source::Computed(source),
    }
}

const fn access(
    source: AccessReview,
    group: &'static str,
    name: &'static str,
    plural: &'static str,
    singular: &'static str,
) -> Resource {
    Resource {
        group,
        version: "v1",
        namespaced: matches!(source, AccessReview::LocalSubjectAccess),
        ..computed(Computed::Access(source), name, plural, singular, &[])
    }
}

const AUTHORIZATION: &str = "authorization.k8s.io";

const COMPUTED: [Resource; 10] = [
    Resource {
        group: "",
        version: "v1",
        ..computed(Computed::Event, "Event", "events", "event", &["ev"])
    },
    computed(Computed::Node, "Node", "nodes", "node", &["no"]),
    computed(Computed::Session, "Session", "sessions", "session", &[]),
    computed(Computed::Pin, "Pin", "pins", "pin", &[]),
    computed(Computed::RouteReview, "RouteReview", "routereviews", "routereview", &[]),
    access(
        AccessReview::SelfSubjectAccess,
        AUTHORIZATION,
        "SelfSubjectAccessReview",
        "selfsubjectaccessreviews",
        "selfsubjectaccessreview",
    ),
    access(
        AccessReview::SubjectAccess,
        AUTHORIZATION,
        "SubjectAccessReview",
        "subjectaccessreviews",
        "subjectaccessreview",
    ),
    access(
        AccessReview::LocalSubjectAccess,
        AUTHORIZATION,
        "LocalSubjectAccessReview",
        "localsubjectaccessreviews",
        "localsubjectaccessreview",
    ),
    access(
        AccessReview::SelfSubjectRules,
        AUTHORIZATION,
        "SelfSubjectRulesReview",
        "selfsubjectrulesreviews",
        "selfsubjectrulesreview",
    ),
    access(
        AccessReview::SelfSubject,
        "authentication.k8s.io",
        "SelfSubjectReview",
        "selfsubjectreviews",
        "selfsubjectreview",
    ),
];

const STORED_VERBS: &[Verb] = &[
    Verb::Create,
    Verb::Delete,
    Verb::DeleteCollection,
    Verb::Get,
    Verb::List,
    Verb::Patch,
    Verb::Update,
    Verb::Watch,
];

const READ_VERBS: &[Verb] = &[Verb::Get, Verb::List];
const REVIEW_VERBS: &[Verb] = &[Verb::Create];
const SESSION_VERBS: &[Verb] = &[Verb::Delete, Verb::DeleteCollection, Verb::Get, Verb::List, Verb::Watch];

/// What works on `/status`.
pub(crate) const STATUS_VERBS: &[Verb] = &[Verb::Get, Verb::Patch, Verb::Update];

impl Resource {
    /// Every resource, grouped by API group.
    pub(crate) fn all() -> impl Iterator<Item = Resource> {
        Kind::all().map(Resource::stored).chain(COMPUTED)
    }

    /// The row of a stored kind.
    pub(crate) fn stored(kind: Kind) -> Resource {
        let info = kind.info();
        Resource {
            group: info.group,
            version: info.version,
            accepted_versions: info.accepted_versions,
            name: info.name,
            plural: info.plural,
            singular: info.singular,
            short_names: info.short_names,
            namespaced: info.namespaced,
            has_status: info.has_status,
            source: Source::Stored(kind),
        }
    }

    /// The resource at a path, with the served version as a static string.
    pub(crate) fn find(group: &str, version: &str, plural: &str) -> Option<(Resource, &'static str)> {
        let resource = Resource::all().find(|row| row.group == group && row.plural == plural)?;
        let version = resource.versions().find(|served| *served == version)?;
        Some((resource, version))
    }

    /// Served versions, the preferred one first.
    pub(crate) fn versions(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.version).chain(self.accepted_versions.iter().copied())
    }

    /// What works on the resource itself.
    pub(crate) fn verbs(&self) -> &'static [Verb] {
        match self.source {
            Source::Stored(_) => STORED_VERBS,
            Source::Computed(Computed::Event | Computed::Node | Computed::Pin) => READ_VERBS,
            Source::Computed(Computed::Session) => SESSION_VERBS,
            Source::Computed(Computed::RouteReview | Computed::Access(_)) => REVIEW_VERBS,
        }
    }

    /// Whether creating one only asks a question and changes nothing.
    pub(crate) fn is_only_asked(&self) -> bool {
        self.verbs() == REVIEW_VERBS
    }

    /// Whether it can be listed and not followed.
    pub(crate) fn is_read_without_watch(&self) -> bool {
        self.verbs().contains(&Verb::List) && !self.verbs().contains(&Verb::Watch)
    }

    /// `services` or `gateways.gateway.networking.k8s.io`: how messages call the resource.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// Whether a delete answers with the object, as Kubernetes does for a few kinds, and not with a `Status`. Clients
    /// that are made from Kubernetes' schemas read the one or the other.
    pub(crate) fn answers_delete_with_object(&self) -> bool {
        self.group.is_empty() && self.name == "Service"
    }

    /// Whether objects of it are strategic-merge patched. Groups that Kubernetes compiles in are; others never were.
    pub(crate) fn takes_strategic_merge(&self) -> bool {
        matches!(self.group, "" | "discovery.k8s.io" | "rbac.authorization.k8s.io")
    }
}

/// `group/version`, or only the version in the core group.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

impl Verb {
    /// As discovery and metrics write it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Watch => "watch",
            Verb::Create => "create",
            Verb::Update => "update",
            Verb::Patch => "patch",
            Verb::Delete => "delete",
            Verb::DeleteCollection => "deletecollection",
        }
    }

    /// Whether it changes the state; a timeout then leaves the outcome open.
    pub(crate) fn writes(self) -> bool {
        !matches!(self, Verb::Get | Verb::List | Verb::Watch)
    }
}
