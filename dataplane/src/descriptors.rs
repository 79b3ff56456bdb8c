//! How many descriptors the process may have, and how many of them are promised to sessions.
//!
//! A session is promised its two descriptors before its client is accepted. What may be promised is what
//! `RLIMIT_NOFILE` leaves beside everything else in the process, and that is measured: the descriptors that are open,
//! less those that sessions hold. Between two measurements others may open more; a margin is left for that, and a thread
//! that still finds none has a socket in reserve (see the driver).

use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::shared::Seat;

/// What a TCP session needs: a socket toward the client, one toward the endpoint.
pub(crate) const OF_SESSION: u64 = 2;
/// What a UDP flow needs: a socket toward the endpoint.
pub(crate) const OF_FLOW: u64 = 1;
/// Left for everything else in the process even while it has fewer, but no more than a quarter of the limit.
const KEPT: u64 = 400;
/// Left beside what everything else was measured to have: a 64th of the limit, within these bounds.
const MARGIN: std::ops::RangeInclusive<u64> = 4..=64;
/// Has a descriptor of the process in each entry, and since Linux 6.2 their number as its size.
const OPEN: &str = "/proc/self/fd";

/// How many descriptors the process may have, and who has them.
#[derive(Debug)]
pub(crate) struct Descriptors {
    limit: u64,
    /// Open, and not held by a session, when last measured.
    others: AtomicU64,
    promised: AtomicU64,
}

impl Descriptors {
    /// Raises the soft limit to the hard one.
    pub(crate) fn of_this_process() -> Descriptors {
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            ..limit
        };
        let allowed = match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit.maximum,
            Err(errno) => {
                tracing::warn!(%errno, "the descriptor limit cannot be raised to its hard limit");
                limit.current
            }
        };
        Descriptors::new(allowed.unwrap_or(u64::MAX))
    }

    fn new(limit: u64) -> Descriptors {
        Descriptors {
            limit,
            others: AtomicU64::new(0),
            promised: AtomicU64::new(0),
        }
    }

    /// Descriptors that sessions may have, all together.
    pub(crate) fn room(&self) -> u64 {
        let margin = (self.limit / 64).clamp(*MARGIN.start(), *MARGIN.end());
        let measured = self.others.load(Ordering::Relaxed).saturating_add(margin);
        self.limit.saturating_sub(measured.max(KEPT.min(self.limit / 4)))
    }

    /// Promises `count`, if there is room.
    pub(crate) fn promise(&self, count: u64) -> bool {
        let promised = self.promised.fetch_add(count, Ordering::AcqRel) + count <= self.room();
        if !promised {
            self.release(count);
        }
        promised
    }

    /// Takes a promise back.
    pub(crate) fn release(&self, count: u64) {
        self.promised.fetch_sub(count, Ordering::AcqRel);
    }

    /// Looks how many there are beside those that sessions hold. Without a `/proc` the last finding stays.
    pub(crate) fn measure(&self, seats: &[Seat]) {
        if let Some(open) = open() {
            self.others.store(open.saturating_sub(held(seats)), Ordering::Relaxed);
        }
    }

    /// The process was refused a descriptor, so as many are open as may be.
    pub(crate) fn exhausted(&self, seats: &[Seat]) {
        self.others
            .store(self.limit.saturating_sub(held(seats)), Ordering::Relaxed);
    }
}

fn held(seats: &[Seat]) -> u64 {
    seats.iter().map(Seat::held).sum()
}

fn open() -> Option<u64> {
    match std::fs::metadata(OPEN).ok()?.len() {
        0 => u64::try_from(std::fs::read_dir(OPEN).ok()?.count()).ok(),
        open => Some(open),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_the_process_has_its_share_and_what_it_was_measured_to_have() {
        assert_eq!(Descriptors::new(20_000).room(), 19_600);
        assert_eq!(Descriptors::new(256).room(), 192);
        let descriptors = Descriptors::new(20_000);
        descriptors.others.store(4000, Ordering::Relaxed);
        assert_eq!(descriptors.room(), 15_936);
        descriptors.others.store(30_000, Ordering::Relaxed);
        assert_eq!(descriptors.room(), 0);
    }

    #[test]
    fn no_more_is_promised_than_there_is_room_for() {
        let descriptors = Descriptors::new(100);
        let promised = (0..).take_while(|_| descriptors.promise(OF_SESSION)).count();
        assert_eq!(promised, 37);
        descriptors.release(OF_SESSION);
        assert!(descriptors.promise(OF_SESSION) && !descriptors.promise(OF_SESSION));
    }

    #[test]
    fn what_others_hold_is_measured() {
        let descriptors = Descriptors::new(20_000);
        let holders: Vec<_> = (0..30)
            .map(|_| std::fs::File::open("/dev/null").expect("file"))
            .collect();
        descriptors.measure(&[]);
        assert!(descriptors.others.load(Ordering::Relaxed) >= 30 + 3);
        drop(holders);
        descriptors.exhausted(&[]);
        assert_eq!(descriptors.room(), 0);
    }
}
