//! Weighted Maglev hashing: the table that chooses an endpoint, and the keyed hash that finds the row.
//!
//! Interface sketch; the crate's owner fills it in.
#![forbid(unsafe_code)]
#![expect(missing_docs, reason = "interface sketch, replaced before the first landing")]

use std::net::SocketAddr;

/// A prime number of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableSize(u32);
impl TableSize {
    pub const DEFAULT: TableSize = TableSize(65_537);
    pub const fn rows(self) -> usize {
        self.0 as usize
    }
}
impl Default for TableSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The cluster's secret hash key: SipHash-2-4, 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub [u8; 16]);

/// What a row may point at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// One address:port that serves.
    Endpoint(SocketAddr),
    /// The share of an invalid backendRef: refuse. The index keeps two refs of one rule apart.
    Reject(u16),
}

/// A target and its weight; weight 0 gets no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weighted {
    pub target: Target,
    pub weight: u64,
}

/// Why a table cannot be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildError {
    /// A target appears twice.
    Duplicate(Target),
    /// More targets with weight than a u16 row or the table's size can name.
    TooMany { targets: usize, limit: usize },
}

/// A built table; cheap to share behind an `Arc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    targets: Box<[Target]>,
    rows: Box<[u16]>,
}
impl Table {
    /// Order of input never matters. No target with weight: every lookup gives `None`.
    pub fn build(_size: TableSize, _seed: Seed, _targets: &[Weighted]) -> Result<Table, BuildError> {
        Ok(Table {
            targets: Box::new([]),
            rows: Box::new([]),
        })
    }
    /// Targets that own rows, in canonical order; `choose` returns an index into it.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }
    pub fn rows(&self) -> &[u16] {
        &self.rows
    }
    /// The target of this hash.
    pub fn choose(&self, hash: u64) -> Option<u16> {
        let _ = hash;
        None
    }
    /// The chosen target first, then each further distinct target along the table.
    pub fn candidates(&self, hash: u64) -> impl Iterator<Item = u16> + '_ {
        self.choose(hash).into_iter()
    }
}

/// Keyed hash of a flow key.
pub fn hash(_seed: Seed, _key: &[u8]) -> u64 {
    0
}
