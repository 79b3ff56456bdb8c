//! Waiting for a state, with a deadline that only a broken product meets.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a state may take on a slow, busy machine. No test measures speed with it.
pub const DEADLINE: Duration = Duration::from_secs(90);

const PAUSE: Duration = Duration::from_millis(20);

/// Probes until the probe succeeds, and returns what it found.
///
/// Panics at the deadline with `what` and the probe's last complaint.
pub fn until<T>(what: &str, probe: impl FnMut() -> Result<T, String>) -> T {
    until_within(DEADLINE, what, probe)
}

/// [`until`] with a deadline of its own.
pub fn until_within<T>(deadline: Duration, what: &str, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match probe() {
            Ok(found) => return found,
            Err(complaint) if start.elapsed() > deadline => {
                panic!("waited {} s for: {what}; last seen: {complaint}", deadline.as_secs())
            }
            Err(_) => pause(),
        }
    }
}

/// Lets other processes run between two probes; never a guess at how long something takes.
pub fn pause() {
    std::thread::park_timeout(PAUSE);
}

/// Tells the threads of a scope to end when the test's own part of the scope is over, by return or by panic.
#[derive(Debug)]
pub struct StopOnDrop<'a>(pub &'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
