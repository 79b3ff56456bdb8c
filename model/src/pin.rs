//! Pins: replicated exceptions to the tables. In this pool, this flow key goes to this endpoint, whatever the table says.

use std::net::SocketAddr;
use std::ops::Bound;

use imbl::ordmap::DiffItem;
use imbl::{OrdMap, Vector};
use serde::{Deserialize, Serialize};

use crate::flow::FlowKey;
use crate::meta::UnixMillis;
use crate::node::{Incarnation, NodeId};

pub(crate) mod compact;
mod endpoints;
mod oldest;
mod table;

pub(crate) use compact::canonical;

use endpoints::{Endpoints, Number};

/// Number of a pool: given when its route first appears, never used twice. What pins name instead of the uid of a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PoolNumber(pub u32);

/// What a pin is about: one flow key in one pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PinKey {
    /// The pool.
    pub pool: PoolNumber,
    /// The flow, or the clients with one affinity.
    pub flow: FlowKey,
}

/// Who needs a pin. A pin ends with its last holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// The node that has the session or the affinity entry.
    pub node: NodeId,
    /// The start of it that asked for the pin.
    pub incarnation: Incarnation,
}

/// One hold: an endpoint that a holder needs a key to go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Where the key goes.
    pub endpoint: SocketAddr,
    /// For whom.
    pub holder: Holder,
    /// Orders holds by age: of two that disagree the lower one wins for new sessions.
    pub serial: u64,
}

/// What a node says of its pins: the difference between those it needs and those that name it as holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinBatch {
    /// Who says so.
    pub node: NodeId,
    /// This start of it.
    pub incarnation: Incarnation,
    /// Rises with each batch of this start, from 1; `apply` ignores what it has seen. A batch without changes shows
    /// progress.
    pub sequence: u64,
    /// At most [`PinBatch::CHANGES`], else the batch is refused.
    #[serde(with = "crate::pin::compact::changes")]
    pub changes: Vec<PinChange>,
}

/// One difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinChange {
    /// Of which key.
    pub key: PinKey,
    /// Where it must go for this holder; `None` releases.
    pub endpoint: Option<SocketAddr>,
}

impl PinBatch {
    /// Changes in one batch at most; a node sends more in further batches.
    pub const CHANGES: usize = 4096;
}

/// All pins of the cluster. Cloning is O(1) and shares everything.
///
/// They are kept as holds, by pool and holder: nearly every pin has one holder, and what ends together, with a pool or
/// with a holder, is together.
#[derive(Clone, Debug, Default)]
pub struct Pins {
    shelves: OrdMap<(PoolNumber, Holder), Shelf>,
    /// Holders that have a hold.
    holders: OrdMap<Holder, Tally>,
    endpoints: Endpoints,
    /// The last batch of each node's current start.
    sequences: OrdMap<NodeId, u64>,
    /// Keys that have a hold.
    pins: usize,
    holds: usize,
    /// The serial that was given last.
    serial: u64,
    shed: u64,
    /// Those to shed next; see [`oldest`].
    next_to_shed: Vector<(u64, PinKey, Holder)>,
}

/// The holds of one holder in one pool.
type Shelf = OrdMap<FlowKey, Held>;

/// A hold as it is kept. There may be a million of them, so every byte counts.
#[derive(Clone, Copy, Debug)]
#[repr(Rust, packed(4))]
struct Held {
    serial: u64,
    endpoint: Number,
}

/// A serial is given to one hold only, and a hold never changes.
impl PartialEq for Held {
    fn eq(&self, other: &Held) -> bool {
        let (one, other) = (self.serial, other.serial);
        one == other
    }
}

/// What is known of one holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tally {
    holds: usize,
    /// When its node went down, started again or was removed: its holds are orphans since then.
    lost: Option<UnixMillis>,
}

impl Holder {
    /// No holder is less: where a search begins.
    const LEAST: Holder = Holder {
        node: NodeId(0),
        incarnation: Incarnation(0),
    };
}

impl Pins {
    /// Holds at most; beyond it the oldest is shed and counted. Nearly every pin has one.
    pub const MOST: usize = 1_000_000;

    /// Where a key is pinned to, for new sessions.
    pub fn get(&self, key: &PinKey) -> Option<SocketAddr> {
        if self.shelves.is_empty() {
            return None;
        }
        let held = self.shelves_of(key.pool).filter_map(|(_, shelf)| shelf.get(&key.flow));
        let first = held.min_by_key(|held| held.serial)?;
        self.endpoints.address(first.endpoint)
    }

    /// Every hold on a key, the oldest first.
    pub fn holds_of(&self, key: &PinKey) -> Vec<Hold> {
        let shelves = self.shelves_of(key.pool);
        let held = shelves.filter_map(|(holder, shelf)| Some((holder, *shelf.get(&key.flow)?)));
        self.as_holds(held)
    }

    /// Where this holder has a key pinned to.
    pub fn held(&self, key: &PinKey, holder: Holder) -> Option<SocketAddr> {
        let held = self.shelves.get(&(key.pool, holder))?.get(&key.flow)?;
        self.endpoints.address(held.endpoint)
    }

