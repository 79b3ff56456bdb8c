//! Live sessions: to look at, to count and to close. Each call blocks its caller until the relay threads have answered, two
//! seconds at most; they answer between their other work.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use guideway_model::session::{LocalSessionId, SessionDetail, SessionRow};

use super::DataPlane;
use crate::core::reason::CloseReason;
use crate::inspect::{self, Piece, Question};
use crate::watch::SessionWatch;

/// What was found, and whether that is all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// What was found.
    pub found: T,
    /// Relay threads that did not answer in time: their sessions are not all in it.
    pub silent: usize,
}

impl DataPlane {
    /// Shows every live session to `visit`, in no order. One that begins or ends meanwhile may be shown or not; none is
    /// shown twice. Blocks; gives how many relay threads did not answer in time.
    pub fn visit_sessions(&self, mut visit: impl FnMut(SessionRow)) -> usize {
        self.ask_all(Question::List, |piece| {
            if let Piece::Rows(rows) = piece {
                rows.into_iter().for_each(&mut visit);
            }
        })
    }

    /// The live sessions that are wanted, in no order. Blocks. The filter runs on the caller's thread.
    pub fn sessions(&self, wanted: impl Fn(&SessionRow) -> bool) -> Answer<Vec<SessionRow>> {
        let mut found = Vec::new();
        let silent = self.visit_sessions(|row| {
            if wanted(&row) {
                found.push(row);
            }
        });
        Answer { found, silent }
    }

    /// All about one session; `None` if it has ended. Blocks.
    pub fn session(&self, id: LocalSessionId) -> Answer<Option<SessionDetail>> {
        let mut found = None;
        let question = (usize::from(id.seat), Question::Detail(id));
        let silent = inspect::ask(&self.shared, vec![question], |piece| {
            if let Piece::Detail(detail) = piece {
                found = Some(*detail);
            }
        });
        // A seat that there is not has no session.
        let exists = usize::from(id.seat) < self.shared.seats.len();
        Answer {
            found,
            silent: if exists { silent } else { 0 },
        }
    }

    /// Closes sessions; gives how many of them still lived. The connections are reset. Blocks; what a thread that does not
    /// answer in time closes later is not counted.
    pub fn close_sessions(&self, ids: &[LocalSessionId], reason: CloseReason) -> Answer<usize> {
        let mut by_seat: BTreeMap<usize, Vec<LocalSessionId>> = BTreeMap::new();
        for id in ids {
            by_seat.entry(usize::from(id.seat)).or_default().push(*id);
        }
        by_seat.retain(|seat, _| *seat < self.shared.seats.len());
        let questions = by_seat.into_iter();
        let questions = questions.map(|(seat, ids)| (seat, Question::Close(ids, reason)));
        let mut found = 0;
        let silent = inspect::ask(&self.shared, questions.collect(), |piece| {
            if let Piece::Closed(count) = piece {
                found += count;
            }
        });
        Answer { found, silent }
    }

    /// How many live sessions go to each of these endpoints, those that still dial them included. Blocks.
    pub fn count_at(&self, endpoints: &[SocketAddr]) -> Answer<BTreeMap<SocketAddr, u64>> {
        let wanted: BTreeSet<SocketAddr> = endpoints.iter().copied().collect();
        let mut found: BTreeMap<SocketAddr, u64> = wanted.iter().map(|endpoint| (*endpoint, 0)).collect();
        let silent = self.ask_all(Question::Count(Arc::new(wanted)), |piece| {
            if let Piece::Counts(counts) = piece {
                for (endpoint, count) in counts {
                    *found.entry(endpoint).or_default() += count;
                }
            }
        });
        Answer { found, silent }
    }

    /// Watches sessions open and close from here on. Costs each of them a row while someone watches, and nothing else.
    pub fn watch_sessions(&self) -> SessionWatch {
        SessionWatch::new(&self.shared)
    }

    fn ask_all(&self, question: Question, take: impl FnMut(Piece)) -> usize {
        let seats = 0..self.shared.seats.len();
        let questions = seats.map(|seat| (seat, question.clone()));
        inspect::ask(&self.shared, questions.collect(), take)
    }
}
