//! Two weights into one.

use std::net::{Ipv4Addr, SocketAddr};

use guideway_maglev::{Seed, Table, TableSize, Target, Weighted, flatten};
use proptest::collection::vec;
use proptest::prelude::*;

const UNIT: u64 = 1 << 40;

#[test]
fn each_ref_keeps_its_share_however_many_endpoints_it_has() {
    let refs = [
        (90, vec![(endpoint(1), 1), (endpoint(2), 3)]),
        (10, vec![(endpoint(3), 7)]),
    ];
    let expected = [
        (endpoint(1), 90 * UNIT / 4),
        (endpoint(2), 90 * UNIT / 4 * 3),
        (endpoint(3), 10 * UNIT),
    ];
    assert_eq!(pairs(&refs), expected);
}

#[test]
fn an_endpoint_in_two_refs_comes_once_with_the_sum() {
    let mapped = Target::Endpoint("[::ffff:10.0.0.1]:80".parse().expect("an address"));
    let refs = [
        (1, vec![(endpoint(1), 1), (endpoint(2), 1)]),
        (2, vec![(mapped, 5)]),
        (1, vec![(endpoint(2), 1), (endpoint(2), 3)]),
    ];
    let expected = [(endpoint(1), UNIT / 2 + 2 * UNIT), (endpoint(2), UNIT / 2 + UNIT)];
    assert_eq!(pairs(&refs), expected);
}

#[test]
fn a_ref_without_endpoints_rejects_its_share() {
    let refs = [
        (20, vec![(endpoint(1), 1)]),
        (50, vec![]),
        (0, vec![]),
        (30, vec![(endpoint(2), 0)]),
    ];
    let expected = [
        (endpoint(1), 20 * UNIT),
        (Target::Reject(1), 50 * UNIT),
        (Target::Reject(3), 30 * UNIT),
    ];
    assert_eq!(pairs(&refs), expected);
}

#[test]
fn weight_zero_vanishes() {
    assert_eq!(pairs(&[]), []);
    assert_eq!(pairs(&[(0, vec![(endpoint(1), 1)])]), []);
    let refs = [(1, vec![(endpoint(1), 0), (endpoint(2), 9)])];
    assert_eq!(pairs(&refs), [(endpoint(2), UNIT)]);
}

#[test]
fn equal_quotients_are_equal_weights() {
    // 1/3 each, in refs of different weights and counts.
    let two = vec![(endpoint(1), 1), (endpoint(2), 1), (endpoint(3), 1)];
    let six: Vec<_> = (4..10).map(|index| (endpoint(index), 50)).collect();
    let weights: Vec<u64> = pairs(&[(1, two), (2, six)])
        .into_iter()
        .map(|(_, weight)| weight)
        .collect();
    assert_eq!(weights, [UNIT / 3; 9]);
}

#[test]
fn a_share_too_small_for_the_unit_is_not_lost() {
    let refs = [
        (1, vec![(endpoint(1), u64::MAX), (endpoint(2), 1)]),
        (u64::MAX, vec![(endpoint(3), 1)]),
    ];
    let weights: Vec<u64> = pairs(&refs).into_iter().map(|(_, weight)| weight).collect();
    assert_eq!(weights.len(), 3);
    assert!(weights.iter().all(|weight| *weight > 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Refs of distinct endpoints: rows of each ref against the share of its weight.
    #[test]
    fn rows_of_a_ref_follow_its_weight(
        refs in vec((0_u64..1_000_000, vec(0_u64..1_000, 0..12)), 1..16),
        seed in any::<[u8; 16]>(),
    ) {
        let refs: Vec<(u64, Vec<(Target, u64)>)> = (0_u32..)
            .zip(refs)
            .map(|(number, (weight, parts))| {
                let endpoints = (number * 256..).zip(parts).map(|(index, part)| (endpoint(index), part));
                (weight, endpoints.collect())
            })
            .collect();
        let table = Table::build(TableSize::DEFAULT, Seed(seed), &flatten(&refs)).expect("distinct targets");
        let total: u64 = refs.iter().map(|(weight, _)| weight).sum();
        let shares = table.shares();
        for (index, (weight, endpoints)) in refs.iter().enumerate() {
            let reject = Target::Reject(u16::try_from(index).expect("few refs"));
            let targets = endpoints.iter().map(|(target, _)| *target).chain([reject]);
            let owned: usize =
                targets.filter_map(|target| table.targets().binary_search(&target).ok()).map(|at| shares[at]).sum();
            let exact = if total == 0 { 0 } else { u128::from(*weight) * 65_537 / u128::from(total) };
            let off = owned.abs_diff(usize::try_from(exact).expect("a part of the rows"));
            // Up to one row for each target of the table, by rounding.
            prop_assert!(off <= table.targets().len() + 1, "ref {index}: {owned} rows, {exact} by weight");
        }
    }

    #[test]
    fn no_weights_overflow(refs in vec((any::<u64>(), vec(any::<u64>(), 0..6)), 0..20)) {
        let refs: Vec<(u64, Vec<(Target, u64)>)> = refs
            .into_iter()
            .map(|(weight, parts)| (weight, (0..).zip(parts).map(|(index, part)| (endpoint(index), part)).collect()))
            .collect();
        let sum: u128 = flatten(&refs).iter().map(|one| u128::from(one.weight)).sum();
        prop_assert!(sum < 1 << 64);
    }
}

fn pairs(refs: &[(u64, Vec<(Target, u64)>)]) -> Vec<(Target, u64)> {
    let pair = |Weighted { target, weight }| (target, weight);
    flatten(refs).into_iter().map(pair).collect()
}

fn endpoint(index: u32) -> Target {
    Target::Endpoint(SocketAddr::new(Ipv4Addr::from(0x0a00_0000 + index).into(), 80))
}
