//! Whether the live nodes have bound what a listener needs.

use std::collections::BTreeSet;

use super::condition::enumerate;
use crate::node::{BindResult, NodeRecord, SocketKey};
use crate::state::State;

/// What the live nodes have reported about some socket groups.
#[derive(Clone, Debug, Default)]
pub(crate) struct Binds {
    live: usize,
    /// One sentence for each node and address that failed.
    failed: Vec<String>,
    /// Names of nodes that have not reported on all of them.
    pending: Vec<String>,
}

/// The answer, worst first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// At least one live node cannot bind; says which, where and why.
    Failed(String),
    /// None has failed, and not all have reported; says who is waited for.
    Pending(String),
    /// Every live node has bound them all.
    Bound,
}

impl Binds {
    /// Asks every live node about `sockets`. A node that has never started, or that the cluster holds for dead, is not
    /// asked: it serves no one, and what it would say is unknown.
    pub(crate) fn of(state: &State, sockets: &BTreeSet<SocketKey>) -> Binds {
        let mut binds = Binds::default();
        for (_, node) in state.nodes().filter(|(_, node)| node.live) {
            binds.live += 1;
            binds.ask(node, sockets);
        }
        binds
    }

    fn ask(&mut self, node: &NodeRecord, sockets: &BTreeSet<SocketKey>) {
        let mut waits = false;
        for socket in sockets {
            match node.binds.get(socket) {
                Some(BindResult::Bound) => {}
                Some(BindResult::Failed(failure)) => self.failed.push(format!(
                    "node {:?} cannot bind {}: {} (errno {})",
                    node.facts.name, failure.address, failure.message, failure.errno
                )),
                None => waits = true,
            }
        }
        if waits {
            self.pending.push(format!("{:?}", node.facts.name));
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        if !self.failed.is_empty() {
            Verdict::Failed(enumerate(&self.failed, "; "))
        } else if !self.pending.is_empty() {
            Verdict::Pending(format!(
                "waiting for node {} to bind it",
                enumerate(&self.pending, ", ")
            ))
        } else if self.live == 0 {
            Verdict::Pending("no node is live".to_owned())
        } else {
            Verdict::Bound
        }
    }
}
