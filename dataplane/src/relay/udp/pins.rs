//! Which flows need a pin: those that a table would send elsewhere if they came over to another node.
//!
//! A flow is looked at when it is opened, when its listener changes, and once more when it was redispatched and has lived
//! for a while. Where nothing is prepared and the table chose its endpoint there is nothing to look at.

use guideway_model::pin::PinKey;
use guideway_model::plan::Why;

use super::Flows;
use crate::core::needs::{Move, PROVEN};
use crate::core::slab::Key;
use crate::core::time::Micros;
use crate::relay::udp::record::{Pin, Record};

impl Flows {
    /// A flow is open: finds out whether it needs a pin.
    pub(super) fn pin_opened(&mut self, key: Key) {
        let Some(record) = self.records.get_mut(key) else {
            return;
        };
        let why = record.attempt.why;
        let Some(pin) = record.pin_needed(Some(why)) else {
            return;
        };
        if why == Why::Redispatch {
            record.pin = Pin::Later;
            let look = record.next_look();
            self.wheel.disarm(&mut self.records, key.index);
            self.wheel.arm(&mut self.records, key.index, look);
        } else {
            record.pin = Pin::Needed;
            let endpoint = record.endpoint.address;
            self.move_pin(pin, [false, true], endpoint);
        }
    }

    /// Finds out again, under the lane that the flow has now. `before` is the pin that it needed under another.
    pub(super) fn pin_again(&mut self, key: Key, before: Option<PinKey>) {
        let Some(record) = self.records.get_mut(key) else {
            return;
        };
        let after = record.pin_needed(None);
        record.pin = if after.is_some() { Pin::Needed } else { Pin::None };
        if before != after {
            let endpoint = record.endpoint.address;
            if let Some(pin) = after {
                self.move_pin(pin, [false, true], endpoint);
            }
            if let Some(pin) = before {
                self.move_pin(pin, [true, false], endpoint);
            }
        }
    }

    /// A flow was redispatched a while ago and lives.
    pub(super) fn pin_proven(&mut self, key: Key) {
        let due = self.records.get(key).is_some_and(|record| {
            let proven = record.opened.after(PROVEN);
            record.pin == Pin::Later && proven <= self.ledger.now
        });
        if due {
            self.pin_again(key, None);
        }
    }

    /// A flow is over.
    pub(super) fn unpin(&self, record: &Record) {
        if let Some(pin) = record.pinned() {
            self.move_pin(pin, [true, false], record.endpoint.address);
        }
    }

    fn move_pin(&self, key: PinKey, [from, to]: [bool; 2], endpoint: std::net::SocketAddr) {
        self.shared.need(Move {
            key,
            from: from.then_some(endpoint),
            to: to.then_some(endpoint),
        });
    }
}

impl Record {
    /// The pin that is on record for the flow.
    pub(super) fn pinned(&self) -> Option<PinKey> {
        match self.pin {
            Pin::Needed => self.lane.lane.pin_key(self.id.client()),
            Pin::None | Pin::Later => None,
        }
    }

    /// When the flow is idle, or is to be looked at before.
    pub(super) fn next_look(&self) -> Micros {
        let idle = self.flow.deadline();
        match self.pin {
            Pin::Later => idle.min(self.opened.after(PROVEN)),
            Pin::None | Pin::Needed => idle,
        }
    }

    fn pin_needed(&self, why: Option<Why>) -> Option<PinKey> {
        let lane = &self.lane.lane;
        lane.pin_needed(self.id.client(), self.endpoint.address, why)
    }
}