    /// Everything that this holder has pinned, in the order of the keys.
    pub fn of_holder(&self, holder: Holder) -> impl Iterator<Item = (PinKey, SocketAddr)> + '_ {
        let shelves = self.shelves.iter().filter(move |((_, other), _)| *other == holder);
        shelves.flat_map(|((pool, _), shelf)| {
            shelf.iter().filter_map(|(flow, held)| {
                let key = PinKey {
                    pool: *pool,
                    flow: *flow,
                };
                Some((key, self.endpoints.address(held.endpoint)?))
            })
        })
    }

    /// Pins there are.
    pub fn len(&self) -> usize {
        self.pins
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pins == 0
    }

    /// Holds there are: as many as pins, but for keys that several nodes need.
    pub fn holds(&self) -> usize {
        self.holds
    }

    /// Holds there are of this holder.
    pub fn holds_by(&self, holder: Holder) -> usize {
        self.holders.get(&holder).map_or(0, |tally| tally.holds)
    }

    /// When the node of a holder was lost, for one that has holds: they are orphans, and end some time after.
    pub fn lost(&self, holder: Holder) -> Option<UnixMillis> {
        self.holders.get(&holder)?.lost
    }

    /// Holds that were shed so far because there were too many.
    pub fn shed(&self) -> u64 {
        self.shed
    }

    /// Every pin in the order of its key, with its holds, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (PinKey, Vec<Hold>)> + '_ {
        self.iter_after(None)
    }

    /// The pins behind `after`, or all, in the order of their keys. Costs what it yields.
    pub fn iter_after(&self, after: Option<PinKey>) -> impl Iterator<Item = (PinKey, Vec<Hold>)> + '_ {
        let mut pool = Some(after.map_or(PoolNumber(0), |key| key.pool));
        let mut start = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.flow));
        let pools = std::iter::from_fn(move || {
            let from = (pool?, Holder::LEAST);
            let ((found, _), _) = self.shelves.range((Bound::Included(from), Bound::Unbounded)).next()?;
            let begin = std::mem::replace(&mut start, Bound::Unbounded);
            let begin = if Some(*found) == pool { begin } else { Bound::Unbounded };
            pool = found.0.checked_add(1).map(PoolNumber);
            Some((*found, begin))
        });
        pools.flat_map(|(pool, begin)| self.in_pool(pool, begin))
    }

    /// Keys whose holds differ from those in `before`; one that several holders have may come more than once. Costs what
    /// differs, for tables of one history.
    pub fn differing<'a>(&'a self, before: &'a Pins) -> impl Iterator<Item = PinKey> + 'a {
        self.differing_shelves(before).flat_map(|(_, keys)| keys)
    }

    /// Keys that this holder has pinned otherwise than in `before`. Costs what differs, for tables of one history.
    pub fn differing_of<'a>(&'a self, before: &'a Pins, holder: Holder) -> impl Iterator<Item = PinKey> + 'a {
        let shelves = self.differing_shelves(before);
        shelves
            .filter(move |(other, _)| *other == holder)
            .flat_map(|(_, keys)| keys)
    }

    fn differing_shelves<'a>(&'a self, before: &'a Pins) -> impl Iterator<Item = (Holder, Vec<PinKey>)> + 'a {
        before.shelves.diff(&self.shelves).map(|difference| {
            let (pool, holder, flows): (_, _, Vec<FlowKey>) = match difference {
                DiffItem::Add((pool, holder), shelf) | DiffItem::Remove((pool, holder), shelf) => {
                    (*pool, *holder, shelf.keys().copied().collect())
                }
                DiffItem::Update {
                    old: (_, old),
                    new: ((pool, holder), new),
                } => {
                    let flows = old.diff(new).map(|difference| match difference {
                        DiffItem::Add(flow, _)
                        | DiffItem::Remove(flow, _)
                        | DiffItem::Update { new: (flow, _), .. } => *flow,
                    });
                    (*pool, *holder, flows.collect())
                }
            };
            let keys = flows.into_iter().map(|flow| PinKey { pool, flow });
            (holder, keys.collect())
        })
    }

    fn shelves_of(&self, pool: PoolNumber) -> impl Iterator<Item = (Holder, &Shelf)> {
        let start = Bound::Included((pool, Holder::LEAST));
        self.shelves
            .range((start, Bound::Unbounded))
            .take_while(move |((other, _), _)| *other == pool)
            .map(|((_, holder), shelf)| (*holder, shelf))
    }

    /// The pins of one pool: its shelves merged.
    fn in_pool(&self, pool: PoolNumber, start: Bound<FlowKey>) -> impl Iterator<Item = (PinKey, Vec<Hold>)> + '_ {
        let shelves = self.shelves_of(pool);
        let mut rows: Vec<_> = shelves
            .map(|(holder, shelf)| (holder, shelf.range((start, Bound::Unbounded)).peekable()))
            .collect();
        std::iter::from_fn(move || {
            let heads = rows
                .iter_mut()
                .filter_map(|(_, row)| row.peek().map(|(flow, _)| **flow));
            let flow = heads.min()?;
            let here = rows.iter_mut().filter_map(|(holder, row)| {
                let (_, held) = row.next_if(|(other, _)| **other == flow)?;
                Some((*holder, *held))
            });
            let here: Vec<(Holder, Held)> = here.collect();
            Some((PinKey { pool, flow }, self.as_holds(here.into_iter())))
        })
    }

    fn as_holds(&self, held: impl Iterator<Item = (Holder, Held)>) -> Vec<Hold> {
        let holds = held.filter_map(|(holder, held)| {
            Some(Hold {
                endpoint: self.endpoints.address(held.endpoint)?,
                holder,
                serial: held.serial,
            })
        });
        let mut holds: Vec<Hold> = holds.collect();
        holds.sort_by_key(|hold| hold.serial);
        holds
    }
}

/// Pins that did not come from a log, of one holder: for data planes that run without a cluster.
impl FromIterator<(PinKey, SocketAddr)> for Pins {
    fn from_iter<T: IntoIterator<Item = (PinKey, SocketAddr)>>(pins: T) -> Pins {
        let mut table = Pins::default();
        for (key, endpoint) in pins {
            table.hold(key, endpoint, Holder::LEAST, None);
        }
        table
    }
}

#[cfg(test)]
mod tests;
