//! The pins that this node needs, over all its threads: [`core::needs`](crate::core::needs) in parts with a lock each.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use guideway_model::pin::PinKey;

use crate::core::needs::{Move, Needs as Part};

/// Parts with a lock each.
const SHARDS: usize = 16;

/// The pins that this node needs. No more than there are UDP flows and affinity entries, and touched only when one of
/// those begins or ends to need a pin.
#[derive(Debug)]
pub(crate) struct Needs {
    shards: [Mutex<Part>; SHARDS],
    /// Whoever takes changes has been told that there are some.
    told: AtomicBool,
    /// Where the next question begins, so that none starves.
    next: AtomicUsize,
}

impl Default for Needs {
    fn default() -> Self {
        Needs {
            shards: Default::default(),
            told: AtomicBool::new(false),
            next: AtomicUsize::new(0),
        }
    }
}

impl Needs {
    /// Takes a change in; gives whether someone has to be told that there is something to take.
    pub(crate) fn change(&self, change: Move) -> bool {
        let mut shard = self.shard(place(&change.key));
        shard.change(change);
        shard.untold() > 0 && !self.told.load(Ordering::Acquire) && !self.told.swap(true, Ordering::AcqRel)
    }

    /// Takes at most `most` changes out. Fewer mean that there are no more.
    pub(crate) fn take_changes(&self, most: usize) -> Vec<(PinKey, Option<SocketAddr>)> {
        // Before the look, so that what comes in during it is told of.
        self.told.store(false, Ordering::Release);
        let mut changes = Vec::new();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for offset in 0..SHARDS {
            let left = most.saturating_sub(changes.len());
            if left == 0 {
                break;
            }
            self.shard(first.wrapping_add(offset) % SHARDS)
                .take_changes(left, &mut changes);
        }
        changes
    }

    /// Everything that is needed.
    pub(crate) fn all(&self) -> Vec<(PinKey, SocketAddr)> {
        let mut needs = Vec::new();
        for place in 0..SHARDS {
            needs.extend(self.shard(place).all());
        }
        needs
    }

    /// Keys that are needed, and changes that wait to be taken.
    pub(crate) fn figures(&self) -> [usize; 2] {
        let mut figures = [0; 2];
        for place in 0..SHARDS {
            let shard = self.shard(place);
            figures[0] += shard.len();
            figures[1] += shard.untold();
        }
        figures
    }

    fn shard(&self, place: usize) -> MutexGuard<'_, Part> {
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Clients of one network differ in the last bytes of their keys.
fn place(key: &PinKey) -> usize {
    let bytes = key.flow.as_bytes().iter().rev().take(8);
    let mixed = bytes.fold(key.pool.0, |mixed, byte| {
        (mixed ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    (mixed >> 16) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use guideway_model::flow::FlowKey;
    use guideway_model::node::Protocol;
    use guideway_model::pin::PoolNumber;

    use super::*;

    #[test]
    fn one_word_is_enough_until_the_changes_are_taken() {
        let needs = Needs::default();
        let endpoint: SocketAddr = ([10, 0, 0, 1], 53).into();
        let add = |port| {
            needs.change(Move {
                key: PinKey {
                    pool: PoolNumber(1),
                    flow: FlowKey::five_tuple(Protocol::Udp, 53, ([192, 0, 2, 1], port).into()),
                },
                from: None,
                to: Some(endpoint),
            })
        };
        let told: Vec<bool> = (1..=1000).map(add).collect();
        assert_eq!(told.iter().filter(|told| **told).count(), 1);
        assert!(told[0]);
        assert_eq!(needs.figures(), [1000, 1000]);
        // No part has so many that the others are not used.
        assert!((0..SHARDS).all(|place| (30..200).contains(&needs.shard(place).len())));
        let mut taken = 0;
        loop {
            let changes = needs.take_changes(300);
            taken += changes.len();
            assert!(changes.iter().all(|(_, to)| *to == Some(endpoint)));
            if changes.len() < 300 {
                break;
            }
        }
        assert_eq!((taken, needs.all().len(), needs.figures()), (1000, 1000, [1000, 0]));
        assert!(add(2000) && !add(2001));
    }
}
