//! Sessions that open and close: what nodes tell those who watch, and how far someone has seen it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{SessionFilter, SessionRow};
use crate::node::{Incarnation, NodeId};

/// A place in what one start of a node tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The start that tells it.
    pub incarnation: Incarnation,
    /// The number of the first event that has not been seen.
    pub next: u64,
}

/// How far someone has seen what all nodes tell, node by node. As text it is the `resourceVersion` of sessions, such as
/// `1-5be8a1c0-2a_2-5be8a1c4-0`: node, start and number of each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks(BTreeMap<NodeId, Mark>);

/// Which events are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEventQuery {
    /// Of sessions that pass.
    pub filter: SessionFilter,
    /// From here on.
    pub after: Mark,
}

/// What has happened to a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEvent {
    /// Events of one start of a node are numbered without a gap.
    pub number: u64,
    /// The session as it was then.
    pub row: SessionRow,
    /// The reason if it was closed; without one it was opened: its endpoint accepted it, or a UDP flow began.
    pub closed: Option<String>,
}

/// What one node tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionEvents {
    /// Everything from the mark on, or the first of it.
    Told {
        /// The oldest first; those that do not pass the filter are left out.
        events: Vec<SessionEvent>,
        /// The number of the first event that was not looked at.
        next: u64,
        /// Whether there are more already.
        more: bool,
    },
    /// Events after the mark are lost: there were too many, or nobody asked for too long, or that start of the node is over.
    Lost,
}

impl Marks {
    /// How far one node has been seen.
    pub fn get(&self, node: NodeId) -> Option<Mark> {
        self.0.get(&node).copied()
    }

    /// One node has been seen so far.
    pub fn set(&mut self, node: NodeId, mark: Mark) {
        self.0.insert(node, mark);
    }

    /// The nodes of which something has been seen, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, Mark)> + '_ {
        self.0.iter().map(|(node, mark)| (*node, *mark))
    }

    /// Takes over what others say of nodes that these do not know.
    pub fn add(&mut self, others: Marks) {
        for (node, mark) in others.0 {
            self.0.entry(node).or_insert(mark);
        }
    }
}

impl fmt::Display for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (node, mark)) in self.0.iter().enumerate() {
            let parting = if place == 0 { "" } else { "_" };
            write!(f, "{parting}{node}-{:x}-{:x}", mark.incarnation.0, mark.next)?;
        }
        Ok(())
    }
}

/// Text that says nothing of what has been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it was not given out by a list or a watch of sessions")]
pub struct NoMarks;

impl FromStr for Marks {
    type Err = NoMarks;

    fn from_str(text: &str) -> Result<Marks, NoMarks> {
        let mut marks = BTreeMap::new();
        for part in text.split('_') {
            let fields: Vec<&str> = part.split('-').collect();
            let [node, incarnation, next] = fields.as_slice() else {
                return Err(NoMarks);
            };
            let number = |digits: &str, radix| u64::from_str_radix(digits, radix).map_err(|_| NoMarks);
            let mark = Mark {
                incarnation: Incarnation(number(incarnation, 16)?),
                next: number(next, 16)?,
            };
            marks.insert(NodeId(number(node, 10)?), mark);
        }
        Ok(Marks(marks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(incarnation: u64, next: u64) -> Mark {
        Mark {
            incarnation: Incarnation(incarnation),
            next,
        }
    }

    #[test]
    fn marks_come_back_from_their_text_and_nothing_else_does() {
        let mut marks = Marks::default();
        marks.set(NodeId(10), mark(0xfe, 0));
        marks.set(NodeId(2), mark(u64::MAX, 42));
        assert_eq!(marks.to_string(), "2-ffffffffffffffff-2a_10-fe-0");
        assert_eq!(marks.to_string().parse(), Ok(marks));
        for text in ["", "7", "1-2", "1-2-3_", "1-2-3-4", "x-2-3", "1-2-3_1"] {
            assert_eq!(text.parse::<Marks>(), Err(NoMarks), "{text}");
        }
    }

    #[test]
    fn what_is_known_of_a_node_stands() {
        let mut marks = Marks::default();
        marks.set(NodeId(1), mark(1, 5));
        let mut others = Marks::default();
        others.set(NodeId(1), mark(1, 9));
        others.set(NodeId(2), mark(2, 3));
        marks.add(others);
        assert_eq!(
            marks.iter().collect::<Vec<_>>(),
            [(NodeId(1), mark(1, 5)), (NodeId(2), mark(2, 3))]
        );
    }
}
