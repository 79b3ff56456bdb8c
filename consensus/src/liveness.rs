//! Which members have fallen silent, as the leader hears it.
//!
//! Pure: time is handed in. A member is heard when its transport answers, whatever its disk does. A leader that was
//! itself stalled has heard no one, so the time between two looks counts for no more than [`Watchdog::look`] allows.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use guideway_model::NodeId;

/// When each member was last heard.
#[derive(Debug)]
pub(crate) struct Watchdog {
    timeout: Duration,
    silence: BTreeMap<NodeId, Duration>,
    looked: Instant,
}

impl Watchdog {
    /// Starts with every member just heard.
    pub(crate) fn new(timeout: Duration, now: Instant) -> Watchdog {
        Watchdog {
            timeout,
            silence: BTreeMap::new(),
            looked: now,
        }
    }

    /// Takes the members that answered since the last look; returns those that have been silent for too long.
    pub(crate) fn look(&mut self, members: &[NodeId], heard: &[NodeId], now: Instant) -> Vec<NodeId> {
        let passed = now.saturating_duration_since(self.looked).min(self.timeout / 2);
        self.looked = now;
        self.silence.retain(|node, _| members.contains(node));
        for node in members {
            let silence = self.silence.entry(*node).or_default();
            *silence = if heard.contains(node) {
                Duration::ZERO
            } else {
                *silence + passed
            };
        }
        let silent = self.silence.iter().filter(|(_, silence)| **silence >= self.timeout);
        silent.map(|(node, _)| *node).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_member_is_silent_after_the_timeout_and_no_longer_once_it_is_heard() {
        let start = Instant::now();
        let members = [NodeId(1), NodeId(2)];
        let mut watchdog = Watchdog::new(SECOND, start);
        let at = |quarters: u32| start + quarters * SECOND / 4;
        for quarters in 1..=3 {
            assert_eq!(watchdog.look(&members, &[NodeId(2)], at(quarters)), []);
        }
        assert_eq!(watchdog.look(&members, &[NodeId(2)], at(4)), [NodeId(1)]);
        assert_eq!(watchdog.look(&members, &[NodeId(2)], at(5)), [NodeId(1)]);
        assert_eq!(watchdog.look(&members, &[NodeId(1)], at(6)), []);
    }

    #[test]
    fn a_stalled_leader_blames_no_one() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(SECOND, start);
        assert_eq!(watchdog.look(&[NodeId(1)], &[], start + 100 * SECOND), []);
        assert_eq!(watchdog.look(&[NodeId(1)], &[], start + 200 * SECOND), [NodeId(1)]);
    }

    #[test]
    fn a_member_that_left_is_forgotten() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(SECOND, start);
        assert_eq!(watchdog.look(&[NodeId(1)], &[], start + SECOND), []);
        assert_eq!(watchdog.look(&[], &[], start + 2 * SECOND), []);
        assert_eq!(watchdog.look(&[NodeId(1)], &[], start + 3 * SECOND), []);
    }
}
