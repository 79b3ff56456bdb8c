//! What is true of generations, pools and pins after any command.

use std::collections::BTreeSet;

use crate::command::Command;
use crate::kind::Kind;
use crate::node::NodeId;
use crate::object::{Object, ObjectKey};
use crate::outcome::Outcome;
use crate::pin::Holder;
use crate::state::State;

pub(super) fn check_phases(state: &State) {
    check_generations(state);
    check_pools(state);
    check_pins(state);
}

fn check_generations(state: &State) {
    let active = state.active_generation();
    if let Some(preparation) = &state.generations.prepared {
        assert_eq!(preparation.generation, active + 1);
        assert!(!state.preparing_nodes().is_empty(), "nothing is waited for");
        for route in &preparation.pools {
            let record = state.pool(route).expect("a pool that is there");
            assert!(record.prepared.is_some(), "{route}");
        }
    } else {
        assert!(state.pools.waiting.is_empty(), "what waits could be prepared");
    }
    assert!(state.generations.graces.len() <= State::GRACES);
    assert!(state.generations.graces.keys().all(|generation| *generation <= active));
    let losses: Vec<_> = state.generations.graces.values().map(|grace| grace.lost).collect();
    assert!(losses.is_sorted(), "a later loss is of a later generation");
}

fn check_pools(state: &State) {
    let kinds = [Kind::TcpRoute, Kind::UdpRoute, Kind::TlsRoute];
    let routes = kinds.into_iter().flat_map(|kind| state.list(kind, None, None));
    let routes: BTreeSet<ObjectKey> = routes.map(Object::key).collect();
    let pools: BTreeSet<ObjectKey> = state.pool_records().keys().cloned().collect();
    assert_eq!(pools, routes);
    assert_eq!(
        state.pools.numbers.len(),
        if state.level() < 2 { 0 } else { pools.len() }
    );
    for (route, record) in state.pool_records() {
        let wants = state.wants_of(route).expect("a route");
        assert_eq!(*record.wanted(), wants.weighted, "{route} is behind the objects");
        assert_eq!((&record.draining, record.idle_ms), (&wants.draining, wants.idle_ms));
        assert_eq!(record.waiting.is_some(), state.pools.waiting.contains(route));
        assert_eq!(!record.past.is_empty(), state.pools.past.contains(route));
        let preparation = state.generations.prepared.as_ref();
        let is_preparing = preparation.is_some_and(|preparation| preparation.pools.contains(route));
        assert_eq!(record.prepared.is_some(), is_preparing);
        assert_ne!(record.prepared.as_ref(), Some(&record.active), "nothing would change");
        assert_ne!(
            record.waiting.as_ref(),
            Some(record.prepared.as_ref().unwrap_or(&record.active))
        );
        assert!(record.since <= state.active_generation());
        let mut before = None;
        for past in &record.past {
            let mut graces = state.generations.graces.keys();
            assert!(graces.any(|generation| past.since <= *generation && *generation <= past.through));
            assert!(before < Some(past.since) && past.since <= past.through && past.through < record.since);
            before = Some(past.through);
        }
        if state.level() >= State::TWO_PHASES {
            assert_eq!(state.pool_route(record.number), Some((route.clone(), 0)));
        }
    }
}

fn check_pins(state: &State) {
    let mut holders = BTreeSet::new();
    let mut count = 0;
    for (key, holds) in state.pins().iter() {
        assert!(!holds.is_empty());
        let (route, _) = state.pool_route(key.pool).expect("the pool is there");
        let record = state.pool(&route).expect("a record");
        for hold in &holds {
            assert!(
                record.knows(hold.endpoint),
                "a pin to {} which no one knows",
                hold.endpoint
            );
            holders.insert(hold.holder);
        }
        count += 1;
    }
    assert_eq!(count, state.pins().len());
    assert_eq!(holders, state.pins().holders().collect());
    for holder in holders {
        let node = state.node(holder.node);
        let is_there = node.is_some_and(|node| node.live && node.incarnation == Some(holder.incarnation));
        assert_eq!(state.pins().lost(holder).is_none(), is_there, "{holder:?}");
    }
}

/// What is true of one step.
pub(super) fn check_step(before: &State, command: &Command, outcome: &Outcome, after: &State) {
    let (was, is) = (before.active_generation(), after.active_generation());
    assert!(was <= is);
    if is > was {
        let preparation = before.generations.prepared.as_ref();
        let ready = |node: NodeId| {
            let ready = preparation.and_then(|preparation| preparation.ready.get(&node));
            let current = after.node(node).and_then(|record| record.incarnation);
            ready.is_some_and(|ready| Some(ready.incarnation) == current)
        };
        let says_so = |id: NodeId| match command {
            Command::Prepared { node, .. } | Command::PassOver { node, .. } => *node == id,
            _ => false,
        };
        let mut live = after.nodes().filter(|(_, record)| record.live).peekable();
        if live.peek().is_some() {
            assert_eq!(is, was + 1, "one generation after another");
        }
        for (id, _) in live {
            assert!(ready(id) || says_so(id), "node {id} has not prepared generation {is}");
        }
    }
    match command {
        Command::Pins(batch) if *outcome == Outcome::Done && batch.sequence > before.pin_sequence(batch.node) => {
            let holder = Holder {
                node: batch.node,
                incarnation: batch.incarnation,
            };
            for (place, change) in batch.changes.iter().enumerate() {
                let later = &batch.changes[place + 1..];
                if change.endpoint.is_none() && later.iter().all(|later| later.key != change.key) {
                    assert_eq!(after.pins().held(&change.key, holder), None);
                }
            }
        }
        Command::Expire { before: over } if *outcome == Outcome::Done => {
            let over = (*over).min(after.time());
            assert!(after.next_expiry().is_none_or(|next| next > over));
        }
        _ => {}
    }
}
