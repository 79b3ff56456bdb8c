//! What the leader reports of Drains: pure, from the state and what nodes counted.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use guideway_model::resource::{Drain, Drained};
use guideway_model::{Command, NodeId, State};

/// What one node counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// All of its sessions.
    pub(super) all: u64,
    /// Those to each endpoint that was asked about.
    pub(super) at: BTreeMap<SocketAddr, u64>,
}

/// The endpoints to ask about; `None` if there is no Drain.
pub(super) fn asked_about(state: &State) -> Option<Vec<SocketAddr>> {
    let mut any = false;
    let mut endpoints = BTreeSet::new();
    for drain in state.drains() {
        any = true;
        endpoints.extend(state.endpoints_of_drain(&drain.metadata.name));
    }
    any.then(|| endpoints.into_iter().collect())
}

/// A report for each Drain whose figures differ from those that the state has.
pub(super) fn reports(state: &State, counted: &BTreeMap<NodeId, Counted>) -> Vec<Command> {
    let differing = state.drains().filter_map(|drain| {
        let remaining = remaining(state, drain, counted);
        let is_known = drain.status.reported_at.is_some() && remaining == recorded(state, drain);
        (!is_known).then(|| Command::ReportDrain {
            name: drain.metadata.name.clone(),
            uid: drain.metadata.uid.clone(),
            remaining,
        })
    });
    differing.collect()
}

/// Sessions left on each live node; of one that did not answer, those that were known before.
fn remaining(state: &State, drain: &Drain, counted: &BTreeMap<NodeId, Counted>) -> BTreeMap<NodeId, u64> {
    let endpoints = state.endpoints_of_drain(&drain.metadata.name);
    let target = drain.spec.target.drained();
    let recorded = recorded(state, drain);
    let live = state.nodes().filter(|(_, record)| record.live);
    let concerned = live.filter(|(_, record)| match target {
        Some(Drained::Node(name)) => record.facts.name == name,
        Some(Drained::Endpoint(_) | Drained::Backend { .. }) => true,
        None => false,
    });
    let left = concerned.filter_map(|(node, _)| {
        let left = match (counted.get(&node), target) {
            (Some(counted), Some(Drained::Node(_))) => counted.all,
            (Some(counted), _) => {
                let at = endpoints.iter().filter_map(|endpoint| counted.at.get(endpoint));
                at.sum()
            }
            (None, _) => *recorded.get(&node)?,
        };
        Some((node, left))
    });
    left.collect()
}

/// What the state has of a Drain, by number.
fn recorded(state: &State, drain: &Drain) -> BTreeMap<NodeId, u64> {
    let remaining = &drain.status.remaining;
    let nodes = state.nodes().filter_map(|(node, record)| {
        let known = remaining.iter().find(|known| known.node == record.facts.name)?;
        Some((node, known.sessions))
    });
    nodes.collect()
}

#[cfg(test)]
mod tests {
    use guideway_model::meta::{Uid, UnixMillis};
    use guideway_model::node::{Incarnation, NodeFacts};
    use guideway_model::object::{FieldValidation, Object};
    use guideway_model::{Kind, Outcome, Proposal};
    use serde_json::{Value, json};

    use super::*;

    /// Nodes `a`, `b` and `c`, of which `c` is not live; a Backend with two endpoints, and Drains of one, of both, of a node.
    fn state() -> State {
        let mut state = State::default();
        let uids = [Uid("n".to_owned()), Uid("c".to_owned())];
        apply(
            &mut state,
            Command::InitCluster {
                cluster: Uid("cluster".to_owned()),
                hash_seed: [7; 16],
                uids,
                node: facts("a"),
            },
        );
        for (node, name) in [(1, "a"), (2, "b"), (3, "c")] {
            if node > 1 {
                apply(&mut state, Command::JoinNode { node: facts(name) });
            }
            let (node, incarnation, facts) = (NodeId(node), Incarnation(1), facts(name));
            apply(
                &mut state,
                Command::NodeUp {
                    node,
                    incarnation,
                    facts,
                },
            );
        }
        let (node, incarnation) = (NodeId(3), Incarnation(1));
        apply(&mut state, Command::NodeDown { node, incarnation });
        let endpoints = json!([{"ip": "10.0.0.1", "port": 80}, {"ip": "10.0.0.2", "port": 80}]);
        create(&mut state, Kind::Backend, "db", json!({ "endpoints": endpoints }));
        for (name, target) in [
            ("one", json!({"endpoint": {"ip": "10.0.0.1", "port": 80}})),
            ("both", json!({"backend": {"namespace": "default", "name": "db"}})),
            ("node", json!({"node": {"name": "b"}})),
        ] {
            create(&mut state, Kind::Drain, name, json!({"target": target, "force": true}));
        }
        state
    }

