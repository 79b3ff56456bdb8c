//! The `guideway` binary: command line, configuration, and the wiring of one node.
//!
//! This crate is the only one that knows all the others. It decides when things start and stop and
//! carries values between them; what the values mean is decided elsewhere.
#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod node;

mod backup;
mod binds;
mod check_host;
pub mod client;
mod clock;
mod cluster;
mod columns;
mod deeds;
mod demo;
mod drains;
mod egress;
mod egress_policy;
mod exporter;
mod facts;
mod guardian;
mod leader;
mod logging;
mod membership;
mod metrics;
mod observer;
mod pins;
mod planner;
mod process;
mod questions;
mod readiness;
mod recover;
mod reference;
mod resolver;
mod run;
mod sessions;
mod shell;
mod signals;
mod status;
mod tokens;
