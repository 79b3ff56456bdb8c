//! Weighted Maglev hashing: the table that chooses an endpoint, and the keyed hash that finds the row.
//!
//! A [`Table`] is a pure function of its size, the cluster's [`Seed`] and the set of weighted targets, so every node
//! that is given the same three holds the same rows. [`flatten`] makes the weights of backendRefs and of their
//! endpoints one; [`disruption`] says what a change of tables moves.
//!
//! After Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4. What
//! differs from the paper: targets have weights, the number of rows of each is fixed beforehand to within one row of
//! its share, and the permutations are never written down.
//!
//! No I/O, no clock, no floats, no randomness; `testdata/vectors.py` is an independent implementation.
#![forbid(unsafe_code)]

mod disruption;
mod flatten;
mod hash;
mod size;
mod table;
mod target;

pub use disruption::{Disruption, SizesDiffer, disruption};
pub use flatten::flatten;
pub use hash::{Seed, hash};
pub use size::{TableSize, TableSizeError};
pub use table::{BuildError, Candidates, Table};
pub use target::{Target, Weighted};
