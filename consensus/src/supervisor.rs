//! Keeps Raft running on a store that can fail.
//!
//! ```text
//!            storage error                    opened and checked
//!  running ───────────────► down, back-off ───────────────────────► running
//!     │                          │
//!     ├────────── stopping ──────┴──► closed
//!     └── the quorum is lost for good ──► rebuilt for this node alone ──► running
//! ```
//! While Raft is down the node's last state goes on being published and its transport answers pings.

use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use tokio::sync::mpsc;

use crate::engine::{Engine, Running, blocking};
use crate::store::Store;
use crate::{metrics, recover};

/// First and longest pause before the store is opened again.
const BACKOFF: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(15)];

/// Runs until the node stops; the store is closed when it returns.
pub(crate) async fn supervise(engine: Arc<Engine>, store: Store, mut rebuilds: mpsc::Receiver<recover::Request>) {
    let mut store = store;
    loop {
        let ended = tokio::select! {
            problem = failure(&engine) => Ended::Failed(problem),
            Some(request) = rebuilds.recv() => Ended::Rebuild(request),
        };
        let problem = match ended {
            Ended::Failed(problem) => problem,
            Ended::Rebuild(request) => {
                match rebuild(&engine, store, request).await {
                    Some(opened) => store = opened,
                    None => return,
                }
                continue;
            }
        };
        if let Some(problem) = &problem {
            tracing::error!(
                problem,
                "the store has failed; Raft stops on this node and the store is opened again"
            );
            metrics::store_failed();
        }
        let failed = problem.is_some();
        engine.close(store, problem).await;
        if !failed {
            return;
        }
        match reopen(&engine).await {
            Some(opened) => store = opened,
            None => return,
        }
    }
}

/// Why Raft does not go on as it was.
enum Ended {
    /// The store has failed; without a problem the node is to stop.
    Failed(Option<String>),
    /// The others are lost for good.
    Rebuild(recover::Request),
}

/// Stops Raft, makes this node the only one, and starts Raft again.
async fn rebuild(engine: &Arc<Engine>, store: Store, request: recover::Request) -> Option<Store> {
    tracing::warn!("the quorum is given up, as an operator asks; this node becomes the only member");
    let problem = "the cluster is being rebuilt from this node".to_owned();
    engine.close(store, Some(problem)).await;
    let rebuilt = engine.rebuild_store().await;
    if let Err(error) = &rebuilt {
        tracing::error!(%error, "the store could not be rebuilt; it is opened as it is");
    }
    let opened = reopen(engine).await;
    // Who has asked may have gone away: what was done is in the log all the same.
    request.send(rebuilt).ok();
    opened
}

/// Waits until Raft has failed, and says why; `None` when the node is to stop.
async fn failure(engine: &Engine) -> Option<String> {
    let mut stopping = engine.stopping.subscribe();
    let Some(Running { raft, .. }) = engine.running() else {
        return Some("Raft does not run".to_owned());
    };
    let mut watched = raft.metrics();
    loop {
        let state = watched.borrow_watched().running_state.clone();
        if let Err(fatal) = state {
            return Some(fatal.to_string());
        }
        tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => return None,
            changed = watched.changed() => if changed.is_err() {
                return Some("Raft has ended".to_owned());
            }
        }
    }
}

/// Opens the store again, however long it takes; `None` when the node is to stop.
async fn reopen(engine: &Arc<Engine>) -> Option<Store> {
    let mut length = BACKOFF[0];
    loop {
        if engine.pause(length).await {
            return None;
        }
        length = (length * 2).min(BACKOFF[1]);
        let spacious = engine.clone();
        if blocking(move || spacious.space.drop_ballast()).await.is_err() {
            continue;
        }
        match engine.open(false).await {
            Ok(store) => {
                tracing::info!("the store is open again; Raft runs");
                return Some(store);
            }
            Err(error) => {
                tracing::error!(%error, "the store cannot be opened yet");
                engine.still_down(error.to_string());
            }
        }
    }
}
