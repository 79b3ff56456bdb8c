//! What the leader does so that the Raft group follows the members of the replicated state. Pure: it looks at both and
//! says the next step.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use guideway_model::NodeId;
use guideway_model::state::State;

use crate::raft_types::RaftMetrics;

/// Entries that a learner may lack when it becomes a voter: a moment's worth, so that it does not hold up a majority.
const PROMOTION_LAG: u64 = 64;

/// The next step from the Raft group as it is to the members of the replicated state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A change was begun, by this leader or one before: until it is done, two majorities must agree.
    Settle,
    /// A member of the state is not in the group.
    AddLearner { node: u64, address: String },
    /// A learner is live and has caught up.
    Promote { node: u64 },
    /// A node of the group is no longer a member of the state.
    Remove { node: u64 },
    /// The leader itself is no longer a member; another must remove it.
    HandOver { to: u64 },
}

/// The Raft group as its leader sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) leader: u64,
    /// Whether a change is under way.
    pub(crate) changing: bool,
    /// Those whose vote counts, in the group as it was or as it will be.
    pub(crate) voters: BTreeSet<u64>,
    pub(crate) learners: BTreeSet<u64>,
    /// Last entry of each node's log that the leader knows of.
    pub(crate) matched: BTreeMap<u64, u64>,
    /// The leader's last entry.
    pub(crate) last: u64,
}

impl Group {
    pub(crate) fn new(metrics: &RaftMetrics) -> Group {
        let membership = metrics.membership_config.membership();
        let replication = metrics.replication.iter().flatten();
        Group {
            leader: metrics.id,
            changing: membership.get_joint_config().len() > 1,
            voters: membership.voter_ids().collect(),
            learners: membership.learner_ids().collect(),
            matched: replication
                .filter_map(|(node, log_id)| Some((*node, (*log_id)?.index)))
                .collect(),
            last: metrics.last_log_index.unwrap_or_default(),
        }
    }

    pub(crate) fn has_caught_up(&self, node: u64) -> bool {
        self.matched
            .get(&node)
            .is_some_and(|matched| matched + PROMOTION_LAG >= self.last)
    }

    /// The live voters that have caught up, other than the leader, the one that is furthest in the log first.
    pub(crate) fn successors(&self, state: &State) -> Vec<u64> {
        let live = |node: &&u64| state.node(NodeId(**node)).is_some_and(|record| record.live);
        let others = self.voters.iter().filter(|node| **node != self.leader).filter(live);
        let mut able: Vec<u64> = others.filter(|node| self.has_caught_up(**node)).copied().collect();
        able.sort_by_key(|node| Reverse(self.matched.get(node)));
        able
    }

    /// What to do next, one step at a time.
    pub(crate) fn next_step(&self, state: &State) -> Option<Step> {
        if self.changing {
            return Some(Step::Settle);
        }
        let in_group = |node: u64| self.voters.contains(&node) || self.learners.contains(&node);
        let gone = |node: &&u64| state.node(NodeId(**node)).is_none();
        let others = self
            .voters
            .iter()
            .chain(&self.learners)
            .filter(|node| **node != self.leader);
        if let Some(node) = others.clone().find(gone) {
            return Some(Step::Remove { node: *node });
        }
        if gone(&&self.leader) {
            let to = self.successors(state).first().copied();
            return to.map(|to| Step::HandOver { to });
        }
        let missing = state.nodes().find(|(node, _)| !in_group(node.0));
        if let Some((node, record)) = missing {
            return Some(Step::AddLearner {
                node: node.0,
                address: record.facts.peer_address.clone(),
            });
        }
        let ready =
            |node: &&u64| self.has_caught_up(**node) && state.node(NodeId(**node)).is_some_and(|record| record.live);
        self.learners
            .iter()
            .find(ready)
            .map(|node| Step::Promote { node: *node })
    }
}

#[cfg(test)]
mod tests {
    use guideway_model::command::{Command, Proposal};
    use guideway_model::meta::{Uid, UnixMillis};
    use guideway_model::node::{Incarnation, NodeFacts};

    use super::*;

    fn facts(node: u64) -> NodeFacts {
        NodeFacts {
            name: format!("n{node}"),
            peer_address: format!("127.0.0.{node}:1"),
            api_url: String::new(),
            metrics_url: String::new(),
            data_address: None,
            version: String::new(),
            level: 1,
        }
    }

    /// A state with nodes 1 to `count`, those in `live` being live.
    fn state(count: u64, live: &[u64]) -> State {
        let mut state = State::default();
        let init = Command::InitCluster {
            cluster: Uid("c".to_owned()),
            hash_seed: [0; 16],
            uids: [Uid("a".to_owned()), Uid("b".to_owned())],
            node: facts(1),
        };
        let joins = (2..=count).map(|node| Command::JoinNode { node: facts(node) });
        let ups = live.iter().map(|node| Command::NodeUp {
            node: NodeId(*node),
            incarnation: Incarnation(*node),
            facts: facts(*node),
        });
        for command in std::iter::once(init).chain(joins).chain(ups) {
            let time = UnixMillis::default();
            state.apply(Proposal { time, command });
        }
        state
    }

    fn group(leader: u64, voters: &[u64], learners: &[u64], matched: &[(u64, u64)]) -> Group {
        Group {
            leader,
            changing: false,
            voters: voters.iter().copied().collect(),
            learners: learners.iter().copied().collect(),
            matched: matched.iter().copied().collect(),
            last: 1000,
        }
    }

    #[test]
    fn the_group_follows_the_state_step_by_step() {
        let add = |node: u64| Step::AddLearner {
            node,
            address: facts(node).peer_address,
        };
        let cases = [
            ("nothing to do", state(1, &[1]), group(1, &[1], &[], &[]), None),
            (
                "a member is missing",
                state(2, &[1]),
                group(1, &[1], &[], &[]),
                Some(add(2)),
            ),
            (
                "it is far behind",
                state(2, &[1, 2]),
                group(1, &[1], &[2], &[(2, 900)]),
                None,
            ),
            (
                "it has caught up and is not live",
                state(2, &[1]),
                group(1, &[1], &[2], &[(2, 999)]),
                None,
            ),
            (
                "it has caught up and is live",
                state(2, &[1, 2]),
                group(1, &[1], &[2], &[(2, 990)]),
                Some(Step::Promote { node: 2 }),
            ),
            (
                "a voter left",
                state(2, &[1, 2]),
                group(1, &[1, 2, 3], &[], &[]),
                Some(Step::Remove { node: 3 }),
            ),
            (
                "a learner left",
                state(2, &[1, 2]),
                group(1, &[1, 2], &[3], &[]),
                Some(Step::Remove { node: 3 }),
            ),
            (
                "a change was begun",
                state(2, &[1]),
                Group {
                    changing: true,
                    ..group(1, &[1], &[], &[])
                },
                Some(Step::Settle),
            ),
            (
                "the leader left",
                state(3, &[1, 2, 3]),
                group(9, &[1, 2, 3, 9], &[], &[(1, 3), (2, 999), (3, 5)]),
                Some(Step::HandOver { to: 2 }),
            ),
            (
                "the leader left and no one is live",
                state(1, &[]),
                group(9, &[1, 9], &[], &[(1, 999)]),
                None,
            ),
        ];
        for (what, state, group, step) in cases {
            assert_eq!(group.next_step(&state), step, "{what}");
        }
    }
}
