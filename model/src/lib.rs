//! The replicated state of a Guideway cluster: resource types, the transition function
//! [`State::apply`], and [`plan::compile`], which turns state into what a data plane needs.
//!
//! Pure: no I/O, no clock, no randomness, no async. The same commands give byte-equal state and
//! byte-equal plans on every node.
#![forbid(unsafe_code)]

pub mod authority;
pub mod certificate;
pub mod command;
mod decode;
pub mod deed;
pub mod digest;
mod faults;
#[cfg(test)]
mod fixture;
pub mod flow;
mod format;
pub mod impact;
pub mod kind;
pub mod meta;
pub mod node;
pub mod object;
pub mod outcome;
pub mod pin;
pub mod plan;
pub mod resource;
pub mod review;
pub mod schema;
pub mod sealing;
pub mod session;
pub mod state;
pub mod status;
pub mod wire;

pub use command::{Command, Proposal};
pub use kind::Kind;
pub use node::{Incarnation, NodeId};
pub use object::{Object, ObjectKey};
pub use outcome::{Outcome, Refusal};
pub use plan::Plan;
pub use state::State;
