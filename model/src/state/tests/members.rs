//! Nodes.

use crate::command::Command;
use crate::digest::Digest;
use crate::fixture::{World, facts, init_cluster, refused};
use crate::meta::UnixMillis;
use crate::node::{Incarnation, NodeId};
use crate::outcome::{Outcome, Refusal, TokenFault};
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
            time: UnixMillis(at),
            command: init_cluster(),
        });
        assert_eq!(state.time().0, expected);
    }
}

const KEY: Digest = Digest([7; 32]);
const SECRET: Digest = Digest([8; 32]);

fn token(world: &mut World, id: &str, seconds: u64) -> Outcome {
    let expires = UnixMillis(world.state.time().0 + seconds * 1000);
    world.apply(Command::CreateJoinToken {
        id: id.to_owned(),
        secret: SECRET,
        expires,
    })
}

fn admit(world: &mut World, name: &str, key: Digest, token: &str, secret: Digest) -> Outcome {
    world.apply(Command::Admit {
        node: facts(name),
        key,
        token: token.to_owned(),
        secret,
    })
}

fn fault(outcome: Outcome) -> TokenFault {
    match refused(outcome) {
        Refusal::JoinToken { fault, .. } => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_opens_once_and_to_whom_has_its_secret() {
    let mut world = World::new();
    assert_eq!(token(&mut world, "t", 3600), Outcome::Done);
    assert_eq!(
        fault(admit(&mut world, "b", KEY, "t", KEY)),
        TokenFault::Unknown,
        "another secret"
    );
    assert_eq!(
        fault(admit(&mut world, "b", KEY, "u", SECRET)),
        TokenFault::Unknown,
        "another id"
    );
    assert_eq!(admit(&mut world, "b", KEY, "t", SECRET), Outcome::NodeId(NodeId(2)));
    assert_eq!(world.state.node(NodeId(2)).expect("a member").keys, [KEY]);
    assert_eq!(
        admit(&mut world, "b", KEY, "t", SECRET),
        Outcome::NodeId(NodeId(2)),
        "the answer was lost"
    );
    assert_eq!(
        fault(admit(&mut world, "c", SECRET, "t", SECRET)),
        TokenFault::Used,
        "another key"
    );
    world.node_up(2, 1, "b");
    assert_eq!(
        fault(admit(&mut world, "b", KEY, "t", SECRET)),
        TokenFault::Used,
        "it has started"
    );
    assert_eq!(world.apply(Command::RemoveNode { node: NodeId(2) }), Outcome::Done);
    assert_eq!(
        fault(admit(&mut world, "b", KEY, "t", SECRET)),
        TokenFault::Used,
        "it was removed"
    );
    assert_eq!(world.state.highest_node(), NodeId(2));
}

#[test]
fn a_token_ends_and_makes_room() {
    let mut world = World::new();
    // Each command of a world is a second after the one before.
    assert_eq!(token(&mut world, "short", 2), Outcome::Done);
    assert_eq!(
        admit(&mut world, "b", KEY, "none", SECRET),
        admit(&mut world, "b", KEY, "none", SECRET)
    );
    assert_eq!(fault(admit(&mut world, "b", KEY, "short", SECRET)), TokenFault::Expired);
    let revoke = Command::RevokeJoinToken { id: "short".to_owned() };
    for number in 0..State::JOIN_TOKENS_KEPT {
        assert_eq!(token(&mut world, &format!("t{number}"), 3600), Outcome::Done);
    }
    assert_eq!(
        fault(world.apply(revoke)),
        TokenFault::Unknown,
        "the one that had ended made room"
    );
    assert!(matches!(
        refused(token(&mut world, "more", 3600)),
        Refusal::TooMany { limit: 64, .. }
    ));
    let revoke = Command::RevokeJoinToken { id: "t0".to_owned() };
    assert_eq!(world.apply(revoke), Outcome::Done);
    assert_eq!(fault(admit(&mut world, "b", KEY, "t0", SECRET)), TokenFault::Unknown);
    assert_eq!(token(&mut world, "more", 3600), Outcome::Done);
}

#[test]
fn a_member_is_known_by_the_keys_it_has_and_will_have() {
    let mut world = World::new();
    let set = |node, keys: &[Digest]| Command::SetNodeKeys {
        node: NodeId(node),
        keys: keys.to_vec(),
    };
    assert_eq!(world.apply(set(1, &[KEY, SECRET, KEY])), Outcome::Done);
    assert_eq!(world.state.node(NodeId(1)).expect("a member").keys, [KEY, SECRET]);
    assert_eq!(refused(world.apply(set(9, &[KEY]))), Refusal::UnknownNode(NodeId(9)));
    world.node_up(1, 2, "a");
    assert_eq!(
        world.state.node(NodeId(1)).expect("a member").keys,
        [KEY, SECRET],
        "a start changes no key"
    );
}
