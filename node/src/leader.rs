//! What only the leader does about pins and drains: it goes on without nodes that do not prepare, ends what ends by time,
//! and reports what is left to drain.
//!
//! One task lives here on every node, which does nothing while the node does not lead. It looks at the state each time, so
//! nothing depends on who led before; timers begin anew with each term. It ends when the stop signal fires.

mod progress;
mod reports;

use std::time::{Duration, Instant};

use guideway_consensus::Consensus;
use guideway_model::meta::UnixMillis;
use guideway_model::node::Role;
use guideway_model::{Command, Outcome, State};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::clock;
use crate::metrics::NodeMetrics;
use crate::questions::{Answer, Asker, Question};
use progress::{Mark, Progress};
use reports::Counted;

/// Pause between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Pause between two counts of what is left to drain.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);

/// Looks that are skipped at least after a proposal was made: it must be applied, or it has failed.
const PROPOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What the task works with.
pub(crate) struct LeaderTask {
    pub(crate) consensus: Consensus,
    pub(crate) asker: Asker,
    pub(crate) metrics: NodeMetrics,
}

/// What a leader remembers within its term.
struct Term {
    number: u64,
    progress: Option<Progress>,
}

impl LeaderTask {
    /// Does the leader's work while this node leads, until `stop`.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            ((), ()) = async { tokio::join!(self.lead(), self.count()) } => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn lead(&self) {
        let applied = self.consensus.watch();
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut term: Option<Term> = None;
        loop {
            looks.tick().await;
            let status = self.consensus.status();
            if status.role != Role::Leader {
                term = None;
                continue;
            }
            let term = match &mut term {
                Some(term) if term.number == status.term => term,
                other => other.insert(Term {
                    number: status.term,
                    progress: None,
                }),
            };
            let state = applied.borrow().state.clone();
            if !term.lost(&state, Instant::now()).is_empty() && self.log_moves().await {
                let state = applied.borrow().state.clone();
                for command in term.lost(&state, Instant::now()) {
                    self.propose(command).await;
                }
            }
            if let Some(expire) = expiry(&state, clock::now()) {
                self.propose(expire).await;
            }
        }
    }

    /// Has a command committed that does nothing, so that what nodes said before it is applied here: while the log itself is
    /// stalled, by a disk for example, nobody can show progress.
    async fn log_moves(&self) -> bool {
        let nothing = Command::Expire { before: UnixMillis(0) };
        self.propose(nothing).await
    }

    /// Beside the other duties, since a node that does not answer takes its time.
    async fn count(&self) {
        let applied = self.consensus.watch();
        let mut ticks = tokio::time::interval(COUNT_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let endpoints = reports::asked_about(&applied.borrow().state);
            let leads = || self.consensus.status().role == Role::Leader;
            let Some(endpoints) = endpoints.filter(|_| leads()) else {
                continue;
            };
            let question = Question::Count { endpoints };
            let answers = self.asker.ask_all(&question, |answer| match answer {
                Answer::Count { all, at } => Some(Counted {
                    all,
                    at: at.into_iter().collect(),
                }),
                _ => None,
            });
            let counted = answers.await.heard.into_iter().collect();
            let state = applied.borrow().state.clone();
            for report in reports::reports(&state, &counted) {
                self.propose(report).await;
            }
        }
    }

    /// Whether it is committed.
    async fn propose(&self, command: Command) -> bool {
        if let Command::PassOver { node, generation } = &command {
            tracing::warn!(%node, generation, "a node does not prepare; the cluster goes on without it");
        }
        let is_pass_over = matches!(command, Command::PassOver { .. });
        match tokio::time::timeout(PROPOSE_TIMEOUT, self.consensus.propose(command)).await {
            Ok(Ok(committed)) => {
                match committed.outcome {
                    Outcome::Refused(refusal) => {
                        tracing::debug!(?refusal, "the state refused what its leader proposed");
                    }
                    _ if is_pass_over => self.metrics.passed_over.increment(1),
                    _ => {}
                }
                true
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "what the leader proposed was not committed; tried again");
                false
            }
            Err(_) => {
                tracing::debug!("what the leader proposed is not committed yet; tried again");
                false
            }
        }
    }
}

impl Term {
    /// Nodes to go on without.
    fn lost(&mut self, state: &State, now: Instant) -> Vec<Command> {
        let Some(generation) = state.prepared_generation() else {
            self.progress = None;
            return Vec::new();
        };
        let progress = match &mut self.progress {
            Some(progress) if progress.generation() == generation => progress,
            other => other.insert(Progress::new(generation, now)),
        };
        let waiting: Vec<_> = state
            .preparing_nodes()
            .into_iter()
            .map(|node| {
                let mark = Mark {
                    incarnation: state.node(node).and_then(|record| record.incarnation),
                    sequence: state.pin_sequence(node),
                };
                (node, mark)
            })
            .collect();
        let lost = progress.look(&waiting, now).into_iter();
        lost.map(|node| Command::PassOver { node, generation }).collect()
    }
}

/// What ends by time, if something does. The state's time may be ahead of this node's clock: another led before.
fn expiry(state: &State, clock: UnixMillis) -> Option<Command> {
    let now = clock.max(state.time());
    let due = state.next_expiry().is_some_and(|next| next <= now);
    due.then_some(Command::Expire { before: now })
}
