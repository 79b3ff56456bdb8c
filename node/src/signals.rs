//! Signals that end the process.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM, SIGINT, and SIGHUP of a terminal that was closed. From [`Stop::listen`] on, none ends the process by
/// itself.
pub(crate) struct Stop {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// Takes the signals over.
    pub(crate) fn listen() -> io::Result<Stop> {
        Ok(Stop {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The name of the next signal; may be called again for the one after it.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.hangup.recv() => "SIGHUP",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
