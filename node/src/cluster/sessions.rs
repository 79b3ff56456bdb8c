//! Live sessions for the API: nodes are asked when someone looks.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use guideway_api::ports::{
    ClosedSessions, FoundEvents, FoundSessions, NodeSilent, SessionImpact, Sessions, TriedChange,
};
use guideway_model::session::{
    LocalSessionId, Look, Marks, SessionDetail, SessionEventQuery, SessionFilter, SessionId, SessionQuery,
};
use guideway_model::{Incarnation, NodeId, Plan};

use super::ConsensusCluster;
use crate::questions::{Answer, Question};

/// Sessions in one question to close them; the bytes of a question are bounded.
const CLOSED_AT_ONCE: usize = 8192;

impl Sessions for ConsensusCluster {
    fn sessions(&self, query: SessionQuery) -> BoxFuture<'_, FoundSessions> {
        async move {
            let wanted = self
                .asker
                .live_nodes_where(|node, name| query.filter.wants_node(node, name));
            let questions = wanted.into_iter().map(|node| (node, Question::Sessions(query.clone())));
            let answers = self.asker.ask_each(questions.collect(), |answer| match answer {
                Answer::Sessions(page) => Some(page),
                _ => None,
            });
            let answers = answers.await;
            FoundSessions {
                page: query.merge(answers.heard.into_iter().map(|(_, page)| page)),
                silent: answers.silent,
            }
        }
        .boxed()
    }

    fn session_events(&self, filter: SessionFilter, after: Marks) -> BoxFuture<'_, FoundEvents> {
        async move {
            let wanted = self.asker.live_nodes_where(|node, name| filter.wants_node(node, name));
            let gone = after.iter().map(|(node, _)| node).filter(|node| !wanted.contains(node));
            let gone = gone.collect();
            let (mut questions, mut unknown) = (Vec::new(), Vec::new());
            for node in wanted {
                match after.get(node) {
                    Some(after) => {
                        let filter = filter.clone();
                        questions.push((node, Question::SessionEvents(SessionEventQuery { filter, after })));
                    }
                    None => unknown.push(node),
                }
            }
            let answers = self.asker.ask_each(questions, |answer| match answer {
                Answer::SessionEvents(events) => Some(events),
                _ => None,
            });
            let answers = answers.await;
            FoundEvents {
                told: answers.heard,
                unknown,
                silent: answers.silent,
                gone,
            }
        }
        .boxed()
    }

    fn session(&self, id: SessionId, look: Look) -> BoxFuture<'_, Result<Option<SessionDetail>, NodeSilent>> {
        async move {
            // A node that is not live has no session that anybody could reach.
            if !self.asker.live_nodes().contains(&id.node) {
                return Ok(None);
            }
            let question = Question::Session {
                incarnation: id.incarnation,
                id: id.local,
                look,
            };
            let answer = self.asker.ask(id.node, &question, |answer| match answer {
                Answer::Session(detail) => Some(detail),
                _ => None,
            });
            let found = answer.await.ok_or(NodeSilent { node: id.node })?;
            Ok(found.map(|detail| *detail))
        }
        .boxed()
    }

    fn close_sessions(&self, ids: Vec<SessionId>) -> BoxFuture<'_, ClosedSessions> {
        async move {
            let live = self.asker.live_nodes();
            let mut by_start: BTreeMap<(NodeId, Incarnation), Vec<LocalSessionId>> = BTreeMap::new();
            for id in ids.into_iter().filter(|id| live.contains(&id.node)) {
                by_start.entry((id.node, id.incarnation)).or_default().push(id.local);
            }
            let questions = by_start.iter().flat_map(|((node, incarnation), ids)| {
                ids.chunks(CLOSED_AT_ONCE).map(|ids| {
                    let question = Question::Close {
                        incarnation: *incarnation,
                        ids: ids.to_vec(),
                    };
                    (*node, question)
                })
            });
            let answers = self.asker.ask_each(questions.collect(), |answer| match answer {
                Answer::Closed(count) => Some(count),
                _ => None,
            });
            let mut answers = answers.await;
            answers.silent.dedup();
            ClosedSessions {
                closed: answers.heard.iter().map(|(_, count)| count).sum(),
                silent: answers.silent,
            }
        }
        .boxed()
    }

    fn impact(&self, change: Arc<TriedChange>) -> BoxFuture<'_, SessionImpact> {
        async move {
            let question = Question::Impact {
                commands: change.commands.clone(),
            };
            let answers = self.asker.ask_all(&question, |answer| match answer {
                Answer::Impact(counts) => Some(counts),
                _ => None,
            });
            let answers = answers.await;
            SessionImpact {
                nodes: answers.heard,
                silent: answers.silent,
            }
        }
        .boxed()
    }

    fn plan(&self) -> Option<Arc<Plan>> {
        self.slot.plan()
    }
}
