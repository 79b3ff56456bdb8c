//! How many rows each target gets.

use std::cmp::Reverse;

use super::fill::Claim;
use crate::size::TableSize;

/// Gives each claim its quota; they sum to the size unless there are no claims.
///
/// `claims` are ordered by falling weight and are no more than the rows. A target whose share is below one row gets
/// one. The rest of the rows go to the rest of the targets by largest remainder: each gets its share of them rounded
/// down, and those with the largest remainders one more; ties go to the first in order.
pub(super) fn assign(size: TableSize, claims: &mut [Claim]) {
    let mut rows = u128::from(size.get());
    let mut weight: u128 = claims.iter().map(|claim| u128::from(claim.weight)).sum();
    let mut proportional = claims.len();
    while let Some(lightest) = claims[..proportional].last_mut()
        && u128::from(lightest.weight) * rows < weight
    {
        lightest.quota = 1;
        rows -= 1;
        weight -= u128::from(lightest.weight);
        proportional -= 1;
    }
    let claims = &mut claims[..proportional];

    let mut spare = rows;
    let mut remainders = Vec::with_capacity(claims.len());
    for (position, claim) in claims.iter_mut().enumerate() {
        let share = u128::from(claim.weight) * rows;
        claim.quota = below_size(share / weight);
        spare -= u128::from(claim.quota);
        remainders.push((Reverse(share % weight), position));
    }
    remainders.sort_unstable();
    for (_, position) in remainders.into_iter().take(below_size(spare) as usize) {
        claims[position].quota += 1;
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a part of the rows, whose number is a u32"
)]
fn below_size(rows: u128) -> u32 {
    rows as u32
}
