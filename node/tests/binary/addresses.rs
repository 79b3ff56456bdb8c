//! Loopback addresses that belong to one test at a time.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

/// Any port does; only claims use the last address of a block.
const CLAIM_PORT: u16 = 19_998;

/// A /24 of 127.0.0.0/8; its last address is bound as long as the value lives, which keeps other tests away.
pub(crate) struct Block {
    prefix: [u8; 3],
    _claim: UdpSocket,
}

impl Block {
    /// Claims a free block, starting to look at one that depends on the process and the call.
    pub(crate) fn claim() -> Block {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        let mut number = std::process::id().wrapping_mul(31);
        loop {
            number = number.wrapping_add(1 + CALLS.fetch_add(1, Ordering::Relaxed));
            let [third, second, ..] = number.to_le_bytes();
            // Low blocks are where people and distributions put things of their own.
            let second = 64 + second % 190;
            if let Ok(claim) = UdpSocket::bind((Ipv4Addr::new(127, second, third, 254), CLAIM_PORT)) {
                return Block {
                    prefix: [127, second, third],
                    _claim: claim,
                };
            }
        }
    }

    /// An address of the block.
    pub(crate) fn host(&self, last: u8) -> Ipv4Addr {
        let [first, second, third] = self.prefix;
        Ipv4Addr::new(first, second, third, last)
    }
}
