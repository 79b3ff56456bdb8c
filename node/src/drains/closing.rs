//! Closing the sessions that a drain's deadline has found alive, one by one at a pace, so that their clients do not all
//! come back at once. Pure: time and randomness are handed in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use guideway_model::session::LocalSessionId;

use super::random::Random;

/// Pause before it is looked again for sessions, once all that were found are closed: some may have come meanwhile by
/// their pin.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Shortest time between two closings; what is due within it is closed together.
const STEP: Duration = Duration::from_millis(10);

/// Sessions closed in one step at most, without a pace.
const MOST: usize = 1000;

/// Progress of one drain on this node.
#[derive(Debug)]
pub(super) struct Closing {
    random: Random,
    queue: VecDeque<LocalSessionId>,
    /// The next place of the grid on which sessions are closed, and when its session is, which jitter puts off or brings
    /// forward.
    next: Option<(Instant, Instant)>,
    look_at: Instant,
}

/// How quickly this node closes sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// From one to the next.
    pub(super) interval: Duration,
    /// By how much of it each is put off or brought forward at most, in percent.
    pub(super) jitter_percent: u8,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Find the sessions; see [`Closing::found`].
    Look,
    /// Close these.
    Close(Vec<LocalSessionId>),
    /// Nothing before then.
    Wait(Instant),
}

impl Pace {
    /// This node's part of a pace that some nodes keep together.
    pub(super) fn shared(sessions_per_second: u32, jitter_percent: u8, nodes: usize) -> Pace {
        let nodes = u32::try_from(nodes).unwrap_or(u32::MAX).max(1);
        Pace {
            interval: Duration::from_secs(1).saturating_mul(nodes) / sessions_per_second.max(1),
            jitter_percent: jitter_percent.min(100),
        }
    }
}

impl Closing {
    pub(super) fn new(seed: u64, now: Instant) -> Closing {
        Closing {
            random: Random::new(seed),
            queue: VecDeque::new(),
            next: None,
            look_at: now,
        }
    }

    /// What to do now.
    pub(super) fn next_step(&mut self, pace: Pace, now: Instant) -> Step {
        if self.queue.is_empty() {
            return if now < self.look_at {
                Step::Wait(self.look_at)
            } else {
                Step::Look
            };
        }
        let due = self.due(pace, now);
        if due == 0 {
            return Step::Wait(self.next.map_or(now, |(_, at)| at).max(now + STEP));
        }
        let due = due.min(self.queue.len());
        Step::Close(self.queue.drain(..due).collect())
    }

    /// The sessions that are left.
    pub(super) fn found(&mut self, mut sessions: Vec<LocalSessionId>, now: Instant) {
        self.look_at = now + LOOK_PAUSE;
        // Those of one client are next to each other where they are kept.
        self.random.shuffle(&mut sessions);
        self.queue = sessions.into();
    }

    /// Sessions that may be closed now. Jitter moves each about its place on a grid, and the grid keeps the pace: so jitters do
    /// not add up. Where the grid begins is random, so that nodes do not fall into step. After a stall nothing is made up
    /// for.
    fn due(&mut self, pace: Pace, now: Instant) -> usize {
        let interval = pace.interval.max(Duration::from_nanos(1));
        let (mut place, mut at) = match self.next {
            None => {
                let place = now + self.part_of(interval);
                (place, place)
            }
            Some(next) => next,
        };
        if let Some(oldest) = now.checked_sub(interval.max(2 * STEP)).filter(|oldest| place < *oldest) {
            (place, at) = (oldest, oldest);
        }
        let mut due = 0;
        while at <= now && due < MOST {
            due += 1;
            place += interval;
            at = self.jittered(place, interval * u32::from(pace.jitter_percent) / 100);
        }
        self.next = Some((place, at));
        due
    }

    fn jittered(&mut self, place: Instant, jitter: Duration) -> Instant {
        let shift = self.part_of(2 * jitter);
        (place + shift).checked_sub(jitter).unwrap_or(place)
    }

