//! Commands about nodes: joining, starting, falling silent, leaving, and what they report.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use imbl::OrdMap;

use super::State;
use super::settle::Events;
use crate::node::{BindResult, Incarnation, NodeFacts, NodeId, NodeRecord, SocketKey};
use crate::object::Object;
use crate::outcome::Refusal;
use crate::pin::Holder;

impl State {
    /// Most addresses that are kept for one DNS name; of more, the lowest.
    pub const ADDRESSES_PER_NAME: usize = 64;

    /// What a node has to report so that the state knows `actual`, the results of its socket groups: differences only,
    /// and only about sockets that some listener wants. Empty when there is nothing to say.
    pub fn bind_report(
        &self,
        node: NodeId,
        actual: &BTreeMap<SocketKey, BindResult>,
    ) -> Vec<(SocketKey, Option<BindResult>)> {
        let Some(record) = self.nodes.get(&node) else {
            return Vec::new();
        };
        let new = actual
            .iter()
            .filter(|(socket, result)| record.binds.get(*socket) != Some(*result) && self.is_wanted(socket))
            .map(|(socket, result)| (*socket, Some(result.clone())));
        let gone = record
            .binds
            .keys()
            .filter(|socket| !actual.contains_key(socket))
            .map(|socket| (*socket, None));
        new.chain(gone).collect()
    }

    fn is_wanted(&self, socket: &SocketKey) -> bool {
        self.index.claims.first(socket).is_some()
    }

    /// Adds a member. A node of the same name that never started is the same one trying again.
    pub(super) fn join_node(&mut self, facts: NodeFacts) -> Result<NodeId, Refusal> {
        if let Some(id) = self.node_named(&facts.name) {
            let time = self.time;
            let record = self.nodes.get_mut(&id).filter(|record| record.incarnation.is_none());
            let Some(record) = record else {
                return Err(Refusal::NodeNameTaken(facts.name));
            };
            record.facts = facts;
            record.joined = time;
            return Ok(id);
        }
        self.next_node = self.next_node.saturating_add(1);
        let id = NodeId(self.next_node);
        let record = NodeRecord {
            facts,
            incarnation: None,
            live: false,
            joined: self.time,
            since: self.time,
            keys: Vec::new(),
            binds: OrdMap::new(),
        };
        self.nodes.insert(id, record);
        Ok(id)
    }

    /// Marks a node live. A new incarnation has no sockets yet, so what an older one reported is dropped.
    pub(super) fn node_up(
        &mut self,
        id: NodeId,
        incarnation: Incarnation,
        facts: NodeFacts,
        events: &mut Events,
    ) -> Result<(), Refusal> {
        if self.node_named(&facts.name).is_some_and(|other| other != id) {
            return Err(Refusal::NodeNameTaken(facts.name));
        }
        let time = self.time;
        let record = self.nodes.get_mut(&id).ok_or(Refusal::UnknownNode(id))?;
        let before = record.clone();
        let is_restart = before.incarnation != Some(incarnation);
        if record.incarnation != Some(incarnation) {
            record.incarnation = Some(incarnation);
            record.binds = OrdMap::new();
        }
        if !record.live {
            record.live = true;
            record.since = time;
        }
        record.facts = facts;
        events.members |= *record != before;
        if is_restart {
            // No one noticed that the start before is gone.
            if before.live {
                self.lose(id, before.incarnation);
            }
            self.pins.forget_sequence(id);
        }
        self.pins.adopt(Holder { node: id, incarnation });
        self.raise_level();
        Ok(())
    }

    /// Marks a node dead, unless it has started again since.
    pub(super) fn node_down(
        &mut self,
        id: NodeId,
        incarnation: Incarnation,
        events: &mut Events,
    ) -> Result<(), Refusal> {
        let time = self.time;
        let record = self.current_start(id, incarnation)?;
        if record.live {
            record.live = false;
            record.since = time;
            events.members = true;
            self.lose(id, Some(incarnation));
        }
        Ok(())
    }

    /// Forgets a member; its number is never given again.
    pub(super) fn remove_node(&mut self, id: NodeId, events: &mut Events) -> Result<(), Refusal> {
        let record = self.nodes.remove(&id).ok_or(Refusal::UnknownNode(id))?;
        events.members = true;
        if record.live {
            self.lose(id, record.incarnation);
        }
        self.pins.forget_sequence(id);
        self.raise_level();
        Ok(())
    }

