//! The only place that reads a clock.

use std::time::{Instant, SystemTime};

use crate::core::time::Micros;

/// Monotonic time since the data plane started, and the time of day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock { origin: Instant::now() }
    }

    pub(crate) fn now(&self) -> Micros {
        Micros(0).after(self.origin.elapsed())
    }

    pub(crate) fn time_of_day() -> SystemTime {
        SystemTime::now()
    }
}
