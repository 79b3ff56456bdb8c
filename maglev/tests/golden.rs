//! The vectors that `testdata/vectors.py` makes: hashes and tables must be the same in another implementation.

use std::fs;
use std::net::SocketAddr;

use guideway_maglev::{Seed, Table, TableSize, Target, Weighted, hash};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    siphash: Vec<SipHash>,
    flows: Vec<Flow>,
    tables: Vec<TableVector>,
}

#[derive(Deserialize)]
struct SipHash {
    seed: String,
    message: String,
    hash: String,
}

/// The key's bytes are checked where flow keys are made.
#[derive(Deserialize)]
struct Flow {
    seed: String,
    key: String,
    hash: String,
}

#[derive(Deserialize)]
struct TableVector {
    name: String,
    size: u32,
    seed: String,
    input: Vec<(String, u64)>,
    targets: Vec<String>,
    shares: Vec<usize>,
    first_rows: Vec<u16>,
    rows_digest: String,
    probes: Vec<Probe>,
}

#[derive(Deserialize)]
struct Probe {
    hash: String,
    row: usize,
    candidates: Vec<u16>,
}

#[test]
fn siphash_is_the_published_one() {
    let vectors = vectors().siphash;
    assert_eq!(vectors.len(), 64);
    for vector in vectors {
        assert_eq!(
            hash(seed(&vector.seed), &bytes(&vector.message)),
            number(&vector.hash),
            "{}",
            vector.message
        );
    }
}

#[test]
fn flow_keys_hash_alike() {
    let vectors = vectors().flows;
    assert_eq!(vectors.len(), 16);
    for vector in vectors {
        let key = bytes(&vector.key);
        assert_eq!(key.len(), 21);
        assert_eq!(hash(seed(&vector.seed), &key), number(&vector.hash), "{}", vector.key);
    }
}

#[test]
fn tables_are_the_same() {
    let vectors = vectors().tables;
    assert_eq!(vectors.len(), 14);
    for vector in vectors {
        let name = &vector.name;
        let input: Vec<Weighted> = vector
            .input
            .iter()
            .map(|(text, weight)| Weighted {
                target: target(text),
                weight: *weight,
            })
            .collect();
        let size = TableSize::new(vector.size).expect("a size that is allowed");
        let table = Table::build(size, seed(&vector.seed), &input).expect("distinct targets");

        let targets: Vec<Target> = vector.targets.iter().map(|text| target(text)).collect();
        assert_eq!(table.targets(), targets, "{name}");
        assert_eq!(table.shares(), vector.shares, "{name}");
        let shown = vector.first_rows.len();
        assert_eq!(table.rows().get(..shown), Some(vector.first_rows.as_slice()), "{name}");
        let written: Vec<u8> = table.rows().iter().flat_map(|row| row.to_be_bytes()).collect();
        assert_eq!(hash(Seed([0; 16]), &written), number(&vector.rows_digest), "{name}");
        for probe in &vector.probes {
            let hash = number(&probe.hash);
            assert_eq!(table.candidates(hash).collect::<Vec<_>>(), probe.candidates, "{name}");
            assert_eq!(table.choose(hash), table.rows().get(probe.row).copied(), "{name}");
        }
    }
}

fn vectors() -> Vectors {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/vectors.json");
    serde_json::from_str(&fs::read_to_string(path).expect(path)).expect(path)
}

fn target(text: &str) -> Target {
    if let Some(index) = text.strip_prefix("reject:") {
        return Target::Reject(index.parse().expect(text));
    }
    Target::Endpoint(text.parse::<SocketAddr>().expect(text))
}

fn seed(hex: &str) -> Seed {
    Seed(bytes(hex).try_into().expect("16 bytes"))
}

fn number(hex: &str) -> u64 {
    u64::from_str_radix(hex, 16).expect(hex)
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).expect(hex), 16).expect(hex))
        .collect()
}
