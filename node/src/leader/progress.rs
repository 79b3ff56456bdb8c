//! Which nodes the prepared generation waits for in vain. Pure: time is handed in.
//!
//! A leader that was itself stalled has seen no one move, so the time between two looks counts for no more than
//! [`LONGEST_LOOK`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use guideway_model::NodeId;
use guideway_model::node::Incarnation;

/// A node that shows no progress for so long is passed over.
const SILENCE: Duration = Duration::from_secs(1);

/// So is one that has not prepared after all this time, whatever it shows.
const PATIENCE: Duration = Duration::from_secs(30);

/// Time between two looks that counts at most.
const LONGEST_LOOK: Duration = Duration::from_millis(250);

/// Where a node has come to: it moves if this changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Its start.
    pub(super) incarnation: Option<Incarnation>,
    /// Its last pin batch.
    pub(super) sequence: u64,
}

/// The nodes that one generation waits for. One leader, one term: another begins anew.
#[derive(Debug)]
pub(super) struct Progress {
    generation: u64,
    nodes: BTreeMap<NodeId, Waiting>,
    looked: Instant,
}

#[derive(Debug)]
struct Waiting {
    mark: Mark,
    silence: Duration,
    total: Duration,
}

impl Progress {
    /// Every node has just moved.
    pub(super) fn new(generation: u64, now: Instant) -> Progress {
        Progress {
            generation,
            nodes: BTreeMap::new(),
            looked: now,
        }
    }

    /// The generation.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Takes where the nodes are that have not prepared; returns those to pass over.
    pub(super) fn look(&mut self, waiting: &[(NodeId, Mark)], now: Instant) -> Vec<NodeId> {
        let passed = now.saturating_duration_since(self.looked).min(LONGEST_LOOK);
        self.looked = now;
        self.nodes
            .retain(|node, _| waiting.iter().any(|(other, _)| other == node));
        for (node, mark) in waiting {
            let before = self.nodes.get(node);
            // A node that has just come, or come again, begins now.
            let known = before.filter(|waiting| waiting.mark.incarnation == mark.incarnation);
            let moved = known.is_none_or(|waiting| waiting.mark != *mark);
            let add = |time: fn(&Waiting) -> Duration| known.map_or(Duration::ZERO, |waiting| time(waiting) + passed);
            let waiting = Waiting {
                mark: *mark,
                silence: if moved {
                    Duration::ZERO
                } else {
                    add(|waiting| waiting.silence)
                },
                total: add(|waiting| waiting.total),
            };
            self.nodes.insert(*node, waiting);
        }
        let lost = |waiting: &Waiting| waiting.silence >= SILENCE || waiting.total >= PATIENCE;
        let nodes = self.nodes.iter().filter(|(_, waiting)| lost(waiting));
        nodes.map(|(node, _)| *node).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: NodeId = NodeId(1);
    const TWO: NodeId = NodeId(2);

    fn mark(incarnation: u64, sequence: u64) -> Mark {
        Mark {
            incarnation: Some(Incarnation(incarnation)),
            sequence,
        }
    }

    /// Looks every 100 ms; `at` says where the nodes are at each.
    fn watch(until: u64, at: impl Fn(u64) -> Vec<(NodeId, Mark)>) -> Vec<(u64, Vec<NodeId>)> {
        let start = Instant::now();
        let mut progress = Progress::new(5, start);
        (0..=until / 100)
            .map(|look| look * 100)
            .map(|millis| {
                (
                    millis,
                    progress.look(&at(millis), start + Duration::from_millis(millis)),
                )
            })
            .filter(|(_, passed_over)| !passed_over.is_empty())
            .collect()
    }

    #[test]
    fn a_node_that_does_not_move_for_a_second_is_passed_over() {
        let found = watch(1100, |millis| vec![(ONE, mark(1, 7)), (TWO, mark(1, millis / 500))]);
        assert_eq!(found, [(1000, vec![ONE]), (1100, vec![ONE])]);
    }

    #[test]
    fn a_node_that_only_shows_itself_is_passed_over_in_the_end() {
        let found = watch(30_000, |millis| vec![(ONE, mark(1, millis / 500))]);
        assert_eq!(found, [(30_000, vec![ONE])]);
    }

    #[test]
    fn a_new_start_has_its_own_time() {
        let found = watch(40_000, |millis| {
            let start = u64::from(millis >= 20_000);
            vec![(ONE, mark(start, millis / 500 % 40))]
        });
        assert_eq!(found, []);
    }

    #[test]
    fn a_node_that_prepared_is_forgotten_and_one_that_comes_later_waits_from_then() {
        let found = watch(1900, |millis| match millis {
            0..=900 => vec![(ONE, mark(1, 1))],
            _ => vec![(TWO, mark(1, 1))],
        });
        assert_eq!(found, []);
    }

    #[test]
    fn a_stalled_leader_blames_no_one() {
        let start = Instant::now();
        let mut progress = Progress::new(5, start);
        let waiting = [(ONE, mark(1, 1))];
        assert_eq!(progress.look(&waiting, start), []);
        for seconds in [100, 200, 300] {
            let found = progress.look(&waiting, start + Duration::from_secs(seconds));
            assert_eq!(found, [], "after {seconds} s");
        }
        assert_eq!(progress.look(&waiting, start + Duration::from_secs(400)), [ONE]);
    }
}
