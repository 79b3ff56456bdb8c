//! What has happened in the cluster that is no state: a bounded ring, written by what is applied.
//!
//! It is in no snapshot. Each node has the events of what it has applied since it started, or since it was last brought up by
//! a snapshot; on nodes that have applied the same, they are the same.

use imbl::Vector;

use super::State;
use crate::meta::UnixMillis;
use crate::node::NodeId;

/// The last events, oldest first. When there are too many the oldest goes: they are for people who look soon.
#[derive(Clone, Debug, Default)]
pub(super) struct EventRing {
    kept: Vector<Event>,
}

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub time: UnixMillis,
    /// What.
    pub what: Happening,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A generation no longer waits for a node, whose sessions may lack their pins.
    PassedOver {
        /// The node.
        node: NodeId,
        /// Its name.
        name: String,
        /// The generation.
        generation: u64,
    },
}

impl State {
    /// How many events are kept.
    pub const EVENTS_KEPT: usize = 1024;

    /// Events that are kept, oldest first.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.events.kept.iter()
    }

    pub(super) fn note(&mut self, what: Happening) {
        let ring = &mut self.events;
        if ring.kept.len() == State::EVENTS_KEPT {
            ring.kept.pop_front();
        }
        ring.kept.push_back(Event { time: self.time, what });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixture::{World, backend, gateway, route, tcp};
    use crate::outcome::Outcome;

    #[test]
    fn a_node_that_is_passed_over_is_an_event_and_the_oldest_go() {
        let mut world = World::new();
        world.add_node("b");
        world.by_hand = true;
        let endpoints = |last: u64| json!([{"ip": format!("10.0.0.{last}"), "port": 80}]);
        world.create(gateway("g", json!([tcp("pg", 5432)])));
        world.create(backend("b", endpoints(1)));
        let refs = json!([{"group": "guideway.dev", "kind": "Backend", "name": "b"}]);
        world.create(route("r", "g", refs));
        assert_eq!(world.state.events().count(), 0);
        let kept = u64::try_from(State::EVENTS_KEPT).expect("fits");
        for round in 1..=kept + 1 {
            world.replace(backend("b", endpoints(round % 2 + 2)));
            assert_eq!(world.prepared(1, 1), Outcome::Done);
            assert_eq!(world.pass_over(2), Outcome::Done);
            // Said again, it is no news.
            assert_eq!(world.pass_over(2), Outcome::Done);
        }
        let events: Vec<&Event> = world.state.events().collect();
        let passed_over = |generation| Happening::PassedOver {
            node: NodeId(2),
            name: "b".to_owned(),
            generation,
        };
        assert_eq!((&events[0].what, events.len()), (&passed_over(2), State::EVENTS_KEPT));
        let last = events[events.len() - 1];
        assert_eq!(last.what, passed_over(kept + 1));
        assert!(events[0].time < last.time && last.time <= world.state.time());
    }
}
