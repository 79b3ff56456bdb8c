//! What the Drains in the state ask of one node. Pure.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use guideway_model::meta::{Uid, UnixMillis};
use guideway_model::resource::{AtDeadline, Drained};
use guideway_model::{NodeId, State};

use super::closing::Pace;

/// One Drain whose deadline closes sessions of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Work {
    /// The Drain.
    pub(super) uid: Uid,
    pub(super) name: String,
    /// Since when sessions are closed.
    pub(super) deadline: UnixMillis,
    pub(super) which: Which,
    pub(super) pace: Pace,
}

/// Which sessions are closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// All of this node.
    All,
    /// Those to these endpoints.
    To(BTreeSet<SocketAddr>),
}

impl Which {
    /// Whether a session to this endpoint is meant.
    pub(super) fn means(&self, endpoint: Option<SocketAddr>) -> bool {
        match self {
            Which::All => true,
            Which::To(endpoints) => endpoint.is_some_and(|endpoint| endpoints.contains(&endpoint)),
        }
    }
}

/// The work of `node`, whose deadline may be still to come. What a Drain of a node closes it closes alone; the pace of others
/// is shared by all live nodes.
pub(super) fn works(state: &State, node: NodeId) -> Vec<Work> {
    let name = state.node(node).map(|record| record.facts.name.as_str());
    let live = state.nodes().filter(|(_, record)| record.live).count();
    let works = state.drains().filter_map(|drain| {
        let deadline = drain
            .deadline()
            .filter(|_| drain.spec.at_deadline == AtDeadline::Close)?;
        let (which, sharing) = match drain.spec.target.drained()? {
            Drained::Node(drained) if Some(drained) == name => (Which::All, 1),
            Drained::Node(_) => return None,
            Drained::Endpoint(_) | Drained::Backend { .. } => {
                (Which::To(state.endpoints_of_drain(&drain.metadata.name)), live)
            }
        };
        let pace = &drain.spec.pace;
        Some(Work {
            uid: drain.metadata.uid.clone(),
            name: drain.metadata.name.clone(),
            deadline,
            which,
            pace: Pace::shared(pace.sessions_per_second, pace.jitter_percent, sharing),
        })
    });
    works.collect()
}

/// Whether a Drain empties this node.
pub(super) fn is_drained(state: &State, node: NodeId) -> bool {
    state.draining_nodes().any(|(drained, _)| drained == node)
}
