//! The layer-4 relay: accepts sessions on the sockets of a [`Plan`](guideway_model::Plan), chooses an endpoint
//! for each, and carries bytes both ways until both sides have ended.
//!
//! [`core`] is pure: session machine, selection, timer wheel and slab, with no socket, clock or thread in it.
//! Everything else is a thin shell around it: one OS thread per core, each with its own listening sockets, driver,
//! timers and sessions, and one control thread that binds sockets and watches the relay threads' heartbeats.
//!
//! UDP flows live in the same threads: [`core::flow`] is their machine.

mod access_log;
mod account;
mod affinity;
mod clock;
pub mod config;
mod control;
pub mod core;
mod descriptors;
mod driver;
pub mod host;
mod inspect;
mod lane;
pub mod metrics;
mod needs;
pub mod plane;
mod relay;
mod ring;
mod shared;
mod sockets;
mod terms;
mod tls;
mod udp;
mod watch;

pub use crate::core::reason::CloseReason;
pub use crate::watch::{SessionEvent, SessionWatch, Watched};
pub use config::{AccessLogConfig, AccessLogTarget, Config, Driver};
pub use driver::Running;
pub use plane::{Answer, DataPlane, Figures, Observer, ShutdownReport, StartError};
