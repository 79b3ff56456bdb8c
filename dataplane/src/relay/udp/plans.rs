//! What a change of plan, and the end of the node, mean for flows.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use guideway_model::Plan;
use guideway_model::node::SocketKey;
use rustix::event::epoll::{self, EventData, EventFlags};

use super::Flows;
use crate::core::flow::{Event, Step};
use crate::core::reason::CloseReason;
use crate::core::slab::Key;
use crate::relay::service::listener;
use crate::relay::token::Token;
use crate::relay::udp::door::{Door, FlowLane};
use crate::sockets;

/// Flows looked at in one round after a change of plan.
const SWEEP: u32 = 256;

impl Flows {
    /// Takes a plan over: each door learns where its datagrams go now, and those without a listener are closed. Flows
    /// learn of it with their next datagram, and the quiet ones a few each round.
    pub(in crate::relay) fn adopt(&mut self, plan: &Arc<Plan>) {
        self.ledger.generation = u32::try_from(plan.generation).unwrap_or(u32::MAX);
        let mut changed = false;
        for index in 0..self.doors.slots() {
            let Some(key) = self.doors.key(index) else { continue };
            let Some(door) = self.doors.get_mut(key) else { continue };
            match listener(plan, door.listener) {
                Some(listener) => {
                    let lane = FlowLane::of(&self.shared, door.listener, listener, plan.seed, Some(&door.lane));
                    changed |= !Rc::ptr_eq(&lane, &door.lane);
                    door.lane = lane;
                }
                None => {
                    changed = true;
                    self.disarm_door(key);
                    drop(self.doors.remove(key));
                }
            }
        }
        self.plan = Some(Arc::clone(plan));
        if changed {
            self.sweep = (!self.records.is_empty()).then_some(0);
        }
    }

    /// Receives on these sockets from here on.
    pub(in crate::relay) fn listen(&mut self, key: SocketKey, sockets: Vec<OwnedFd>) {
        let Some(plan) = &self.plan else { return };
        let Some(listener) = listener(plan, key) else { return };
        let lane = FlowLane::of(&self.shared, key, listener, plan.seed, None);
        for socket in sockets {
            let address = sockets::local_address(&socket);
            let door = self.doors.insert(Door {
                listener: key,
                address,
                socket,
                lane: Rc::clone(&lane),
            });
            if self.carrier.is_some() {
                self.arm_door(door);
                continue;
            }
            let token = EventData::new_u64(Token::Door(door.index).encode());
            let watched = self
                .doors
                .get(door)
                .map(|door| epoll::add(&*self.epoll, &door.socket, token, EventFlags::IN));
            if let Some(Err(errno)) = watched {
                tracing::error!(%errno, %address, "a UDP socket cannot be watched; its share of clients is not served");
            }
        }
    }

    /// Opens no flow from here on; those that live go on.
    pub(in crate::relay) fn quiesce(&mut self) {
        self.quiescing = true;
    }

    /// Ends every flow and closes every door.
    pub(in crate::relay) fn finish(&mut self) {
        self.send_replies();
        for index in 0..self.records.slots() {
            if let Some(key) = self.records.key(index) {
                self.close(key, CloseReason::NodeShutdown);
            }
        }
        self.part_all();
        self.doors = Default::default();
        self.ledger.flush();
    }

    /// Looks at some of the flows after a change of plan.
    pub(super) fn sweep(&mut self) {
        let Some(start) = self.sweep else { return };
        let slots = self.records.slots();
        let end = slots.min(start.saturating_add(SWEEP));
        for index in start..end {
            let Some(key) = self.records.key(index) else { continue };
            let Some(record) = self.records.get(key) else { continue };
            if !self.is_current(record) {
                self.refresh(key, record.door);
            }
        }
        self.sweep = (end < slots).then_some(end);
    }

    /// Tells a flow what its listener is now, at the door where it was met; `false` if that ended it.
    pub(super) fn refresh(&mut self, key: Key, met: Key) -> bool {
        let now = self.ledger.now;
        let Some(record) = self.records.get_mut(key) else {
            return false;
        };
        let door = self.doors.get(record.door);
        let lane = door
            .filter(|_| record.door == met)
            .map(|door| &door.lane)
            .filter(|lane| lane.succeeds(&record.lane));
        let Some(lane) = lane else {
            if let Step::Close(reason) = record.flow.on(Event::Unserved, now) {
                self.close(key, reason);
            }
            return false;
        };
        let pinned = record.pinned();
        record.lane = Rc::clone(lane);
        match lane.serving(record.endpoint.address) {
            Some(entry) => {
                record.flow.on(Event::Restored, now);
                // Where the first try went has no place of its own under the new plan.
                record.attempt.first = if record.attempt.number == 1 { entry } else { u16::MAX };
                record.attempt.entry = entry;
                if record.flow.set_terms(lane.terms(entry, &self.shared)) {
                    let deadline = record.next_look();
                    self.wheel.disarm(&mut self.records, key.index);
                    self.wheel.arm(&mut self.records, key.index, deadline);
                }
            }
            None => {
                record.flow.on(Event::Removed, now);
            }
        }
        self.pin_again(key, pinned);
        true
    }
}
