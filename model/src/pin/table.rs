//! How pins come and go. What they mean for pools and nodes is the state's.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Bound;

use super::compact::Row;
use super::endpoints::Number;
use super::{Held, Holder, PinKey, Pins, PoolNumber, Shelf, Tally};
use crate::meta::UnixMillis;
use crate::node::NodeId;

impl Pins {
    /// The sequence of the last batch of a node's current start; 0 before the first.
    pub(crate) fn sequence(&self, node: NodeId) -> u64 {
        self.sequences.get(&node).copied().unwrap_or(0)
    }

    /// Notes the sequence of a batch; false if it has been seen.
    pub(crate) fn see(&mut self, node: NodeId, sequence: u64) -> bool {
        let new = sequence > self.sequence(node);
        if new {
            self.sequences.insert(node, sequence);
        }
        new
    }

    /// A node starts to count its batches anew, or is no more.
    pub(crate) fn forget_sequence(&mut self, node: NodeId) {
        self.sequences.remove(&node);
    }

    /// Adds a hold. `lost` is when the holder's node was lost, if it is. The same endpoint again changes nothing.
    pub(crate) fn hold(&mut self, key: PinKey, endpoint: SocketAddr, holder: Holder, lost: Option<UnixMillis>) {
        self.hold_of(key, endpoint, holder, lost, Pins::MOST);
    }

    /// As `hold`, with room for `most`.
    pub(super) fn hold_of(
        &mut self,
        key: PinKey,
        endpoint: SocketAddr,
        holder: Holder,
        lost: Option<UnixMillis>,
        most: usize,
    ) {
        match self.held(&key, holder) {
            Some(before) if before == endpoint => return,
            Some(_) => self.release(&key, holder),
            None => {}
        }
        self.serial = self.serial.saturating_add(1);
        self.put(key, endpoint, holder, self.serial);
        if let Some(tally) = self.holders.get_mut(&holder)
            && tally.lost != lost
        {
            tally.lost = lost;
        }
        self.shed_beyond(most);
    }

    /// Puts a hold where there is none.
    pub(crate) fn put(&mut self, key: PinKey, endpoint: SocketAddr, holder: Holder, serial: u64) {
        if !self.is_held_beside(&key, holder) {
            self.pins += 1;
        }
        let endpoint = self.endpoints.take(key.pool, endpoint);
        let shelf = self.shelves.entry((key.pool, holder)).or_default();
        shelf.insert(key.flow, Held { serial, endpoint });
        let tally = self.holders.entry(holder).or_insert(Tally { holds: 0, lost: None });
        tally.holds += 1;
        self.holds += 1;
    }

    /// Ends a hold, if there is one.
    pub(crate) fn release(&mut self, key: &PinKey, holder: Holder) {
        let place = (key.pool, holder);
        let Some(shelf) = self.shelves.get_mut(&place) else {
            return;
        };
        let Some(held) = shelf.remove(&key.flow) else {
            return;
        };
        if shelf.is_empty() {
            self.shelves.remove(&place);
        }
        self.endpoints.give_back(held.endpoint, 1);
        self.discount(holder, 1);
        if !self.is_held_beside(key, holder) {
            self.pins -= 1;
        }
    }

    /// A holder's node is lost: its holds are orphans from now on.
    pub(crate) fn orphan(&mut self, holder: Holder, time: UnixMillis) {
        if let Some(tally) = self.holders.get_mut(&holder)
            && tally.lost.is_none()
        {
            tally.lost = Some(time);
        }
    }

    /// A holder's node is there again: its holds are no orphans any more.
    pub(crate) fn adopt(&mut self, holder: Holder) {
        if let Some(tally) = self.holders.get_mut(&holder) {
            tally.lost = None;
        }
    }

