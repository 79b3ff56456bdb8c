//! What users have done that no object shows for long: sessions they closed, drains they began and ended.
//!
//! Like live sessions it is never replicated: each node keeps what was done through it since it started, and is asked when
//! someone looks.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::meta::{Uid, UnixMillis};

/// Something that a user has done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// Unique among the deeds of all nodes.
    pub id: String,
    /// To what.
    pub about: About,
    /// What.
    pub act: Act,
    /// Who.
    pub by: String,
    /// How often.
    pub count: u64,
    /// When first.
    pub first: UnixMillis,
    /// When last.
    pub last: UnixMillis,
}

/// The object that something was done to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Group and version.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Namespace; empty where there is none.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Identity.
    pub uid: Uid,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// Sessions were closed; so many in all.
    ClosedSessions(u64),
    /// A drain of this name was begun.
    BeganDrain(String),
    /// It was changed.
    ChangedDrain(String),
    /// It was deleted, which ends it.
    EndedDrain(String),
}

/// The last deeds, oldest first. When there are too many the oldest goes: they are for people who look soon, and the audit
/// log has them all.
#[derive(Clone, Debug)]
pub struct Deeds {
    prefix: String,
    next: u64,
    kept: VecDeque<Deed>,
}

impl Deeds {
    /// How many are kept.
    pub const KEPT: usize = 1024;

    /// None yet; `prefix`, of this start of the node, is in the identity of each.
    pub fn new(prefix: impl Into<String>) -> Deeds {
        Deeds {
            prefix: prefix.into(),
            next: 1,
            kept: VecDeque::new(),
        }
    }

    /// Keeps one. Sessions that the same user closes of the same object are one deed that is done again.
    pub fn note(&mut self, about: About, act: Act, by: &str, now: UnixMillis) {
        if let Act::ClosedSessions(more) = act
            && let Some((closed, place)) = self.closing(&about, by)
            && let Some(mut deed) = self.kept.remove(place)
        {
            deed.act = Act::ClosedSessions(closed.saturating_add(more));
            deed.count += 1;
            deed.last = now;
            self.kept.push_back(deed);
            return;
        }
        if self.kept.len() == Deeds::KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(Deed {
            id: format!("{}-{}", self.prefix, self.next),
            about,
            act,
            by: by.to_owned(),
            count: 1,
            first: now,
            last: now,
        });
        self.next += 1;
    }

    /// Those that are kept, oldest first.
    pub fn kept(&self) -> impl Iterator<Item = &Deed> {
        self.kept.iter()
    }

    fn closing(&self, about: &About, by: &str) -> Option<(u64, usize)> {
        let mut kept = self.kept.iter().enumerate();
        kept.find_map(|(place, deed)| match deed.act {
            Act::ClosedSessions(closed) if deed.about == *about && deed.by == by => Some((closed, place)),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(name: &str) -> About {
        About {
            api_version: "v1".to_owned(),
            kind: "Service".to_owned(),
            namespace: "default".to_owned(),
            name: name.to_owned(),
            uid: Uid(format!("uid-{name}")),
        }
    }

    #[test]
    fn the_same_closing_again_is_one_deed_and_another_is_not() {
        let mut deeds = Deeds::new("1-a");
        deeds.note(about("x"), Act::ClosedSessions(2), "jane", UnixMillis(1));
        deeds.note(about("x"), Act::ClosedSessions(1), "joe", UnixMillis(2));
        deeds.note(about("y"), Act::ClosedSessions(1), "jane", UnixMillis(3));
        deeds.note(about("x"), Act::ClosedSessions(5), "jane", UnixMillis(4));
        let kept: Vec<_> = deeds
            .kept()
            .map(|deed| (deed.id.as_str(), &deed.act, deed.count, deed.first.0, deed.last.0))
            .collect();
        assert_eq!(
            kept,
            [
                ("1-a-2", &Act::ClosedSessions(1), 1, 2, 2),
                ("1-a-3", &Act::ClosedSessions(1), 1, 3, 3),
                ("1-a-1", &Act::ClosedSessions(7), 2, 1, 4),
            ]
        );
    }

    #[test]
    fn the_oldest_go() {
        let mut deeds = Deeds::new("1-a");
        for number in 0..=Deeds::KEPT as u64 {
            deeds.note(about("x"), Act::BeganDrain("d".to_owned()), "jane", UnixMillis(number));
        }
        assert_eq!(deeds.kept().count(), Deeds::KEPT);
        assert_eq!(deeds.kept().next().map(|deed| deed.first), Some(UnixMillis(1)));
    }
}
