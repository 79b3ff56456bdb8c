//! The API's view of the cluster, over consensus.

mod sessions;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use guideway_api::ports::{
    BackupPieces, Cluster, Committed, Deeds, FoundDeeds, ProposeFailure, ReadFailure, ReadinessCheck,
};
use guideway_consensus::{Consensus, ProposeError, ReadError};
use guideway_model::deed::{About, Act};
use guideway_model::node::NodeView;
use guideway_model::sealing::Sealer;
use guideway_model::state::Applied;
use guideway_model::{Command, NodeId};
use tokio::sync::watch;

use crate::deeds::DeedLog;
use crate::node::Slot;
use crate::questions::{Answer, Asker, Question};
use crate::readiness::Readiness;

/// Implements the API's port; translates errors and nothing else.
pub(crate) struct ConsensusCluster {
    consensus: Consensus,
    readiness: Readiness,
    asker: Asker,
    slot: Slot,
    deeds: DeedLog,
}

impl ConsensusCluster {
    pub(crate) fn new(consensus: Consensus, readiness: Readiness, slot: Slot, deeds: DeedLog) -> ConsensusCluster {
        ConsensusCluster {
            asker: Asker::new(consensus.clone()),
            consensus,
            readiness,
            slot,
            deeds,
        }
    }

    fn propose_failure(&self, error: ProposeError) -> ProposeFailure {
        match error {
            ProposeError::NoLeader { .. } => {
                let (reachable, voters) = self.quorum();
                ProposeFailure::NoQuorum { reachable, voters }
            }
            ProposeError::Unconfirmed { .. } => ProposeFailure::Timeout {
                may_have_happened: true,
            },
            ProposeError::DiskFull {
                node,
                path,
                free_bytes,
                mark_bytes,
            } => ProposeFailure::DiskFull {
                node: self.name_of(NodeId(node)),
                path: path.display().to_string(),
                free_bytes,
                needed_bytes: mark_bytes,
            },
            ProposeError::TooLarge { bytes, limit } => ProposeFailure::TooLarge {
                bytes: bytes as u64,
                limit_bytes: limit as u64,
            },
            ProposeError::StoreFailed { .. } | ProposeError::ShuttingDown => ProposeFailure::Stopped {
                reason: error.to_string(),
            },
        }
    }

    fn read_failure(&self, error: ReadError) -> ReadFailure {
        match error {
            ReadError::NoLeader { .. } => {
                let (reachable, voters) = self.quorum();
                ReadFailure::NoQuorum { reachable, voters }
            }
            ReadError::Behind { .. } => ReadFailure::Timeout,
            ReadError::StoreFailed { .. } | ReadError::ShuttingDown => ReadFailure::Stopped {
                reason: error.to_string(),
            },
        }
    }

    /// Voters that the cluster last agreed are alive, and all voters. Without a leader nobody updates that
    /// agreement, so this node, which answers, is counted in any case.
    fn quorum(&self) -> (u64, u64) {
        let status = self.consensus.status();
        let applied = self.consensus.watch();
        let applied = applied.borrow();
        let own = self.consensus.node_id();
        let live =
            |id: &&NodeId| **id == own || applied.state.nodes().any(|(node, record)| node == **id && record.live);
        let reachable = status.voters.iter().filter(live).count();
        (reachable as u64, status.voters.len() as u64)
    }

    fn name_of(&self, id: NodeId) -> String {
        let applied = self.consensus.watch();
        let applied = applied.borrow();
        let mut nodes = applied.state.nodes();
        nodes
            .find(|(node, _)| *node == id)
            .map_or_else(|| id.to_string(), |(_, record)| record.facts.name.clone())
    }
}

impl Cluster for ConsensusCluster {
    fn watch(&self) -> watch::Receiver<Applied> {
        self.consensus.watch()
    }

    fn propose(&self, command: Command) -> BoxFuture<'_, Result<Committed, ProposeFailure>> {
        async move {
            let committed = self.consensus.propose(command).await;
            committed
                .map(|committed| Committed {
                    index: committed.index,
                    outcome: committed.outcome,
                })
                .map_err(|error| self.propose_failure(error))
        }
        .boxed()
    }

    fn sealer(&self) -> &dyn Sealer {
        self.consensus.credentials().sealing()
    }

    fn backup(&self, applied: Applied) -> BackupPieces {
        Box::new(guideway_consensus::backup(&applied))
    }

    fn linearizable(&self) -> BoxFuture<'_, Result<Applied, ReadFailure>> {
        async move {
            let applied = self.consensus.linearizable().await;
            applied.map_err(|error| self.read_failure(error))
        }
        .boxed()
    }

    fn nodes(&self) -> BoxFuture<'_, Vec<NodeView>> {
        self.consensus.nodes().boxed()
    }

    fn readiness(&self) -> Vec<ReadinessCheck> {
        self.readiness.checks()
    }
}

impl Deeds for ConsensusCluster {
    fn note(&self, about: About, act: Act, by: &str) {
        self.deeds.note(about, act, by);
    }

    fn deeds(&self) -> BoxFuture<'_, FoundDeeds> {
        async move {
            let answers = self.asker.ask_all(&Question::Deeds, |answer| match answer {
                Answer::Deeds(deeds) => Some(deeds),
                _ => None,
            });
            let answers = answers.await;
            FoundDeeds {
                deeds: answers.heard.into_iter().flat_map(|(_, deeds)| deeds).collect(),
                silent: answers.silent,
            }
        }
        .boxed()
    }
}
