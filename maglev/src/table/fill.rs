//! Who takes which row.
//!
//! Each target walks the rows in an order of its own and takes the first free row at each of its turns. Turn k of a
//! target with weight w is due at (2k + 1) / w: turns are spread evenly over the time that the table takes to fill, at
//! a pace that does not depend on who else is in the table, which is what keeps most rows in place when a target comes
//! or goes. Turns due at the same time are taken in the order of the claims.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::walk::Walk;
use crate::size::TableSize;

/// One target that takes rows.
#[derive(Debug)]
pub(super) struct Claim {
    /// What its rows will hold.
    pub(super) index: u16,
    pub(super) weight: u64,
    /// How many rows it takes.
    pub(super) quota: u32,
    pub(super) walk: Walk,
}

/// Fills the rows. `claims` are ordered by falling weight; their quotas sum to the size, so that each claim finds a
/// free row at each turn. No claims, no rows.
pub(super) fn rows(size: TableSize, mut claims: Vec<Claim>) -> Box<[u16]> {
    if claims.is_empty() {
        return Box::new([]);
    }
    let mut rows = vec![0; size.rows()];
    // Apart from the rows and half their size: nearly all of the time goes into looking for a free one.
    let mut taken = vec![false; size.rows()];
    // Targets of one weight are due together, so one entry of the queue stands for all of them.
    let mut groups: Vec<&mut [Claim]> = claims.chunk_by_mut(|one, next| one.weight == next.weight).collect();
    let mut queue: BinaryHeap<Turn> = groups
        .iter()
        .enumerate()
        .map(|(group, claims)| Turn::first(group, claims[0].weight))
        .collect();
    while let Some(mut turn) = queue.peek_mut() {
        let mut more = false;
        for claim in groups[turn.group].iter_mut().filter(|claim| turn.number < claim.quota) {
            let row = claim.walk.next_free(&taken);
            taken[row as usize] = true;
            rows[row as usize] = claim.index;
            more |= turn.number + 1 < claim.quota;
        }
        if more {
            turn.number += 1;
        } else {
            PeekMut::pop(turn);
        }
    }
    rows.into_boxed_slice()
}

/// The next turn of all targets of one weight; the greatest is the one due first.
#[derive(Debug, PartialEq, Eq)]
struct Turn {
    number: u32,
    weight: u64,
    /// Weights fall as groups rise.
    group: usize,
}

impl Turn {
    fn first(group: usize, weight: u64) -> Turn {
        Turn {
            number: 0,
            weight,
            group,
        }
    }

    /// The numerator of this turn's due time, times the denominator of the other's.
    fn due_against(&self, other: &Turn) -> u128 {
        u128::from(2 * u64::from(self.number) + 1) * u128::from(other.weight)
    }
}

impl Ord for Turn {
    fn cmp(&self, other: &Turn) -> Ordering {
        let due = self.due_against(other).cmp(&other.due_against(self));
        due.then(self.group.cmp(&other.group)).reverse()
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Turn) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
