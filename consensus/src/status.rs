//! What a node knows about consensus at this moment.

use std::time::Duration;

use futures_util::future::join_all;
use guideway_model::NodeId;
use guideway_model::node::{NodeFigures, NodeView, Role};
use openraft::ServerState;

use crate::engine::Engine;
use crate::raft_types::RaftMetrics;
use crate::transport::Call;

/// A node's view of the Raft group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Who leads, as far as this node knows.
    pub leader: Option<NodeId>,
    /// Current Raft term.
    pub term: u64,
    /// What this node is.
    pub role: Role,
    /// Log index of the last entry that was applied here.
    pub last_applied: u64,
    /// Log index of the last entry that this node knows committed.
    pub commit: u64,
    /// Members that vote; one that is about to, or about to leave, is not among them.
    pub voters: Vec<NodeId>,
    /// The other members.
    pub learners: Vec<NodeId>,
    /// Bytes of log entries kept, purged ones left out.
    pub log_bytes: u64,
    /// Whether the store works.
    pub store: StoreHealth,
}

/// Whether the store works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreHealth {
    /// It does.
    Healthy,
    /// Free space is below the mark: the cluster refuses proposals while this lasts.
    LowSpace {
        /// Bytes that are free beside the data folder.
        free_bytes: u64,
        /// The mark.
        mark_bytes: u64,
    },
    /// It failed: Raft has stopped on this node, the last state goes on being published, and the store is opened
    /// again with back-off.
    Failed {
        /// What failed, with path and reason.
        problem: String,
    },
}

/// How long members may take to tell their figures.
const FIGURES_TIMEOUT: Duration = Duration::from_millis(500);

impl Engine {
    /// What this node knows about the Raft group.
    pub(crate) fn status(&self) -> Status {
        let metrics = self.metrics();
        let (voters, learners) = metrics.as_ref().map(members).unwrap_or_default();
        let role = metrics.as_ref().map_or(Role::Learner, |metrics| match metrics.state {
            ServerState::Leader => Role::Leader,
            ServerState::Follower | ServerState::Candidate => Role::Follower,
            ServerState::Learner | ServerState::Shutdown => Role::Learner,
        });
        let running = self.running();
        Status {
            leader: self.leader().map(NodeId),
            term: metrics.as_ref().map_or(0, |metrics| metrics.current_term),
            role,
            last_applied: self.applied_now().index,
            commit: metrics
                .as_ref()
                .and_then(|metrics| metrics.local_committed)
                .map_or(0, |id| id.index),
            voters,
            learners,
            log_bytes: running.map_or(0, |running| running.log.bytes()),
            store: self.store_health(),
        }
    }

    /// Every member with its own figures.
    pub(crate) async fn nodes(&self) -> Vec<NodeView> {
        let status = self.status();
        let state = self.applied_now().state;
        let views = state.nodes().map(|(id, record)| {
            let role = match id {
                id if status.leader == Some(id) => Role::Leader,
                id if status.voters.contains(&id) => Role::Follower,
                _ => Role::Learner,
            };
            let record = record.clone();
            async move {
                NodeView {
                    id,
                    record,
                    role,
                    figures: self.figures_of(id).await,
                }
            }
        });
        join_all(views).await
    }

    /// This node's own figures.
    pub(crate) fn own_figures(&self) -> NodeFigures {
        NodeFigures {
            applied_index: self.applied_now().index,
            ..(self.config.figures)()
        }
    }

    async fn figures_of(&self, id: NodeId) -> Option<NodeFigures> {
        if id == self.node_id() {
            return Some(self.own_figures());
        }
        let target = self.members.target(id.0)?;
        self.peers.call(&target, Call::Figures, &(), FIGURES_TIMEOUT).await.ok()
    }

    fn store_health(&self) -> StoreHealth {
        if let Some(problem) = self.problem() {
            return StoreHealth::Failed { problem };
        }
        let report = self.space.report();
        if report.free_bytes < report.mark_bytes {
            return StoreHealth::LowSpace {
                free_bytes: report.free_bytes,
                mark_bytes: report.mark_bytes,
            };
        }
        StoreHealth::Healthy
    }
}

/// Those that vote before and after any change that is under way, and the others.
fn members(metrics: &RaftMetrics) -> (Vec<NodeId>, Vec<NodeId>) {
    let membership = metrics.membership_config.membership();
    let configs = membership.get_joint_config();
    let all = membership.nodes().map(|(node, _)| *node);
    let (voters, learners): (Vec<u64>, Vec<u64>) =
        all.partition(|node| configs.iter().all(|config| config.contains(node)));
    let ids = |nodes: Vec<u64>| nodes.into_iter().map(NodeId).collect();
    (ids(voters), ids(learners))
}
