//! What a relayed UDP flow does, with real sockets.

#[path = "bed/bed.rs"]
mod bed;

#[path = "udp/choice.rs"]
mod choice;
#[path = "udp/ends.rs"]
mod ends;
#[path = "udp/handover.rs"]
mod handover;
#[path = "udp/limits.rs"]
mod limits;
#[path = "udp/listeners.rs"]
mod listeners;
#[path = "udp/plans.rs"]
mod plans;
#[path = "udp/relay.rs"]
mod relay;
