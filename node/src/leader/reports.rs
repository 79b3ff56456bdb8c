//! What the leader reports of Drains: pure, from the state and what nodes counted.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use guideway_model::resource::{Drain, Drained};
use guideway_model::{Command, NodeId, State};

/// What one node counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// All of its sessions.
    pub(super) all: u64,
    /// Those to each endpoint that was asked about.
    pub(super) at: BTreeMap<SocketAddr, u64>,
}

/// The endpoints to ask about; `None` if there is no Drain.
pub(super) fn asked_about(state: &State) -> Option<Vec<SocketAddr>> {
    let mut any = false;
    let mut endpoints = BTreeSet::new();
    for drain in state.drains() {
        any = true;
        endpoints.extend(state.endpoints_of_drain(&drain.metadata.name));
    }
    any.then(|| endpoints.into_iter().collect())
}

/// A report for each Drain whose figures differ from those that the state has.
pub(super) fn reports(state: &State, counted: &BTreeMap<NodeId, Counted>) -> Vec<Command> {
    let differing = state.drains().filter_map(|drain| {
        let remaining = remaining(state, drain, counted);
        let is_known = drain.status.reported_at.is_some() && remaining == recorded(state, drain);
        (!is_known).then(|| Command::ReportDrain {
            name: drain.metadata.name.clone(),
            uid: drain.metadata.uid.clone(),
            remaining,
        })
    });
    differing.collect()
}

/// Sessions left on each live node; of one that did not answer, those that were known before.
fn remaining(state: &State, drain: &Drain, counted: &BTreeMap<NodeId, Counted>) -> BTreeMap<NodeId, u64> {
    let endpoints = state.endpoints_of_drain(&drain.metadata.name);
    let target = drain.spec.target.drained();
    let recorded = recorded(state, drain);
    let live = state.nodes().filter(|(_, record)| record.live);
    let concerned = live.filter(|(_, record)| match target {
        Some(Drained::Node(name)) => record.facts.name == name,
        Some(Drained::Endpoint(_) | Drained::Backend { .. }) => true,
        None => false,
    });
    let left = concerned.filter_map(|(node, _)| {
        let left = match (counted.get(&node), target) {
            (Some(counted), Some(Drained::Node(_))) => counted.all,
            (Some(counted), _) => {
                let at = endpoints.iter().filter_map(|endpoint| counted.at.get(endpoint));
                at.sum()
            }
            (None, _) => *recorded.get(&node)?,
        };
        Some((node, left))
    });
    left.collect()
}

/// What the state has of a Drain, by number.
fn recorded(state: &State, drain: &Drain) -> BTreeMap<NodeId, u64> {
    let remaining = &drain.status.remaining;
    let nodes = state.nodes().filter_map(|(node, record)| {
        let known = remaining.iter().find(|known| known.node == record.facts.name)?;
        Some((node, known.sessions))
    });
    nodes.collect()
}
