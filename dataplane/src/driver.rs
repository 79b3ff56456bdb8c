//! Which driver carries the sessions, and why that one.

use std::io;

use crate::config::Driver;
use crate::ring::Ring;

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// [`Driver::Epoll`] or [`Driver::IoUring`].
    pub driver: Driver,
    /// Why, in a few words for people.
    pub reason: String,
}

/// What is to run where `asked` was asked for. Fails only if io_uring was asked for by name and cannot be had.
pub(crate) fn resolve(asked: Driver) -> io::Result<Running> {
    let (driver, reason) = match asked {
        Driver::Epoll => (Driver::Epoll, "asked for".to_owned()),
        Driver::IoUring => (probe().map(|()| Driver::IoUring)?, "asked for".to_owned()),
        Driver::Auto => match probe() {
            Ok(()) => (Driver::IoUring, "the kernel has all it needs".to_owned()),
            Err(error) => (Driver::Epoll, format!("io_uring cannot be had: {error}")),
        },
    };
    Ok(Running { driver, reason })
}

/// Whether a ring can be had. It is made on a thread of its own: when a ring ends, the kernel signals the thread that made
/// it, which interrupts whatever that thread waits for.
pub(crate) fn probe() -> io::Result<()> {
    let made = std::thread::Builder::new()
        .name("probe".into())
        .spawn(|| Ring::new().map(drop))?
        .join();
    made.unwrap_or_else(|_panic| Err(io::Error::other("the probe panicked")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_by_name_runs_and_auto_says_why() {
        assert_eq!(resolve(Driver::Epoll).expect("always").driver, Driver::Epoll);
        let auto = resolve(Driver::Auto).expect("always");
        match resolve(Driver::IoUring) {
            Ok(running) => {
                assert_eq!(running.driver, Driver::IoUring);
                assert_eq!(auto.driver, Driver::IoUring);
            }
            Err(error) => {
                assert_eq!(auto.driver, Driver::Epoll);
                assert!(auto.reason.contains(&error.to_string()), "{}", auto.reason);
            }
        }
    }
}