    /// Records what became of socket groups. Those that no listener wants are not recorded, so that what is kept is
    /// bounded by what is configured.
    pub(super) fn report_binds(
        &mut self,
        id: NodeId,
        incarnation: Incarnation,
        binds: Vec<(SocketKey, Option<BindResult>)>,
        events: &mut Events,
    ) -> Result<(), Refusal> {
        let wanted: Vec<_> = binds
            .into_iter()
            .filter(|(socket, result)| result.is_none() || self.is_wanted(socket))
            .collect();
        let record = self.current_start(id, incarnation)?;
        for (socket, result) in wanted {
            if record.binds.get(&socket) == result.as_ref() {
                continue;
            }
            events.sockets.insert(socket);
            match result {
                Some(result) => record.binds.insert(socket, result),
                None => record.binds.remove(&socket),
            };
        }
        Ok(())
    }

    /// Drops what nodes have reported about sockets that no listener wants any more.
    pub(super) fn forget_binds(&mut self, freed: &BTreeSet<SocketKey>) {
        for socket in freed {
            let holders: Vec<NodeId> = self
                .nodes
                .iter()
                .filter(|(_, node)| node.binds.contains_key(socket))
                .map(|(id, _)| *id)
                .collect();
            for id in holders {
                if let Some(node) = self.nodes.get_mut(&id) {
                    node.binds.remove(socket);
                }
            }
        }
    }

    /// Records what DNS names resolved to. Names that no Backend has are not recorded.
    pub(super) fn set_resolved(&mut self, names: BTreeMap<String, Vec<IpAddr>>, events: &mut Events) {
        for (name, addresses) in names {
            let name = name.to_ascii_lowercase();
            let addresses: BTreeSet<IpAddr> = addresses.iter().map(IpAddr::to_canonical).collect();
            let addresses: Arc<[IpAddr]> = addresses.into_iter().take(State::ADDRESSES_PER_NAME).collect();
            let wanted = self.index.backends_of_hostname.first(&name).is_some();
            if wanted && self.resolved.get(&name) != Some(&addresses) {
                let before = self.resolved.insert(name.clone(), Arc::clone(&addresses));
                let before: BTreeSet<IpAddr> = before.iter().flat_map(|before| before.iter().copied()).collect();
                let now: BTreeSet<IpAddr> = addresses.iter().copied().collect();
                for ip in before.difference(&now) {
                    self.index.names_of_ip.remove(*ip, name.clone());
                }
                for ip in &now {
                    self.index.names_of_ip.insert(*ip, name.clone());
                }
                events.addresses.extend(before.symmetric_difference(&now));
                events.names.insert(name);
            }
        }
    }

    /// Drops the addresses of DNS names that `before` had and that no Backend has now.
    pub(super) fn forget_names(&mut self, before: Option<&Object>) {
        let Some(Object::Backend(before)) = before else {
            return;
        };
        for name in before
            .spec
            .endpoints
            .iter()
            .filter_map(|endpoint| endpoint.hostname.as_deref())
        {
            let name = name.to_ascii_lowercase();
            if self.index.backends_of_hostname.first(&name).is_none() {
                let addresses = self.resolved.remove(&name);
                for ip in addresses.iter().flat_map(|addresses| addresses.iter()) {
                    self.index.names_of_ip.remove(*ip, name.clone());
                }
            }
        }
    }

    /// Whether this is the current start of a node.
    pub(super) fn check_start(&self, id: NodeId, incarnation: Incarnation) -> Result<(), Refusal> {
        let record = self.nodes.get(&id).ok_or(Refusal::UnknownNode(id))?;
        if record.incarnation == Some(incarnation) {
            Ok(())
        } else {
            Err(Refusal::StaleIncarnation(id))
        }
    }

    fn current_start(&mut self, id: NodeId, incarnation: Incarnation) -> Result<&mut NodeRecord, Refusal> {
        self.check_start(id, incarnation)?;
        self.nodes.get_mut(&id).ok_or(Refusal::UnknownNode(id))
    }

    pub(crate) fn node_named(&self, name: &str) -> Option<NodeId> {
        self.nodes
            .iter()
            .find(|(_, record)| record.facts.name == name)
            .map(|(id, _)| *id)
    }
}