    /// The pools in which there are orphans, each with a holder and when it was lost.
    pub(crate) fn orphans(&self) -> impl Iterator<Item = (PoolNumber, Holder, UnixMillis)> + '_ {
        let any = self.holders.values().any(|tally| tally.lost.is_some());
        let shelves = any.then(|| self.shelves.keys()).into_iter().flatten();
        shelves.filter_map(|(pool, holder)| Some((*pool, *holder, self.lost(*holder)?)))
    }

    /// Ends all holds of a holder in a pool.
    pub(crate) fn end_shelf(&mut self, pool: PoolNumber, holder: Holder) {
        let Some(shelf) = self.shelves.remove(&(pool, holder)) else {
            return;
        };
        let mut by_endpoint: BTreeMap<Number, usize> = BTreeMap::new();
        for held in shelf.values() {
            *by_endpoint.entry(held.endpoint).or_default() += 1;
        }
        for (endpoint, holds) in by_endpoint {
            self.endpoints.give_back(endpoint, holds);
        }
        self.discount(holder, shelf.len());
        self.pins -= self.alone(pool, &shelf);
    }

    /// Ends all pins of a pool.
    pub(crate) fn end_pool(&mut self, pool: PoolNumber) {
        let shelves: Vec<Holder> = self.shelves_of(pool).map(|(holder, _)| holder).collect();
        self.endpoints.forget_pool(pool);
        for holder in shelves {
            let Some(shelf) = self.shelves.remove(&(pool, holder)) else {
                continue;
            };
            self.discount(holder, shelf.len());
            self.pins -= self.alone(pool, &shelf);
        }
    }

    /// The endpoints of a pool that pins name.
    pub(crate) fn endpoints_of(&self, pool: PoolNumber) -> Vec<SocketAddr> {
        self.endpoints.of_pool(pool).collect()
    }

    /// Ends all pins of a pool to an endpoint. Costs what the pool has.
    pub(crate) fn end_endpoint(&mut self, pool: PoolNumber, address: SocketAddr) {
        let Some(number) = self.endpoints.number(pool, address) else {
            return;
        };
        let mut ending: Vec<(PinKey, Holder)> = Vec::new();
        for (holder, shelf) in self.shelves_of(pool) {
            let here = shelf.iter().filter(|(_, held)| held.endpoint == number);
            ending.extend(here.map(|(flow, _)| (PinKey { pool, flow: *flow }, holder)));
        }
        for (key, holder) in ending {
            self.release(&key, holder);
        }
    }

    /// How many keys of a shelf, which is gone already, no other shelf of the pool has.
    fn alone(&self, pool: PoolNumber, shelf: &Shelf) -> usize {
        let others: Vec<&Shelf> = self.shelves_of(pool).map(|(_, shelf)| shelf).collect();
        if others.is_empty() {
            return shelf.len();
        }
        let alone = |flow: &&_| others.iter().all(|other| !other.contains_key(*flow));
        shelf.keys().filter(alone).count()
    }

    /// Whether another holder has a key.
    fn is_held_beside(&self, key: &PinKey, holder: Holder) -> bool {
        let mut others = self.shelves_of(key.pool).filter(|(other, _)| *other != holder);
        others.any(|(_, shelf)| shelf.contains_key(&key.flow))
    }

    /// Counts `holds` fewer for a holder, and forgets it with the last.
    fn discount(&mut self, holder: Holder, holds: usize) {
        self.holds -= holds;
        if let Some(tally) = self.holders.get_mut(&holder) {
            tally.holds -= holds;
            if tally.holds == 0 {
                self.holders.remove(&holder);
            }
        }
    }

    /// The holders that have holds.
    pub(crate) fn holders(&self) -> impl Iterator<Item = Holder> + '_ {
        self.holders.keys().copied()
    }

    pub(crate) fn sequences(&self) -> impl Iterator<Item = (NodeId, u64)> + '_ {
        self.sequences.iter().map(|(node, sequence)| (*node, *sequence))
    }

    pub(crate) fn last_serial(&self) -> u64 {
        self.serial
    }

    /// Completes a table whose holds have been put in, as a snapshot says.
    pub(crate) fn restore(&mut self, serial: u64, shed: u64, sequences: Vec<(NodeId, u64)>) {
        self.serial = serial;
        self.shed = shed;
        self.sequences = sequences.into_iter().collect();
    }

    /// The holds of a holder behind `after` in the order of their keys, at most `most`.
    pub(crate) fn rows(&self, holder: Holder, after: Option<PinKey>, most: usize) -> Vec<Row> {
        let pool = after.map_or(PoolNumber(0), |key| key.pool);
        let start = Bound::Included((pool, Holder::LEAST));
        let shelves = self.shelves.range((start, Bound::Unbounded));
        let shelves = shelves.filter(|((_, other), _)| *other == holder);
        let rows = shelves.flat_map(|((pool, _), shelf)| {
            let start = match after {
                Some(after) if after.pool == *pool => Bound::Excluded(after.flow),
                _ => Bound::Unbounded,
            };
            shelf.range((start, Bound::Unbounded)).filter_map(|(flow, held)| {
                let key = PinKey {
                    pool: *pool,
                    flow: *flow,
                };
                Some((key, self.endpoints.address(held.endpoint)?, held.serial))
            })
        });
        rows.take(most).collect()
    }
}
