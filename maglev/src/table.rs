//! The table.

mod fill;
mod quota;
mod walk;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use thiserror::Error;

use crate::hash::Seed;
use crate::size::TableSize;
use crate::target::{Target, Weighted};

/// A built table; cheap to share behind an `Arc`.
///
/// Two tables are equal when every hash gives the same target in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    size: TableSize,
    /// Canonical, ascending, each owning a row at least.
    targets: Box<[Target]>,
    /// One index into `targets` for each row; empty when no target has weight.
    rows: Box<[u16]>,
}

/// Why a table cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BuildError {
    /// A target appears twice.
    #[error("target {0} is named twice in one table; name it once with the sum of its weights")]
    Duplicate(Target),
    /// More targets with weight than a u16 row or the table's size can name.
    #[error("{targets} targets have weight and a table of this size holds {limit}; use fewer, or a larger table")]
    TooMany {
        /// Targets with weight.
        targets: usize,
        /// The most there may be.
        limit: usize,
    },
}

impl Table {
    /// The most targets a table of any size can name: the row value above them marks a row without an owner while a
    /// table is being filled.
    const TARGETS: usize = u16::MAX as usize;

    /// Builds the table in time proportional to its rows (times their logarithm), whatever the number of targets.
    ///
    /// Each target with weight owns its share of the rows rounded up or down, and one row at least. Order of input
    /// never matters. No target with weight: every lookup gives `None`. Duplicates are refused whatever their weight.
    pub fn build(size: TableSize, seed: Seed, targets: &[Weighted]) -> Result<Table, BuildError> {
        let mut weights = BTreeMap::new();
        for weighted in targets {
            let target = weighted.target.canonical();
            if weights.insert(target, weighted.weight).is_some() {
                return Err(BuildError::Duplicate(target));
            }
        }
        weights.retain(|_, weight| *weight > 0);
        let limit = size.rows().min(Table::TARGETS);
        if weights.len() > limit {
            return Err(BuildError::TooMany {
                targets: weights.len(),
                limit,
            });
        }

        let mut claims: Vec<fill::Claim> = weights
            .iter()
            .zip(0..)
            .map(|((target, weight), index)| fill::Claim {
                index,
                weight: *weight,
                quota: 0,
                walk: walk::Walk::new(size, seed, *target),
            })
            .collect();
        // Heaviest first and otherwise in canonical order (the sort is stable): the order that breaks every tie.
        claims.sort_by_key(|claim| Reverse(claim.weight));
        quota::assign(size, &mut claims);
        Ok(Table {
            size,
            targets: weights.into_keys().collect(),
            rows: fill::rows(size, claims),
        })
    }

    /// The size it was built with, also when it has no rows because no target has weight.
    pub fn size(&self) -> TableSize {
        self.size
    }

    /// Targets that own rows, in canonical form and order; `choose` returns an index into it.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The owner of each row, as an index into [`Table::targets`]. Empty when no target has weight.
    pub fn rows(&self) -> &[u16] {
        &self.rows
    }

    /// The number of rows that each target owns, in the order of [`Table::targets`].
    pub fn shares(&self) -> Vec<usize> {
        let mut shares = vec![0; self.targets.len()];
        for owner in &self.rows {
            shares[usize::from(*owner)] += 1;
        }
        shares
    }

    /// The target of this hash.
    pub fn choose(&self, hash: u64) -> Option<u16> {
        self.rows.get(self.row(hash)).copied()
    }

    /// The chosen target first, then each further distinct target along the table.
    ///
    /// Every target comes once, then it ends. Only the first costs no allocation; all of them cost one pass over the
    /// rows at most.
    pub fn candidates(&self, hash: u64) -> Candidates<'_> {
        Candidates {
            table: self,
            row: self.row(hash),
            seen: Vec::new(),
            found: 0,
        }
    }

    /// The row of a hash: its upper 32 bits as a fraction of the rows. Rows differ in likelihood by one part in 6 500
    /// at the largest size and in 65 000 at the default. Needs no division and no number wider than 64 bits, so a
    /// packet program in the kernel can do the same.
    pub fn row(&self, hash: u64) -> usize {
        (((hash >> 32) * u64::from(self.size.get())) >> 32) as usize
    }
}

/// The distinct targets along a table, from the one that a hash chooses; see [`Table::candidates`].
#[derive(Clone, Debug)]
pub struct Candidates<'a> {
    table: &'a Table,
    /// The row to look at next.
    row: usize,
    /// One bit for each target; made when a second target is asked for.
    seen: Vec<u64>,
    /// Targets given so far.
    found: usize,
}

impl Iterator for Candidates<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        let rows = self.table.rows();
        let targets = self.table.targets().len();
        if self.found == 0 {
            let first = rows.get(self.row).copied()?;
            self.found = 1;
            return Some(first);
        }
        if self.found == targets {
            return None;
        }
        if self.seen.is_empty() {
            self.seen = vec![0; targets.div_ceil(64)];
            self.mark(rows[self.row]);
        }
        // Each target owns a row, so one that has not been seen lies ahead.
        loop {
            self.row = if self.row + 1 == rows.len() { 0 } else { self.row + 1 };
            let target = rows[self.row];
            if self.mark(target) {
                self.found += 1;
                return Some(target);
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.table.targets().len() - self.found;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Candidates<'_> {}

impl Candidates<'_> {
    /// Whether the target is new.
    fn mark(&mut self, target: u16) -> bool {
        let (word, bit) = (usize::from(target / 64), 1 << (target % 64));
        let new = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        new
    }
}
