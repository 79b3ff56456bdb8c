//! Derived status: the conditions that follow from the objects, from what nodes report and from nothing else.
//!
//! Each file derives the status of one kind from a [`State`](crate::State) and writes nothing. Which objects to derive
//! again after a command is decided by the state; what a user or another controller has written under a condition
//! type, parent or kind that is not ours is kept.
//!
//! No derived status depends on another one, so their order does not matter.

pub(crate) mod attach;
pub(crate) mod backend;
pub(crate) mod backend_ref;
pub(crate) mod binds;
pub(crate) mod class;
pub mod condition;
pub(crate) mod gateway;
pub(crate) mod listener;
pub(crate) mod overlay;
pub(crate) mod route;

#[cfg(test)]
mod tests;
