//! A page of sessions: filtered, sorted, cut, and put together from the pages of several nodes.

use std::cmp::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Marks, SessionFilter, SessionId, SessionRow, SessionSort, SortValue};
use crate::node::{Incarnation, NodeId};

/// Which sessions are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionQuery {
    /// Those that pass.
    pub filter: SessionFilter,
    /// In this order.
    pub sort: SessionSort,
    /// At most so many.
    pub limit: usize,
    /// Those that come after this place.
    pub after: Option<Position>,
    /// Whether nodes are to keep what opens and closes from now on, for a watch that goes on from this page.
    pub marked: bool,
}

/// The place of a session in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// What it is compared by.
    pub value: SortValue,
    /// Its name.
    pub id: SessionId,
}

/// A session with its name in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedSession {
    /// Its name.
    pub id: SessionId,
    /// What lists show.
    pub row: SessionRow,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionPage {
    /// In the order that was asked for.
    pub sessions: Vec<NamedSession>,
    /// Where the next page begins; `None` if this is the last.
    pub next: Option<Position>,
    /// How many pass that come after this page.
    pub left: u64,
    /// Where each node was before it looked, if that was asked for.
    pub marks: Marks,
}

impl Default for SessionQuery {
    fn default() -> Self {
        SessionQuery {
            filter: SessionFilter::default(),
            sort: SessionSort::default(),
            limit: SessionQuery::LIMIT,
            after: None,
            marked: false,
        }
    }
}

impl SessionQuery {
    /// Sessions on a page unless something else is asked for.
    pub const LIMIT: usize = 500;

    /// Sessions on a page at most, whatever is asked for.
    pub const MOST: usize = 10_000;

    /// The page of one start of a node that carries `rows`. Costs one look at each of them, and the sorting and copying of
    /// what is shown.
    pub fn page(&self, node: NodeId, incarnation: Incarnation, rows: &[SessionRow]) -> SessionPage {
        let named = |row: &SessionRow| SessionId {
            node,
            incarnation,
            local: row.id,
        };
        let passing = rows.iter().filter(|row| self.filter.matches(row));
        let valued = passing.map(|row| (self.sort.value(row), row));
        let found = valued.filter(|(value, row)| self.is_after(*value, named(row)));
        let found: Vec<(SortValue, &SessionRow)> = found.collect();
        let (shown, beyond) = self.first(found, |(one, first), (other, second)| {
            self.sort.order(*one, *other).then_with(|| first.id.cmp(&second.id))
        });
        let sessions = shown.into_iter().map(|(_, row)| NamedSession {
            id: named(row),
            row: row.clone(),
        });
        self.finish(sessions.collect(), beyond)
    }

    /// The page of all nodes, made of theirs.
    pub fn merge(&self, pages: impl IntoIterator<Item = SessionPage>) -> SessionPage {
        let (mut sessions, mut left, mut marks) = (Vec::new(), 0_u64, Marks::default());
        for page in pages {
            sessions.extend(page.sessions);
            left = left.saturating_add(page.left);
            marks.add(page.marks);
        }
        let (sessions, beyond) = self.first(sessions, |one, other| self.compare(one, other));
        SessionPage {
            marks,
            ..self.finish(sessions, left.saturating_add(beyond))
        }
    }

    /// The order of two sessions on a page.
    pub fn compare(&self, one: &NamedSession, other: &NamedSession) -> Ordering {
        let by_value = self.sort.order(self.sort.value(&one.row), self.sort.value(&other.row));
        by_value.then_with(|| one.id.cmp(&other.id))
    }

    /// The query for the page after one that was made some time ago: what a session is compared by may rise with time
    /// alone.
    #[must_use]
    pub fn later(mut self, by: Duration) -> SessionQuery {
        if let Some(after) = &mut self.after {
            after.value = after.value.later(self.sort.key, by);
        }
        self
    }

    fn is_after(&self, value: SortValue, id: SessionId) -> bool {
        self.after.is_none_or(|after| {
            let by_value = self.sort.order(value, after.value);
            by_value.then_with(|| id.cmp(&after.id)) == Ordering::Greater
        })
    }

    /// The first of `found` in order, as many as are shown, and how many there are beyond.
    fn first<T>(&self, mut found: Vec<T>, compare: impl Fn(&T, &T) -> Ordering) -> (Vec<T>, u64) {
        let limit = self.limit.clamp(1, SessionQuery::MOST);
        let beyond = found.len().saturating_sub(limit);
        if beyond > 0 {
            found.select_nth_unstable_by(limit, &compare);
            found.truncate(limit);
        }
        found.sort_unstable_by(compare);
        (found, u64::try_from(beyond).unwrap_or(u64::MAX))
    }

    fn finish(&self, sessions: Vec<NamedSession>, left: u64) -> SessionPage {
        let last = sessions.last().filter(|_| left > 0);
        let next = last.map(|last| Position {
            value: self.sort.value(&last.row),
            id: last.id,
        });
        SessionPage {
            sessions,
            next,
            left,
            marks: Marks::default(),
        }
    }
}

#[cfg(test)]
mod tests;
