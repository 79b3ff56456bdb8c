//! Derived status: the conditions that follow from the objects, from what nodes report and from nothing else.
//!
//! Each file derives the status of one kind from a [`State`](crate::State) and writes nothing. Which objects to derive
//! again after a command is decided by the state; what a user or another controller has written under a condition
//! type, parent, ancestor or kind that is not ours is kept.
//!
//! No derived status depends on another one, so their order does not matter.

mod addresses;
pub(crate) mod attach;
pub(crate) mod backend;
pub(crate) mod backend_ref;
pub(crate) mod backend_tls;
pub(crate) mod backend_traffic;
pub(crate) mod binds;
pub(crate) mod certificates;
pub(crate) mod claims;
pub(crate) mod class;
pub(crate) mod client_traffic;
pub mod condition;
pub(crate) mod drain;
pub(crate) mod gateway;
mod grants;
pub(crate) mod listener;
pub(crate) mod listener_set;
pub(crate) mod overlap;
pub(crate) mod overlay;
pub(crate) mod owner;
pub(crate) mod policy;
pub(crate) mod route;
pub(crate) mod service;
mod view;

#[cfg(test)]
mod tests;
