//! The real kubectl against the real router. Needs kubectl 1.29 or newer in `PATH`, or named by `KUBECTL`; without one
//! these tests fail, because nothing else shows that kubectl works unchanged.

mod access;
#[path = "../rest/cluster.rs"]
#[expect(dead_code, reason = "this target needs only a part of the cluster")]
mod cluster;
mod everyday;
mod harness;
mod server_side;
mod sessions;
mod views;
