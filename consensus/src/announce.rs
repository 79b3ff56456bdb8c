//! What each node does for itself: it says that it is up, makes snapshots and measures.
//!
//! Who lives here: one task for each of [`announce`], [`snapshots`] and [`measure`]; they own nothing and end when the
//! node stops.

use std::sync::Arc;
use std::time::Duration;

use guideway_model::Outcome;
use guideway_model::command::Command;

use crate::engine::{Engine, blocking};
use crate::metrics;
use crate::space::SAMPLE_INTERVAL;
use crate::status::StoreHealth;

/// Pause after an attempt to say that this node is up failed.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Says that this start of the node is up: once it has caught up, and again whenever the state says otherwise.
pub(crate) async fn announce(engine: Arc<Engine>) {
    let patience = engine.config.tuning.request_deadline;
    let mut met = false;
    while engine.linearizable(patience).await.is_err() {
        met = met || introduce(&engine).await;
        if engine.pause(RETRY_PAUSE).await {
            return;
        }
    }
    let mut applied = engine.applied.subscribe();
    let mut stopping = engine.stopping.subscribe();
    loop {
        let known = {
            let now = applied.borrow_and_update();
            let record = now.state.node(engine.node_id());
            record.map(|record| record.live && record.incarnation == Some(engine.config.incarnation))
        };
        match known {
            None => {
                tracing::warn!(node = %engine.node_id(), "this node is no longer a member of the cluster");
                return;
            }
            Some(false) if !say_up(&engine).await => {
                if engine.pause(RETRY_PAUSE).await {
                    return;
                }
            }
            Some(_) => tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => return,
                changed = applied.changed() => if changed.is_err() { return },
            },
        }
    }
}

/// Tells the others where this node is, if they know another address: the leader cannot reach it there, so this node
/// cannot learn who leads, and asks each member in turn. Returns whether a leader has taken the news.
async fn introduce(engine: &Engine) -> bool {
    let state = engine.applied_now().state;
    let own = state.node(engine.node_id());
    if own.is_none_or(|record| record.facts.peer_address == engine.config.facts.peer_address) {
        return false;
    }
    let others = state
        .nodes()
        .map(|(node, _)| node)
        .filter(|node| *node != engine.node_id());
    for node in others {
        if engine.propose_through(node, &up(engine)).await {
            tracing::info!(leader = %node, address = engine.config.facts.peer_address, "the cluster knows this node's new address");
            return true;
        }
    }
    false
}

fn up(engine: &Engine) -> Command {
    Command::NodeUp {
        node: engine.node_id(),
        incarnation: engine.config.incarnation,
        facts: engine.config.facts.clone(),
    }
}

async fn say_up(engine: &Engine) -> bool {
    match engine.propose(&up(engine)).await.map(|committed| committed.outcome) {
        Ok(Outcome::Refused(refusal)) => {
            tracing::error!(?refusal, "the cluster refuses this node's start");
            false
        }
        Ok(_) => {
            tracing::info!(node = %engine.node_id(), "the cluster knows that this node is up");
            true
        }
        Err(error) => {
            tracing::debug!(%error, "the cluster does not know yet that this node is up");
            false
        }
    }
}

/// Has a snapshot made whenever enough log has been applied.
pub(crate) async fn snapshots(engine: Arc<Engine>) {
    let mut stopping = engine.stopping.subscribe();
    loop {
        tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => return,
            () = engine.pressure.due() => {}
        }
        // A disk that a snapshot fills would stop the log; while space is short, the log does not grow either.
        if let Err(full) = engine.space.guard_here(engine.id()) {
            tracing::warn!(%full, "no snapshot is made");
            continue;
        }
        if let Some(running) = engine.running()
            && let Err(fatal) = running.raft.trigger().snapshot().await
        {
            tracing::warn!(%fatal, "no snapshot is made");
        }
    }
}

/// Measures free space and sets gauges.
pub(crate) async fn measure(engine: Arc<Engine>) {
    let mut leader = None;
    while !engine.pause(SAMPLE_INTERVAL).await {
        let sampled = engine.clone();
        if blocking(move || sampled.space.sample()).await.is_err() {
            return;
        }
        let status = engine.status();
        let leads = status.leader == Some(engine.node_id());
        metrics::raft(status.term, leads, status.last_applied, status.commit);
        let healthy = !matches!(status.store, StoreHealth::Failed { .. });
        metrics::store(healthy, status.log_bytes, engine.space.report().free_bytes);
        if status.leader.is_some() && status.leader != leader {
            leader = status.leader;
            metrics::leader_changed();
        }
    }
}
