//! The process log: what the process says of itself, on standard error.
//!
//! Levels: `error` needs a person now, `warn` needs one soon, `info` is what an operator wants to
//! read of a healthy day, `debug` explains decisions, `trace` may follow single sessions.

use std::io::IsTerminal;

use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{Log, LogFormat};

/// Starts the log for the whole process. A second start is an error and changes nothing.
pub(crate) fn start(log: &Log) -> Result<(), TryInitError> {
    let registry = tracing_subscriber::registry().with(log.level.clone());
    match log.format {
        LogFormat::Json => registry
            .with(
                fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_current_span(false)
                    .with_span_list(false)
                    .with_writer(std::io::stderr),
            )
            .try_init(),
        LogFormat::Text => {
            let terminal = std::io::stderr().is_terminal();
            registry
                .with(fmt::layer().with_ansi(terminal).with_writer(std::io::stderr))
                .try_init()
        }
    }
}
