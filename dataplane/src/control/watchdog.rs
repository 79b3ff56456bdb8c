//! Heartbeats of the relay threads, and the end of the process when one stops.

use crate::shared::Seat;

/// Looks in a row, one second apart, at which a heartbeat stood still before the process is ended. Looks are counted,
/// not clock time, so a process that was stopped as a whole is not taken for a stuck one.
const STILL_LIMIT: u32 = 5;

/// What was seen at the last look.
#[derive(Debug)]
pub(crate) struct Watchdog {
    seen: Vec<Pulse>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Pulse {
    heartbeat: u64,
    still: u32,
}

impl Pulse {
    /// Whether the thread has been still for too long.
    fn look(&mut self, heartbeat: u64) -> bool {
        self.still = if self.heartbeat == heartbeat { self.still + 1 } else { 0 };
        self.heartbeat = heartbeat;
        self.still >= STILL_LIMIT
    }
}

impl Watchdog {
    pub(crate) fn new(seats: &[Seat]) -> Watchdog {
        Watchdog {
            seen: vec![Pulse::default(); seats.len()],
        }
    }

    /// Ends the process if a relay thread is stuck: its sessions hang, while its sockets go on drawing new ones that no
    /// other thread can take.
    pub(crate) fn look(&mut self, seats: &[Seat]) {
        for (thread, (pulse, seat)) in self.seen.iter_mut().zip(seats).enumerate() {
            if pulse.look(seat.heartbeat()) {
                tracing::error!(
                    thread,
                    "relay thread without a heartbeat for {STILL_LIMIT} s; ending the process"
                );
                std::process::abort();
            }
        }
    }
}

/// Ends the process if the thread that holds it unwinds: half a data plane must not stay behind.
#[derive(Debug)]
pub(crate) struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("a data plane thread panicked; ending the process");
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_heartbeat_that_stands_still_for_long_counts() {
        let mut pulse = Pulse::default();
        assert!(!pulse.look(1));
        for _ in 1..STILL_LIMIT {
            assert!(!pulse.look(1));
        }
        assert!(!pulse.clone().look(2));
        assert!(pulse.look(1));
    }
}
