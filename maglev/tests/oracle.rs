//! The published `maglev` crate as a second opinion, for equal weights.
//!
//! Rows cannot be compared one by one: its walk is one leg through all rows, ours is many short ones. What the paper
//! promises of both can be: how many rows each target owns, and what a removal moves.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hash, Hasher};
use std::net::{Ipv4Addr, SocketAddr};

use guideway_maglev::{Seed, Table, TableSize, Target, Weighted, disruption, hash};
use maglev::{ConsistentHasher, Maglev};

const SIZE: TableSize = TableSize::DEFAULT;
const SEEDS: u8 = 8;

#[test]
fn every_target_owns_the_same_number_of_rows_in_both() {
    for count in [1, 3, 10, 50] {
        for seed in (0..SEEDS).map(|byte| Seed([byte; 16])) {
            let ours = ours(seed, &addresses(count));
            let theirs = theirs(seed, &addresses(count));
            let mut shares: BTreeMap<SocketAddr, usize> = BTreeMap::new();
            for owner in &theirs {
                *shares.entry(*owner).or_default() += 1;
            }
            let expected: Vec<usize> = shares.into_values().collect();
            assert_eq!(ours.shares(), expected, "{count} endpoints");
        }
    }
}

#[test]
fn a_removal_moves_as_little_as_in_the_paper() {
    let (mut moved_here, mut moved_there) = (0, 0);
    for seed in (0..SEEDS).map(|byte| Seed([byte; 16])) {
        let all = addresses(10);
        let rest = &all[1..];
        let change = disruption(&ours(seed, &all), &ours(seed, rest)).expect("one size");
        moved_here += change.collateral;
        let pairs = theirs(seed, &all).into_iter().zip(theirs(seed, rest));
        moved_there += pairs.filter(|(old, new)| old != new && *old != all[0]).count();
    }
    // Short legs cost a fifth in the mean and buy the worst case: see `Walk`.
    assert!(moved_here > 0 && moved_there > 0);
    assert!(
        2 * moved_here <= 3 * moved_there,
        "{moved_here} rows here, {moved_there} in the oracle"
    );
}

fn addresses(count: u32) -> Vec<SocketAddr> {
    let address = |index| SocketAddr::new(Ipv4Addr::from(0x0a00_0001 + index).into(), 80);
    (0..count).map(address).collect()
}

fn ours(seed: Seed, addresses: &[SocketAddr]) -> Table {
    let weighted = |address: &SocketAddr| Weighted {
        target: Target::Endpoint(*address),
        weight: 1,
    };
    let targets: Vec<Weighted> = addresses.iter().map(weighted).collect();
    Table::build(SIZE, seed, &targets).expect("distinct targets")
}

/// The owner of each row. The crate shows no rows, so a key that hashes to the row's number asks for each.
fn theirs(seed: Seed, addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let nodes = addresses.iter().map(|address| Key::Node(*address));
    let table = Maglev::with_capacity_and_hasher(nodes, SIZE.rows(), Keyed(seed));
    assert_eq!(table.capacity(), SIZE.rows());
    (0..SIZE.rows())
        .map(|row| match table.get(&Key::Row(row as u64)) {
            Some(Key::Node(address)) => *address,
            other => panic!("row {row} has {}", other.is_some()),
        })
        .collect()
}

#[derive(PartialEq, Eq)]
enum Key {
    Node(SocketAddr),
    Row(u64),
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Key::Node(address) => state.write(address.to_string().as_bytes()),
            Key::Row(row) => state.write_u64(*row),
        }
    }
}

#[derive(Clone)]
struct Keyed(Seed);

impl BuildHasher for Keyed {
    type Hasher = KeyedHasher;

    fn build_hasher(&self) -> KeyedHasher {
        KeyedHasher {
            seed: self.0,
            bytes: Vec::new(),
            row: None,
        }
    }
}

struct KeyedHasher {
    seed: Seed,
    bytes: Vec<u8>,
    row: Option<u64>,
}

impl Hasher for KeyedHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn write_u64(&mut self, row: u64) {
        self.row = Some(row);
    }

    fn finish(&self) -> u64 {
        self.row.unwrap_or_else(|| hash(self.seed, &self.bytes))
    }
}
