//! Who owns which field of an object: what server-side apply needs, and what every other write keeps in step.
//!
//! Everything here is a function of values: the object before and after, what was applied, and the entries of
//! `metadata.managedFields`. The rules are those of Kubernetes (sigs.k8s.io/structured-merge-diff):
//!
//! | step | file |
//! |---|---|
//! | a field's place, and sets of them | `path.rs`, `fields.rs` |
//! | how the arrays and maps of a kind merge | `layout.rs` |
//! | reading what was applied | `config.rs`, `complete.rs` |
//! | fields of a value; what differs; merging; taking away | `fields_of.rs`, `difference.rs`, `merge.rs`, `prune.rs` |
//! | the entries, and what a write or an apply does to them | `managers.rs`, `apply.rs` |

mod apply;
mod complete;
mod config;
mod conflict;
mod difference;
mod fields;
mod fields_of;
mod layout;
mod managers;
mod merge;
mod path;
mod prune;

pub(crate) use apply::{Apply, apply};
pub(crate) use config::Config;
pub(crate) use conflict::Conflict;
pub(crate) use layout::Layout;
pub(crate) use managers::{Manager, Managers, TooLarge};

#[cfg(test)]
mod tests;
