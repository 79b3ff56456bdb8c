//! What only the leader does: it listens for every member and brings the Raft group in line with the replicated state.
//!
//! Who lives here: one task for each of [`watch_members`] and [`follow_members`] on every node, which do nothing while
//! the node does not lead. They look at the state each time, so nothing depends on who led before. They end when the
//! node stops.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use guideway_model::command::Command;
use guideway_model::node::Incarnation;
use guideway_model::{NodeId, State};
use openraft::ServerState;

use crate::answer::Pong;
use crate::engine::{Engine, Running};
use crate::liveness::Watchdog;
use crate::membership::group::Group;
use crate::raft_types::RaftMetrics;
use crate::silence::{Notice, Silence};
use crate::transport::Call;

/// Looks in one liveness timeout; a member may miss all but one of them.
const LOOKS: u32 = 5;

/// Pause between steps by which the Raft group follows the state.
const STEP_INTERVAL: Duration = Duration::from_millis(100);

/// Says of members that are silent that they are down; runs until the node stops.
pub(crate) async fn watch_members(engine: Arc<Engine>) {
    let timeout = engine.config.tuning.liveness_timeout;
    let mut watchdog: Option<(u64, Watchdog)> = None;
    let mut silence = Silence::default();
    while !engine.pause(timeout / LOOKS).await {
        let Some(metrics) = leading(&engine).map(|(_, metrics)| metrics) else {
            watchdog = None;
            silence = Silence::default();
            continue;
        };
        let term = metrics.current_term;
        let (since, watchdog) = watchdog.get_or_insert_with(|| (term, Watchdog::new(timeout, Instant::now())));
        if *since != term {
            *since = term;
            *watchdog = Watchdog::new(timeout, Instant::now());
        }
        let state = engine.applied_now().state;
        let silent = listen(&engine, &state, watchdog, timeout / LOOKS).await;
        let down: Vec<NodeId> = silent.iter().copied().filter(|node| !is_live(&state, *node)).collect();
        silence
            .look(&silent, &down, Instant::now())
            .iter()
            .for_each(Notice::log);
        for node in silent {
            say_down(&engine, &state, node, timeout / LOOKS).await;
        }
    }
}

/// Takes the steps by which the Raft group follows the state; runs until the node stops.
pub(crate) async fn follow_members(engine: Arc<Engine>) {
    while !engine.pause(STEP_INTERVAL).await {
        let Some((running, metrics)) = leading(&engine) else {
            continue;
        };
        let state = engine.applied_now().state;
        if let Some(step) = Group::new(&metrics).next_step(&state) {
            tracing::info!(?step, "the Raft group follows the members of the cluster");
            if let Err(error) = engine.take_step(&running, &step).await {
                tracing::warn!(?step, %error, "the Raft group does not follow yet");
            }
        }
    }
}

fn leading(engine: &Engine) -> Option<(Running, RaftMetrics)> {
    let running = engine.running()?;
    let metrics = running.metrics();
    (metrics.state == ServerState::Leader).then_some((running, metrics))
}

/// Asks every member for a sign of life; returns those that have been silent for too long.
async fn listen(engine: &Engine, state: &State, watchdog: &mut Watchdog, patience: Duration) -> Vec<NodeId> {
    let others: Vec<NodeId> = state
        .nodes()
        .map(|(node, _)| node)
        .filter(|node| *node != engine.node_id())
        .collect();
    let answers = join_all(others.iter().map(|node| ping(engine, *node, patience))).await;
    let heard: Vec<NodeId> = others
        .iter()
        .zip(&answers)
        .filter(|(_, heard)| **heard)
        .map(|(node, _)| *node)
        .collect();
    watchdog.look(&others, &heard, Instant::now())
}

/// Proposes that a member is down, unless the state says so already.
async fn say_down(engine: &Engine, state: &State, node: NodeId, patience: Duration) {
    let Some(incarnation) = live_incarnation(state, node) else {
        return;
    };
    let down = Command::NodeDown { node, incarnation };
    // Without a majority it cannot be agreed; the others must be listened to meanwhile.
    match tokio::time::timeout(patience, engine.propose(&down)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::debug!(%node, %error, "the cluster could not agree that a member is down"),
        Err(_) => tracing::debug!(%node, "the cluster has not agreed yet that a member is down"),
    }
}

async fn ping(engine: &Engine, node: NodeId, patience: Duration) -> bool {
    let pong = engine.ping(node, patience).await;
    if let Some(pong) = &pong {
        engine.space.note(node.0, pong.space.clone());
    }
    pong.is_some()
}

impl Engine {
    /// What a member says of itself, if it answers in time.
    pub(crate) async fn ping(&self, node: NodeId, patience: Duration) -> Option<Pong> {
        let target = self.members.target(node.0)?;
        self.peers.call(&target, Call::Ping, &(), patience).await.ok()
    }
}

fn is_live(state: &State, node: NodeId) -> bool {
    live_incarnation(state, node).is_some()
}

fn live_incarnation(state: &State, node: NodeId) -> Option<Incarnation> {
    let record = state.node(node).filter(|record| record.live)?;
    record.incarnation
}