    fn part_of(&mut self, length: Duration) -> Duration {
        Duration::from_nanos(self.random.below(u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use guideway_model::node::Protocol;
    use std::collections::BTreeSet;

    fn session(index: u32) -> LocalSessionId {
        LocalSessionId {
            protocol: Protocol::Tcp,
            seat: 0,
            index,
            generation: 1,
        }
    }

    /// Runs until `until` and tells when, in milliseconds, each session was closed.
    fn run(sessions: u32, pace: Pace, until: u64) -> Vec<(u64, LocalSessionId)> {
        let start = Instant::now();
        let mut closing = Closing::new(7, start);
        let mut now = start;
        let mut left: BTreeSet<LocalSessionId> = (0..sessions).map(session).collect();
        let mut closed = Vec::new();
        loop {
            let millis = u64::try_from(now.duration_since(start).as_millis()).expect("soon");
            match closing.next_step(pace, now) {
                _ if millis >= until => return closed,
                Step::Look => closing.found(left.iter().copied().collect(), now),
                Step::Close(some) => {
                    assert!(some.iter().all(|session| left.remove(session)), "closed twice");
                    closed.extend(some.into_iter().map(|session| (millis, session)));
                }
                Step::Wait(later) => {
                    assert!(later > now, "it would spin");
                    now = later;
                }
            }
        }
    }

    #[test]
    fn the_pace_is_kept_in_every_window_whatever_the_jitter() {
        for (per_second, nodes, part) in [(100, 1, 100_usize), (30, 3, 10), (1, 2, 0), (5000, 2, 2500)] {
            for jitter in [0, 20, 100] {
                let closed = run(30_000, Pace::shared(per_second, jitter, nodes), 10_000);
                let mean = closed.len() / 10;
                // The last step of the test is not taken.
                let least = (part - part / 100).saturating_sub(1);
                assert!((least..=part).contains(&mean), "{mean} of {part} with {jitter} %");
                for (begin, _) in closed.iter().step_by(part / 10 + 1) {
                    let window = closed
                        .iter()
                        .filter(|(at, _)| (*begin..begin + 1000).contains(at))
                        .count();
                    // The ends of the window, and what is due within one step.
                    assert!(window <= part + 3 + part / 50, "{window} of {part} with {jitter} %");
                }
            }
        }
    }

    #[test]
    fn every_session_is_closed_once_in_no_order_that_shows() {
        let closed = run(500, Pace::shared(1000, 20, 1), 5_000);
        let mut sessions: Vec<u32> = closed.iter().map(|(_, session)| session.index).collect();
        assert!(sessions.windows(2).any(|pair| pair[0] > pair[1]));
        sessions.sort_unstable();
        assert_eq!(sessions, (0..500).collect::<Vec<_>>());
    }

    #[test]
    fn it_looks_again_for_those_that_came_later() {
        let start = Instant::now();
        let pace = Pace::shared(1_000_000, 0, 1);
        let mut closing = Closing::new(1, start);
        assert_eq!(closing.next_step(pace, start), Step::Look);
        closing.found(Vec::new(), start);
        let later = start + LOOK_PAUSE;
        assert_eq!(closing.next_step(pace, start), Step::Wait(later));
        assert_eq!(closing.next_step(pace, later), Step::Look);
        closing.found(vec![session(1)], later);
        closing.next_step(pace, later);
        assert_eq!(closing.next_step(pace, later + STEP), Step::Close(vec![session(1)]));
    }

    #[test]
    fn a_stall_is_not_made_up_for() {
        let start = Instant::now();
        let mut closing = Closing::new(1, start);
        let pace = Pace::shared(10, 0, 1);
        closing.found((0..1000).map(session).collect(), start);
        closing.next_step(pace, start);
        let late = start + Duration::from_secs(60);
        let Step::Close(closed) = closing.next_step(pace, late) else {
            panic!("some are due");
        };
        assert!(closed.len() <= 2, "{}", closed.len());
    }
}
