//! The replicated state and its transition function.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::{OrdMap, Vector};

use crate::command::{Command, Proposal};
use crate::kind::Kind;
use crate::meta::UnixMillis;
use crate::node::{NodeId, NodeRecord};
use crate::object::{Object, ObjectKey};
use crate::outcome::{Outcome, Refusal};

/// The replicated state. Cloning is O(1) and shares everything.
#[derive(Clone, Debug, Default)]
pub struct State {
    time: UnixMillis,
    revision: u64,
    objects: OrdMap<ObjectKey, Object>,
    nodes: BTreeMap<NodeId, NodeRecord>,
    changes: Vector<Change>,
    changes_floor: u64,
}

/// One object that changed: what a watch delivers.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// `resourceVersion` of the change; rises by one from change to change.
    pub revision: u64,
    /// What happened.
    pub kind: ChangeKind,
    /// The object after the change; for a delete, as it last was, with `revision` as its version.
    pub object: Object,
    /// The object before the change; `None` for a create. Lets a watch with a selector see objects enter and leave.
    pub before: Option<Object>,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was created.
    Added,
    /// It was changed.
    Modified,
    /// It was deleted.
    Deleted,
}

/// The changes a watcher asked for are no longer kept: it must list again (HTTP 410 `Expired`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("resourceVersion {asked} is too old: changes are kept from {oldest} on")]
pub struct ChangesExpired {
    /// What was asked for.
    pub asked: u64,
    /// The oldest version from which changes can still be given.
    pub oldest: u64,
}

impl State {
    /// How many changes are kept for watches that resume; older ones answer [`ChangesExpired`].
    pub const CHANGES_KEPT: usize = 16_384;

    /// Applies one command at log order. Total: never fails, never panics; a refused command changes nothing but time.
    pub fn apply(&mut self, proposal: Proposal) -> Outcome {
        self.time = self.time.max(proposal.time);
        match proposal.command {
            Command::Create { object, .. } => {
                let key = object.key();
                if self.objects.contains_key(&key) {
                    return Outcome::Refused(Refusal::AlreadyExists(key));
                }
                self.revision += 1;
                self.objects.insert(key, object.clone());
                Outcome::Object(Box::new(object))
            }
            _ => Outcome::Done,
        }
    }

    /// Time of the last command that had a later one than those before it.
    pub fn time(&self) -> UnixMillis {
        self.time
    }

    /// The last `resourceVersion` given out.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// One object.
    pub fn get(&self, key: &ObjectKey) -> Option<&Object> {
        self.objects.get(key)
    }

    /// Objects of a kind, in one namespace or (`None`) in all, ordered by namespace and name, after `after` if given.
    pub fn list<'a>(
        &'a self,
        kind: Kind,
        namespace: Option<&'a str>,
        after: Option<&ObjectKey>,
    ) -> impl Iterator<Item = &'a Object> + 'a {
        let after = after.cloned();
        self.objects
            .iter()
            .filter(move |(key, _)| {
                key.kind == kind
                    && namespace.is_none_or(|wanted| wanted == key.namespace)
                    && after.as_ref().is_none_or(|after| *key > after)
            })
            .map(|(_, object)| object)
    }

    /// Changes after `revision`, oldest first.
    pub fn changes_since(&self, revision: u64) -> Result<impl Iterator<Item = &Change>, ChangesExpired> {
        if revision < self.changes_floor {
            return Err(ChangesExpired {
                asked: revision,
                oldest: self.changes_floor,
            });
        }
        Ok(self.changes.iter().filter(move |change| change.revision > revision))
    }

    /// Members, by number.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &NodeRecord)> {
        self.nodes.iter().map(|(id, record)| (*id, record))
    }

    /// Whether `InitCluster` has been applied.
    pub fn is_initialised(&self) -> bool {
        false
    }

    /// The state as records for a snapshot: each is at most a few hundred KiB, in a fixed order, versioned and
    /// self-contained. The ring of changes is not in it.
    pub fn snapshot_records(&self) -> impl Iterator<Item = Vec<u8>> + Send + 'static {
        std::iter::empty()
    }

    /// The state that `snapshot_records` wrote.
    pub fn from_snapshot_records<'a>(
        _records: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<State, SnapshotDecodeError> {
        Ok(State::default())
    }
}

/// A snapshot that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("snapshot record {record}: {problem}")]
pub struct SnapshotDecodeError {
    /// Number of the record, from 0.
    pub record: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// A state and the log index it stands for: what watchers of the consensus layer see.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// Log index of the last entry that was applied; 0 before the first.
    pub index: u64,
    /// The state after it.
    pub state: Arc<State>,
}
