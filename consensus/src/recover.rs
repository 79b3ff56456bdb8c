//! A quorum that is lost for good: what one node has becomes the cluster.
//!
//! After its last log entry the node gets two kinds of entries that nobody but it has: that it is the only voter, and that
//! the others are members no more. Raft is stopped for it and started again; the process goes on, with the state it has, the
//! data plane and every session. Entries that the node had and did not know committed are kept, since the lost majority may
//! have had and acknowledged them; what only the lost ones had is gone.
//!
//! The lost ones must never start again: a majority of them would be a cluster of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use guideway_model::command::{Command, Proposal};
use guideway_model::state::State;
use guideway_model::{NodeId, wire};
use openraft::RaftLogReader;
use openraft::impls::BasicNode;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::clock;
use crate::consensus::StartError;
use crate::engine::{Engine, blocking};
use crate::raft_types::{Entry, EntryPayload, LeaderId, LogId, Membership, Payload, Vote};
use crate::stopped::Stopped;
use crate::store::Store;

/// What is known of a loss before anything is done about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The node that is left.
    pub node: NodeId,
    /// Whether it runs.
    pub running: bool,
    /// Last log index that it has applied: so far, nothing that was acknowledged is missing.
    pub applied: u64,
    /// Last log index that it has. What lies between may have been acknowledged, and is kept.
    pub last: u64,
    /// Objects it has.
    pub objects: usize,
    /// The members that are given up.
    pub members: Vec<LostMember>,
}

/// A member that is given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostMember {
    /// Its number.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Where its peers reached it.
    pub peer_address: String,
    /// Whether it votes.
    pub voter: bool,
    /// Whether it answers now; `None` if it was not asked.
    pub answers: Option<bool>,
}

/// Why a quorum was not rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// Nothing is lost.
    #[error(
        "{answering} of {voters} voters answer, which is a majority: nothing is lost. Take single members out with `guideway remove`"
    )]
    QuorumLives {
        /// Voters that answer, this node included.
        answering: usize,
        /// Voters there are.
        voters: usize,
    },
    /// The node is nobody's.
    #[error(
        "node {0} is no member in its own state: it was removed, or has never caught up. Use the data folder of another"
    )]
    NotAMember(NodeId),
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] StartError),
    /// The store cannot be written.
    #[error("the store cannot be written: {0}")]
    Store(io::Error),
    /// The node does something else.
    #[error("the node is about to rebuild its cluster already, or to stop")]
    Busy,
    /// Not in time.
    #[error("the store is rebuilt, and the node does not lead after {0:?}: look at its log")]
    NotLeading(Duration),
}

/// How long the node may take to lead what is left.
const LEAD_TIMEOUT: Duration = Duration::from_secs(20);

/// Asks the supervisor to rebuild the store; the answer says whether that was done.
pub(crate) type Request = oneshot::Sender<Result<(), io::Error>>;

/// Requests that wait: one is enough.
pub(crate) fn requests() -> (mpsc::Sender<Request>, mpsc::Receiver<Request>) {
    mpsc::channel(1)
}

impl Engine {
    /// What is lost.
    ///
    /// # Errors
    /// A majority answers, or the node is no member.
    pub(crate) async fn loss(&self) -> Result<Loss, RecoverError> {
        let status = self.status();
        let views = self.nodes().await;
        let answers = |id: NodeId| {
            let found = views.iter().find(|view| view.id == id);
            id == self.node_id() || found.is_some_and(|view| view.figures.is_some())
        };
        let answering = status.voters.iter().filter(|voter| answers(**voter)).count();
        let voters = status.voters.len();
        if answering * 2 > voters {
            return Err(RecoverError::QuorumLives { answering, voters });
        }
        let last = self
            .metrics()
            .and_then(|metrics| metrics.last_log_index)
            .unwrap_or_default();
        let voters: BTreeSet<NodeId> = status.voters.iter().copied().collect();
        let applied = self.applied_now();
        let mut loss = loss(self.node_id(), (&applied.state, applied.index), last, &voters)?;
        loss.running = true;
        for member in &mut loss.members {
            member.answers = Some(answers(member.node));
        }
        Ok(loss)
    }

