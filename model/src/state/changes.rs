//! The bounded ring of changes that lets a watch resume exactly.

use imbl::Vector;

use super::State;
use crate::object::Object;

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

/// The last changes, revisions without a gap. When full, the oldest is dropped and `floor` rises: watchers that stood
/// before it get [`ChangesExpired`].
#[derive(Clone, Debug, Default)]
pub(super) struct ChangeRing {
    kept: Vector<Change>,
    /// Revision right before the oldest kept change.
    floor: u64,
}

impl ChangeRing {
    /// A ring without history: watches resume from `revision` on.
    pub(super) fn starting_after(revision: u64) -> ChangeRing {
        ChangeRing {
            kept: Vector::new(),
            floor: revision,
        }
    }

    /// Appends the change with the next revision.
    pub(super) fn push(&mut self, change: Change) {
        self.kept.push_back(change);
        while self.kept.len() > State::CHANGES_KEPT {
            if let Some(dropped) = self.kept.pop_front() {
                self.floor = dropped.revision;
            }
        }
    }

    pub(super) fn since(&self, revision: u64) -> Result<impl Iterator<Item = &Change>, ChangesExpired> {
        let Some(seen) = revision.checked_sub(self.floor) else {
            return Err(ChangesExpired {
                asked: revision,
                oldest: self.floor,
            });
        };
        // Revisions have no gap, so the number of changes already seen is also the position of the next one.
        let next = usize::try_from(seen).unwrap_or(usize::MAX).min(self.kept.len());
        Ok(self.kept.focus().narrow(next..).into_iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(revision: u64) -> Change {
        Change {
            revision,
            kind: ChangeKind::Added,
            object: Object::Namespace(std::sync::Arc::default()),
            before: None,
        }
    }

    fn revisions(ring: &ChangeRing, since: u64) -> Vec<u64> {
        ring.since(since).expect("kept").map(|change| change.revision).collect()
    }

    #[test]
    fn gives_exactly_what_was_not_seen() {
        let mut ring = ChangeRing::starting_after(7);
        for revision in 8..=10 {
            ring.push(change(revision));
        }
        assert_eq!(revisions(&ring, 7), [8, 9, 10]);
        assert_eq!(revisions(&ring, 9), [10]);
        assert_eq!(revisions(&ring, 10), [0; 0]);
        assert_eq!(revisions(&ring, 99), [0; 0]);
        assert_eq!(ring.since(6).err(), Some(ChangesExpired { asked: 6, oldest: 7 }));
    }

    #[test]
    fn drops_the_oldest_when_full() {
        let mut ring = ChangeRing::default();
        let last = State::CHANGES_KEPT as u64 + 5;
        for revision in 1..=last {
            ring.push(change(revision));
        }
        assert_eq!(ring.since(4).err(), Some(ChangesExpired { asked: 4, oldest: 5 }));
        assert_eq!(revisions(&ring, 5).len(), State::CHANGES_KEPT);
        assert_eq!(revisions(&ring, last - 1), [last]);
    }
}
