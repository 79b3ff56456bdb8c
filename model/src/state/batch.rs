//! What one command touches, and the revisions it costs.

use std::collections::{BTreeMap, BTreeSet};

use super::State;
use super::changes::{Change, ChangeKind};
use super::roles::decides_access;
use crate::object::{Object, ObjectKey};

/// The objects that a command has touched so far, each with what it was before the command.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Keys in the order in which they were first touched: the order of their revisions.
    order: Vec<ObjectKey>,
    before: BTreeMap<ObjectKey, Option<Object>>,
    /// Objects whose version rises even if they read the same.
    forced: BTreeSet<ObjectKey>,
}

impl Batch {
    /// The objects touched so far, each with what it was before the command.
    pub(super) fn touched(&self) -> Vec<(ObjectKey, Option<Object>)> {
        let with_before = |key: &ObjectKey| (key.clone(), self.before.get(key).cloned().flatten());
        self.order.iter().map(with_before).collect()
    }

    fn touch(&mut self, key: &ObjectKey, before: Option<&Object>) {
        if !self.before.contains_key(key) {
            self.order.push(key.clone());
            self.before.insert(key.clone(), before.cloned());
        }
    }
}

impl State {
    /// Stores an object, remembering in `batch` what was there.
    pub(super) fn put(&mut self, batch: &mut Batch, object: Object) {
        let key = object.key();
        batch.touch(&key, self.objects.get(&key));
        self.objects.insert(key, object);
    }

    /// Removes an object, remembering it in `batch`.
    pub(super) fn remove(&mut self, batch: &mut Batch, key: &ObjectKey) {
        batch.touch(key, self.objects.get(key));
        self.objects.remove(key);
    }

    /// Makes the version of an object rise even if it reads the same.
    pub(super) fn force(&mut self, batch: &mut Batch, key: &ObjectKey) {
        if let Some(object) = self.objects.get(key) {
            batch.touch(key, Some(object));
            batch.forced.insert(key.clone());
        }
    }

    /// Gives each object that differs from what it was one revision and one change, in the order of first touch.
    /// Returns the object of `wanted` as it now is, or as it last was if it is gone.
    pub(super) fn commit(&mut self, mut batch: Batch, wanted: Option<&ObjectKey>) -> Option<Object> {
        let mut answer = None;
        for key in std::mem::take(&mut batch.order) {
            let before = batch.before.remove(&key).flatten();
            let forced = batch.forced.contains(&key);
            let settled = self.commit_one(&key, before, forced);
            if wanted == Some(&key) {
                answer = settled;
            }
        }
        answer
    }

    fn commit_one(&mut self, key: &ObjectKey, before: Option<Object>, forced: bool) -> Option<Object> {
        let (kind, mut object) = match (before.as_ref(), self.objects.get(key)) {
            (None, None) => return None,
            (Some(before), Some(now)) if before == now && !forced => return Some(now.clone()),
            (None, Some(now)) => (ChangeKind::Added, now.clone()),
            (Some(_), Some(now)) => (ChangeKind::Modified, now.clone()),
            (Some(before), None) => (ChangeKind::Deleted, before.clone()),
        };
        self.revision += 1;
        object.meta_mut().resource_version = self.revision;
        if kind != ChangeKind::Deleted {
            self.objects.insert(key.clone(), object.clone());
        }
        if decides_access(key.kind) {
            self.access_revision = self.revision;
        }
        self.changes.push(Change {
            revision: self.revision,
            kind,
            object: object.clone(),
            before,
        });
        Some(object)
    }
}
