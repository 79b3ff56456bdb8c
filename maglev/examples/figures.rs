//! Prints what changes move, in percent of flows: `cargo run -p guideway-maglev --example figures`.
//!
//! The tables of `docs/adr/0001-two-weights-into-one.md` come from here.
#![expect(clippy::print_stdout, reason = "a program whose output is its result")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use guideway_maglev::{Seed, Table, TableSize, Target, Weighted, disruption, flatten, hash};

const SEEDS: u64 = 100;
/// Fewer where flows are drawn and hashed one by one.
const SEEDS_WITH_FLOWS: u64 = 20;
const FLOWS: u64 = 100_000;

type Refs = Vec<(u64, Vec<(Target, u64)>)>;

fn main() {
    one_list();
    two_levels();
}

/// Endpoints of one ref: what moves besides the rows that must.
fn one_list() {
    let equal = |count: u32| -> Vec<u64> { (0..count).map(|_| 1).collect() };
    let without = |weights: &[u64], index: usize| -> Vec<u64> {
        let kept = weights
            .iter()
            .enumerate()
            .map(|(at, weight)| if at == index { 0 } else { *weight });
        kept.collect()
    };
    let with = |weights: &[u64], index: usize, weight: u64| -> Vec<u64> {
        let mut changed = weights.to_vec();
        changed[index] = weight;
        changed
    };
    let one_heavy: Vec<u64> = vec![10, 1, 1, 1, 1, 1, 1, 1, 1, 1];
    let slope: Vec<u64> = (1..=10).collect();
    println!(
        "| weights | change | must move | moves | more than must: mean | worst of {SEEDS} |\n|---|---|---|---|---|---|"
    );
    for (name, change, old, new) in [
        ("3 equal", "one removed", equal(3), without(&equal(3), 1)),
        ("10 equal", "one removed", equal(10), without(&equal(10), 4)),
        ("10 equal", "one at half its weight", vec![2; 10], with(&[2; 10], 4, 1)),
        ("50 equal", "one removed", equal(50), without(&equal(50), 20)),
        ("one of 10, one of 1", "10 → 9", vec![10, 1], vec![9, 1]),
        (
            "one of 10, nine of 1",
            "the heavy one removed",
            one_heavy.clone(),
            without(&one_heavy, 0),
        ),
        (
            "one of 10, nine of 1",
            "a light one removed",
            one_heavy.clone(),
            without(&one_heavy, 4),
        ),
        ("1, 2, ... 10", "the 10 removed", slope.clone(), without(&slope, 9)),
        ("1, 2, ... 10", "the 1 removed", slope.clone(), without(&slope, 0)),
        ("1, 2, ... 10", "the 5 removed", slope.clone(), without(&slope, 4)),
        ("1, 2, ... 10", "5 → 6", slope.clone(), with(&slope, 4, 6)),
    ] {
        let (mut moved, mut least, mut more, mut worst) = (0.0, 0.0, 0.0, 0.0_f64);
        for seed in (0..SEEDS).map(seed) {
            let table = |weights: &[u64]| {
                let targets: Vec<Weighted> = (1..)
                    .zip(weights)
                    .map(|(index, weight)| Weighted {
                        target: endpoint(index),
                        weight: *weight,
                    })
                    .collect();
                Table::build(TableSize::DEFAULT, seed, &targets).expect("distinct targets")
            };
            let change = disruption(&table(&old), &table(&new)).expect("one size");
            let percent = |rows: usize| 100.0 * rows as f64 / change.rows as f64;
            moved += percent(change.moved) / SEEDS as f64;
            least += percent(change.least) / SEEDS as f64;
            more += percent(change.moved - change.least) / SEEDS as f64;
            worst = worst.max(percent(change.moved - change.least));
        }
        println!("| {name} | {change} | {least:.2} | {moved:.2} | {more:.2} | {worst:.2} |");
    }
}

/// Both ways to make the weight of a ref and of an endpoint one.
fn two_levels() {
    println!(
        "\n| refs | change | must move | flattened: mean, worst | tables of tables: mean, worst |\n|---|---|---|---|---|"
    );
    for (name, change, old, new) in cases() {
        let least = least(&old, &new);
        let flat = measured(&old, &new, Flattened::build);
        let nested = measured(&old, &new, Nested::build);
        println!(
            "| {name} | {change} | {least:.2} | {:.2}, {:.2} | {:.2}, {:.2} |",
            flat.0, flat.1, nested.0, nested.1
        );
    }
}

