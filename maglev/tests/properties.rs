//! What must hold of every table.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use guideway_maglev::{BuildError, Seed, Table, TableSize, Target, Weighted, disruption};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// A target owns its share rounded up or down, or one row when its share is less; so 1 percentage point holds too.
    #[test]
    fn each_target_owns_its_share_of_the_rows(seed in seeds(), targets in weighted(3..64, 1..1 << 40)) {
        let table = build(seed, &targets);
        let total: u128 = targets.iter().map(|weighted| u128::from(weighted.weight)).sum();
        let rows = TableSize::DEFAULT.rows();
        let raised = targets.iter().filter(|weighted| u128::from(weighted.weight) * (rows as u128) < total).count();
        prop_assert_eq!(table.targets().len(), targets.len());
        prop_assert_eq!(table.shares().iter().sum::<usize>(), rows);
        for (target, owned) in table.targets().iter().zip(table.shares()) {
            let weight = targets.iter().find(|weighted| weighted.target == *target).expect("one of the input").weight;
            let exact = u128::from(weight) * (rows as u128) / total;
            let exact = usize::try_from(exact).expect("a part of the rows");
            // Rows given to targets of less than one row come from the others.
            prop_assert!(owned + raised >= exact && owned <= exact + 1, "{target}: {owned} rows, share {exact}");
            prop_assert!(owned.abs_diff(exact) * 100 <= rows);
            prop_assert!(owned >= 1);
        }
    }

    #[test]
    fn removing_one_of_ten_equal_endpoints_moves_little_else(
        seed in seeds(),
        addresses in btree_set(addresses(), 10),
        leaver in 0_usize..10,
    ) {
        let mut targets: Vec<Weighted> = addresses.into_iter().map(|address| endpoint(address, 1)).collect();
        let old = build(seed, &targets);
        let leaver = targets.remove(leaver).target;
        let owned = old.shares()[old.targets().binary_search(&leaver).expect("it has weight")];
        let change = disruption(&old, &build(seed, &targets)).expect("same size");
        prop_assert_eq!(change.own, owned);
        prop_assert_eq!(change.own + change.collateral, change.moved);
        prop_assert!(change.collateral * 1000 <= change.rows * 5, "{:?}", change);
    }

    #[test]
    fn order_of_input_never_matters(
        seed in seeds(),
        (targets, shuffled) in weighted(1..32, 0..1000).prop_flat_map(|targets| (Just(targets.clone()), Just(targets).prop_shuffle())),
    ) {
        prop_assert_eq!(build(seed, &targets), build(seed, &shuffled));
    }

    #[test]
    fn only_the_ratio_of_weights_matters(seed in seeds(), targets in weighted(1..32, 0..1000), factor in 1_u64..1 << 40) {
        let multiplied: Vec<Weighted> =
            targets.iter().map(|one| Weighted { weight: one.weight * factor, ..*one }).collect();
        prop_assert_eq!(build(seed, &targets), build(seed, &multiplied));
    }

    #[test]
    fn a_target_without_weight_is_as_if_it_were_not_there(seed in seeds(), targets in weighted(1..32, 0..3)) {
        let positive: Vec<Weighted> = targets.iter().filter(|one| one.weight > 0).copied().collect();
        prop_assert_eq!(build(seed, &targets), build(seed, &positive));
    }

    #[test]
    fn candidates_are_the_chosen_one_and_then_every_other_once(
        seed in seeds(),
        targets in weighted(0..100, 0..1000),
        hashes in vec(any::<u64>(), 20),
    ) {
        let table = build(seed, &targets);
        for hash in hashes {
            let candidates: Vec<u16> = table.candidates(hash).collect();
            prop_assert_eq!(candidates.first().copied(), table.choose(hash));
            prop_assert_eq!(candidates.len(), table.targets().len());
            prop_assert_eq!(candidates.iter().collect::<BTreeSet<_>>().len(), candidates.len());
            prop_assert_eq!(table.candidates(hash).len(), candidates.len());
        }
    }

    /// No weight is too large.
    #[test]
    fn extreme_weights_build(seed in seeds(), targets in weighted(1..20, 1..u64::MAX)) {
        prop_assert_eq!(build(seed, &targets).targets().len(), targets.len());
    }
}

