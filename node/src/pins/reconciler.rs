//! Brings the pins that name this start of the node as holder in line with those that its sessions need. Pure: time is
//! handed in, commands come out.
//!
//! Level-triggered: only needs and holds count, never how they came about. So a restart, a snapshot, a lost answer or a
//! passing over need no case of their own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use guideway_model::Command;
use guideway_model::pin::{Holder, PinBatch, PinKey};

use super::difference::{Difference, is_full};
use super::preparation::{Ended, Preparation};

/// How long changes are gathered into one batch.
const GATHERING: Duration = Duration::from_millis(20);

/// A node that prepares shows itself at least so often; the leader passes over one that is silent for longer.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// First and longest pause after a command that was refused or is not known to be committed; it doubles in between.
const BACKOFF: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// Pause before changes that took no effect are tried again.
const ASIDE_PAUSE: Duration = Duration::from_secs(1);

/// What the core decides with.
#[derive(Debug)]
pub(crate) struct Reconciler {
    holder: Holder,
    difference: Difference,
    preparation: Option<Preparation>,
    flight: Option<Flight>,
    /// The last sequence number used.
    sequence: u64,
    /// Index of the last state seen.
    index: u64,
    /// Whether the state knows this start of the node; it refuses what others say.
    known: bool,
    /// Whether there is room for no more pins.
    full: bool,
    /// Since when the oldest change waits to be told.
    waiting: Option<Instant>,
    /// When the last batch was proposed.
    shown: Option<Instant>,
    /// Nothing is proposed before this.
    pause: Option<Instant>,
    backoff: Duration,
    aside_until: Option<Instant>,
    /// Since when keys need what they do not have. No more than there are keys that need a pin.
    since: BTreeMap<PinKey, Instant>,
    /// How long those had to wait that have got it; a batch of them at most.
    waited: Vec<Duration>,
}

/// What is proposed and not known to be applied here. There is at most one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Flight {
    what: Sent,
    /// Where it is in the log, once that is known.
    index: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Batch { sequence: u64 },
    Prepared { generation: u64 },
}

/// What the core needs to know of an applied state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Its log index.
    pub(crate) index: u64,
    /// Where this node holds keys whose holds changed since the last view.
    pub(crate) holds: Vec<(PinKey, Option<SocketAddr>)>,
    /// Holds there are, of all nodes.
    pub(crate) all_holds: usize,
    /// Whether the state knows this start of the node as live.
    pub(crate) known: bool,
    /// The sequence of its last batch.
    pub(crate) sequence: u64,
    /// The generation that is prepared.
    pub(crate) prepared: Option<u64>,
    /// Whether the prepared generation waits for this node.
    pub(crate) awaited: bool,
}

/// What became of a proposed command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is applied at this index, on this node perhaps later.
    Committed {
        /// Its log index.
        index: u64,
    },
    /// The state refused it.
    Refused,
    /// It is not known to be committed.
    Failed,
}

impl Reconciler {
    pub(crate) fn new(holder: Holder) -> Reconciler {
        Reconciler {
            holder,
            difference: Difference::default(),
            preparation: None,
            flight: None,
            sequence: 0,
            index: 0,
            known: false,
            full: false,
            waiting: None,
            shown: None,
            pause: None,
            backoff: BACKOFF[0],
            aside_until: None,
            since: BTreeMap::new(),
            waited: Vec::new(),
        }
    }

    /// Keys are needed at other endpoints than before, or no more.
    pub(crate) fn handle_needs(&mut self, changes: Vec<(PinKey, Option<SocketAddr>)>, now: Instant) {
        for (key, endpoint) in changes {
            self.difference.need(key, endpoint);
            if endpoint.is_none() || self.difference.is_settled(&key) {
                self.since.remove(&key);
            } else {
                self.since.entry(key).or_insert(now);
            }
        }
        self.note_waiting(now);
    }

    /// The data plane has walked this generation, and its needs up to then were handed in.
    pub(crate) fn handle_walked(&mut self, generation: u64) {
        if let Some(preparation) = &mut self.preparation {
            preparation.walked(generation, &self.difference);
        }
    }

    /// A newer state is applied here. Tells of a generation that has become active.
    pub(crate) fn handle_view(&mut self, view: View, now: Instant) -> Option<Ended> {
        self.index = view.index;
        self.known = view.known;
        self.full = is_full(view.all_holds);
        self.sequence = self.sequence.max(view.sequence);
        for (key, endpoint) in view.holds {
            self.difference.hold(key, endpoint, self.full);
        }
        let flight_over = self.flight.is_some_and(|flight| match flight.what {
            Sent::Batch { sequence } => view.known && view.sequence >= sequence,
            Sent::Prepared { generation } => !view.awaited || view.prepared != Some(generation),
        });
        if flight_over || self.is_applied() {
            self.land(now);
        }
        let ended = self.follow_preparation(view.prepared, view.awaited, now);
        self.retry_prepared(now);
        self.note_waiting(now);
        ended
    }

    /// The command that was last proposed has its answer.
    pub(crate) fn handle_answer(&mut self, answer: Answer, now: Instant) {
        let Some(flight) = &mut self.flight else {
            return;
        };
        match answer {
            Answer::Committed { index } => {
                flight.index = Some(index);
                if self.is_applied() {
                    self.land(now);
                    self.retry_prepared(now);
                }
            }
            Answer::Refused | Answer::Failed => {
                if let Sent::Batch { .. } = flight.what {
                    self.difference.fail();
                }
                self.flight = None;
                self.back_off(now);
                if let Some(preparation) = &mut self.preparation {
                    preparation.set_said(false);
                }
            }
        }
        self.note_waiting(now);
    }

