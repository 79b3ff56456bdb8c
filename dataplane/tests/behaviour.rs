//! What a relayed session does, asked of every driver with real sockets.

#[path = "bed/bed.rs"]
mod bed;

#[path = "behaviour/dispatch.rs"]
mod dispatch;
#[path = "behaviour/ends.rs"]
mod ends;
#[path = "behaviour/flow.rs"]
mod flow;
#[path = "behaviour/listeners.rs"]
mod listeners;
#[path = "behaviour/plans.rs"]
mod plans;
