//! Members of the Raft group: learners become voters, members leave, leadership moves.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use guideway_model::NodeId;
use guideway_model::command::Command;
use openraft::impls::BasicNode;
use openraft::{ChangeMembers, ServerState};

use crate::answer::Pong;
use crate::engine::{Engine, Running};
use crate::propose::ProposeError;
use crate::raft_types::RaftMetrics;

pub(crate) mod group;

use self::group::{Group, Step};

/// Why a member was not promoted or removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// No such member.
    #[error("node {0} is not a member")]
    NotAMember(NodeId),
    /// The last voter cannot be removed.
    #[error("node {0} is the only voter: promote another member first")]
    LastVoter(NodeId),
    /// The member has not caught up with the log, so that promoting it would risk the majority.
    #[error("node {node} has {matched} of {last} log entries: it becomes a voter by itself when it has caught up")]
    NotCaughtUp {
        /// Which.
        node: NodeId,
        /// Index of the last entry known to be there.
        matched: u64,
        /// Index of the leader's last entry.
        last: u64,
    },
    /// Another change is being made.
    #[error("another change of membership is in progress; try again when it is done")]
    InProgress,
    /// The change did not get into the log, or its fate is unknown.
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

/// Why leadership did not move.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// This node does not lead.
    #[error("this node does not lead; node {leader:?} does")]
    NotLeader {
        /// Who does, as far as this node knows.
        leader: Option<NodeId>,
    },
    /// No other voter is alive and caught up.
    #[error("no other voter is alive and caught up")]
    NoSuccessor,
    /// The chosen voter did not take over in time; this node may lead on.
    #[error("node {to} did not take over leadership in time")]
    TimedOut {
        /// Who was chosen.
        to: NodeId,
    },
    /// Raft has stopped on this node.
    #[error("Raft has stopped on this node: {problem}")]
    Stopped {
        /// Why.
        problem: String,
    },
}

/// How long a change of membership may take.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long handing leadership over waits for a change of membership that is under way.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a possible successor may take to say that it is there.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(250);

/// How often a change that someone waits for is looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

impl Engine {
    /// Hands leadership to the voter that is furthest in the log, of those that answer and are not about to stop.
    pub(crate) async fn transfer_leadership(&self) -> Result<NodeId, TransferError> {
        let running = self.running_or_problem().map_err(|problem| TransferError::Stopped {
            problem: problem.unwrap_or_else(|| "the node is shutting down".to_owned()),
        })?;
        let metrics = running.metrics();
        if metrics.state != ServerState::Leader {
            return Err(TransferError::NotLeader {
                leader: metrics.current_leader.map(NodeId),
            });
        }
        if self.able_successor(&running).await.is_none() {
            return Err(TransferError::NoSuccessor);
        }
        // In the middle of a change the next leader may need a majority that counts this node.
        if !self
            .wait_for(SETTLE_TIMEOUT, |metrics| !Group::new(metrics).changing)
            .await
        {
            tracing::warn!(waited = ?SETTLE_TIMEOUT, "leadership is handed over in the middle of a change");
        }
        let to = self.able_successor(&running).await.ok_or(TransferError::NoSuccessor)?;
        self.hand_over_to(&running, to).await
    }

    /// The first possible successor that says that it could: the state may not know yet that a member has gone.
    async fn able_successor(&self, running: &Running) -> Option<u64> {
        let state = self.applied_now().state;
        let successors = Group::new(&running.metrics()).successors(&state);
        let pongs = join_all(successors.iter().map(|node| self.ping(NodeId(*node), ANSWER_TIMEOUT))).await;
        let able = |pong: &Option<Pong>| pong.as_ref().is_some_and(|pong| !pong.resigned);
        successors
            .into_iter()
            .zip(&pongs)
            .find_map(|(node, pong)| able(pong).then_some(node))
    }

    async fn hand_over_to(&self, running: &Running, to: u64) -> Result<NodeId, TransferError> {
        running
            .raft
            .trigger()
            .transfer_leader(to)
            .await
            .map_err(|fatal| TransferError::Stopped {
                problem: fatal.to_string(),
            })?;
        let patience = 2 * self.config.tuning.election_timeout_max;
        let wait = running.raft.wait(Some(patience));
        let taken = wait.metrics(|metrics| metrics.current_leader == Some(to), "leadership is taken over");
        tokio::select! {
            taken = taken => match taken {
                Ok(_) => Ok(NodeId(to)),
                Err(_) => Err(TransferError::TimedOut { to: NodeId(to) }),
            },
            () = self.gone(NodeId(to)) => Err(TransferError::NoSuccessor),
        }
    }

