//! The `guideway` binary as its users meet it: real processes, real files, real sockets.
#![forbid(unsafe_code)]

mod addresses;
mod commands;
mod demo;
mod drains;
mod node;
mod one_node;
mod pins;
mod process;
mod sessions;
mod two_nodes;
mod wait;
