//! Table sizes.

use thiserror::Error;

/// A prime number of rows, from [`TableSize::SMALLEST`] to [`TableSize::LARGEST`].
///
/// Prime, so that every step through the rows visits all of them. Tables of different sizes send nearly every flow
/// elsewhere: a size is chosen once and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableSize(u32);

impl TableSize {
    /// 4 093 rows: for about 40 endpoints.
    pub const SMALLEST: TableSize = TableSize(4_093);
    /// 16 381 rows: for about 160 endpoints.
    pub const SMALL: TableSize = TableSize(16_381);
    /// 65 537 rows: for about 650 endpoints.
    pub const DEFAULT: TableSize = TableSize(65_537);
    /// 655 373 rows: for about 6 500 endpoints.
    pub const LARGEST: TableSize = TableSize(655_373);

    /// Checks that `rows` is a prime in the allowed range.
    pub const fn new(rows: u32) -> Result<TableSize, TableSizeError> {
        if allowed(rows) {
            Ok(TableSize(rows))
        } else {
            Err(TableSizeError {
                rows,
                nearest: nearest(rows),
            })
        }
    }

    /// Number of rows.
    pub const fn rows(self) -> usize {
        self.0 as usize
    }

    /// Number of rows, as the arithmetic of the table needs it.
    pub(crate) const fn get(self) -> u32 {
        self.0
    }
}

impl Default for TableSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why a number of rows is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "table size {rows} is not a prime from {} to {}; the nearest size allowed is {}",
    TableSize::SMALLEST.0, TableSize::LARGEST.0, nearest.0
)]
pub struct TableSizeError {
    /// The number that was asked for.
    pub rows: u32,
    /// The allowed size nearest to it; the smaller of two that are equally near.
    pub nearest: TableSize,
}

const fn allowed(rows: u32) -> bool {
    TableSize::SMALLEST.0 <= rows && rows <= TableSize::LARGEST.0 && prime(rows)
}

/// Trial division: at most 810 steps for the largest size.
const fn prime(number: u32) -> bool {
    let mut divisor = 2;
    while divisor * divisor <= number {
        if number.is_multiple_of(divisor) {
            return false;
        }
        divisor += 1;
    }
    number >= 2
}

/// Both ends of the range are prime, so the search inside it always meets one.
const fn nearest(rows: u32) -> TableSize {
    if rows <= TableSize::SMALLEST.0 {
        return TableSize::SMALLEST;
    }
    if rows >= TableSize::LARGEST.0 {
        return TableSize::LARGEST;
    }
    let mut distance = 0;
    loop {
        if prime(rows - distance) {
            return TableSize(rows - distance);
        }
        if prime(rows + distance) {
            return TableSize(rows + distance);
        }
        distance += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_size_is_allowed() {
        for size in [
            TableSize::SMALLEST,
            TableSize::SMALL,
            TableSize::DEFAULT,
            TableSize::LARGEST,
        ] {
            assert_eq!(TableSize::new(size.0), Ok(size));
        }
        assert_eq!(TableSize::default().rows(), 65_537);
    }

    #[test]
    fn a_refusal_names_the_value_and_the_nearest_size() {
        for (rows, nearest) in [
            (0, 4_093),
            (7, 4_093),
            (4_094, 4_093),
            (4_098, 4_099),
            (65_536, 65_537),
            (65_535, 65_537),
            (655_374, 655_373),
            (u32::MAX, 655_373),
        ] {
            let refusal = TableSize::new(rows).unwrap_err();
            assert_eq!((refusal.rows, refusal.nearest.0), (rows, nearest));
        }
        assert_eq!(
            TableSize::new(65_536).unwrap_err().to_string(),
            "table size 65536 is not a prime from 4093 to 655373; the nearest size allowed is 65537"
        );
    }
}
