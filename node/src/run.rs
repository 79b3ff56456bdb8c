//! `guideway run`: one node until a signal.

use std::io;

use crate::config::Config;
use crate::facts::VERSION;
use crate::guardian::{Guardian, GuardianError};
use crate::node::{Node, StartError, TaskEnded};
use crate::signals::Stop;
use crate::{logging, process};

/// Why a node did not run, or not to its orderly end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// Signals cannot be taken over.
    #[error("signals cannot be handled: {0}")]
    Signals(io::Error),
    /// The process that this one should end with is not there.
    #[error(transparent)]
    Guardian(#[from] GuardianError),
    /// The node did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A part of the node ended by itself.
    #[error(transparent)]
    TaskEnded(#[from] TaskEnded),
    /// A second signal came while the node shut down.
    #[error("a second {0} ended the shutdown: sessions were cut off")]
    CutOff(&'static str),
}

/// Runs a node until SIGTERM or SIGINT; a second one ends the shutdown at once.
pub(crate) async fn run(config: Config, stop_with: Option<i32>) -> Result<(), RunError> {
    if let Err(error) = logging::start(&config.log) {
        // Only a test that runs several nodes in one process gets here.
        tracing::debug!(%error, "the log runs already");
    }
    let mut stop = Stop::listen().map_err(RunError::Signals)?;
    let guardian = stop_with.map(Guardian::of).transpose()?;
    announce(&config);
    let mut node = tokio::select! {
        node = Node::start(&config) => node?,
        signal = stop.next() => {
            tracing::info!(signal, "stopped before it had started");
            return Ok(());
        }
        () = gone(guardian.as_ref()) => return Ok(()),
    };
    tracing::info!(
        node = %node.id(),
        ready = node.is_ready(),
        api = %config.api_url(),
        metrics = %format_args!("http://{}/metrics", config.metrics_listen),
        "serving"
    );
    let signal = tokio::select! {
        signal = stop.next() => signal,
        ended = node.task_ended() => return Err(ended.into()),
        () = gone(guardian.as_ref()) => return Ok(()),
    };
    tracing::info!(signal, deadline = ?config.shutdown_deadline, "shutting down; a second signal ends it at once");
    tokio::select! {
        report = node.stop() => {
            tracing::info!(
                sessions_ended = report.sessions_ended,
                sessions_closed = report.sessions_closed,
                "stopped"
            );
            Ok(())
        }
        signal = stop.next() => Err(RunError::CutOff(signal)),
        () = gone(guardian.as_ref()) => Ok(()),
    }
}

fn announce(config: &Config) {
    tracing::info!(
        version = VERSION,
        name = config.name,
        data_dir = %config.data_dir.display(),
        threads = config.data.threads,
        "guideway starts"
    );
    match process::raise_descriptor_limit() {
        Ok(limit) => tracing::info!(
            before = limit.before,
            now = limit.now,
            "file descriptors this process may open"
        ),
        Err(error) => tracing::warn!(%error, "the limit of file descriptors could not be raised"),
    }
    tracing::info!(
        peer = %config.peer_listen,
        api = %config.api_listen,
        metrics = %config.metrics_listen,
        "peers need a certificate of this cluster; the API and metrics have neither TLS nor login and listen on loopback only"
    );
}

async fn gone(guardian: Option<&Guardian>) {
    match guardian {
        Some(guardian) => {
            guardian.gone().await;
            tracing::warn!("the process that this node belongs to has ended; ending, too");
        }
        None => std::future::pending().await,
    }
}
