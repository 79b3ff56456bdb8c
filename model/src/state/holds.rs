//! Pins in the state: what nodes say of them, and what becomes of those of lost nodes.

use std::net::SocketAddr;

use super::State;
use super::pools::PoolRecord;
use crate::node::{Incarnation, NodeId};
use crate::object::ObjectKey;
use crate::outcome::Refusal;
use crate::pin::{Holder, PinBatch, PoolNumber, canonical};

impl State {
    /// The sequence of the last pin batch of a node's current start; 0 before the first.
    pub fn pin_sequence(&self, node: NodeId) -> u64 {
        self.pins.sequence(node)
    }

    /// The route of a pool, and its rule.
    pub fn pool_route(&self, pool: PoolNumber) -> Option<(ObjectKey, u16)> {
        self.pools.numbers.get(&pool).map(|route| (route.clone(), 0))
    }

    /// The pool of a route: what pins call it.
    pub fn pool_number(&self, route: &ObjectKey) -> Option<PoolNumber> {
        let record = self.pool(route)?;
        (self.level >= State::TWO_PHASES).then_some(record.number)
    }

    /// Takes what a node says of its pins. Pools and endpoints that are gone are passed over: the node will see that
    /// they are.
    pub(super) fn take_pins(&mut self, batch: PinBatch) -> Result<(), Refusal> {
        self.check_two_phases()?;
        self.check_start(batch.node, batch.incarnation)?;
        if batch.changes.len() > PinBatch::CHANGES {
            return Err(Refusal::TooMany {
                what: "pins in one batch".to_owned(),
                limit: PinBatch::CHANGES as u64,
            });
        }
        if !self.pins.see(batch.node, batch.sequence) {
            return Ok(());
        }
        let holder = Holder {
            node: batch.node,
            incarnation: batch.incarnation,
        };
        let record = self.nodes.get(&batch.node);
        let lost = record.filter(|record| !record.live).map(|record| record.since);
        for change in batch.changes {
            let endpoint = change.endpoint.map(canonical);
            match endpoint.filter(|endpoint| self.knows_endpoint(change.key.pool, *endpoint)) {
                Some(endpoint) => self.pins.hold(change.key, endpoint, holder, lost),
                None => self.pins.release(&change.key, holder),
            }
        }
        Ok(())
    }

    /// Whether a pool has an endpoint.
    pub(super) fn knows_endpoint(&self, pool: PoolNumber, endpoint: SocketAddr) -> bool {
        let route = self.pools.numbers.get(&pool);
        let record: Option<&PoolRecord> = route.and_then(|route| self.pool(route));
        record.is_some_and(|record| record.knows(endpoint))
    }

    /// The sessions of a start of a node are lost to it: its pins are orphans, and clients may come over.
    pub(super) fn lose(&mut self, node: NodeId, incarnation: Option<Incarnation>) {
        if self.level < State::TWO_PHASES {
            return;
        }
        if let Some(incarnation) = incarnation {
            self.pins.orphan(Holder { node, incarnation }, self.time);
        }
        self.open_grace();
    }
}
