//! Time to build a table and to look a hash up: `cargo bench -p guideway-maglev`.
//!
//! A plain program: one figure each, the median of several rounds, is all that is asked. Without `--bench` (as in
//! `cargo test --all-targets`) it runs one round of each, which shows that it works.
#![expect(clippy::print_stdout, reason = "a program whose output is its result")]

#[path = "../../bench/times.rs"]
mod times;

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};

use guideway_maglev::{Seed, Table, TableSize, Target, Weighted, hash};
use times::measure;

const SEED: Seed = Seed(*b"guideway's bench");
const LOOKUPS: u32 = 1_000_000;

fn main() {
    let rounds = if std::env::args().any(|argument| argument == "--bench") {
        25
    } else {
        1
    };
    build_times(rounds);
    lookup_times(rounds);
}

fn build_times(rounds: usize) {
    println!("building a table                        median      least");
    for size in [
        TableSize::SMALLEST,
        TableSize::SMALL,
        TableSize::DEFAULT,
        TableSize::LARGEST,
    ] {
        for (targets, weights, weight) in [
            (10, "equal", (|_| 1) as fn(u32) -> u64),
            (10, "1 to 10", |index| u64::from(index) + 1),
            (10, "one of 10, nine of 1", |index| if index == 0 { 10 } else { 1 }),
            (100, "equal", |_| 1),
            (100, "1 to 100", |index| u64::from(index) + 1),
            (1_000, "equal", |_| 1),
            (1_000, "1 to 1000", |index| u64::from(index) + 1),
        ] {
            let input = endpoints(targets, weight);
            let times = measure(rounds, 1, || {
                black_box(Table::build(size, SEED, black_box(&input)).expect("distinct targets"));
            });
            println!("{:>7} rows {targets:>5} x {weights:<21} {times}", size.rows());
        }
    }
}

fn lookup_times(rounds: usize) {
    println!("\none lookup                              median      least");
    let table = Table::build(TableSize::DEFAULT, SEED, &endpoints(10, |_| 1)).expect("distinct targets");
    let key = [7_u8; 21];
    let hashes: Vec<u64> = (0..LOOKUPS).map(|number| hash(SEED, &number.to_be_bytes())).collect();
    let mut keyed = key;
    let hashing = measure(rounds, LOOKUPS, || {
        for number in 0..LOOKUPS {
            keyed[17..21].copy_from_slice(&number.to_be_bytes());
            black_box(hash(SEED, black_box(&keyed)));
        }
    });
    println!("hash of a flow key of 21 bytes         {}", hashing);
    let choosing = measure(rounds, LOOKUPS, || {
        for hash in &hashes {
            black_box(table.choose(black_box(*hash)));
        }
    });
    println!("choose                                 {}", choosing);
    let redispatch = measure(rounds, LOOKUPS, || {
        for hash in &hashes {
            black_box(table.candidates(black_box(*hash)).nth(1));
        }
    });
    println!("second candidate                       {}", redispatch);
}

fn endpoints(count: u32, weight: fn(u32) -> u64) -> Vec<Weighted> {
    (0..count)
        .map(|index| {
            let address = Ipv4Addr::from(0x0a00_0001 + index);
            Weighted {
                target: Target::Endpoint(SocketAddr::new(address.into(), 8080)),
                weight: weight(index),
            }
        })
        .collect()
}
