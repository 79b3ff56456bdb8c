//! The replicated state: what it holds and how it is read. [`State::apply`] is the only way to change it.

use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;

use guideway_maglev::Seed;
use imbl::OrdMap;

use crate::kind::Kind;
use crate::meta::{Uid, UnixMillis};
use crate::node::{NodeId, NodeRecord};
use crate::object::{Object, ObjectKey};
use crate::pin::Pins;
use crate::resource::{AnyRoute, Gateway, GatewayClass, Namespace};
use crate::status::class;

mod apply;
mod batch;
mod changes;
mod doors;
mod drains;
pub(crate) mod edges;
mod events;
mod foresight;
mod generations;
mod graces;
mod halves;
mod holds;
pub(crate) mod host;
pub(crate) mod index;
mod members;
pub(crate) mod pools;
mod roles;
mod settle;
mod snapshot;

pub use apply::{BUILT_IN_CLASS, CONTROLLER_NAME, DEFAULT_NAMESPACE};
pub use changes::{Change, ChangeKind, ChangesExpired};
pub use doors::JoinTokenRecord;
pub use events::{Event, Happening};
pub use snapshot::SnapshotDecodeError;

use changes::ChangeRing;
use events::EventRing;
use generations::Generations;
use index::{Index, Name};
use pools::Pools;

/// The replicated state. Cloning is O(1) and shares everything; applying a command costs what it changes.
#[derive(Clone, Debug, Default)]
pub struct State {
    time: UnixMillis,
    revision: u64,
    /// Revision at which roles, bindings or tokens last changed.
    access_revision: u64,
    level: u32,
    cluster: Option<Cluster>,
    objects: OrdMap<ObjectKey, Object>,
    nodes: OrdMap<NodeId, NodeRecord>,
    next_node: u64,
    join_tokens: OrdMap<String, JoinTokenRecord>,
    sealing_key: Option<String>,
    resolved: OrdMap<String, Arc<[IpAddr]>>,
    pools: Pools,
    generations: Generations,
    pins: Pins,
    changes: ChangeRing,
    events: EventRing,
    index: Index,
}

/// What `InitCluster` fixed for the life of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cluster {
    uid: Uid,
    seed: [u8; 16],
}

impl State {
    /// How many changes are kept for watches that resume; older ones answer [`ChangesExpired`].
    pub const CHANGES_KEPT: usize = 16_384;

    /// How many bytes of JSON the objects of these changes have at most together; what is kept for watches shrinks to
    /// fewer changes when objects are large.
    pub const CHANGES_BYTES: usize = 16 * 1024 * 1024;

    /// How many objects the state holds at most; a create beyond it is refused with `TooMany`.
    pub const OBJECTS_KEPT: usize = 100_000;

    /// How many listeners a Gateway has at most, those of its ListenerSets included. The Gateway's own come first, then those
    /// of the older set; one beyond the bound is not accepted, with the reason `TooManyListeners`, and not served.
    pub const MERGED_LISTENERS: usize = 1024;

    /// The highest cluster level that this code can apply. The replicated level says which commands and which table
    /// algorithm may be used; it is raised only when every member supports it.
    pub const LEVEL: u32 = State::SEALED;

    /// Time of the last command that had a later one than those before it.
    pub fn time(&self) -> UnixMillis {
        self.time
    }

    /// The last `resourceVersion` given out.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The `resourceVersion` of the last change of a role, a binding or an API token: while it stays the same, who may do
    /// what does too. Of a state that came by a snapshot it is that of the snapshot, which may be later.
    pub fn access_revision(&self) -> u64 {
        self.access_revision
    }

    /// The cluster level in force; 0 before `InitCluster`.
    pub fn level(&self) -> u32 {
        self.level
    }

    /// Identity of the cluster; `None` before `InitCluster`.
    pub fn cluster(&self) -> Option<&Uid> {
        self.cluster.as_ref().map(|cluster| &cluster.uid)
    }

    /// Key of the flow hash; all zeros before `InitCluster`.
    pub fn seed(&self) -> Seed {
        Seed(self.cluster.as_ref().map(|cluster| cluster.seed).unwrap_or_default())
    }

    /// Id of the key with which Secrets are sealed; `None` before `SetSealingKey`.
    pub fn sealing_key(&self) -> Option<&str> {
        self.sealing_key.as_deref()
    }

    /// Whether `InitCluster` has been applied.
    pub fn is_initialised(&self) -> bool {
        self.cluster.is_some()
    }

