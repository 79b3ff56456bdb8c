//! The measure itself: figures that follow from the tables.

use std::net::{Ipv4Addr, SocketAddr};

use guideway_maglev::{Disruption, Seed, SizesDiffer, Table, TableSize, Target, Weighted, disruption};

#[test]
fn the_same_table_moves_nothing() {
    let table = table(&[(1, 1), (2, 1)]);
    let rows = table.rows().len();
    assert_eq!(
        disruption(&table, &table),
        Ok(Disruption {
            rows,
            ..Disruption::default()
        })
    );
}

#[test]
fn all_rows_of_a_removed_target_are_its_own() {
    let (old, new) = (table(&[(1, 1), (2, 1), (3, 1)]), table(&[(1, 1), (3, 1)]));
    let change = disruption(&old, &new).expect("one size");
    assert_eq!(change.own, old.shares()[1]);
    assert_eq!(change.least, change.own);
    assert_eq!(change.moved, change.own + change.collateral);

    let back = disruption(&new, &old).expect("one size");
    assert_eq!(
        (back.moved, back.own, back.collateral),
        (change.moved, change.own, change.collateral)
    );
}

#[test]
fn targets_are_compared_by_identity_and_not_by_index() {
    // The added target comes first in order and shifts every index.
    let change = disruption(&table(&[(2, 1), (3, 1)]), &table(&[(1, 1), (2, 1), (3, 1)])).expect("one size");
    assert!(change.moved < change.rows / 2);
}

#[test]
fn a_change_of_weights_has_no_own_rows() {
    let (old, new) = (table(&[(1, 9), (2, 1)]), table(&[(1, 8), (2, 2)]));
    let change = disruption(&old, &new).expect("one size");
    assert_eq!(change.own, 0);
    assert_eq!(change.least, old.shares()[0] - new.shares()[0]);
    assert!(change.moved >= change.least);
}

#[test]
fn from_and_to_nothing_every_row_moves() {
    let (none, some) = (table(&[]), table(&[(1, 1)]));
    let rows = some.rows().len();
    let all = Disruption {
        rows,
        moved: rows,
        own: rows,
        collateral: 0,
        least: rows,
    };
    assert_eq!(disruption(&none, &some), Ok(all));
    assert_eq!(disruption(&some, &none), Ok(all));
    assert_eq!(
        disruption(&none, &none),
        Ok(Disruption {
            rows,
            ..Disruption::default()
        })
    );
}

#[test]
fn sizes_must_be_the_same() {
    let small = Table::build(TableSize::SMALLEST, Seed([0; 16]), &[]).expect("no targets");
    let refusal = disruption(&small, &table(&[])).expect_err("sizes differ");
    assert_eq!(
        refusal,
        SizesDiffer {
            old: TableSize::SMALLEST,
            new: TableSize::SMALL
        }
    );
    assert_eq!(
        refusal.to_string(),
        "a table of 4093 rows cannot be compared with one of 16381 rows: a change of size moves nearly every flow"
    );
}

fn table(weights: &[(u8, u64)]) -> Table {
    let targets: Vec<Weighted> = weights
        .iter()
        .map(|(last, weight)| Weighted {
            target: Target::Endpoint(SocketAddr::new(Ipv4Addr::new(10, 0, 0, *last).into(), 80)),
            weight: *weight,
        })
        .collect();
    Table::build(TableSize::SMALL, Seed([5; 16]), &targets).expect("distinct targets")
}
