//! The pins that this node's sessions need, beside those that the state says it holds. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Bound;

use guideway_model::pin::{PinBatch, PinChange, PinKey, Pins};

/// Need and hold of each key that has one of the two, and which of them must still be told to the cluster.
#[derive(Debug, Default)]
pub(super) struct Difference {
    keys: BTreeMap<PinKey, Standing>,
    /// Differ, and are in no batch that is under way.
    open: BTreeSet<PinKey>,
    /// Were told and did not take effect: the pool has no such endpoint any more, or there is no room. Tried again now and
    /// then, so that one of them costs neither the log nor those that come after it.
    aside: BTreeSet<PinKey>,
    /// In the batch that is under way.
    sent: Vec<PinChange>,
    /// The last key of the batch before: the next one goes on behind it, so that every key has its turn.
    turn: Option<PinKey>,
    needed: usize,
    held: usize,
}

/// What is known of one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Standing {
    need: Option<SocketAddr>,
    hold: Option<SocketAddr>,
}

impl Difference {
    /// Sessions of a key need it at `endpoint`, or no more.
    pub(super) fn need(&mut self, key: PinKey, endpoint: Option<SocketAddr>) {
        let standing = self.keys.entry(key).or_default();
        adjust(&mut self.needed, standing.need, endpoint);
        if standing.need != endpoint {
            standing.need = endpoint;
            self.aside.remove(&key);
        }
        self.judge(key);
    }

    /// The state says that this node holds a key at `endpoint`, or no more; `full` if there is room for no more pins.
    pub(super) fn hold(&mut self, key: PinKey, endpoint: Option<SocketAddr>, full: bool) {
        let standing = self.keys.entry(key).or_default();
        let before = standing.hold;
        adjust(&mut self.held, before, endpoint);
        standing.hold = endpoint;
        let was_shed = full && endpoint.is_none() && before.is_some() && standing.need == before;
        self.judge(key);
        if was_shed {
            // To ask for it again would only shed another one.
            self.set_aside(key);
        }
    }

    /// The next changes to tell, at most [`PinBatch::CHANGES`]. They are under way until [`Difference::settle`] or
    /// [`Difference::fail`].
    pub(super) fn take(&mut self) -> Vec<PinChange> {
        let behind = self.turn.map_or(Bound::Unbounded, Bound::Excluded);
        let later = self.open.range((behind, Bound::Unbounded));
        let sooner = self.turn.into_iter().flat_map(|turn| self.open.range(..=turn));
        let keys: Vec<PinKey> = later.chain(sooner).copied().take(PinBatch::CHANGES).collect();
        self.turn = keys.last().copied();
        self.sent = keys
            .into_iter()
            .map(|key| {
                self.open.remove(&key);
                let endpoint = self.keys.get(&key).and_then(|standing| standing.need);
                PinChange { key, endpoint }
            })
            .collect();
        self.sent.clone()
    }

    /// The batch under way is committed, and what the state made of it is known here; gives what was in it.
    pub(super) fn settle(&mut self) -> Vec<PinChange> {
        let sent = std::mem::take(&mut self.sent);
        for change in &sent {
            let standing = self.keys.get(&change.key).copied().unwrap_or_default();
            if standing.need == change.endpoint && standing.hold != change.endpoint {
                self.set_aside(change.key);
            } else {
                self.judge(change.key);
            }
        }
        sent
    }

    /// The batch under way was refused, or is not known to be committed.
    pub(super) fn fail(&mut self) {
        for change in std::mem::take(&mut self.sent) {
            self.judge(change.key);
        }
    }

    /// Those set aside are told again.
    pub(super) fn bring_back(&mut self) {
        self.open.append(&mut self.aside);
    }

    /// Whether nothing is left to do for a key now.
    pub(super) fn is_settled(&self, key: &PinKey) -> bool {
        let standing = self.keys.get(key).copied().unwrap_or_default();
        standing.need == standing.hold || self.aside.contains(key)
    }

    /// Keys that are not settled.
    pub(super) fn unsettled(&self) -> BTreeSet<PinKey> {
        let sent = self.sent.iter().map(|change| change.key);
        let mut keys: BTreeSet<PinKey> = sent.filter(|key| !self.is_settled(key)).collect();
        keys.extend(&self.open);
        keys
    }

    /// Changes that wait to be told.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// Whether some are set aside.
    pub(super) fn has_aside(&self) -> bool {
        !self.aside.is_empty()
    }

    /// Pins that sessions need.
    pub(super) fn needed(&self) -> usize {
        self.needed
    }

    /// Pins that name this start of the node as holder.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Keys that need a pin and do not have it.
    pub(super) fn unpinned(&self) -> usize {
        let sent = self.sent.iter().map(|change| &change.key);
        let candidates: BTreeSet<&PinKey> = self.open.iter().chain(&self.aside).chain(sent).collect();
        let lacks = |key: &&&PinKey| {
            let standing = self.keys.get(**key);
            standing.is_some_and(|standing| standing.need.is_some() && standing.need != standing.hold)
        };
        candidates.iter().filter(lacks).count()
    }

