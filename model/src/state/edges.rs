//! A persistent many-to-many relation that is read from one side.

use std::ops::Bound;

use imbl::OrdSet;
use imbl::ordset::DiffItem;

/// Pairs, ordered by `From` and then by `To`. `To::default()` must be the least of its type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Edges<From: Ord, To: Ord> {
    pairs: OrdSet<(From, To)>,
}

impl<From: Ord, To: Ord> Default for Edges<From, To> {
    fn default() -> Self {
        Edges { pairs: OrdSet::new() }
    }
}

impl<From: Ord + Clone, To: Ord + Clone + Default> Edges<From, To> {
    /// Adds a pair; false if it is there already.
    pub(super) fn insert(&mut self, from: From, to: To) -> bool {
        self.pairs.insert((from, to)).is_none()
    }

    /// Removes a pair; false if it is not there.
    pub(super) fn remove(&mut self, from: From, to: To) -> bool {
        self.pairs.remove(&(from, to)).is_some()
    }

    /// Everything that `from` leads to, ascending.
    pub(crate) fn of<'a>(&'a self, from: &'a From) -> impl Iterator<Item = &'a To> {
        let start = Bound::Included((from.clone(), To::default()));
        self.pairs
            .range((start, Bound::Unbounded))
            .take_while(move |(other, _)| other == from)
            .map(|(_, to)| to)
    }

    /// Everything that `from` leads to, ascending; borrows only the relation.
    pub(crate) fn iter_of<'a>(&'a self, from: &From) -> impl Iterator<Item = &'a To> + use<'a, From, To> {
        let wanted = from.clone();
        self.from(wanted.clone())
            .take_while(move |(other, _)| **other == wanted)
            .map(|(_, to)| to)
    }

    /// Every pair from the least that begins with `from` on, ascending.
    pub(crate) fn from<'a>(&'a self, from: From) -> impl Iterator<Item = (&'a From, &'a To)> + use<'a, From, To> {
        let start = Bound::Included((from, To::default()));
        self.pairs.range((start, Bound::Unbounded)).map(|(from, to)| (from, to))
    }

    /// The least that `from` leads to.
    pub(crate) fn first(&self, from: &From) -> Option<&To> {
        let start = Bound::Included((from.clone(), To::default()));
        let (other, to) = self.pairs.range((start, Bound::Unbounded)).next()?;
        (other == from).then_some(to)
    }

    /// Whether both are one and the same, or copies of which neither has changed since. Costs nothing.
    pub(crate) fn is_same(&self, other: &Edges<From, To>) -> bool {
        self.pairs.ptr_eq(&other.pairs)
    }

    /// What leads elsewhere than in `other`, once for each pair that only one of them has. Costs what differs, for
    /// relations of one history.
    pub(crate) fn differing<'a>(&'a self, other: &'a Edges<From, To>) -> impl Iterator<Item = &'a From> {
        self.pairs.diff(&other.pairs).map(|difference| match difference {
            DiffItem::Add((from, _)) | DiffItem::Remove((from, _)) => from,
        })
    }

    /// Every pair, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&From, &To)> {
        self.pairs.iter().map(|(from, to)| (from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_one_side() {
        let mut edges = Edges::default();
        assert!(edges.insert(2, 20));
        assert!(edges.insert(2, 10));
        assert!(edges.insert(1, 30));
        assert!(!edges.insert(2, 10));
        assert_eq!(edges.of(&2).copied().collect::<Vec<_>>(), [10, 20]);
        assert_eq!(edges.first(&2), Some(&10));
        assert_eq!(edges.first(&3), None);
        assert!(edges.remove(2, 10));
        assert!(!edges.remove(2, 10));
        assert_eq!(edges.first(&2), Some(&20));
        assert_eq!(edges.iter().collect::<Vec<_>>(), [(&1, &30), (&2, &20)]);
    }
}
