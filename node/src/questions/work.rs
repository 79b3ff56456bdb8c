//! The answering side.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use guideway_dataplane::{CloseReason, DataPlane};
use guideway_model::impact::{Comparison, EffectCounts};
use guideway_model::session::{LocalSessionId, Look, Mark, Rates, SessionDetail, SessionEvents, SessionQuery};
use guideway_model::{Command, Incarnation, Proposal, State, plan};
use tokio::time::sleep;

use super::telling::Telling;
use super::{Answer, Question, encode};
use crate::deeds::DeedLog;
use crate::node::Slot;

/// Time between the two looks that say what passes.
const MEASURED: Duration = Duration::from_millis(200);

/// Answers what other nodes, and this one, ask.
#[derive(Clone)]
pub(crate) struct Answerer {
    slot: Slot,
    incarnation: Incarnation,
    telling: Telling,
    deeds: DeedLog,
}

impl Answerer {
    pub(crate) fn new(slot: Slot, incarnation: Incarnation, deeds: DeedLog) -> Answerer {
        Answerer {
            deeds,
            slot,
            incarnation,
            telling: Telling::default(),
        }
    }

    /// Answers a question in its bytes.
    pub(crate) fn answer(&self, question: Bytes) -> BoxFuture<'static, Bytes> {
        let answerer = self.clone();
        async move {
            let bytes = match serde_json::from_slice(&question) {
                Ok(Question::Session {
                    incarnation,
                    id,
                    look: Look::Measure,
                }) if incarnation == answerer.incarnation => answerer.measure(id).await,
                Ok(Question::Deeds) => Some(encode(&Answer::Deeds(answerer.deeds.kept()))),
                Ok(question) => answerer.do_work(question).await,
                Err(error) => {
                    tracing::debug!(%error, "a question of another version");
                    None
                }
            };
            bytes.unwrap_or_else(|| encode(&Answer::Nothing))
        }
        .boxed()
    }

    /// Works on a blocking thread, which also writes the answer.
    async fn do_work(self, question: Question) -> Option<Bytes> {
        let slot = self.slot.clone();
        let work = move |data_plane: &DataPlane| Some(encode(&self.work(data_plane, question)?));
        slot.block_on_sessions(work).await.flatten()
    }

    /// Looks at a session twice.
    async fn measure(&self, id: LocalSessionId) -> Option<Bytes> {
        let before = self.slot.block_on_sessions(move |plane| look(plane, id)).await??;
        let Some(before) = before else {
            return Some(encode(&Answer::Session(None)));
        };
        sleep(MEASURED).await;
        let after = self.slot.block_on_sessions(move |plane| look(plane, id)).await??;
        let after = after.map(|mut after| {
            after.rates = Rates::between(&before.row, &after.row);
            Box::new(after)
        });
        Some(encode(&Answer::Session(after)))
    }

    fn work(&self, data_plane: &DataPlane, question: Question) -> Option<Answer> {
        match question {
            Question::Sessions(query) => self.sessions(data_plane, &query),
            Question::SessionEvents(query) if query.after.incarnation == self.incarnation => {
                Some(Answer::SessionEvents(self.telling.since(data_plane, &query)))
            }
            Question::SessionEvents(_) => Some(Answer::SessionEvents(SessionEvents::Lost)),
            Question::Session { incarnation, id, .. } if incarnation == self.incarnation => {
                Some(Answer::Session(look(data_plane, id)?.map(Box::new)))
            }
            Question::Session { .. } => Some(Answer::Session(None)),
            Question::Close { incarnation, ids } if incarnation == self.incarnation => close(data_plane, &ids),
            Question::Close { .. } => Some(Answer::Closed(0)),
            Question::Count { endpoints } => count(data_plane, &endpoints),
            Question::Deeds => Some(Answer::Deeds(self.deeds.kept())),
            Question::Impact { commands } => self.impact(data_plane, commands),
        }
    }

    fn sessions(&self, data_plane: &DataPlane, query: &SessionQuery) -> Option<Answer> {
        let node = self.slot.node()?;
        let next = query.marked.then(|| self.telling.keep(data_plane));
        let answer = data_plane.sessions(|row| query.filter.matches(row));
        let mut page = query.page(node, self.incarnation, &answer.found);
        if let Some(next) = next {
            let incarnation = self.incarnation;
            page.marks.set(node, Mark { incarnation, next });
        }
        (answer.silent == 0).then_some(Answer::Sessions(page))
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

/// All about one session, `None` within if it has ended; `None` if its thread does not answer.
fn look(data_plane: &DataPlane, id: LocalSessionId) -> Option<Option<SessionDetail>> {
    let answer = data_plane.session(id);
    (answer.silent == 0).then_some(answer.found)
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
