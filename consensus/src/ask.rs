//! Questions from one member to another that mean nothing to consensus: it carries the bytes.

use std::time::Duration;

use bytes::Bytes;
use guideway_model::NodeId;

use crate::engine::Engine;
use crate::metrics;
use crate::transport::{ANSWER_LIMIT, Answer, Call, CallError, QUESTION_LIMIT};

/// Questions that a node answers at once; more wait, and those who ask lose patience by themselves.
pub(crate) const AT_ONCE: usize = 16;

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No such member.
    #[error("node {node} is not a member")]
    NotAMember {
        /// Who was to be asked.
        node: NodeId,
    },
    /// The question is too long; nobody was asked.
    #[error("the question is {bytes} bytes long; at most {limit} are taken")]
    QuestionTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The answer is too long.
    #[error("the answer of node {node} is {bytes} bytes long; at most {limit} are sent: ask for less")]
    AnswerTooLong {
        /// Who was asked.
        node: NodeId,
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The answer did not come in time.
    #[error("node {node} did not answer within {waited:?}")]
    TimedOut {
        /// Who was asked.
        node: NodeId,
        /// How long.
        waited: Duration,
    },
    /// It cannot be reached, or refused, or the answer was lost.
    #[error("node {node} gave no answer: {problem}")]
    NoAnswer {
        /// Who was asked.
        node: NodeId,
        /// What happened.
        problem: String,
    },
}

impl Engine {
    /// Asks a member; this node answers itself without the network.
    pub(crate) async fn ask(&self, node: NodeId, question: Bytes, patience: Duration) -> Result<Bytes, AskError> {
        if question.len() > QUESTION_LIMIT {
            return Err(AskError::QuestionTooLong {
                bytes: question.len(),
                limit: QUESTION_LIMIT,
            });
        }
        if node == self.node_id() {
            let answer = tokio::time::timeout(patience, self.own_answer(question)).await;
            return match answer {
                Ok(answer) if answer.len() > ANSWER_LIMIT => Err(AskError::AnswerTooLong {
                    node,
                    bytes: answer.len(),
                    limit: ANSWER_LIMIT,
                }),
                Ok(answer) => Ok(answer),
                Err(_) => Err(AskError::TimedOut { node, waited: patience }),
            };
        }
        let target = self.members.target(node.0).ok_or(AskError::NotAMember { node })?;
        let answer = self.peers.call_opaque(&target, Call::Ask, question, patience).await;
        answer.map_err(|error| match error {
            CallError::TimedOut { waited, .. } => AskError::TimedOut { node, waited },
            other => AskError::NoAnswer {
                node,
                problem: other.to_string(),
            },
        })
    }

    /// Answers what another member asks.
    pub(crate) async fn answer_question(&self, question: Bytes) -> Answer {
        let answer = self.own_answer(question).await;
        if answer.len() > ANSWER_LIMIT {
            return Answer::unavailable(format!(
                "the answer is {} bytes long; at most {ANSWER_LIMIT} are sent: ask for less",
                answer.len()
            ));
        }
        Answer::Done(answer)
    }

    async fn own_answer(&self, question: Bytes) -> Bytes {
        let waiting = metrics::QuestionWait::start();
        // Never closed, so there always is a permit in the end.
        let _permit = self.questions.acquire().await;
        drop(waiting);
        (self.config.answers)(question).await
    }
}
