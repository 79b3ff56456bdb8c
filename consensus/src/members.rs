//! Where members are reached: by what they last said of themselves.

use guideway_model::NodeId;
use guideway_model::state::Applied;
use tokio::sync::watch;

use crate::transport::Target;

/// Looks members up in the replicated state.
#[derive(Clone)]
pub(crate) struct Members {
    applied: watch::Receiver<Applied>,
}

impl Members {
    pub(crate) fn new(applied: watch::Receiver<Applied>) -> Members {
        Members { applied }
    }

    /// `host:port` of a member's transport; `None` if it is not in the state, as on a node that has applied nothing.
    pub(crate) fn address(&self, node: u64) -> Option<String> {
        let applied = self.applied.borrow();
        applied
            .state
            .node(NodeId(node))
            .map(|record| record.facts.peer_address.clone())
    }

    /// Where to call a member.
    pub(crate) fn target(&self, node: u64) -> Option<Target> {
        let address = self.address(node)?;
        Some(Target {
            address,
            node: Some(node),
        })
    }
}
