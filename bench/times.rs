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

    /// For one of so many that each round did.
    #[allow(
        dead_code,
        clippy::allow_attributes,
        reason = "not every benchmark does several things in a round"
    )]
    pub(crate) fn each(self, of: u32) -> Times {
        Times {
            median: self.median / of,
            least: self.least / of,
        }
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:>10.2?} {:>10.2?}", self.median, self.least)
    }
}

/// Does it so often.
pub(crate) fn measure(rounds: usize, mut work: impl FnMut()) -> Times {
    let time = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    Times::of((0..rounds).map(time).collect())
}