#[test]
fn nothing_to_choose_from_gives_nothing() {
    let address = "10.0.0.1:80".parse().expect("an address");
    for targets in [vec![], vec![endpoint(address, 0)]] {
        let table = build(Seed([0; 16]), &targets);
        assert_eq!(table.choose(u64::MAX), None);
        assert_eq!(table.candidates(0).count(), 0);
        assert!(table.rows().is_empty() && table.targets().is_empty());
    }
}

#[test]
fn every_hash_finds_a_row() {
    let table = build(
        Seed([0; 16]),
        &[endpoint("10.0.0.1:80".parse().expect("an address"), 7)],
    );
    for hash in [0, 1, u64::from(u32::MAX), 1 << 32, u64::MAX] {
        assert_eq!(table.choose(hash), Some(0));
    }
}

#[test]
fn one_address_in_two_spellings_is_a_duplicate() {
    let spelled = |text: &str| endpoint(text.parse().expect("an address"), 1);
    for pair in [
        ["10.0.0.1:80", "10.0.0.1:80"],
        ["10.0.0.1:80", "[::ffff:10.0.0.1]:80"],
        ["[fe80::1%1]:80", "[fe80::1%2]:80"],
    ] {
        let result = Table::build(TableSize::SMALLEST, Seed([0; 16]), &pair.map(spelled));
        assert_eq!(result, Err(BuildError::Duplicate(spelled(pair[0]).target.canonical())));
    }
}

#[test]
fn a_table_holds_as_many_targets_as_rows_or_as_a_row_can_name_and_no_more() {
    let rejects = |count: u32| -> Vec<Weighted> {
        let addresses = (0..count).map(|index| SocketAddr::new(IpAddr::V4(index.into()), 80));
        addresses
            .map(|address| endpoint(address, 1 + u64::from(address.port())))
            .collect()
    };
    for (size, limit) in [
        (TableSize::SMALLEST, 4_093),
        (TableSize::DEFAULT, 65_535),
        (TableSize::LARGEST, 65_535),
    ] {
        let targets = usize::try_from(limit).expect("fits");
        let table = Table::build(size, Seed([1; 16]), &rejects(limit)).expect("at the limit");
        assert_eq!(table.targets().len(), targets);
        assert!(table.shares().iter().all(|owned| *owned > 0));
        assert_eq!(
            Table::build(size, Seed([1; 16]), &rejects(limit + 1)),
            Err(BuildError::TooMany {
                targets: targets + 1,
                limit: targets
            })
        );
    }
}

fn build(seed: Seed, targets: &[Weighted]) -> Table {
    Table::build(TableSize::DEFAULT, seed, targets).expect("distinct targets, fewer than the limit")
}

fn endpoint(address: SocketAddr, weight: u64) -> Weighted {
    Weighted {
        target: Target::Endpoint(address),
        weight,
    }
}

fn seeds() -> impl Strategy<Value = Seed> {
    any::<[u8; 16]>().prop_map(Seed)
}

/// Canonical addresses.
fn addresses() -> impl Strategy<Value = SocketAddr> {
    any::<(IpAddr, u16)>().prop_map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port))
}

fn targets() -> impl Strategy<Value = Target> {
    prop_oneof![
        9 => addresses().prop_map(Target::Endpoint),
        1 => any::<u16>().prop_map(Target::Reject),
    ]
}

/// Distinct targets, each with a weight of the range; rows of one range of small weights and one of all magnitudes.
fn weighted(count: std::ops::Range<usize>, weights: std::ops::Range<u64>) -> impl Strategy<Value = Vec<Weighted>> {
    let magnitudes = (weights.clone(), 0_u32..64).prop_map({
        let least = weights.start;
        move |(weight, shift)| (weight >> shift).max(least)
    });
    proptest::collection::btree_map(targets(), prop_oneof![weights, magnitudes], count).prop_map(|map| {
        map.into_iter()
            .map(|(target, weight)| Weighted { target, weight })
            .collect()
    })
}
