//! Answers to questions about the sessions of one thread: a slice of them each round, so that none of them waits for long.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use guideway_model::node::Protocol;
use guideway_model::session::{LocalSessionId, SessionDetail, SessionRow};

use crate::core::reason::CloseReason;
use crate::core::session::Event;
use crate::core::slab::Key;
use crate::inspect::{Inquiry, Piece, Question};
use crate::relay::RelayThread;

/// Places looked at in one round: well under a tenth of a millisecond.
const SLICE: u32 = 512;
/// Sessions closed in one round; each costs a few system calls.
const CLOSES: usize = 64;

/// Questions that the thread is at, the oldest first. Each asker waits for its answer, so there are few.
#[derive(Debug, Default)]
pub(super) struct Inspections {
    waiting: VecDeque<Inspection>,
}

/// A question, and how far the answer is.
#[derive(Debug)]
struct Inspection {
    inquiry: Inquiry,
    protocol: Protocol,
    /// The place to look at next; of closes, how many are done.
    next: u32,
}

impl Inspections {
    pub(super) fn take_in(&mut self, inquiry: Inquiry) {
        self.waiting.push_back(Inspection {
            inquiry,
            protocol: Protocol::Tcp,
            next: 0,
        });
    }

    /// Whether there is something to do at once.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

impl RelayThread {
    /// Goes on with the oldest question.
    pub(super) fn inspect(&mut self) {
        let Some(mut inspection) = self.inspections.waiting.pop_front() else {
            return;
        };
        let Inspection {
            inquiry,
            protocol,
            next,
        } = &mut inspection;
        let (piece, over) = match &inquiry.question {
            Question::List => {
                let (range, over) = self.slice(protocol, next);
                let rows = range.filter_map(|(protocol, index)| self.row(protocol, index));
                (Piece::Rows(rows.collect()), over)
            }
            Question::Count(endpoints) => {
                let endpoints = Arc::clone(endpoints);
                let (range, over) = self.slice(protocol, next);
                (Piece::Counts(self.count(range, &endpoints)), over)
            }
            Question::Detail(id) => match self.detail(*id) {
                Some(detail) => (Piece::Detail(Box::new(detail)), true),
                None => return inspection.inquiry.finish(),
            },
            Question::Close(ids, reason) => {
                let start = *next as usize;
                let batch: Vec<LocalSessionId> = ids.iter().skip(start).take(CLOSES).copied().collect();
                let over = start + batch.len() >= ids.len();
                *next += u32::try_from(batch.len()).unwrap_or(u32::MAX);
                (Piece::Closed(self.close_some(&batch, *reason)), over)
            }
        };
        match (inspection.inquiry.give(piece), over) {
            (true, false) => self.inspections.waiting.push_back(inspection),
            (true, true) => inspection.inquiry.finish(),
            (false, _) => {}
        }
    }

    /// The places that are next, TCP before UDP, and whether they are the last.
    fn slice(&self, protocol: &mut Protocol, next: &mut u32) -> (impl Iterator<Item = (Protocol, u32)> + use<>, bool) {
        let of = *protocol;
        let slots = match of {
            Protocol::Tcp => self.sessions.records.slots(),
            Protocol::Udp => self.flows.slots(),
        };
        let start = *next;
        let end = slots.min(start.saturating_add(SLICE));
        *next = end;
        let over = end == slots && of == Protocol::Udp;
        if end == slots && of == Protocol::Tcp {
            (*protocol, *next) = (Protocol::Udp, 0);
        }
        ((start..end).map(move |index| (of, index)), over)
    }

    fn row(&self, protocol: Protocol, index: u32) -> Option<SessionRow> {
        match protocol {
            Protocol::Tcp => self.sessions.row(self.sessions.records.key(index)?),
            Protocol::Udp => self.flows.row(self.flows.key(index)?),
        }
    }

    fn count(
        &self,
        places: impl Iterator<Item = (Protocol, u32)>,
        endpoints: &BTreeSet<SocketAddr>,
    ) -> BTreeMap<SocketAddr, u64> {
        let mut counts = BTreeMap::new();
        for (protocol, index) in places {
            let endpoint = match protocol {
                Protocol::Tcp => self.sessions.endpoint(index),
                Protocol::Udp => self.flows.endpoint(index),
            };
            if let Some(endpoint) = endpoint.filter(|endpoint| endpoints.contains(endpoint)) {
                *counts.entry(endpoint).or_default() += 1;
            }
        }
        counts
    }

    fn detail(&self, id: LocalSessionId) -> Option<SessionDetail> {
        match id.protocol {
            Protocol::Tcp => self.sessions.detail(key(id)),
            Protocol::Udp => self.flows.detail(key(id)),
        }
    }

    /// Closes those that still live; gives how many.
    fn close_some(&mut self, ids: &[LocalSessionId], reason: CloseReason) -> usize {
        let mut closed = 0;
        for id in ids {
            let key = key(*id);
            match id.protocol {
                Protocol::Tcp if self.sessions.records.get(key).is_some() => {
                    self.sessions.tell(key, Event::Killed(reason));
                    closed += 1;
                }
                Protocol::Udp if self.flows.has(key) => {
                    self.flows.close(key, reason);
                    closed += 1;
                }
                Protocol::Tcp | Protocol::Udp => {}
            }
        }
        closed
    }
}

fn key(id: LocalSessionId) -> Key {
    Key {
        index: id.index,
        generation: id.generation,
    }
}