    /// One object.
    pub fn get(&self, key: &ObjectKey) -> Option<&Object> {
        self.objects.get(key)
    }

    /// How many listeners of ListenerSets are not accepted because their Gateway has
    /// [as many as it takes](State::MERGED_LISTENERS).
    pub fn listeners_beyond(&self) -> usize {
        self.index.listeners_beyond()
    }

    /// How many objects there are, of all kinds.
    pub fn object_count(&self) -> usize {
        self.objects.len()
    }

    /// Objects of a kind, in one namespace or (`None`) in all, ordered by namespace and name, after `after` if given.
    ///
    /// Costs what it yields, not what there is.
    pub fn list<'a>(
        &'a self,
        kind: Kind,
        namespace: Option<&'a str>,
        after: Option<&ObjectKey>,
    ) -> impl Iterator<Item = &'a Object> + 'a {
        let first = ObjectKey {
            kind,
            namespace: namespace.unwrap_or_default().to_owned(),
            name: String::new(),
        };
        let start = match after {
            Some(after) if *after >= first => Bound::Excluded(after.clone()),
            _ => Bound::Included(first),
        };
        self.objects
            .range((start, Bound::Unbounded))
            .take_while(move |(key, _)| key.kind == kind && namespace.is_none_or(|wanted| wanted == key.namespace))
            .map(|(_, object)| object)
    }

    /// Changes after `revision`, oldest first. Costs what it yields.
    ///
    /// # Errors
    /// The changes right after `revision` are no longer kept: the watcher must list again.
    pub fn changes_since(&self, revision: u64) -> Result<impl Iterator<Item = &Change>, ChangesExpired> {
        self.changes.since(revision)
    }

    /// Members, by number.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &NodeRecord)> {
        self.nodes.iter().map(|(id, record)| (*id, record))
    }

    /// One member.
    pub fn node(&self, id: NodeId) -> Option<&NodeRecord> {
        self.nodes.get(&id)
    }

    /// The sorted addresses that a DNS name of an endpoint last resolved to; `None` if it was never resolved.
    pub fn resolved(&self, name: &str) -> Option<&Arc<[IpAddr]>> {
        self.resolved.get(name)
    }

    /// The DNS names, in lower case, that endpoints of Backends have: those to look up. Ascending, each once.
    pub fn hostnames(&self) -> impl Iterator<Item = &str> {
        let mut last = None;
        let names = self.index.backends_of_hostname.iter().map(|(name, _)| name.as_str());
        names.filter(move |name| last.replace(*name) != Some(*name))
    }

    /// Every pin.
    pub fn pins(&self) -> &Pins {
        &self.pins
    }

    pub(crate) fn objects(&self) -> &OrdMap<ObjectKey, Object> {
        &self.objects
    }

    pub(crate) fn all_resolved(&self) -> &OrdMap<String, Arc<[IpAddr]>> {
        &self.resolved
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    pub(crate) fn namespace(&self, name: &str) -> Option<&Arc<Namespace>> {
        match self.objects.get(&Name::new("", name).key(Kind::Namespace)) {
            Some(Object::Namespace(namespace)) => Some(namespace),
            _ => None,
        }
    }

    pub(crate) fn gateway_class(&self, name: &str) -> Option<&Arc<GatewayClass>> {
        match self.objects.get(&Name::new("", name).key(Kind::GatewayClass)) {
            Some(Object::GatewayClass(class)) => Some(class),
            _ => None,
        }
    }

    pub(crate) fn gateway(&self, name: &Name) -> Option<&Arc<Gateway>> {
        match self.objects.get(&name.key(Kind::Gateway)) {
            Some(Object::Gateway(gateway)) => Some(gateway),
            _ => None,
        }
    }

    pub(crate) fn route(&self, key: &ObjectKey) -> Option<AnyRoute<'_>> {
        self.objects.get(key)?.as_route()
    }

    /// Whether there is a class of this name and this controller serves it.
    pub(crate) fn is_ours(&self, class: &str) -> bool {
        self.gateway_class(class).is_some_and(|class| class::is_ours(class))
    }
}

/// A state and the log index it stands for: what watchers of the consensus layer see.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// Log index of the last entry that was applied; 0 before the first.
    pub index: u64,
    /// The state after it.
    pub state: Arc<State>,
}

#[cfg(test)]
pub(crate) mod tests;
