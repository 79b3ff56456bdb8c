//! Nodes and clusters as a user of the crate sees them.

#[path = "cluster/ask.rs"]
mod ask;
#[path = "cluster/corruption.rs"]
mod corruption;
#[path = "cluster/crash.rs"]
mod crash;
#[path = "cluster/failover.rs"]
mod failover;
#[path = "cluster/fixture.rs"]
mod fixture;
#[path = "cluster/membership.rs"]
mod membership;
#[path = "cluster/snapshots.rs"]
mod snapshots;
#[path = "cluster/start.rs"]
mod start;
#[path = "cluster/strangers.rs"]
mod strangers;
#[path = "cluster/writes.rs"]
mod writes;
