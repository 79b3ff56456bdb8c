//! The `continue` token of sessions: the order, when the page was made, the last place in it, and where a watch would go on. It holds all there is to
//! know, so any node takes it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use guideway_model::session::{Marks, Position, SessionQuery};

use crate::status::Status;

/// Begins a token.
const FORMAT: &str = "session";
/// Longest token that is looked at.
const LONGEST: usize = 2048;

/// What a token says.
#[derive(Debug, PartialEq)]
pub(super) struct Token {
    last: Position,
    made: Duration,
    marks: Marks,
}

/// Writes a token for what comes after `last` in the order `sort`.
pub(super) fn encode(last: Position, sort: &str, marks: &Marks) -> String {
    let json = serde_json::to_vec(&last).unwrap_or_default();
    let place: String = json.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{FORMAT}.{sort}.{}.{place}.{marks}", now().as_millis())
}

/// Reads what [`encode`] wrote for the same order.
pub(super) fn decode(text: &str, sort: &str) -> Result<Token, Status> {
    let invalid = |why: &str| Status::bad_request(format!("continue key is not valid: {why}; start again without it"));
    let parts: Vec<&str> = match text.len() {
        0..=LONGEST => text.split('.').collect(),
        _ => Vec::new(),
    };
    let [FORMAT, order, made, place, marks] = parts.as_slice() else {
        return Err(invalid("it was not given out by a list of sessions"));
    };
    if *order != sort {
        return Err(invalid("it was given out by a list with another sortBy"));
    }
    let read = || {
        Some(Token {
            made: Duration::from_millis(made.parse().ok()?),
            last: serde_json::from_slice(&bytes(place)?).ok()?,
            marks: match *marks {
                "" => Marks::default(),
                text => text.parse().ok()?,
            },
        })
    };
    read().ok_or_else(|| invalid("it was not given out by a list of sessions"))
}

impl Token {
    /// Where nodes were at the first page.
    pub(super) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// The query for what comes after. Sessions have grown older since the page was made.
    pub(super) fn apply(self, query: SessionQuery) -> SessionQuery {
        let query = SessionQuery {
            after: Some(self.last),
            ..query
        };
        query.later(now().saturating_sub(self.made))
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    let pairs = pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    pairs.collect()
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