    /// Makes this node the only member of its cluster, while everything but Raft goes on.
    ///
    /// # Errors
    /// A majority answers, or the store cannot be written.
    pub(crate) async fn recover(&self) -> Result<Loss, RecoverError> {
        let loss = self.loss().await?;
        let (done, rebuilt) = oneshot::channel();
        self.rebuild.try_send(done).map_err(|_| RecoverError::Busy)?;
        rebuilt
            .await
            .map_err(|_| RecoverError::Busy)?
            .map_err(RecoverError::Store)?;
        let mut applied = self.applied.subscribe();
        let own = self.node_id();
        let alone = applied.wait_for(|applied| applied.state.nodes().all(|(id, _)| id == own));
        match tokio::time::timeout(LEAD_TIMEOUT, alone).await {
            Ok(Ok(_)) => Ok(loss),
            Ok(Err(_)) | Err(_) => Err(RecoverError::NotLeading(LEAD_TIMEOUT)),
        }
    }

    /// Opens the closed store, rebuilds it and closes it again.
    pub(crate) async fn rebuild_store(&self) -> io::Result<()> {
        let data_dir = self.config.data_dir.clone();
        let opened = blocking(move || Store::open(&data_dir, false)).await;
        let store = opened.map_err(io::Error::other)?.map_err(io::Error::other)?;
        let rebuilt = rebuild(
            &store,
            self.node_id(),
            &self.config.facts.peer_address,
            &self.applied_now().state,
        )
        .await;
        let closed = blocking(move || store.close()).await;
        rebuilt?;
        closed.map_err(io::Error::other)
    }
}

impl Stopped {
    /// What is lost, if the others are.
    ///
    /// # Errors
    /// The node is no member.
    pub fn loss(&self) -> Result<Loss, RecoverError> {
        loss(
            self.node,
            (&self.applied.state, self.committed),
            self.applied.index,
            &self.voters,
        )
    }

    /// Makes the node the only member of its cluster, from its next start on.
    ///
    /// # Errors
    /// The node is no member, or the store cannot be written.
    pub async fn recover(self, peer_address: &str) -> Result<Loss, RecoverError> {
        let loss = self.loss()?;
        let rebuilt = rebuild(&self.store, self.node, peer_address, &self.applied.state).await;
        self.close().await;
        rebuilt.map_err(RecoverError::Store)?;
        Ok(loss)
    }
}

fn loss(
    node: NodeId,
    (state, applied): (&State, u64),
    last: u64,
    voters: &BTreeSet<NodeId>,
) -> Result<Loss, RecoverError> {
    if state.node(node).is_none() {
        return Err(RecoverError::NotAMember(node));
    }
    let others = state.nodes().filter(|(id, _)| *id != node);
    let members = others.map(|(id, record)| LostMember {
        node: id,
        name: record.facts.name.clone(),
        peer_address: record.facts.peer_address.clone(),
        voter: voters.contains(&id),
        answers: None,
    });
    Ok(Loss {
        node,
        running: false,
        applied,
        last: last.max(applied),
        objects: state.object_count(),
        members: members.collect(),
    })
}

/// Appends what makes `node` the only voter and member.
async fn rebuild(store: &Store, node: NodeId, peer_address: &str, state: &State) -> io::Result<()> {
    let mut log = store.log.clone();
    let last = log.get_log_state().await?.last_log_id;
    let vote = log.read_vote().await?;
    let term = vote.map_or(0, |vote| vote.leader_id.term);
    let term = term.max(last.map_or(0, |last| last.leader_id.term)) + 1;
    let leader_id = LeaderId { term, node_id: node.0 };
    let nodes = BTreeMap::from([(node.0, BasicNode::new(peer_address))]);
    let membership = Membership::new(vec![BTreeSet::from([node.0])], nodes).map_err(io::Error::other)?;
    let removals = state.nodes().filter(|(id, _)| *id != node).map(|(id, _)| {
        let command = Command::RemoveNode { node: id };
        let time = clock::now();
        EntryPayload::Normal(Payload(wire::encode_proposal(&Proposal { time, command }).into()))
    });
    let payloads = std::iter::once(EntryPayload::Membership(membership)).chain(removals);
    let first = last.map_or(0, |last| last.index + 1);
    let entries = (first..).zip(payloads).map(|(index, payload)| Entry {
        log_id: LogId { leader_id, index },
        payload,
    });
    let entries: Vec<Entry> = entries.collect();
    // A term that nobody else has voted in, so that these entries are nobody else's.
    log.save_vote(&Vote::new(term, node.0)).await?;
    log.blocking_append(entries).await.map_err(io::Error::other)
}
