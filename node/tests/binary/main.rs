//! The `guideway` binary as its users meet it: real processes, real files, real sockets.
#![forbid(unsafe_code)]

mod addresses;
mod commands;
mod demo;
mod node;
mod one_node;
mod process;
mod two_nodes;
mod wait;
