//! Client-IP affinity over all threads of this node: [`core::affinity`](crate::core::affinity) in parts with a lock each,
//! asked once for each new session of a pool that has it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use guideway_model::flow::FlowKey;
use guideway_model::plan::{NoChoice, Pool};

use crate::core::affinity::{Affinities, Asker, Pools};
use crate::core::selection::Attempt;
use crate::core::slab::Key;
use crate::core::time::Micros;
use crate::shared::Shared;

/// Parts with a lock each, at most.
const SHARDS: usize = 64;
/// Entries that a part should have room for, so that a crowded part does not shed what others have room for.
const ROOM: usize = 1024;
/// Entries looked at under one lock.
const SLICE: u32 = 256;

/// The affinity entries of this node.
#[derive(Debug)]
pub(crate) struct Affinity {
    shards: Box<[Mutex<Affinities>]>,
    capacity: usize,
}

/// A session's part in an entry, which ends with it.
#[derive(Debug)]
pub(crate) struct Held {
    shared: Arc<Shared>,
    hash: u64,
    place: Key,
    unsettled: bool,
}

/// How far a walk is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Walk {
    shard: usize,
    slot: u32,
}

impl Affinity {
    /// Room for `capacity` entries, or a few more.
    pub(crate) fn new(capacity: usize) -> Affinity {
        let count = (capacity / ROOM).clamp(1, SHARDS);
        let each = capacity.div_ceil(count);
        Affinity {
            shards: (0..count).map(|_| Mutex::new(Affinities::new(each))).collect(),
            capacity: each * count,
        }
    }

    /// Entries there are, entries there may be.
    pub(crate) fn figures(&self) -> [usize; 2] {
        let used = (0..self.shards.len()).map(|place| self.shard(place).len()).sum();
        [used, self.capacity]
    }

    fn of(&self, hash: u64) -> MutexGuard<'_, Affinities> {
        // The table of a part uses the lower half of the hash.
        self.shard(usize::try_from((hash >> 32) % self.shards.len() as u64).unwrap_or(0))
    }

    fn shard(&self, place: usize) -> MutexGuard<'_, Affinities> {
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first attempt of a new session of a client, which is kept to that endpoint from here on.
pub(crate) fn take(
    shared: &Arc<Shared>,
    pool: &Pool,
    flow: FlowKey,
    choice_hash: u64,
    now: Micros,
) -> Result<(Attempt, Option<Box<Held>>), NoChoice> {
    let key = pool.pin_key(flow);
    // The same client in another pool is another one.
    let hash = choice_hash ^ u64::from(key.pool.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let asker = Asker {
        pool,
        key,
        hash,
        choice_hash,
        pinned: shared.pinned(&key),
    };
    let mut shard = shared.affinity.of(hash);
    let taken = shard.take(asker, now);
    pass_on(shared, &mut shard);
    drop(shard);
    let taken = taken?;
    let held = taken.place.map(|place| {
        Box::new(Held {
            shared: Arc::clone(shared),
            hash,
            place,
            unsettled: taken.unsettled,
        })
    });
    Ok((Attempt::first(taken.choice), held))
}

impl Held {
    /// The endpoint of an attempt accepted.
    pub(crate) fn settle(&mut self, endpoint: SocketAddr, redispatched: bool, now: Micros) {
        if !self.unsettled && !redispatched {
            return;
        }
        self.unsettled = false;
        let mut shard = self.shared.affinity.of(self.hash);
        shard.settle(self.place, endpoint, redispatched, now);
        pass_on(&self.shared, &mut shard);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let now = self.shared.clock.now();
        let mut shard = self.shared.affinity.of(self.hash);
        shard.release(self.place, now);
        pass_on(&self.shared, &mut shard);
    }
}

/// Forgets what is over, and looks at what was redispatched a while ago.
pub(crate) fn tick(shared: &Shared, pools: &Pools, now: Micros) {
    for place in 0..shared.affinity.shards.len() {
        let mut more = true;
        while more {
            let mut shard = shared.affinity.shard(place);
            more = shard.expire(now, SLICE as usize);
            shard.prove(now, pools);
            pass_on(shared, &mut shard);
            let shed = shard.take_shed();
            if shed > 0 {
                shared.metrics.affinity_shed.increment(shed);
            }
        }
    }
}

/// Looks at some of the entries under a new plan; gives where to go on.
pub(crate) fn walk(shared: &Shared, pools: &Pools, from: Walk) -> Option<Walk> {
    let mut shard = shared.affinity.shard(from.shard);
    let next = shard.walk(from.slot, SLICE, pools);
    pass_on(shared, &mut shard);
    let shards = shared.affinity.shards.len();
    match next {
        Some(slot) => Some(Walk { slot, ..from }),
        None if from.shard + 1 < shards => Some(Walk {
            shard: from.shard + 1,
            slot: 0,
        }),
        None => None,
    }
}

/// Under the lock of the part, so that what is said of one key is said in order.
fn pass_on(shared: &Shared, shard: &mut Affinities) {
    for change in shard.moves.drain(..) {
        shared.need(change);
    }
}