fn cases() -> Vec<(&'static str, &'static str, Refs, Refs)> {
    let group =
        |numbers: std::ops::Range<u32>| -> Vec<(Target, u64)> { numbers.map(|number| (endpoint(number), 1)).collect() };
    let (a, b) = (group(0..5), group(10..15));
    let canary = group(20..21);
    vec![
        (
            "50/50 of 5 + 5",
            "endpoint removed in one",
            vec![(50, a.clone()), (50, b.clone())],
            vec![(50, group(1..5)), (50, b.clone())],
        ),
        (
            "50/50 of 5 + 5",
            "endpoint added in one",
            vec![(50, a.clone()), (50, b.clone())],
            vec![(50, group(0..6)), (50, b.clone())],
        ),
        (
            "90/10 of 5 + 5",
            "endpoint removed in the 90",
            vec![(90, a.clone()), (10, b.clone())],
            vec![(90, group(1..5)), (10, b.clone())],
        ),
        (
            "90/10 of 5 + 5",
            "endpoint removed in the 10",
            vec![(90, a.clone()), (10, b.clone())],
            vec![(90, a.clone()), (10, group(11..15))],
        ),
        (
            "90/10 of 5 + 5",
            "to 80/20",
            vec![(90, a.clone()), (10, b.clone())],
            vec![(80, a.clone()), (20, b.clone())],
        ),
        (
            "90/10 of 5 + 1",
            "to 80/20",
            vec![(90, a.clone()), (10, canary.clone())],
            vec![(80, a.clone()), (20, canary.clone())],
        ),
        (
            "90/10 of 5 + 1",
            "endpoint removed in the 90",
            vec![(90, a.clone()), (10, canary.clone())],
            vec![(90, group(1..5)), (10, canary)],
        ),
        (
            "50/50 of 5 + 5",
            "one ref removed",
            vec![(50, a.clone()), (50, b.clone())],
            vec![(50, a.clone()), (0, b.clone())],
        ),
        (
            "50/50 of 5 + 5",
            "one ref becomes invalid",
            vec![(50, a.clone()), (50, b)],
            vec![(50, a.clone()), (50, vec![])],
        ),
        (
            "50/50 of the same 5",
            "to 80/20",
            vec![(50, a.clone()), (50, a.clone())],
            vec![(80, a.clone()), (20, a.clone())],
        ),
        (
            "50/50 of the same 5",
            "endpoint removed in both",
            vec![(50, a.clone()), (50, a)],
            vec![(50, group(1..5)), (50, group(1..5))],
        ),
    ]
}

/// Mean and worst percentage of flows that a change moves.
fn measured<Way>(old: &Refs, new: &Refs, build: fn(Seed, &Refs) -> Way) -> (f64, f64)
where
    Way: Choice,
{
    let (mut mean, mut worst) = (0.0, 0.0_f64);
    for seed in (0..SEEDS_WITH_FLOWS).map(seed) {
        let (old, new) = (build(seed, old), build(seed, new));
        let moved = (0..FLOWS)
            .filter(|flow| old.choose(seed, *flow) != new.choose(seed, *flow))
            .count();
        let percent = 100.0 * moved as f64 / FLOWS as f64;
        mean += percent / SEEDS_WITH_FLOWS as f64;
        worst = worst.max(percent);
    }
    (mean, worst)
}

/// What any method must move, from the shares before and after.
fn least(old: &Refs, new: &Refs) -> f64 {
    let shares = |refs: &Refs| -> BTreeMap<Target, f64> {
        let weighted = flatten(refs);
        let total: f64 = weighted.iter().map(|one| one.weight as f64).sum();
        weighted
            .iter()
            .map(|one| (one.target, 100.0 * one.weight as f64 / total))
            .collect()
    };
    let (old, new) = (shares(old), shares(new));
    old.iter()
        .map(|(target, share)| (share - new.get(target).unwrap_or(&0.0)).max(0.0))
        .sum()
}

trait Choice {
    fn choose(&self, seed: Seed, flow: u64) -> Option<Target>;
}

struct Flattened(Table);

impl Flattened {
    fn build(seed: Seed, refs: &Refs) -> Flattened {
        Flattened(Table::build(TableSize::DEFAULT, seed, &flatten(refs)).expect("distinct targets"))
    }
}

impl Choice for Flattened {
    fn choose(&self, seed: Seed, flow: u64) -> Option<Target> {
        chosen(&self.0, hash(seed, &flow.to_be_bytes()))
    }
}

/// A table of refs, and one of endpoints for each; two independent hashes of the flow.
struct Nested {
    refs: Table,
    endpoints: Vec<Table>,
}

impl Nested {
    fn build(seed: Seed, refs: &Refs) -> Nested {
        let table =
            |targets: Vec<Weighted>| Table::build(TableSize::DEFAULT, seed, &targets).expect("distinct targets");
        let of_refs = (0..).zip(refs).map(|(index, (weight, _))| Weighted {
            target: Target::Reject(index),
            weight: *weight,
        });
        let of_endpoints = |endpoints: &[(Target, u64)]| {
            table(
                endpoints
                    .iter()
                    .map(|(target, weight)| Weighted {
                        target: *target,
                        weight: *weight,
                    })
                    .collect(),
            )
        };
        Nested {
            refs: table(of_refs.collect()),
            endpoints: refs.iter().map(|(_, endpoints)| of_endpoints(endpoints)).collect(),
        }
    }
}

impl Choice for Nested {
    fn choose(&self, seed: Seed, flow: u64) -> Option<Target> {
        let chosen_ref = chosen(&self.refs, hash(seed, &flow.to_be_bytes()))?;
        let Target::Reject(index) = chosen_ref else {
            return None;
        };
        let table = &self.endpoints[usize::from(index)];
        chosen(table, hash(seed, &(!flow).to_le_bytes())).or(Some(chosen_ref))
    }
}

fn chosen(table: &Table, hash: u64) -> Option<Target> {
    table.choose(hash).map(|index| table.targets()[usize::from(index)])
}

fn seed(number: u64) -> Seed {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Seed(bytes)
}

fn endpoint(number: u32) -> Target {
    Target::Endpoint(SocketAddr::new(Ipv4Addr::from(0x0a00_0001 + number).into(), 8080))
}
