//! Proposals: from any node to the leader, and into the log at most once.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use guideway_model::command::{Command, Proposal};
use guideway_model::meta::UnixMillis;
use guideway_model::{NodeId, Outcome, wire};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use serde::{Deserialize, Serialize};

use crate::engine::{Engine, Running};
use crate::raft_types::Payload;
use crate::store::record::BODY_LIMIT;
use crate::transport::{Call, CallError};
use crate::{clock, metrics};

/// A command that is in the log for good and applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Committed {
    /// Its log index.
    pub index: u64,
    /// What applying it gave; a refusal is an outcome, too.
    pub outcome: Outcome,
}

/// Why a proposal has no outcome.
///
/// A proposal is handed to a leader again only when the one before has certainly not taken it into its log. So each
/// command is in the log at most once, and [`ProposeError::may_have_happened`] says whether it can be there at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ProposeError {
    /// No leader took the proposal in time; it has not happened.
    #[error("no leader took the proposal within {waited:?}: fewer than a majority of the voters can reach each other")]
    NoLeader {
        /// How long one was looked for.
        waited: Duration,
    },
    /// A leader took the proposal, and its answer did not come: whether it happened is not known.
    #[error(
        "the proposal was handed to node {leader} and not confirmed within {waited:?}: it may or may not take effect; read before trying again"
    )]
    Unconfirmed {
        /// Who took it.
        leader: u64,
        /// How long its answer was waited for.
        waited: Duration,
    },
    /// A disk of the cluster is nearly full; it has not happened.
    #[error(
        "node {node} has {free_bytes} bytes free beside {path:?}, below its mark of {mark_bytes}: free space there, then try again"
    )]
    DiskFull {
        /// Whose disk.
        node: u64,
        /// Its data folder.
        path: PathBuf,
        /// What is free.
        free_bytes: u64,
        /// What must be.
        mark_bytes: u64,
    },
    /// The command is larger than one log entry may be; it has not happened.
    #[error("the command is {bytes} bytes long; at most {limit} fit into one log entry")]
    TooLarge {
        /// Its encoded length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// This node's store has failed and Raft has stopped here; it has not happened.
    #[error("this node's store has failed: {problem}")]
    StoreFailed {
        /// What failed.
        problem: String,
    },
    /// This node is shutting down; it has not happened.
    #[error("this node is shutting down")]
    ShuttingDown,
}

impl ProposeError {
    /// Whether the command may have taken effect, or still may.
    pub fn may_have_happened(&self) -> bool {
        matches!(self, ProposeError::Unconfirmed { .. })
    }
}

/// Pause before a leader is looked for again, unless one shows up sooner.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// What a leader answers to a proposal that another node hands to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Handed {
    /// Done.
    Committed(Committed),
    /// Not taken: this node does not lead, or may not lead any more.
    NotLeader,
    /// Failed for good.
    Failed(ProposeError),
}

impl Engine {
    /// Has `command` committed through whichever node leads.
    pub(crate) async fn propose(&self, command: &Command) -> Result<Committed, ProposeError> {
        let outcome = self
            .propose_until(command, Instant::now() + self.config.tuning.request_deadline)
            .await;
        metrics::proposal(match &outcome {
            Ok(_) => "committed",
            Err(ProposeError::NoLeader { .. }) => "no_leader",
            Err(ProposeError::Unconfirmed { .. }) => "unconfirmed",
            Err(ProposeError::DiskFull { .. }) => "disk_full",
            Err(ProposeError::TooLarge { .. }) => "too_large",
            Err(ProposeError::StoreFailed { .. }) => "store_failed",
            Err(ProposeError::ShuttingDown) => "shutting_down",
        });
        outcome
    }

    async fn propose_until(&self, command: &Command, deadline: Instant) -> Result<Committed, ProposeError> {
        let mut handed_over: Option<Bytes> = None;
        loop {
            if self.is_stopping() {
                return Err(ProposeError::ShuttingDown);
            }
            let running = self.running_for_propose()?;
            let leader = running.metrics().current_leader;
            let answer = match leader {
                Some(leader) if leader == self.id() => self.propose_here(command, deadline).await,
                Some(leader) => {
                    let bytes = handed_over.get_or_insert_with(|| encode(UnixMillis::default(), command).into());
                    fits(bytes)?;
                    self.hand_over(leader, bytes.clone(), deadline).await
                }
                None => Handed::NotLeader,
            };
            match answer {
                Handed::Committed(committed) => return Ok(committed),
                Handed::Failed(error) => return Err(error),
                Handed::NotLeader if Instant::now() + RETRY_PAUSE >= deadline => {
                    return Err(ProposeError::NoLeader {
                        waited: self.config.tuning.request_deadline,
                    });
                }
                Handed::NotLeader => running.another_leader(leader).await,
            }
        }
    }

    /// Has a proposal that another node handed over committed, if this node leads.
    pub(crate) async fn propose_for_another(&self, bytes: &[u8]) -> Result<Handed, wire::WireError> {
        let command = wire::decode_proposal(bytes)?.command;
        let deadline = Instant::now() + self.config.tuning.request_deadline;
        Ok(self.propose_here(&command, deadline).await)
    }

