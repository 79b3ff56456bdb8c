//! What a node does about members: it ends connections of those that are none any more, and asks the others when it may
//! not have heard of someone.
//!
//! Who lives here: one task, [`keep_members`], which owns nothing and ends when the node stops.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::engine::Engine;
use crate::transport::{Call, Target};
use crate::trust::{Roster, membership};

/// Pause after members were asked: whoever is not let in makes a node ask, and may come often.
const ASK_INTERVAL: Duration = Duration::from_millis(500);
/// How long a member may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Follows who is a member; runs until the node stops.
pub(crate) async fn keep_members(engine: Arc<Engine>) {
    let mut applied = engine.applied.subscribe();
    let mut heard = engine.trust.heard();
    let mut stopping = engine.stopping.subscribe();
    let mut known = None;
    loop {
        let doubts = tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => return,
            changed = applied.changed() => if changed.is_err() { return } else { false },
            changed = heard.changed() => if changed.is_err() { return } else { false },
            () = engine.trust.doubt.notified() => true,
        };
        if doubts {
            ask_members(&engine).await;
            if engine.pause(ASK_INTERVAL).await {
                return;
            }
        }
        let now = (
            heard.borrow_and_update().index,
            membership(&applied.borrow_and_update().state),
        );
        if known.as_ref() != Some(&now) {
            known = Some(now);
            engine.members_changed.send_modify(|count| *count += 1);
            engine.peers.leave_strangers(&engine.trust).await;
        }
    }
}

/// Asks every member that is known for the members it knows, and takes what is later.
async fn ask_members(engine: &Engine) {
    let others = engine
        .trust
        .addresses()
        .into_iter()
        .filter(|(number, _)| *number != engine.id());
    let asked = others.map(|(number, address)| async move {
        let target = Target {
            address,
            node: Some(number),
        };
        let answer = engine
            .peers
            .call::<_, Roster>(&target, Call::Roster, &(), ANSWER_TIMEOUT)
            .await;
        answer.ok().map(|roster| (number, roster))
    });
    for (number, roster) in join_all(asked).await.into_iter().flatten() {
        let index = roster.index;
        if engine.trust.hear(roster) {
            tracing::info!(
                node = number,
                index,
                "a member has told of members that this node had not heard of"
            );
        }
    }
}
