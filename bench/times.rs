//! What the benchmarks of the pure parts measure with; each includes this file.

use std::time::{Duration, Instant};

/// How long several rounds of one thing took.
pub(crate) struct Times {
    median: Duration,
    least: Duration,
}

impl Times {
    /// Of at least one round.
    pub(crate) fn of(mut times: Vec<Duration>) -> Times {
        times.sort_unstable();
        Times {
            median: times[times.len() / 2],
            least: times[0],
        }
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:>10.2?} {:>10.2?}", self.median, self.least)
    }
}

/// Does so often what does `things` things each time; gives how long one of them took.
pub(crate) fn measure(rounds: usize, things: u32, mut work: impl FnMut()) -> Times {
    let time = |_| {
        let start = Instant::now();
        work();
        start.elapsed() / things
    };
    Times::of((0..rounds).map(time).collect())
}
