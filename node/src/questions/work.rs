//! The answering side.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use guideway_dataplane::{CloseReason, DataPlane};
use guideway_model::impact::{Comparison, EffectCounts};
use guideway_model::session::{LocalSessionId, SessionQuery};
use guideway_model::{Command, Incarnation, Proposal, State, plan};

use super::{Answer, Question, encode};
use crate::node::Slot;

/// Answers what other nodes, and this one, ask.
#[derive(Clone)]
pub(crate) struct Answerer {
    slot: Slot,
    incarnation: Incarnation,
}

impl Answerer {
    pub(crate) fn new(slot: Slot, incarnation: Incarnation) -> Answerer {
        Answerer { slot, incarnation }
    }

    /// Answers a question in its bytes.
    pub(crate) fn answer(&self, question: Bytes) -> BoxFuture<'static, Bytes> {
        let answerer = self.clone();
        async move {
            let slot = answerer.slot.clone();
            let work = move |data_plane: &DataPlane| {
                let answer = match serde_json::from_slice(&question) {
                    Ok(question) => answerer.work(data_plane, question),
                    Err(error) => {
                        tracing::debug!(%error, "a question of another version");
                        None
                    }
                };
                encode(&answer.unwrap_or(Answer::Nothing))
            };
            let answer = slot.block_on_sessions(work).await;
            answer.unwrap_or_else(|| encode(&Answer::Nothing))
        }
        .boxed()
    }

    fn work(&self, data_plane: &DataPlane, question: Question) -> Option<Answer> {
        match question {
            Question::Sessions(query) => self.sessions(data_plane, &query),
            Question::Session { incarnation, id } if incarnation == self.incarnation => {
                let answer = data_plane.session(id);
                let all_heard = answer.silent == 0;
                all_heard.then_some(Answer::Session(answer.found.map(Box::new)))
            }
            Question::Session { .. } => Some(Answer::Session(None)),
            Question::Close { incarnation, ids } if incarnation == self.incarnation => close(data_plane, &ids),
            Question::Close { .. } => Some(Answer::Closed(0)),
            Question::Count { endpoints } => count(data_plane, &endpoints),
            Question::Impact { commands } => self.impact(data_plane, commands),
        }
    }

    fn sessions(&self, data_plane: &DataPlane, query: &SessionQuery) -> Option<Answer> {
        let node = self.slot.node()?;
        let answer = data_plane.sessions(|row| query.filter.matches(row));
        (answer.silent == 0).then(|| Answer::Sessions(query.page(node, self.incarnation, &answer.found)))
    }

    /// Tries the commands on a copy of the state. What is not applied here yet, or no more, is missing in it; it is what
    /// this node would do now.
    fn impact(&self, data_plane: &DataPlane, commands: Vec<Command>) -> Option<Answer> {
        let (state, running) = (self.slot.state()?, self.slot.plan());
        let before = plan::compile(&state, running.as_deref());
        let mut tried = State::clone(&state);
        let time = tried.time();
        for command in commands {
            tried.apply(Proposal { time, command });
        }
        let after = plan::compile(&tried, Some(&before));
        let comparison = Comparison::new(&before, &after);
        let mut counts = EffectCounts::default();
        let silent = data_plane.visit_sessions(|row| counts.add(comparison.effect(&row)));
        (silent == 0).then_some(Answer::Impact(counts))
    }
}

fn close(data_plane: &DataPlane, ids: &[LocalSessionId]) -> Option<Answer> {
    let answer = data_plane.close_sessions(ids, CloseReason::Killed);
    (answer.silent == 0).then_some(Answer::Closed(answer.found))
}

fn count(data_plane: &DataPlane, endpoints: &[SocketAddr]) -> Option<Answer> {
    let answer = data_plane.count_at(endpoints);
    (answer.silent == 0).then(|| Answer::Count {
        all: data_plane.figures().sessions,
        at: answer.found.into_iter().collect(),
    })
}