    fn judge(&mut self, key: PinKey) {
        let standing = self.keys.get(&key).copied().unwrap_or_default();
        if standing.need != standing.hold {
            if !self.aside.contains(&key) {
                self.open.insert(key);
            }
            return;
        }
        self.open.remove(&key);
        self.aside.remove(&key);
        if standing == Standing::default() {
            self.keys.remove(&key);
        }
    }

    fn set_aside(&mut self, key: PinKey) {
        self.open.remove(&key);
        self.aside.insert(key);
    }
}

/// Room for pins is used up.
pub(super) fn is_full(holds: usize) -> bool {
    holds >= Pins::MOST
}

fn adjust(count: &mut usize, before: Option<SocketAddr>, after: Option<SocketAddr>) {
    *count = *count + usize::from(after.is_some()) - usize::from(before.is_some());
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{endpoint, key};
    use super::*;

    fn taken(difference: &mut Difference) -> Vec<(PinKey, Option<SocketAddr>)> {
        let changes = difference.take();
        changes.iter().map(|change| (change.key, change.endpoint)).collect()
    }

    #[test]
    fn only_what_differs_is_told_and_once() {
        let mut difference = Difference::default();
        difference.need(key(1), Some(endpoint(1)));
        difference.need(key(2), Some(endpoint(2)));
        difference.hold(key(2), Some(endpoint(2)), false);
        difference.hold(key(3), Some(endpoint(3)), false);
        difference.need(key(4), Some(endpoint(4)));
        difference.need(key(4), None);
        assert_eq!(
            (difference.needed(), difference.held(), difference.unpinned()),
            (2, 2, 1)
        );
        assert_eq!(taken(&mut difference), [(key(1), Some(endpoint(1))), (key(3), None)]);
        assert_eq!(taken(&mut difference), []);
    }

    #[test]
    fn a_key_that_changes_while_it_is_under_way_is_told_again() {
        let mut difference = Difference::default();
        difference.need(key(1), Some(endpoint(1)));
        difference.need(key(2), Some(endpoint(1)));
        assert_eq!(difference.take().len(), 2);
        difference.need(key(1), Some(endpoint(2)));
        difference.need(key(2), None);
        difference.hold(key(1), Some(endpoint(1)), false);
        difference.hold(key(2), Some(endpoint(1)), false);
        difference.settle();
        assert_eq!(taken(&mut difference), [(key(1), Some(endpoint(2))), (key(2), None)]);
    }

    #[test]
    fn what_failed_is_told_again_unless_it_is_known_to_be_done() {
        let mut difference = Difference::default();
        difference.need(key(1), Some(endpoint(1)));
        difference.need(key(2), Some(endpoint(2)));
        difference.take();
        difference.hold(key(1), Some(endpoint(1)), false);
        difference.fail();
        assert_eq!(taken(&mut difference), [(key(2), Some(endpoint(2)))]);
    }

    #[test]
    fn what_took_no_effect_is_set_aside_until_it_changes_or_is_brought_back() {
        let mut difference = Difference::default();
        for number in 1..=2 {
            difference.need(key(number), Some(endpoint(1)));
        }
        difference.take();
        difference.settle();
        assert!(difference.has_aside() && difference.is_settled(&key(1)));
        assert_eq!((difference.unpinned(), difference.open()), (2, 0));
        difference.need(key(1), Some(endpoint(2)));
        assert_eq!(taken(&mut difference), [(key(1), Some(endpoint(2)))]);
        difference.bring_back();
        assert_eq!(taken(&mut difference), [(key(2), Some(endpoint(1)))]);
    }

    #[test]
    fn a_pin_that_was_shed_for_want_of_room_is_not_asked_for_at_once() {
        for (full, asked) in [(true, 0), (false, 1)] {
            let mut difference = Difference::default();
            difference.need(key(1), Some(endpoint(1)));
            difference.hold(key(1), Some(endpoint(1)), false);
            difference.hold(key(1), None, full);
            assert_eq!(difference.open(), asked);
            assert_eq!(difference.has_aside(), full);
        }
    }

    #[test]
    fn every_key_has_its_turn() {
        let mut difference = Difference::default();
        let count = u32::try_from(PinBatch::CHANGES).expect("fits");
        for number in 0..count + 10 {
            difference.need(key(number), Some(endpoint(1)));
        }
        let first = taken(&mut difference);
        assert_eq!(first.len(), PinBatch::CHANGES);
        for (key, _) in &first {
            difference.hold(*key, Some(endpoint(1)), false);
        }
        difference.settle();
        // The first keys change again before the last have been told.
        for number in 0..count {
            difference.need(key(number), Some(endpoint(2)));
        }
        let second = taken(&mut difference);
        let last: Vec<PinKey> = (count..count + 10).map(key).collect();
        assert_eq!(second.iter().take(10).map(|(key, _)| *key).collect::<Vec<_>>(), last);
        assert_eq!(second.len(), PinBatch::CHANGES);
    }
}
