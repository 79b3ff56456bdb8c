//! `guideway sessions`: the live sessions of the whole cluster, read and closed through the public API of any node.

mod filter;
mod kill;
mod list;
mod live;
mod size;
mod top;

use std::io;
use std::time::Duration;

use clap::Subcommand;

use crate::client::{Access, Client, RequestError};

/// Longer than the API waits for the slowest node.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What is done with sessions.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// List sessions
    List(list::Arguments),
    /// Show the busiest sessions, again and again until Ctrl-C
    Top(top::Arguments),
    /// Close sessions
    Kill(kill::Arguments),
}

/// Why nothing was listed or closed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionsError {
    /// The API.
    #[error("{source}\nName the API of a running node with --server URL, or its configuration with --config FILE.")]
    Request {
        /// What happened.
        #[from]
        source: RequestError,
    },
    /// Sessions that were to be closed are not there.
    #[error("no such session: {}; `guideway sessions list` shows those that live", names.join(", "))]
    NotFound {
        /// Their names.
        names: Vec<String>,
    },
    /// A mistake here closes what nobody meant.
    #[error("say which sessions to close: their names, or options that select them, or --all")]
    Unclear,
    /// Standard output.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

/// Does what was asked, with the API that `access` leads to.
pub(crate) async fn execute(access: Access, task: Task) -> Result<(), SessionsError> {
    let client = Client::new(access, REQUEST_TIMEOUT);
    match task {
        Task::List(arguments) => list::run(&client, &arguments).await,
        Task::Top(arguments) => top::run(&client, &arguments).await,
        Task::Kill(arguments) => kill::run(&client, &arguments).await,
    }
}

/// Writes to standard output; `false` if whoever read it has gone away.
fn write(text: &str) -> Result<bool, SessionsError> {
    use std::io::Write;
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Writes what the server warns of to standard error, so that it is in no one's data.
fn warn(warnings: &[String]) {
    use std::io::Write;
    for warning in warnings {
        // Without a standard error there is nobody to warn.
        drop(writeln!(io::stderr().lock(), "warning: {warning}"));
    }
}
