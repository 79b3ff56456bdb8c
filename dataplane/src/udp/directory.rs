//! Which relay thread has a flow.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::core::flow_id::FlowId;

/// Parts with a lock each.
const SHARDS: usize = 64;

/// Which relay thread has a flow: asked when a thread meets a flow that it does not know, and when one ends.
#[derive(Debug)]
pub(crate) struct Directory {
    shards: Box<[Mutex<BTreeMap<FlowId, u16>>]>,
}

/// Who has a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Whoever asked, from here on.
    Asker,
    /// Another thread: its seat.
    Other(usize),
}

impl Default for Directory {
    fn default() -> Self {
        Directory {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }
}

impl Directory {
    /// The owner of a flow, which is the asker if it had none. `hash` is the flow's.
    pub(crate) fn claim(&self, id: FlowId, hash: u64, asker: usize) -> Owner {
        let Ok(seat) = u16::try_from(asker) else {
            return Owner::Asker;
        };
        let owner = *self.shard(hash).entry(id).or_insert(seat);
        if owner == seat {
            Owner::Asker
        } else {
            Owner::Other(usize::from(owner))
        }
    }

    /// The flow has ended.
    pub(crate) fn release(&self, id: FlowId, hash: u64) {
        self.shard(hash).remove(&id);
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, BTreeMap<FlowId, u16>> {
        // The table of a thread uses the lower half of the hash.
        let place = usize::try_from((hash >> 32) % SHARDS as u64).unwrap_or(0);
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_to_claim_a_flow_has_it_until_it_ends() {
        let directory = Directory::default();
        for port in 1..500 {
            let id = FlowId::new(([192, 0, 2, 1], port).into(), ([192, 0, 2, 2], 53).into());
            let hash = u64::from(port) << 32;
            assert_eq!(directory.claim(id, hash, 1), Owner::Asker);
            assert_eq!(directory.claim(id, hash, 1), Owner::Asker);
            assert_eq!(directory.claim(id, hash, 0), Owner::Other(1));
            directory.release(id, hash);
            assert_eq!(directory.claim(id, hash, 0), Owner::Asker);
        }
    }
}