    /// What to propose now. Until its answer is handed in, or a state shows that it is applied, there is nothing more.
    pub(crate) fn next_command(&mut self, now: Instant) -> Option<Command> {
        if !self.may_propose() || self.pause.is_some_and(|pause| now < pause) {
            return None;
        }
        self.pause = None;
        self.retry_aside(now);
        let Holder { node, incarnation } = self.holder;
        if let Some(preparation) = &mut self.preparation
            && preparation.is_due(&self.difference)
        {
            let generation = preparation.generation();
            preparation.set_said(true);
            self.flight = Some(Flight {
                what: Sent::Prepared { generation },
                index: None,
            });
            return Some(Command::Prepared {
                node,
                incarnation,
                generation,
            });
        }
        if self.batch_due().is_none_or(|due| now < due) {
            return None;
        }
        let changes = self.difference.take();
        self.waiting = None;
        self.note_waiting(now);
        self.shown = Some(now);
        self.sequence += 1;
        self.flight = Some(Flight {
            what: Sent::Batch {
                sequence: self.sequence,
            },
            index: None,
        });
        Some(Command::Pins(PinBatch {
            node,
            incarnation,
            sequence: self.sequence,
            changes,
        }))
    }

    /// When [`Reconciler::next_command`] may have something without any other input.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        if !self.may_propose() {
            return None;
        }
        let aside = self.aside_until.filter(|_| self.difference.has_aside());
        let due = [self.batch_due(), aside].into_iter().flatten().min();
        let due = due.map(|due| self.pause.map_or(due, |pause| pause.max(due)));
        // It may be `Prepared` that waits.
        let prepared = self.pause.filter(|_| self.preparation.is_some());
        [due, prepared].into_iter().flatten().min()
    }

    /// What is needed and held, for gauges.
    pub(crate) fn figures(&self) -> (usize, usize) {
        (self.difference.needed(), self.difference.held())
    }

    /// How long the keys of the last batch had to wait for their pins, from when they were handed in until that was applied
    /// here. Empty until the next batch.
    pub(crate) fn take_waited(&mut self) -> Vec<Duration> {
        std::mem::take(&mut self.waited)
    }

    fn may_propose(&self) -> bool {
        self.known && self.flight.is_none()
    }

    /// When the next batch is to be proposed: a full one at once, others when they have gathered, an empty one as a sign
    /// of progress.
    fn batch_due(&self) -> Option<Instant> {
        let gathered = self.waiting.map(|since| match self.difference.open() {
            open if open >= PinBatch::CHANGES => since,
            _ => since + GATHERING,
        });
        let awaited = self.preparation.as_ref().filter(|preparation| preparation.is_awaited());
        let progress = awaited.and(self.shown).map(|shown| shown + PROGRESS_INTERVAL);
        [gathered, progress].into_iter().flatten().min()
    }

    fn is_applied(&self) -> bool {
        let index = self.flight.and_then(|flight| flight.index);
        index.is_some_and(|index| index <= self.index)
    }

    /// What was under way is applied here.
    fn land(&mut self, now: Instant) {
        let Some(flight) = self.flight.take() else {
            return;
        };
        self.backoff = BACKOFF[0];
        if let Sent::Batch { .. } = flight.what {
            let settled = self.difference.settle().into_iter();
            let waited = settled.filter_map(|change| self.since.remove(&change.key));
            self.waited = waited.map(|since| now.saturating_duration_since(since)).collect();
        }
        self.note_waiting(now);
    }

    /// The state still waits for what was said and applied: it has since taken this node for lost, and found it again.
    fn retry_prepared(&mut self, now: Instant) {
        if self.flight.is_some() {
            return;
        }
        if let Some(preparation) = self
            .preparation
            .as_mut()
            .filter(|preparation| preparation.was_ignored())
        {
            preparation.set_said(false);
            self.back_off(now);
        }
    }

    fn back_off(&mut self, now: Instant) {
        self.pause = Some(now + self.backoff);
        self.backoff = (self.backoff * 2).min(BACKOFF[1]);
    }

    fn follow_preparation(&mut self, prepared: Option<u64>, awaited: bool, now: Instant) -> Option<Ended> {
        let before = self
            .preparation
            .take_if(|preparation| Some(preparation.generation()) != prepared);
        let ended = before.map(|preparation| preparation.end(&self.difference, now));
        if let Some(generation) = prepared {
            let preparation = self.preparation.get_or_insert_with(|| {
                // The first sign of life is due one interval from now.
                self.shown = Some(now);
                Preparation::new(generation, now)
            });
            preparation.set_awaited(awaited);
        }
        ended
    }

    fn retry_aside(&mut self, now: Instant) {
        if self.aside_until.is_none_or(|until| now < until) {
            return;
        }
        self.aside_until = self.full.then_some(now + ASIDE_PAUSE);
        if !self.full {
            self.difference.bring_back();
            self.note_waiting(now);
        }
    }

    fn note_waiting(&mut self, now: Instant) {
        if self.difference.open() == 0 {
            self.waiting = None;
        } else {
            self.waiting.get_or_insert(now);
        }
        if self.difference.has_aside() {
            self.aside_until.get_or_insert(now + ASIDE_PAUSE);
        } else {
            self.aside_until = None;
        }
    }
}

#[cfg(test)]
mod tests;
