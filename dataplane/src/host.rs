//! What the kernel of this machine says of itself, for those who look before a node runs.

use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

use crate::driver;

/// Whether an io_uring with all that the relay threads need can be had.
///
/// # Errors
/// Why not.
pub fn io_uring() -> io::Result<()> {
    driver::probe()
}

/// How the kernel's clock is kept (adjtimex(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Whether a program keeps it in step with others, and has said so lately.
    pub synchronised: bool,
    /// How far off it is at most, as that program reckons.
    pub error_at_most: Duration,
}

/// Reads how the clock is kept; changes nothing.
///
/// # Errors
/// A container forbids to ask.
pub fn clock() -> io::Result<Clock> {
    let mut state = MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: the pointer is to memory of the right size and alignment, which the call may write; all zeros is a timex
    // whose `modes` ask for no change.
    let answer = unsafe { libc::adjtimex(state.as_mut_ptr()) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: every field is an integer, so zeros were a value already, and the call has succeeded.
    let state = unsafe { state.assume_init() };
    Ok(Clock {
        synchronised: answer != libc::TIME_ERROR && state.status & libc::STA_UNSYNC == 0,
        error_at_most: Duration::from_micros(u64::try_from(state.maxerror).unwrap_or(0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_asked_and_not_changed() {
        match clock() {
            // The kernel lets the bound grow without end, but counts no further than 16 s.
            Ok(clock) => assert!(clock.error_at_most <= Duration::from_secs(16), "{clock:?}"),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}"),
        }
    }
}