    /// Stamps the time on a command and takes it into the log, if this node leads.
    async fn propose_here(&self, command: &Command, deadline: Instant) -> Handed {
        let running = match self.running_for_propose() {
            Ok(running) => running,
            Err(error) => return Handed::Failed(error),
        };
        // What members do about themselves is little and bounded, and the way out of a full disk leads through it.
        let about_members = matches!(
            command,
            Command::NodeUp { .. }
                | Command::NodeDown { .. }
                | Command::RemoveNode { .. }
                | Command::SetNodeKeys { .. }
                | Command::SetSealingKey { .. }
        );
        // Once it is no member, others do not hear its leader any more: leadership goes first.
        if matches!(command, Command::RemoveNode { node } if *node == self.node_id())
            && let Ok(to) = self.transfer_leadership().await
        {
            tracing::info!(%to, "this node leads no longer: it is about to be removed");
            return Handed::NotLeader;
        }
        if !about_members && let Err(error) = self.space.guard(self.id()) {
            return Handed::Failed(error);
        }
        let bytes = encode(clock::now(), command);
        if let Err(error) = fits(&bytes) {
            return Handed::Failed(error);
        }
        let began = Instant::now();
        let unconfirmed = || {
            Handed::Failed(ProposeError::Unconfirmed {
                leader: self.id(),
                waited: began.elapsed(),
            })
        };
        let write = running.raft.client_write(Payload(bytes.into()));
        match tokio::time::timeout_at(deadline.into(), write).await {
            Ok(Ok(written)) => {
                metrics::committed(began.elapsed());
                Handed::Committed(Committed {
                    index: written.log_id.index,
                    outcome: written.data,
                })
            }
            // Refused before it was appended: by a node that does not lead or whose lease has run out.
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) => Handed::NotLeader,
            // Appended, and the log went another way or Raft stopped; or still under way.
            Ok(Err(_)) | Err(_) => unconfirmed(),
        }
    }

    /// Has `command` committed by a certain member, if it leads and is reached; says whether it was done.
    pub(crate) async fn propose_through(&self, node: NodeId, command: &Command) -> bool {
        let bytes: Bytes = encode(UnixMillis::default(), command).into();
        let deadline = Instant::now() + self.config.tuning.request_deadline;
        let answer = self.hand_over(node.0, bytes, deadline).await;
        matches!(answer, Handed::Committed(committed) if !matches!(committed.outcome, Outcome::Refused(_)))
    }

    async fn hand_over(&self, leader: u64, proposal: Bytes, deadline: Instant) -> Handed {
        let Some(target) = self.members.target(leader) else {
            return Handed::NotLeader;
        };
        let began = Instant::now();
        let timeout = deadline.saturating_duration_since(began);
        match self.peers.call_bytes(&target, Call::Propose, proposal, timeout).await {
            Ok(handed) => handed,
            Err(error) => {
                tracing::debug!(leader, %error, "a proposal could not be handed to the leader");
                not_confirmed(&error, leader, began)
            }
        }
    }

    fn running_for_propose(&self) -> Result<Running, ProposeError> {
        self.running_or_problem().map_err(|problem| match problem {
            Some(problem) => ProposeError::StoreFailed { problem },
            None => ProposeError::ShuttingDown,
        })
    }
}

impl Running {
    /// Waits a little, or until another node than `leader` leads.
    pub(crate) async fn another_leader(&self, leader: Option<u64>) {
        let mut watched = self.raft.server_metrics();
        let changed = async {
            loop {
                let now = watched.borrow_watched().current_leader;
                if now.is_some() && now != leader || watched.changed().await.is_err() {
                    return;
                }
            }
        };
        // The pause itself is what is wanted of the timeout.
        drop(tokio::time::timeout(RETRY_PAUSE, changed).await);
    }
}

fn fits(proposal: &[u8]) -> Result<(), ProposeError> {
    if proposal.len() <= BODY_LIMIT {
        return Ok(());
    }
    Err(ProposeError::TooLarge {
        bytes: proposal.len(),
        limit: BODY_LIMIT,
    })
}

fn not_confirmed(error: &CallError, leader: u64, began: Instant) -> Handed {
    if error.certainly_not_done() {
        return Handed::NotLeader;
    }
    Handed::Failed(ProposeError::Unconfirmed {
        leader,
        waited: began.elapsed(),
    })
}

fn encode(time: UnixMillis, command: &Command) -> Vec<u8> {
    wire::encode_proposal(&Proposal {
        time,
        command: command.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_call_that_may_have_been_done_leaves_doubt() {
        let address = || "127.0.0.1:1".to_owned();
        let problem = String::new;
        let calls = [
            (
                CallError::NotSent {
                    address: address(),
                    problem: problem(),
                },
                false,
            ),
            (
                CallError::Refused {
                    address: address(),
                    status: 503,
                    problem: problem(),
                },
                false,
            ),
            (
                CallError::TimedOut {
                    address: address(),
                    waited: Duration::ZERO,
                },
                true,
            ),
            (
                CallError::Lost {
                    address: address(),
                    problem: problem(),
                },
                true,
            ),
        ];
        for (error, doubt) in calls {
            let handed = not_confirmed(&error, 2, Instant::now());
            let in_doubt = matches!(&handed, Handed::Failed(error) if error.may_have_happened());
            assert_eq!(in_doubt, doubt, "{error}");
            assert_eq!(handed == Handed::NotLeader, !doubt, "{error}");
        }
    }
}