    fn facts(name: &str) -> NodeFacts {
        NodeFacts {
            name: name.to_owned(),
            peer_address: "192.0.2.1:7000".to_owned(),
            api_url: String::new(),
            metrics_url: String::new(),
            data_address: None,
            version: "0.1.0".to_owned(),
            level: State::LEVEL,
        }
    }

    fn apply(state: &mut State, command: Command) {
        let time = UnixMillis(1_000_000);
        let outcome = state.apply(Proposal { time, command });
        assert!(!matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    }

    fn create(state: &mut State, kind: Kind, name: &str, spec: Value) {
        let info = kind.info();
        let mut metadata = json!({ "name": name });
        if info.namespaced {
            metadata["namespace"] = json!("default");
        }
        let api_version = format!("{}/{}", info.group, info.version);
        let json = json!({"apiVersion": api_version, "kind": info.name, "metadata": metadata, "spec": spec});
        let object = Object::decode(kind, json, FieldValidation::Strict)
            .expect("valid")
            .object;
        let uid = Uid(format!("uid-{name}"));
        apply(state, Command::Create { object, uid });
    }

    fn endpoint(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 80))
    }

    fn counted(all: u64, at: [u64; 2]) -> Counted {
        let at = [(endpoint(1), at[0]), (endpoint(2), at[1])];
        Counted {
            all,
            at: at.into_iter().collect(),
        }
    }

    /// What is reported of each Drain, by name.
    fn reported(state: &State, counted: &BTreeMap<NodeId, Counted>) -> BTreeMap<String, Vec<(u64, u64)>> {
        let reports = reports(state, counted).into_iter().map(|command| match command {
            Command::ReportDrain { name, uid, remaining } => {
                assert_eq!(uid, Uid(format!("uid-{name}")));
                (name, remaining.into_iter().map(|(node, left)| (node.0, left)).collect())
            }
            other => panic!("{other:?}"),
        });
        reports.collect()
    }

    #[test]
    fn nothing_is_asked_without_a_drain() {
        assert_eq!(asked_about(&State::default()), None);
        assert_eq!(asked_about(&state()), Some(vec![endpoint(1), endpoint(2)]));
    }

    #[test]
    fn each_drain_has_its_own_sessions_on_each_live_node() {
        let answers = |list: &[(u64, Counted)]| -> BTreeMap<NodeId, Counted> {
            list.iter()
                .map(|(node, counted)| (NodeId(*node), counted.clone()))
                .collect()
        };
        // What nodes counted, and what is said of `one`, `both` and `node`.
        let table = [
            ("no one answered", answers(&[]), [vec![], vec![], vec![]]),
            (
                "all did",
                answers(&[(1, counted(9, [2, 3])), (2, counted(8, [1, 0]))]),
                [vec![(1, 2), (2, 1)], vec![(1, 5), (2, 1)], vec![(2, 8)]],
            ),
            (
                "one that is not live",
                answers(&[(1, counted(9, [2, 3])), (3, counted(7, [7, 7]))]),
                [vec![(1, 2)], vec![(1, 5)], vec![]],
            ),
            (
                "nothing is left",
                answers(&[(1, counted(4, [0, 0])), (2, counted(0, [0, 0]))]),
                [vec![(1, 0), (2, 0)], vec![(1, 0), (2, 0)], vec![(2, 0)]],
            ),
        ];
        for (what, answers, expected) in table {
            let names = ["one", "both", "node"].map(str::to_owned);
            let expected: BTreeMap<String, Vec<(u64, u64)>> = names.into_iter().zip(expected).collect();
            assert_eq!(reported(&state(), &answers), expected, "{what}");
        }
    }

    #[test]
    fn what_is_known_is_not_reported_again_and_a_silent_node_stays_as_it_was() {
        let mut state = state();
        let both: BTreeMap<NodeId, Counted> = [(NodeId(1), counted(9, [2, 3])), (NodeId(2), counted(8, [1, 0]))]
            .into_iter()
            .collect();
        for report in reports(&state, &both) {
            apply(&mut state, report);
        }
        assert_eq!(reported(&state, &both), BTreeMap::new());
        // Only node 1 answers, and has one session less to the first endpoint.
        let one: BTreeMap<NodeId, Counted> = [(NodeId(1), counted(8, [1, 3]))].into_iter().collect();
        let expected = [
            ("one".to_owned(), vec![(1, 1), (2, 1)]),
            ("both".to_owned(), vec![(1, 4), (2, 1)]),
        ];
        assert_eq!(reported(&state, &one), expected.into_iter().collect());
        // A node that is lost takes its sessions with it.
        let (node, incarnation) = (NodeId(2), Incarnation(1));
        apply(&mut state, Command::NodeDown { node, incarnation });
        let expected = [
            ("one".to_owned(), vec![(1, 2)]),
            ("both".to_owned(), vec![(1, 5)]),
            ("node".to_owned(), vec![]),
        ];
        assert_eq!(reported(&state, &both), expected.into_iter().collect());
    }
}
