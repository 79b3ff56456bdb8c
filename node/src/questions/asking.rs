//! The asking side.

use std::time::Duration;

use futures_util::future::join_all;
use guideway_consensus::Consensus;
use guideway_model::NodeId;

use super::{Answer, Question, encode};

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// Asks nodes; clones are handles to the same consensus.
#[derive(Clone)]
pub(crate) struct Asker {
    consensus: Consensus,
}

/// What several nodes said.
#[derive(Debug)]
pub(crate) struct Answers<A> {
    /// In the order of their numbers.
    pub(crate) heard: Vec<(NodeId, A)>,
    /// Those that did not answer in time, or could not say.
    pub(crate) silent: Vec<NodeId>,
}

impl Asker {
    pub(crate) fn new(consensus: Consensus) -> Asker {
        Asker { consensus }
    }

    /// The nodes that the cluster agrees to be alive, in the order of their numbers.
    pub(crate) fn live_nodes(&self) -> Vec<NodeId> {
        self.live_nodes_where(|_, _| true)
    }

    /// Those of them whose number and name are `wanted`.
    pub(crate) fn live_nodes_where(&self, wanted: impl Fn(NodeId, &str) -> bool) -> Vec<NodeId> {
        let applied = self.consensus.watch();
        let applied = applied.borrow();
        let live = applied.state.nodes().filter(|(_, record)| record.live);
        let wanted = live.filter(|(node, record)| wanted(*node, &record.facts.name));
        wanted.map(|(node, _)| node).collect()
    }

    /// Asks one node; `read` takes the answer that fits the question.
    pub(crate) async fn ask<A>(
        &self,
        node: NodeId,
        question: &Question,
        read: impl Fn(Answer) -> Option<A>,
    ) -> Option<A> {
        let answer = self.consensus.ask(node, encode(question), PATIENCE).await;
        let answer = answer
            .map_err(|error| tracing::debug!(%error, "a node does not say what it was asked about its sessions"))
            .ok()?;
        read(serde_json::from_slice(&answer).ok()?)
    }

    /// Asks several nodes at once, each with its own question.
    pub(crate) async fn ask_each<A>(
        &self,
        questions: Vec<(NodeId, Question)>,
        read: impl Fn(Answer) -> Option<A> + Copy,
    ) -> Answers<A> {
        let asked = questions.iter().map(|(node, question)| self.ask(*node, question, read));
        let mut answers = Answers {
            heard: Vec::new(),
            silent: Vec::new(),
        };
        let nodes = questions.iter().map(|(node, _)| *node);
        for (node, answer) in nodes.zip(join_all(asked).await) {
            match answer {
                Some(answer) => answers.heard.push((node, answer)),
                None => answers.silent.push(node),
            }
        }
        answers
    }

    /// Asks every live node the same.
    pub(crate) async fn ask_all<A>(
        &self,
        question: &Question,
        read: impl Fn(Answer) -> Option<A> + Copy,
    ) -> Answers<A> {
        let nodes = self.live_nodes().into_iter();
        self.ask_each(nodes.map(|node| (node, question.clone())).collect(), read)
            .await
    }
}
