//! The transition function from outside, and its properties.

mod members;
mod objects;
mod oracle;
mod snapshots;
pub(crate) mod universe;
