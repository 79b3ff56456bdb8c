//! What this node answers when another calls it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use guideway_model::command::Command;
use guideway_model::node::{Incarnation, NodeFacts};
use guideway_model::{NodeId, Outcome, Refusal};
use openraft::raft::{TransferLeaderRequest, VoteRequest};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::engine::{Engine, Running, blocking};
use crate::metrics;
use crate::raft_types::Types;
use crate::space::SpaceReport;
use crate::transport::snapshot::{Frames, Preamble};
use crate::transport::{Answer, Call, Service, append};

/// How long members may take to agree on a place for a new one.
pub(crate) const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

/// What a node says that is alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pong {
    /// This start of it.
    pub(crate) incarnation: Incarnation,
    /// Its disk.
    pub(crate) space: SpaceReport,
    /// Whether it is about to stop, so that leadership must not be handed to it.
    pub(crate) resigned: bool,
}

/// What a node says that was asked for a place in the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Place {
    /// There is one.
    Given {
        /// The number of the new node.
        node: NodeId,
        /// Identity of the cluster.
        cluster: String,
    },
    /// The cluster decided against it.
    Refused(Refusal),
    /// The cluster could not decide.
    Undecided(String),
}

impl Service for Engine {
    fn cluster(&self) -> &str {
        &self.identity.cluster
    }

    fn node(&self) -> u64 {
        self.id()
    }

    async fn answer(&self, call: Call, body: Bytes) -> Answer {
        match call {
            Call::Ping => Answer::json(&Pong {
                incarnation: self.config.incarnation,
                space: self.space.report(),
                resigned: self.resigned.load(Ordering::Relaxed),
            }),
            Call::Figures => Answer::json(&self.own_figures()),
            Call::Ask => self.answer_question(body).await,
            Call::Propose => match self.propose_for_another(&body).await {
                Ok(handed) => Answer::json(&handed),
                Err(error) => Answer::bad_request(error.to_string()),
            },
            Call::ReadIndex => Answer::json(&self.read_index().await),
            Call::Join => match serde_json::from_slice(&body) {
                Ok(facts) => Answer::json(&self.give_place(facts).await),
                Err(error) => Answer::bad_request(error.to_string()),
            },
            Call::Append | Call::Vote | Call::PreVote | Call::TransferLeader => match self.running() {
                Some(running) => raft_call(&running, call, body).await,
                None => self.raft_is_down(),
            },
            Call::Snapshot => Answer::bad_request("a snapshot comes in frames"),
        }
    }

    async fn receive_snapshot(&self, frames: Frames) -> Answer {
        match self.running() {
            Some(running) => self.receive(running, frames).await.unwrap_or_else(|answer| answer),
            None => self.raft_is_down(),
        }
    }
}

impl Engine {
    fn raft_is_down(&self) -> Answer {
        Answer::unavailable(
            self.problem()
                .unwrap_or_else(|| "the node is starting or shutting down".to_owned()),
        )
    }

    async fn give_place(&self, facts: NodeFacts) -> Place {
        match self
            .propose(&Command::JoinNode { node: facts })
            .await
            .map(|committed| committed.outcome)
        {
            Ok(Outcome::NodeId(node)) => Place::Given {
                node,
                cluster: self.identity.cluster.clone(),
            },
            Ok(Outcome::Refused(refusal)) => Place::Refused(refusal),
            Ok(other) => Place::Undecided(format!("the cluster answered {other:?}")),
            Err(error) => Place::Undecided(error.to_string()),
        }
    }

    /// Stores the chunks of a snapshot as they come, then has Raft install it.
    async fn receive(&self, running: Running, mut frames: Frames) -> Result<Answer, Answer> {
        let bad = |error: std::io::Error| Answer::bad_request(error.to_string());
        let failed = |error: std::io::Error| Answer::unavailable(error.to_string());
        let crashed = |error: crate::StartError| Answer::unavailable(error.to_string());
        let preamble: Preamble = read(&frames.next().await.map_err(bad)?)?;
        let snapshots = running.snapshots.clone();
        let mut writer = blocking(move || snapshots.begin())
            .await
            .map_err(crashed)?
            .map_err(failed)?;
        for _ in 0..preamble.chunks {
            let chunk = frames.next().await.map_err(bad)?;
            // A disk that is filled by a snapshot would stop the log, too.
            self.space
                .guard_here(self.id())
                .map_err(|full| Answer::unavailable(full.to_string()))?;
            let written = blocking(move || writer.push_chunk(&chunk).map(|()| writer))
                .await
                .map_err(crashed)?;
            writer = written.map_err(failed)?;
        }
        let snapshot = writer.finish().map_err(failed)?;
        metrics::snapshot_received(snapshot.bytes());
        tracing::info!(covers = %preamble.meta, bytes = snapshot.bytes(), "a snapshot has come from the leader");
        let snapshot = openraft::Snapshot {
            meta: preamble.meta,
            snapshot,
        };
        Ok(raft_answer(
            running.raft.install_full_snapshot(preamble.vote, snapshot).await,
        ))
    }
}

async fn raft_call(running: &Running, call: Call, body: Bytes) -> Answer {
    let raft = &running.raft;
    match call {
        Call::Append => match append::decode(body) {
            Ok(request) => raft_answer(raft.append_entries(request).await),
            Err(error) => Answer::bad_request(error.to_string()),
        },
        Call::Vote => match read::<VoteRequest<Types>>(&body) {
            Ok(request) => raft_answer(raft.vote(request).await),
            Err(answer) => answer,
        },
        Call::PreVote => match read::<VoteRequest<Types>>(&body) {
            Ok(request) => raft_answer(raft.pre_vote(request).await),
            Err(answer) => answer,
        },
        _ => match read::<TransferLeaderRequest<Types>>(&body) {
            Ok(request) => raft_answer(raft.handle_transfer_leader(request).await),
            Err(answer) => answer,
        },
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Answer> {
    serde_json::from_slice(body).map_err(|error| Answer::bad_request(error.to_string()))
}

fn raft_answer<T: Serialize, E: std::fmt::Display>(answer: Result<T, E>) -> Answer {
    match answer {
        Ok(answer) => Answer::json(&answer),
        Err(fatal) => Answer::unavailable(fatal.to_string()),
    }
}
