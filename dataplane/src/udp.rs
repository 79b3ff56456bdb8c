//! UDP flows beyond one thread: what the relay threads share about them, and the system calls that carry datagrams.
//!
//! The kernel's choice among the sockets of a group decides which thread has a flow, and every later datagram of its
//! client comes to the same socket as long as the group stays as it is. Should one come to another thread all the same,
//! that thread does not know the flow, asks the [`directory`] and hands the datagram over.

pub(crate) mod census;
pub(crate) mod directory;
pub(crate) mod dispatch;
pub(crate) mod handover;
pub(crate) mod intake;
pub(crate) mod ports;
pub(crate) mod sockets;
pub(crate) mod wire;

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::AtomicU64;

use guideway_maglev::Seed;

use crate::udp::census::Registry;
use crate::udp::directory::Directory;
use crate::udp::handover::Ring;
use crate::udp::ports::Ports;

/// What the threads share about flows; touched when a flow opens or closes, never for a datagram of one that is open.
#[derive(Debug)]
pub(crate) struct Udp {
    /// Key of the hash under which flows are found: secret, so that no client can pile its flows up in one place. It is
    /// this process's own, since nothing outside depends on it.
    pub(crate) seed: Seed,
    /// Live flows of all threads; they are counted as sessions too.
    pub(crate) flows: AtomicU64,
    pub(crate) directory: Directory,
    pub(crate) registry: Registry,
    pub(crate) ports: Ports,
    /// One for each relay thread.
    pub(crate) rings: Vec<Ring>,
}

impl Udp {
    pub(crate) fn new(threads: usize) -> Udp {
        let mut seed = [0; 16];
        for (number, half) in seed.chunks_exact_mut(8).enumerate() {
            half.copy_from_slice(&RandomState::new().hash_one(number).to_ne_bytes());
        }
        Udp {
            seed: Seed(seed),
            flows: AtomicU64::new(0),
            directory: Directory::default(),
            registry: Registry::default(),
            ports: Ports::of_this_machine(),
            rings: (0..threads).map(|_| Ring::new()).collect(),
        }
    }
}
