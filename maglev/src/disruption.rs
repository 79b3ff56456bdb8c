//! What a change of tables moves.

use thiserror::Error;

use crate::size::TableSize;
use crate::table::Table;

/// What the change from one table to another moves; all figures are rows, whose share of the table is the share of
/// flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disruption {
    /// Rows of either table.
    pub rows: usize,
    /// Rows that have another target after the change. `own` and `collateral` are its two parts.
    pub moved: usize,
    /// Moved rows that a removed target had or an added one got.
    pub own: usize,
    /// Moved rows whose two targets are in both tables.
    pub collateral: usize,
    /// The fewest rows that any method would have to move to get from the old shares to the new ones.
    pub least: usize,
}

/// Tables of different sizes cannot be compared row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a table of {} rows cannot be compared with one of {} rows: a change of size moves nearly every flow",
    old.rows(), new.rows()
)]
pub struct SizesDiffer {
    /// Size of the old table.
    pub old: TableSize,
    /// Size of the new table.
    pub new: TableSize,
}

/// Compares two tables of one size row by row. A table without targets sends all its rows nowhere, as if to one more
/// target that the other table does not have.
pub fn disruption(old: &Table, new: &Table) -> Result<Disruption, SizesDiffer> {
    if old.size() != new.size() {
        return Err(SizesDiffer {
            old: old.size(),
            new: new.size(),
        });
    }
    let rows = old.size().rows();
    let mut result = Disruption {
        rows,
        ..Disruption::default()
    };
    if old.rows().is_empty() || new.rows().is_empty() {
        if old.rows().len() != new.rows().len() {
            result.moved = rows;
            result.own = rows;
            result.least = rows;
        }
        return Ok(result);
    }

    let forward = positions(old, new);
    let backward = positions(new, old);
    for (from, to) in old.rows().iter().zip(new.rows()) {
        let stays_in = forward[usize::from(*from)];
        if stays_in == Some(*to) {
            continue;
        }
        result.moved += 1;
        if stays_in.is_none() || backward[usize::from(*to)].is_none() {
            result.own += 1;
        } else {
            result.collateral += 1;
        }
    }
    let after = new.shares();
    result.least = old
        .shares()
        .iter()
        .zip(&forward)
        .map(|(before, to)| before.saturating_sub(to.map_or(0, |index| after[usize::from(index)])))
        .sum();
    Ok(result)
}

/// For each target of `from`, its index in `to`.
fn positions(from: &Table, to: &Table) -> Vec<Option<u16>> {
    from.targets()
        .iter()
        .map(|target| {
            let index = to.targets().binary_search(target).ok()?;
            u16::try_from(index).ok()
        })
        .collect()
}
