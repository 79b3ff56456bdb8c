//! The bounded ring of changes that lets a watch resume exactly.

use std::io;

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

/// The last changes, revisions without a gap. When there are too many, or they are too large, the oldest is dropped and
/// `floor` rises: watchers that stood before it get [`ChangesExpired`].
///
/// Bytes count because one object can be large and change often: the status of a Gateway with many listeners is a
/// hundred kilobytes, and each route that attaches to it makes another one.
#[derive(Clone, Debug, Default)]
pub(super) struct ChangeRing {
    kept: Vector<Kept>,
    /// Of all that is kept.
    bytes: usize,
    /// Revision right before the oldest kept change.
    floor: u64,
}

/// A change, and what it keeps alive.
#[derive(Clone, Debug)]
struct Kept {
    change: Change,
    bytes: usize,
}

impl ChangeRing {
    /// A ring without history: watches resume from `revision` on.
    pub(super) fn starting_after(revision: u64) -> ChangeRing {
        ChangeRing {
            floor: revision,
            ..ChangeRing::default()
        }
    }

    /// Appends the change with the next revision.
    pub(super) fn push(&mut self, change: Change) {
        // What was before is the object of an earlier change, or is dropped with this one: it is not counted twice.
        let bytes = json_bytes(&change.object);
        self.bytes += bytes;
        self.kept.push_back(Kept { change, bytes });
        while self.kept.len() > State::CHANGES_KEPT || self.bytes > State::CHANGES_BYTES {
            let Some(dropped) = self.kept.pop_front() else {
                return;
            };
            self.bytes -= dropped.bytes;
            self.floor = dropped.change.revision;
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
        let kept = self.kept.focus().narrow(next..).into_iter();
        Ok(kept.map(|kept| &kept.change))
    }
}

/// Length of an object as JSON: less than the memory it takes, by a factor of two or three.
fn json_bytes(object: &Object) -> usize {
    let mut counter = Counter(0);
    // Counting cannot fail, and what cannot be written has no length.
    match serde_json::to_writer(&mut counter, object) {
        Ok(()) => counter.0,
        Err(_) => 0,
    }
}

struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
    fn large_objects_push_out_more() {
        let mut ring = ChangeRing::default();
        let large = |revision| {
            let mut change = change(revision);
            let text = "x".repeat(State::CHANGES_BYTES / 4);
            change.object.meta_mut().annotations.insert("large".to_owned(), text);
            change
        };
        ring.push(change(1));
        for revision in 2..=5 {
            ring.push(large(revision));
        }
        assert_eq!(ring.since(1).err(), Some(ChangesExpired { asked: 1, oldest: 2 }));
        assert_eq!(revisions(&ring, 2), [3, 4, 5]);
        assert!(ring.bytes <= State::CHANGES_BYTES);
        for revision in 6..1000 {
            ring.push(change(revision));
        }
        assert!(ring.since(5).is_ok());
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
