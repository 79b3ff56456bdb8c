//! Status of a Drain: what follows from the state, and from what was last reported of it.

use super::condition::{ACCEPTED, DRAINED, Derived, Moment, enumerate, merge};
use crate::kind::Kind;
use crate::meta::{Timestamp, UnixMillis};
use crate::resource::{AtDeadline, Drain, DrainPhase, DrainStatus, Drained};
use crate::state::State;
use crate::state::index::Name;

/// Types that are ours in a Drain.
pub(crate) const OWN: [&str; 2] = [ACCEPTED, DRAINED];

/// The status of a Drain. What was reported is in the status that it has, and stays.
pub(crate) fn derive(state: &State, drain: &Drain, moment: Moment) -> DrainStatus {
    let phase = phase(drain, state.time());
    let before = &drain.status;
    let over = matches!(phase, DrainPhase::Drained | DrainPhase::Kept);
    let conditions = vec![accepted(state, drain), drained(drain, phase)];
    DrainStatus {
        phase,
        remaining: before.remaining.clone(),
        started_at: drain.metadata.creation_timestamp,
        deadline_at: drain.deadline().map(Timestamp::from),
        reported_at: before.reported_at,
        estimated_end: before.estimated_end.filter(|_| !over),
        conditions: merge(&before.conditions, &OWN, conditions, moment),
    }
}

/// How far a Drain is at `now`.
pub(crate) fn phase(drain: &Drain, now: UnixMillis) -> DrainPhase {
    let passed = drain.deadline().is_some_and(|deadline| deadline <= now);
    match (drain.remaining(), passed, drain.spec.at_deadline) {
        (Some(0), _, _) => DrainPhase::Drained,
        (_, true, AtDeadline::Close) => DrainPhase::Closing,
        (_, true, AtDeadline::Keep) => DrainPhase::Kept,
        (_, false, _) => DrainPhase::Draining,
    }
}

/// Whether the target is there.
fn accepted(state: &State, drain: &Drain) -> Derived {
    let not_found = |message| Derived::fails(ACCEPTED, "TargetNotFound", message);
    let Some(target) = drain.spec.target.drained() else {
        return not_found("the target names nothing".to_owned());
    };
    let missing = match target {
        Drained::Endpoint(address) if !state.is_endpoint(address) => {
            Some(format!("no Backend and no EndpointSlice has an endpoint {address}"))
        }
        Drained::Backend { namespace, name } => {
            let key = Name::new(namespace, name).key(Kind::Backend);
            state.get(&key).is_none().then(|| format!("there is no {key}"))
        }
        Drained::Node(name) if state.node_named(name).is_none() => Some(format!("there is no {target}")),
        Drained::Endpoint(_) | Drained::Node(_) => None,
    };
    match missing {
        Some(message) => not_found(message),
        None => {
            let what = match target {
                Drained::Backend { .. } => format!("the endpoints of {target} take"),
                Drained::Endpoint(_) | Drained::Node(_) => format!("{target} takes"),
            };
            Derived::holds(ACCEPTED, "Accepted", format!("{what} no new sessions"))
        }
    }
}

/// Whether no session is left.
fn drained(drain: &Drain, phase: DrainPhase) -> Derived {
    let left = || {
        let nodes = drain.status.remaining.iter().filter(|node| node.sessions > 0);
        let nodes: Vec<String> = nodes
            .map(|node| format!("{} on {}", node.sessions, node.node))
            .collect();
        match drain.remaining() {
            Some(total) => format!("{total} sessions are left: {}", enumerate(&nodes, ", ")),
            None => "no node has reported yet how many sessions are left".to_owned(),
        }
    };
    match phase {
        DrainPhase::Drained => Derived::holds(DRAINED, "Drained", "no session is left"),
        DrainPhase::Draining if drain.remaining().is_none() => Derived::unknown(DRAINED, "Pending", left()),
        DrainPhase::Draining => Derived::fails(DRAINED, "Draining", left()),
        DrainPhase::Closing => {
            let pace = drain.spec.pace.sessions_per_second;
            let message = format!("the deadline has passed; {}; {pace} are closed each second", left());
            Derived::fails(DRAINED, "Closing", message)
        }
        DrainPhase::Kept => {
            let message = format!("the deadline has passed; {}; they stay until they end", left());
            Derived::fails(DRAINED, "Kept", message)
        }
    }
}
