//! The transition function from outside, and its properties.

mod drains;
mod holds;
mod invariants;
mod levels;
mod members;
mod merged;
mod objects;
mod oracle;
mod phases;
mod snapshots;
pub(crate) mod universe;
