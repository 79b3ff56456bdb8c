//! What this node answers when another calls it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use guideway_identity::Validity;
use guideway_model::command::Command;
use guideway_model::digest::Digest;
use guideway_model::node::{Incarnation, NodeFacts};
use guideway_model::{NodeId, Outcome, Refusal, wire};
use openraft::raft::{TransferLeaderRequest, VoteRequest};
use rustls_pki_types::UnixTime;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::credentials::Names;
use crate::engine::{Engine, Running, blocking};
use crate::identity::Identity;
use crate::metrics;
use crate::propose::Handed;
use crate::raft_types::Types;
use crate::space::SpaceReport;
use crate::transport::snapshot::{Frames, Preamble};
use crate::transport::{Answer, Call, Service, append};
use crate::trust::{Caller, Roster};

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
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Place {
    /// There is one.
    Given {
        /// The number of the new node.
        node: NodeId,
        /// Identity of the cluster.
        cluster: String,
        /// Certificate of the new node, followed by the authority's, in PEM.
        certificate: String,
        /// Certificate of the cluster's authority, in PEM.
        authority: String,
        /// Its key, in PEM: the new node signs its own certificates from then on.
        authority_key: String,
        /// The keys with which Secrets are sealed, as their file has them.
        sealing_key: String,
        /// Members.
        roster: Roster,
    },
    /// The cluster decided against it.
    Refused(Refusal),
    /// The cluster could not decide.
    Undecided(String),
}

/// What a node says of itself that asks for a place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct JoinQuestion {
    /// As it is replicated.
    pub(crate) facts: NodeFacts,
    /// For its certificate.
    pub(crate) names: Names,
}

/// What a node answers a command beside it: what came of it, or why nothing did.
pub(crate) type Beside<T> = Result<T, String>;

impl Service for Engine {
    fn cluster(&self) -> &str {
        &self.identity.cluster
    }

    fn node(&self) -> u64 {
        self.id()
    }

    fn members_changed(&self) -> watch::Receiver<u64> {
        self.members_changed.subscribe()
    }

    async fn answer(&self, caller: &Caller, call: Call, body: Bytes) -> Answer {
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
                Ok(question) => Answer::json(&self.give_place(caller, question).await),
                Err(error) => Answer::bad_request(error.to_string()),
            },
            Call::Roster => Answer::json(&Roster::of(&self.applied_now())),
            Call::Submit => match self.submit(&body).await {
                Ok(handed) => Answer::json(&handed),
                Err(error) => Answer::bad_request(error.to_string()),
            },
            Call::Rotate => {
                let rotated: Beside<_> = self.rotate().await.map_err(|error| error.to_string());
                Answer::json(&rotated)
            }
            Call::Remove => match serde_json::from_slice(&body) {
                Ok(node) => {
                    let removed: Beside<()> = self.remove_node(node).await.map_err(|error| error.to_string());
                    Answer::json(&removed)
                }
                Err(error) => Answer::bad_request(error.to_string()),
            },
            Call::Loss | Call::Recover if !self.is_beside(caller) => {
                Answer::bad_request("this is for a command on the node's own machine")
            }
            Call::Loss => {
                let loss: Beside<_> = self.loss().await.map_err(|error| error.to_string());
                Answer::json(&loss)
            }
            Call::Recover => {
                let recovered: Beside<_> = self.recover().await.map_err(|error| error.to_string());
                Answer::json(&recovered)
            }
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

    /// Whether the caller is a command that has this node's own certificate.
    fn is_beside(&self, caller: &Caller) -> bool {
        matches!(caller, Caller::Member(member) if member.number == self.id())
    }

    async fn give_place(&self, caller: &Caller, question: JoinQuestion) -> Place {
        let Caller::Joiner(joiner) = caller else {
            return Place::Undecided("a member has a place already".to_owned());
        };
        let name = question.facts.name.clone();
        let command = Command::Admit {
            node: question.facts,
            key: Digest(joiner.key.0),
            token: joiner.token.clone(),
            secret: Digest(joiner.secret.0),
        };
        let node = match self.propose(&command).await.map(|committed| committed.outcome) {
            Ok(Outcome::NodeId(node)) => node,
            Ok(Outcome::Refused(refusal)) => return Place::Refused(refusal),
            Ok(other) => return Place::Undecided(format!("the cluster answered {other:?}")),
            Err(error) => return Place::Undecided(error.to_string()),
        };
        let subject = question
            .names
            .subject(&Identity::new(node, self.identity.cluster.clone(), name.clone()));
        let validity = Validity::starting(UnixTime::now(), self.credentials.life());
        let authority = self.credentials.authority();
        match authority.issue_node(&subject, &joiner.public_key, validity) {
            Ok(certificate) => {
                tracing::info!(%node, name, token = joiner.token, "a node has joined");
                Place::Given {
                    node,
                    cluster: self.identity.cluster.clone(),
                    certificate,
                    authority: authority.certificate_pem().to_owned(),
                    authority_key: authority.key_pem(),
                    sealing_key: self.credentials.sealing().keys().text(),
                    roster: Roster::of(&self.applied_now()),
                }
            }
            Err(error) => Place::Undecided(error.to_string()),
        }
    }

    /// Has a command from beside this node committed.
    async fn submit(&self, bytes: &[u8]) -> Result<Handed, wire::WireError> {
        let command = wire::decode_proposal(bytes)?.command;
        Ok(match self.propose(&command).await {
            Ok(committed) => {
                // Who asks next asks this node: a joining one with the token that this made, for example.
                self.applied_here(committed.index).await;
                Handed::Committed(committed)
            }
            Err(error) => Handed::Failed(error),
        })
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
