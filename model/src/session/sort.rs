//! In which order sessions are shown.

use std::cmp::Ordering;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{SessionQueryError, SessionRow};

/// In which order sessions are shown; those that are alike stand in the order of their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSort {
    /// What is compared.
    pub key: SortKey,
    /// Whether the greatest stands first.
    pub descending: bool,
}

/// What is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SortKey {
    /// Only the name.
    #[default]
    Name,
    /// Time since it was accepted.
    Age,
    /// Time since something last passed.
    Idle,
    /// Bytes both ways together.
    Bytes,
    /// Bytes a second since it was accepted.
    Rate,
    /// Address and port of the client.
    Client,
    /// Address and port of the endpoint; those without one come first.
    Endpoint,
}

/// What a session is compared by. Values of one query are of one variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SortValue {
    /// Nothing but its name.
    Name,
    /// Age or idle time.
    Time(Duration),
    /// Bytes, or bytes a second.
    Count(u64),
    /// Client or endpoint.
    Address(Option<SocketAddr>),
}

impl SessionSort {
    /// Reads `age`, `idle`, `bytes`, `rate`, `client`, `endpoint` or `name`; with `-` before it the greatest stands first.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(text: &str) -> Result<SessionSort, SessionQueryError> {
        let (name, descending) = match text.strip_prefix('-') {
            Some(name) => (name, true),
            None => (text, false),
        };
        let key = match name {
            "name" => SortKey::Name,
            "age" => SortKey::Age,
            "idle" => SortKey::Idle,
            "bytes" => SortKey::Bytes,
            "rate" => SortKey::Rate,
            "client" => SortKey::Client,
            "endpoint" => SortKey::Endpoint,
            _ => {
                return Err(SessionQueryError {
                    field: "sort".to_owned(),
                    value: text.to_owned(),
                    rule: "must be one of name, age, idle, bytes, rate, client, endpoint, with - before it for the \
                           greatest first",
                });
            }
        };
        Ok(SessionSort { key, descending })
    }

    /// What a session is compared by.
    pub fn value(&self, row: &SessionRow) -> SortValue {
        match self.key {
            SortKey::Name => SortValue::Name,
            SortKey::Age => SortValue::Time(row.age),
            SortKey::Idle => SortValue::Time(row.idle),
            SortKey::Bytes => SortValue::Count(row.total_bytes()),
            SortKey::Rate => SortValue::Count(rate(row)),
            SortKey::Client => SortValue::Address(Some(row.client)),
            SortKey::Endpoint => SortValue::Address(row.endpoint),
        }
    }

    /// The order of two values, the name left aside.
    pub(super) fn order(&self, one: SortValue, other: SortValue) -> Ordering {
        if self.descending {
            other.cmp(&one)
        } else {
            one.cmp(&other)
        }
    }
}

impl SortValue {
    /// What the value of a session that does nothing is after some time.
    pub(super) fn later(self, key: SortKey, by: Duration) -> SortValue {
        match (self, key) {
            (SortValue::Time(time), SortKey::Age | SortKey::Idle) => SortValue::Time(time.saturating_add(by)),
            (value, _) => value,
        }
    }
}

fn rate(row: &SessionRow) -> u64 {
    let millis = row.age.as_millis().max(1);
    let rate = u128::from(row.total_bytes()) * 1000 / millis;
    u64::try_from(rate).unwrap_or(u64::MAX)
}
