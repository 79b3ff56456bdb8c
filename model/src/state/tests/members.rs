//! Nodes.

use crate::command::Command;
use crate::fixture::{World, facts, init_cluster, refused};
use crate::node::{Incarnation, NodeId};
use crate::outcome::{Outcome, Refusal};
use crate::state::State;

fn join(world: &mut World, name: &str) -> Outcome {
    world.apply(Command::JoinNode { node: facts(name) })
}

#[test]
fn numbers_are_given_once() {
    let mut world = World::new();
    assert_eq!(join(&mut world, "b"), Outcome::NodeId(NodeId(2)));
    assert_eq!(join(&mut world, "b"), Outcome::NodeId(NodeId(2)), "it never started");
    assert_eq!(refused(join(&mut world, "a")), Refusal::NodeNameTaken("a".to_owned()));
    world.node_up(2, 1, "b");
    assert_eq!(refused(join(&mut world, "b")), Refusal::NodeNameTaken("b".to_owned()));
    let remove = Command::RemoveNode { node: NodeId(2) };
    assert_eq!(world.apply(remove.clone()), Outcome::Done);
    assert_eq!(refused(world.apply(remove)), Refusal::UnknownNode(NodeId(2)));
    assert_eq!(join(&mut world, "b"), Outcome::NodeId(NodeId(3)));
    let members: Vec<_> = world
        .state
        .nodes()
        .map(|(id, node)| (id.0, node.facts.name.as_str()))
        .collect();
    assert_eq!(members, [(1, "a"), (3, "b")]);
}

#[test]
fn life_and_death() {
    let mut world = World::new();
    let down = |incarnation| Command::NodeDown {
        node: NodeId(1),
        incarnation: Incarnation(incarnation),
    };
    let live = |state: &State| {
        state
            .node(NodeId(1))
            .map(|node| (node.live, node.incarnation, node.since.0 / 1000))
    };
    let born = live(&world.state).expect("a member").2;
    assert_eq!(live(&world.state), Some((true, Some(Incarnation(1)), born)));
    world.node_up(1, 2, "a");
    assert_eq!(
        live(&world.state),
        Some((true, Some(Incarnation(2)), born)),
        "it was live before"
    );
    assert_eq!(refused(world.apply(down(1))), Refusal::StaleIncarnation(NodeId(1)));
    assert_eq!(world.apply(down(2)), Outcome::Done);
    let died = born + 3;
    assert_eq!(live(&world.state), Some((false, Some(Incarnation(2)), died)));
    assert_eq!(world.apply(down(2)), Outcome::Done);
    assert_eq!(live(&world.state), Some((false, Some(Incarnation(2)), died)));
    let nobody = Command::NodeUp {
        node: NodeId(9),
        incarnation: Incarnation(1),
        facts: facts("z"),
    };
    assert_eq!(refused(world.apply(nobody)), Refusal::UnknownNode(NodeId(9)));
}

#[test]
fn a_start_under_the_name_of_another_is_refused() {
    let mut world = World::new();
    join(&mut world, "b");
    let impostor = Command::NodeUp {
        node: NodeId(2),
        incarnation: Incarnation(1),
        facts: facts("a"),
    };
    assert_eq!(refused(world.apply(impostor)), Refusal::NodeNameTaken("a".to_owned()));
    assert_eq!(world.state.node(NodeId(2)).and_then(|node| node.incarnation), None);
}

#[test]
fn time_never_goes_back() {
    let mut state = State::default();
    for (at, expected) in [(50, 50), (20, 50), (60, 60)] {
        state.apply(crate::Proposal {
            time: crate::meta::UnixMillis(at),
            command: init_cluster(),
        });
        assert_eq!(state.time().0, expected);
    }
}
