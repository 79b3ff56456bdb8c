//! Whether the clock is kept in step.

use std::io;

use guideway_dataplane::host::{self, Clock};

use super::item::{Item, Subject, Verdict, verdict};

pub(super) static CLOCK: Subject = Subject {
    name: "clock",
    wanted: "kept in step by an NTP client",
    why: "certificates and tokens have a beginning and an end; clocks of members may differ by five minutes",
    set: "apt-get install chrony, or timedatectl set-ntp true",
};

/// Asks the kernel.
pub(super) fn item() -> Item {
    judge(host::clock())
}

fn judge(clock: io::Result<Clock>) -> Item {
    match clock {
        Err(error) => CLOCK.found(Verdict::Unknown, format!("not visible from here: {error}")),
        Ok(clock) => {
            let found = if clock.synchronised {
                format!("in step to within {} ms", clock.error_at_most.as_millis())
            } else {
                "nothing keeps it in step".to_owned()
            };
            CLOCK.found(verdict(clock.synchronised), found)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_that_runs_free_is_to_be_changed() {
        let clock = |synchronised| Clock {
            synchronised,
            error_at_most: Duration::from_micros(2_500),
        };
        assert_eq!(
            judge(Ok(clock(true))),
            CLOCK.found(Verdict::Ok, "in step to within 2 ms")
        );
        assert_eq!(judge(Ok(clock(false))).verdict, Verdict::Change);
        assert_eq!(
            judge(Err(io::ErrorKind::PermissionDenied.into())).verdict,
            Verdict::Unknown
        );
    }
}
