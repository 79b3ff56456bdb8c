//! The names by which the index finds things, and their precedence.

use crate::kind::Kind;
use crate::meta::ObjectMeta;
use crate::object::{Object, ObjectKey};
use crate::resource::Gateway;
use crate::state::host::HostKey;

/// Namespace and name, where the kind is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Name {
    pub(crate) fn new(namespace: &str, name: &str) -> Name {
        Name {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    pub(crate) fn of(meta: &ObjectMeta) -> Name {
        Name::new(&meta.namespace, &meta.name)
    }

    pub(crate) fn key(&self, kind: Kind) -> ObjectKey {
        ObjectKey {
            kind,
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }

    pub(crate) fn of_key(key: &ObjectKey) -> Name {
        Name::new(&key.namespace, &key.name)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The least of all keys: where a search begins.
impl Default for ObjectKey {
    fn default() -> ObjectKey {
        ObjectKey {
            kind: Kind::all().next().unwrap_or(Kind::Namespace),
            namespace: String::new(),
            name: String::new(),
        }
    }
}

/// As people name it: `TCPRoute default/postgres`.
impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ", self.kind.info().name)?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

/// Precedence of the Gateway API among objects of one kind: the older first, then by namespace and name. The least goes
/// first.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seniority {
    created_seconds: u64,
    pub(crate) key: ObjectKey,
}

impl Seniority {
    pub(crate) fn of(kind: Kind, meta: &ObjectMeta) -> Seniority {
        Seniority {
            created_seconds: created_seconds(meta),
            key: Name::of(meta).key(kind),
        }
    }

    pub(crate) fn of_object(object: &Object) -> Seniority {
        Seniority::of(object.kind(), object.meta())
    }
}

/// Precedence among Gateways and ListenerSets that want the same socket; the least goes first.
///
/// A Gateway goes before its ListenerSets, and those by age (GEP-1713). Between different Gateways it is age that counts:
/// of a ListenerSet, the time since when both it and its Gateway have been there. So no one who may create a
/// ListenerSet can take a port from another Gateway that is running.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    since_seconds: u64,
    is_set: bool,
    created_seconds: u64,
    pub(crate) owner: ObjectKey,
}

impl Rank {
    pub(crate) fn of_gateway(gateway: &Gateway) -> Rank {
        let created = created_seconds(&gateway.metadata);
        Rank {
            since_seconds: created,
            is_set: false,
            created_seconds: created,
            owner: Name::of(&gateway.metadata).key(Kind::Gateway),
        }
    }

    pub(crate) fn of_set(set: &ObjectMeta, gateway: &Gateway) -> Rank {
        let created = created_seconds(set);
        Rank {
            since_seconds: created.max(created_seconds(&gateway.metadata)),
            is_set: true,
            created_seconds: created,
            owner: Name::of(set).key(Kind::ListenerSet),
        }
    }
}

fn created_seconds(meta: &ObjectMeta) -> u64 {
    let created = meta.creation_timestamp.unwrap_or_default().unix_seconds;
    u64::try_from(created).unwrap_or(0)
}

/// A listener of a Gateway or ListenerSet, as routes see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AttachPoint {
    pub(crate) owner: ObjectKey,
    pub(crate) listener: String,
}

/// A listener that wants a socket group, or a host name on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claim {
    pub(crate) rank: Rank,
    pub(crate) listener: String,
    pub(crate) takes: Takes,
}

impl Claim {
    pub(crate) fn point(&self) -> AttachPoint {
        AttachPoint {
            owner: self.rank.owner.clone(),
            listener: self.listener.clone(),
        }
    }
}

/// How much of a socket group a listener wants.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Takes {
    /// All of it: protocols TCP and UDP.
    #[default]
    Port,
    /// The connections for a host name: protocol TLS.
    Name(HostKey),
}
