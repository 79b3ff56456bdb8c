//! A target's way through the rows.

use std::hint::select_unpredictable;

use crate::hash::{Seed, hash};
use crate::size::TableSize;
use crate::target::{Target, identity};

/// A target's way through the rows: legs of [`Walk::LEG`] rows, each from an offset by a fixed skip drawn from the
/// target's identity and the leg's number.
///
/// The Maglev paper's walk is one leg through all rows. There, two targets whose skips are in a small ratio follow each
/// other all the way, and a table with such a pair moves several times as many rows of others when a target leaves
/// (up to 3.3 % of them instead of 0.3 %, about one table of ten targets in a hundred above 0.5 %). Over many short legs
/// such pairs average out.
#[derive(Debug)]
pub(super) struct Walk {
    size: u32,
    seed: Seed,
    target: Target,
    /// Number of the next leg.
    leg: u32,
    /// Rows left in this one.
    left: u32,
    /// The next row.
    row: u32,
    skip: u32,
}

impl Walk {
    const LEG: u32 = 256;
    /// After this many times the rows the last leg begins. It has no end and visits every row, since the size is prime.
    const LAST_LEG_AFTER: u32 = 4;

    pub(super) fn new(size: TableSize, seed: Seed, target: Target) -> Walk {
        let mut walk = Walk {
            size: size.get(),
            seed,
            target,
            leg: 0,
            left: 0,
            row: 0,
            skip: 0,
        };
        walk.begin_leg();
        walk
    }

    /// The next row that is not taken; there must be one.
    #[inline]
    pub(super) fn next_free(&mut self, taken: &[bool]) -> u32 {
        loop {
            // One addition or one subtraction from row to row, whichever stays inside the table.
            let (ahead, back) = (self.skip, self.size - self.skip);
            let mut next = self.row;
            while self.left > 0 {
                self.left -= 1;
                let row = next;
                let (wrapped, stays) = row.overflowing_sub(back);
                next = select_unpredictable(stays, row + ahead, wrapped);
                if !taken[row as usize] {
                    self.row = next;
                    return row;
                }
            }
            self.begin_leg();
        }
    }

    #[cold]
    fn begin_leg(&mut self) {
        let drawn = hash(self.seed, &identity(self.target, self.leg));
        self.row = fraction(drawn >> 32, self.size);
        self.skip = 1 + fraction(drawn & u64::from(u32::MAX), self.size - 1);
        let last = self.leg >= Walk::LAST_LEG_AFTER * self.size / Walk::LEG;
        self.left = if last { u32::MAX } else { Walk::LEG };
        self.leg += 1;
    }
}

/// 32 random bits as a fraction of `bound`: below it.
fn fraction(bits: u64, bound: u32) -> u32 {
    ((bits * u64::from(bound)) >> 32) as u32
}
