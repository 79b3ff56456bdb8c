//! `guideway sessions top`: the busiest sessions.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use super::filter::Filter;
use super::live::{PAGE, Session, fetch};
use super::{SessionsError, warn, write};
use crate::client::Client;
use crate::columns;

/// Which sessions are the busiest, and how often they are shown.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    filter: Filter,
    /// By bytes in a second since the last look, or by all bytes so far
    #[arg(long, value_enum, default_value_t = By::Rate)]
    by: By,
    /// Sessions to show
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=3600))]
    interval: u32,
    /// Show it once and end
    #[arg(long)]
    once: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// Bytes in a second
    Rate,
    /// Bytes
    Bytes,
}

/// Bytes of each session at one look.
#[derive(Debug, Default)]
struct Look {
    bytes: BTreeMap<String, [u64; 2]>,
}

/// A session with its bytes in a second each way; `None` if it was not there at the last look.
type Busy = (Session, Option<[u64; 2]>);

pub(super) async fn run(client: &Client, arguments: &Arguments) -> Result<(), SessionsError> {
    let interval = Duration::from_secs(arguments.interval.into());
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut before: Option<(Look, Instant)> = None;
    loop {
        ticks.tick().await;
        let sessions = look(client, arguments).await?;
        let now = Instant::now();
        let seen = Look::at(&sessions);
        let first = before.is_none();
        let passed = before
            .as_ref()
            .map_or(interval, |(_, at)| now.saturating_duration_since(*at));
        let rates = before.as_ref().map(|(look, _)| look).unwrap_or(&seen);
        let busy = busiest(sessions, (!first).then_some(rates), passed, arguments);
        before = Some((seen, now));
        if first && arguments.by == By::Rate {
            // One look knows no rates.
            continue;
        }
        let goes_on = write(&page(&busy, !arguments.once && std::io::stdout().is_terminal()))?;
        if arguments.once || !goes_on {
            return Ok(());
        }
    }
}

/// The sessions that can be the busiest: a session that was silent since the last look has no rate.
async fn look(client: &Client, arguments: &Arguments) -> Result<Vec<Session>, SessionsError> {
    let (filter, most) = match arguments.by {
        By::Bytes => (arguments.filter.clone(), arguments.limit as usize),
        By::Rate => {
            let silence = format!("{}s", 2 * arguments.interval + 1);
            (arguments.filter.clone().with_max_idle(silence), PAGE)
        }
    };
    let listed = fetch(client, &filter, "-bytes", most).await?;
    if listed.more && arguments.by == By::Rate {
        warn(&[format!(
            "more than {PAGE} sessions are busy; these are of those with the most bytes"
        )]);
    }
    Ok(listed.items.iter().map(Session::of).collect())
}

impl Look {
    fn at(sessions: &[Session]) -> Look {
        let bytes = sessions.iter().map(|session| (session.name.clone(), session.bytes));
        Look { bytes: bytes.collect() }
    }

    /// Bytes in a second since this look. A session that has begun since has had all of its bytes in its own time.
    fn rates(&self, session: &Session, passed: Duration) -> Option<[u64; 2]> {
        let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).max(1);
        let is_new = session.age_seconds.saturating_mul(1000) <= millis;
        let before = self.bytes.get(&session.name).copied().or(is_new.then_some([0; 2]))?;
        let rate = |side: usize| session.bytes[side].saturating_sub(before[side]).saturating_mul(1000) / millis;
        Some([rate(0), rate(1)])
    }
}

/// The first of the order that is wanted.
fn busiest(sessions: Vec<Session>, before: Option<&Look>, passed: Duration, arguments: &Arguments) -> Vec<Busy> {
    let mut busy: Vec<Busy> = sessions
        .into_iter()
        .map(|session| {
            let rates = before.and_then(|look| look.rates(&session, passed));
            (session, rates)
        })
        .collect();
    busy.sort_by_key(|(session, rates)| {
        let rate = rates.map_or(0, |rates| rates[0].saturating_add(rates[1]));
        let first = match arguments.by {
            By::Rate => rate,
            By::Bytes => session.total(),
        };
        (std::cmp::Reverse(first), session.name.clone())
    });
    busy.truncate(arguments.limit as usize);
    busy
}

/// One look for people; on a terminal it takes the place of the one before.
fn page(busy: &[Busy], replaces: bool) -> String {
    let head = ["IN/S", "OUT/S", "IN", "OUT", "AGE", "NAME", "CLIENT", "ENDPOINT"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(busy.iter().map(|(session, rates)| session.busy_cells(*rates)));
    let table = columns::aligned(&rows, "");
    // Home, and clear from there to the end (ECMA-48).
    if replaces {
        format!("\x1b[H\x1b[J{table}")
    } else {
        table + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::super::live::tests::session;
    use super::*;

    fn arguments(by: By, limit: u32) -> Arguments {
        Arguments {
            filter: Filter::default(),
            by,
            limit,
            interval: 2,
            once: false,
        }
    }

    #[test]
    fn rates_are_what_came_since_the_last_look() {
        let before = Look::at(&[session("steady", [1000, 5000]), session("heavy", [0, 9_000_000])]);
        let now = vec![
            session("heavy", [0, 9_000_100]),
            session("steady", [3000, 9000]),
            session("unseen", [70, 70]),
        ];
        let passed = Duration::from_secs(2);
        let order = |by, limit| -> Vec<(String, Option<[u64; 2]>)> {
            let busy = busiest(now.clone(), Some(&before), passed, &arguments(by, limit));
            busy.into_iter().map(|(session, rates)| (session.name, rates)).collect()
        };
        let (heavy, steady) = (
            ("heavy".to_owned(), Some([0, 50])),
            ("steady".to_owned(), Some([1000, 2000])),
        );
        let unseen = ("unseen".to_owned(), None);
        assert_eq!(order(By::Rate, 9), [steady.clone(), heavy.clone(), unseen]);
        assert_eq!(order(By::Bytes, 2), [heavy, steady]);
    }

    #[test]
    fn a_session_that_began_since_has_all_its_bytes_in_that_time() {
        let mut young = session("young", [4000, 0]);
        young.age_seconds = 1;
        assert_eq!(Look::default().rates(&young, Duration::from_secs(2)), Some([2000, 0]));
    }

    #[test]
    fn a_look_fits_into_120_columns() {
        let busy = [(
            session("12-5be8a1c05be8a1c0-t1f-1a2b-1a", [1 << 40, 1 << 41]),
            Some([1 << 20, 1 << 21]),
        )];
        let shown = page(&busy, false);
        assert!(shown.lines().all(|line| line.len() <= 120), "{shown}");
    }
}
