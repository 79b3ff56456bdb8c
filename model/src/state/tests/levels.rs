//! Cluster levels: what may be used when.

use serde_json::json;

use crate::command::Command;
use crate::digest::Digest;
use crate::fixture::{World, facts, gateway, key, refused, route, service, slice, tcp};
use crate::kind::Kind;
use crate::meta::UnixMillis;
use crate::node::{Incarnation, NodeId};
use crate::outcome::{Outcome, Refusal};
use crate::pin::{PinBatch, PoolNumber};
use crate::plan::tests::compile_small;
use crate::state::State;

fn world() -> World {
    let mut world = World::at_level(1);
    world.create(gateway("g", json!([tcp("pg", 5432)])));
    world.create(service("s", 80));
    world.create(route("r2", "g", json!([{"name": "s", "port": 80}])));
    world.create(route("r1", "g", json!([{"name": "s", "port": 80}])));
    world.create(slice("s", "s", 80, &["10.0.0.1", "10.0.0.2"]));
    world
}

#[test]
fn below_two_phases_a_change_is_active_at_once() {
    let mut world = world();
    world.by_hand = true;
    world.replace(slice("s", "s", 80, &["10.0.0.1", "10.0.0.3"]));
    assert_eq!((world.state.level(), world.state.prepared_generation()), (1, None));
    let plan = compile_small(&world.state, None);
    let route = plan.listeners[0].service.routes()[0].clone();
    assert_eq!(route.pool.entries.len(), 2);
    assert_eq!((route.pool.number, route.pool.prepared.clone()), (PoolNumber(0), None));
    let (node, incarnation) = (NodeId(1), Incarnation(1));
    for command in [
        Command::Prepared {
            node,
            incarnation,
            generation: 1,
        },
        Command::PassOver { node, generation: 1 },
        Command::Pins(PinBatch {
            node,
            incarnation,
            sequence: 1,
            changes: Vec::new(),
        }),
        Command::Expire { before: UnixMillis(0) },
    ] {
        let refusal = refused(world.apply(command));
        assert_eq!(refusal, Refusal::LevelTooLow { needed: 2, level: 1 });
    }
    assert_eq!(world.node_down(1, 1), Outcome::Done);
    assert_eq!(world.state.next_expiry(), None, "there are no graces either");
}

#[test]
fn below_identities_nobody_joins_by_a_token_and_no_key_is_taken() {
    let mut world = World::at_level(State::IDENTITIES - 1);
    let before = world.state.revision();
    let digest = Digest([1; 32]);
    for command in [
        Command::CreateJoinToken {
            id: "t".to_owned(),
            secret: digest,
            expires: UnixMillis(u64::MAX),
        },
        Command::RevokeJoinToken { id: "t".to_owned() },
        Command::Admit {
            node: facts("b"),
            key: digest,
            token: "t".to_owned(),
            secret: digest,
        },
        Command::SetNodeKeys {
            node: NodeId(1),
            keys: vec![digest],
        },
    ] {
        let refusal = refused(world.apply(command));
        assert_eq!(refusal, Refusal::LevelTooLow { needed: 3, level: 2 });
    }
    assert_eq!((world.state.join_tokens().count(), world.state.nodes().count()), (0, 1));
    assert_eq!(world.state.node(NodeId(1)).map(|record| record.keys.len()), Some(0));
    assert_eq!(world.state.revision(), before);
}

#[test]
fn it_rises_when_the_last_member_supports_it() {
    let mut world = world();
    world.add_node("b");
    let start = |world: &mut World, node, name| {
        let outcome = world.apply(Command::NodeUp {
            node: NodeId(node),
            incarnation: Incarnation(2),
            facts: facts(name),
        });
        assert_eq!(outcome, Outcome::Done);
        world.state.level()
    };
    assert_eq!(start(&mut world, 1, "a"), 1);
    let number = |world: &World, name| world.state.pool_number(&key(Kind::TcpRoute, "default", name));
    assert_eq!(number(&world, "r1"), None);
    let mut other = World::at_level(1);
    other.state = world.state.clone();
    assert_eq!(start(&mut world, 2, "b"), State::LEVEL);
    // In the order of names: nodes that came to their state by a snapshot give the same numbers.
    let numbers = ["r1", "r2"].map(|name| number(&world, name));
    assert_eq!(numbers, [Some(PoolNumber(1)), Some(PoolNumber(2))]);
    world.by_hand = true;
    world.replace(slice("s", "s", 80, &["10.0.0.1", "10.0.0.3"]));
    assert_eq!(world.state.prepared_generation(), Some(1));
    // Or when the last that does not is gone.
    assert_eq!(other.apply(Command::RemoveNode { node: NodeId(2) }), Outcome::Done);
    assert_eq!(other.state.level(), State::LEVEL);
}
