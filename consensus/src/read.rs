//! Linearizable reads: the leader names the log index to wait for.

use std::time::{Duration, Instant};

use guideway_model::state::Applied;
use openraft::ReadPolicy;
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::metrics;
use crate::transport::Call;

/// Why a linearizable read failed; the local state can still be read by [`crate::Consensus::watch`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No leader could confirm its leadership to this node in time.
    #[error(
        "no leader could confirm its leadership within {waited:?}: fewer than a majority of the voters can reach each other"
    )]
    NoLeader {
        /// How long one was looked for.
        waited: Duration,
    },
    /// The leader named an index that this node has not applied in time.
    #[error("this node has applied log index {applied} and must apply {wanted} first; it did not within {waited:?}")]
    Behind {
        /// What this node has applied.
        applied: u64,
        /// What the leader named.
        wanted: u64,
        /// How long it was waited for.
        waited: Duration,
    },
    /// This node's store has failed and Raft has stopped here.
    #[error("this node's store has failed: {problem}")]
    StoreFailed {
        /// What failed.
        problem: String,
    },
    /// This node is shutting down.
    #[error("this node is shutting down")]
    ShuttingDown,
}

/// How long a leader may take to hear from a majority before it is asked again.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(1);

/// What a node answers that is asked for the index to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ReadIndex {
    /// It leads; every write acknowledged before the call is at or below this index.
    Index(u64),
    /// It does not lead, or cannot be sure of it.
    NotLeader,
}

impl Engine {
    /// A state that has every write acknowledged before the call.
    pub(crate) async fn linearizable(&self, patience: Duration) -> Result<Applied, ReadError> {
        let outcome = self.linearizable_until(Instant::now() + patience, patience).await;
        metrics::read(match &outcome {
            Ok(_) => "served",
            Err(ReadError::NoLeader { .. }) => "no_leader",
            Err(ReadError::Behind { .. }) => "behind",
            Err(ReadError::StoreFailed { .. }) => "store_failed",
            Err(ReadError::ShuttingDown) => "shutting_down",
        });
        outcome
    }

    async fn linearizable_until(&self, deadline: Instant, waited: Duration) -> Result<Applied, ReadError> {
        let wanted = loop {
            if self.is_stopping() {
                return Err(ReadError::ShuttingDown);
            }
            let running = self.running_or_problem().map_err(|problem| match problem {
                Some(problem) => ReadError::StoreFailed { problem },
                None => ReadError::ShuttingDown,
            })?;
            let leader = running.metrics().current_leader;
            let answer = match leader {
                Some(leader) if leader == self.id() => self.read_index().await,
                Some(leader) => self.ask_read_index(leader).await,
                None => ReadIndex::NotLeader,
            };
            match answer {
                ReadIndex::Index(index) => break index,
                ReadIndex::NotLeader if Instant::now() >= deadline => return Err(ReadError::NoLeader { waited }),
                ReadIndex::NotLeader => running.another_leader(leader).await,
            }
        };
        let mut applied = self.applied.subscribe();
        let there = tokio::time::timeout_at(deadline.into(), applied.wait_for(|applied| applied.index >= wanted)).await;
        match there {
            Ok(Ok(applied)) => Ok(applied.clone()),
            Ok(Err(_)) => Err(ReadError::ShuttingDown),
            Err(_) => Err(ReadError::Behind {
                applied: self.applied_now().index,
                wanted,
                waited,
            }),
        }
    }

    /// The index to wait for, if this node leads and a majority confirms it.
    pub(crate) async fn read_index(&self) -> ReadIndex {
        let Some(running) = self.running() else {
            return ReadIndex::NotLeader;
        };
        let confirm = running.raft.get_read_linearizer(ReadPolicy::ReadIndex);
        match tokio::time::timeout(CONFIRM_TIMEOUT, confirm).await {
            Ok(Ok(linearizer)) => ReadIndex::Index(linearizer.read_log_id().index()),
            Ok(Err(_)) | Err(_) => ReadIndex::NotLeader,
        }
    }

    async fn ask_read_index(&self, leader: u64) -> ReadIndex {
        let Some(target) = self.members.target(leader) else {
            return ReadIndex::NotLeader;
        };
        let answer = self
            .peers
            .call(&target, Call::ReadIndex, &(), 2 * CONFIRM_TIMEOUT)
            .await;
        answer.unwrap_or_else(|error| {
            tracing::debug!(leader, %error, "the leader did not name the index to read at");
            ReadIndex::NotLeader
        })
    }
}