    /// Returns when a member does not answer any more, or is about to stop.
    async fn gone(&self, node: NodeId) {
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            match self.ping(node, ANSWER_TIMEOUT).await {
                Some(pong) if !pong.resigned => {}
                Some(_) | None => return,
            }
        }
    }

    /// Makes a learner that has caught up a voter.
    pub(crate) async fn promote(&self, node: NodeId) -> Result<(), MembershipError> {
        let running = self.running_for_change()?;
        let metrics = running.metrics();
        let group = Group::new(&metrics);
        if group.voters.contains(&node.0) {
            return Ok(());
        }
        if self.applied_now().state.node(node).is_none() {
            return Err(MembershipError::NotAMember(node));
        }
        if metrics.state == ServerState::Leader {
            if !group.has_caught_up(node.0) {
                return Err(MembershipError::NotCaughtUp {
                    node,
                    matched: group.matched.get(&node.0).copied().unwrap_or_default(),
                    last: group.last,
                });
            }
            return self.take_step(&running, &Step::Promote { node: node.0 }).await;
        }
        let there = self
            .wait_for(CHANGE_TIMEOUT, |metrics| {
                metrics.membership_config.voter_ids().any(|voter| voter == node.0)
            })
            .await;
        there.then_some(()).ok_or(MembershipError::NotCaughtUp {
            node,
            matched: 0,
            last: group.last,
        })
    }

    /// Removes a member from the replicated state and waits until the leader has removed it from the Raft group.
    pub(crate) async fn remove_node(&self, node: NodeId) -> Result<(), MembershipError> {
        let group = Group::new(&self.running_for_change()?.metrics());
        if self.applied_now().state.node(node).is_none() && !group.voters.contains(&node.0) {
            return Err(MembershipError::NotAMember(node));
        }
        if group.voters.iter().eq([&node.0]) {
            return Err(MembershipError::LastVoter(node));
        }
        self.propose(&Command::RemoveNode { node }).await?;
        let gone = self
            .wait_for(CHANGE_TIMEOUT, |metrics| {
                metrics.membership_config.get_node(&node.0).is_none()
            })
            .await;
        gone.then_some(()).ok_or(MembershipError::InProgress)
    }

    /// Takes one step of a change as the leader.
    pub(crate) async fn take_step(&self, running: &Running, step: &Step) -> Result<(), MembershipError> {
        let raft = &running.raft;
        let changed = async {
            match step {
                Step::Settle => {
                    let nothing_more = ChangeMembers::AddVoterIds(BTreeSet::new());
                    raft.change_membership(nothing_more, true).await.map(drop)
                }
                Step::AddLearner { node, address } => {
                    raft.add_learner(*node, BasicNode::new(address), false).await.map(drop)
                }
                Step::Promote { node } => {
                    let add = ChangeMembers::AddVoterIds(BTreeSet::from([*node]));
                    raft.change_membership(add, true).await.map(drop)
                }
                Step::Remove { node } => {
                    let votes = Group::new(&running.metrics()).voters.contains(node);
                    let node = BTreeSet::from([*node]);
                    if votes {
                        raft.change_membership(ChangeMembers::RemoveVoters(node.clone()), true)
                            .await?;
                    }
                    raft.change_membership(ChangeMembers::RemoveNodes(node), true)
                        .await
                        .map(drop)
                }
                Step::HandOver { to } => {
                    if let Err(error) = self.hand_over_to(running, *to).await {
                        tracing::warn!(%error, "a leader that was removed could not hand over");
                    }
                    Ok(())
                }
            }
        };
        match tokio::time::timeout(CHANGE_TIMEOUT, changed).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::info!(?step, %error, "a change of membership was not made");
                Err(MembershipError::InProgress)
            }
            Err(_) => Err(MembershipError::Propose(ProposeError::Unconfirmed {
                leader: self.id(),
                waited: CHANGE_TIMEOUT,
            })),
        }
    }

    /// Waits until Raft's metrics satisfy `condition`; `false` if they do not in time.
    async fn wait_for(&self, patience: Duration, condition: impl Fn(&RaftMetrics) -> bool) -> bool {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if self.metrics().is_some_and(|metrics| condition(&metrics)) {
                return true;
            }
            if self.pause(LOOK_INTERVAL).await {
                return false;
            }
        }
        false
    }

    fn running_for_change(&self) -> Result<Running, MembershipError> {
        self.running_or_problem().map_err(|problem| {
            MembershipError::Propose(match problem {
                Some(problem) => ProposeError::StoreFailed { problem },
                None => ProposeError::ShuttingDown,
            })
        })
    }
}
