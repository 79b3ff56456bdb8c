//! One thing that is looked at.

use serde::Serialize;

/// What is looked at, whatever is found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    /// What it is called.
    pub(super) name: &'static str,
    /// What should be found.
    pub(super) wanted: &'static str,
    /// What it is good for.
    pub(super) why: &'static str,
    /// The line that sets it.
    pub(super) set: &'static str,
}

/// One thing, as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Item {
    name: &'static str,
    pub(super) verdict: Verdict,
    found: String,
    wanted: &'static str,
    why: &'static str,
    set: &'static str,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// Nothing.
    Ok,
    /// It should be changed.
    Change,
    /// It could not be seen from here.
    Unknown,
}

impl Subject {
    pub(super) fn found(&'static self, verdict: Verdict, found: impl Into<String>) -> Item {
        Item {
            name: self.name,
            verdict,
            found: found.into(),
            wanted: self.wanted,
            why: self.why,
            set: self.set,
        }
    }

    /// A value that is to be a number or more.
    pub(super) fn at_least(&'static self, found: Option<u64>, wanted: u64) -> Item {
        match found {
            None => self.found(Verdict::Unknown, "not visible from here"),
            Some(u64::MAX) => self.found(Verdict::Ok, "unlimited"),
            Some(found) => self.found(verdict(found >= wanted), found.to_string()),
        }
    }
}

impl Item {
    pub(super) fn text(&self) -> String {
        let mark = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Change => "CHANGE",
            Verdict::Unknown => "unknown",
        };
        let Item {
            name,
            found,
            wanted,
            why,
            set,
            ..
        } = self;
        format!("{mark:8}{name}: {found}\n        wanted  {wanted}\n        why     {why}\n        set     {set}\n")
    }
}

pub(super) fn verdict(is_as_wanted: bool) -> Verdict {
    if is_as_wanted { Verdict::Ok } else { Verdict::Change }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SUBJECT: Subject = Subject {
        name: "things",
        wanted: "10 or more",
        why: "because",
        set: "things = 10",
    };

    #[test]
    fn it_says_what_was_found_and_what_to_do() {
        for (found, expected) in [
            (Some(9), (Verdict::Change, "9")),
            (Some(10), (Verdict::Ok, "10")),
            (Some(u64::MAX), (Verdict::Ok, "unlimited")),
            (None, (Verdict::Unknown, "not visible from here")),
        ] {
            let item = SUBJECT.at_least(found, 10);
            assert_eq!((item.verdict, item.found.as_str()), expected);
        }
        let text = SUBJECT.at_least(Some(9), 10).text();
        assert_eq!(
            text,
            "CHANGE  things: 9\n        wanted  10 or more\n        why     because\n        set     things = 10\n"
        );
    }
}
