//! Pins in the state: who may hold what, and how holds end.

use serde_json::{Value, json};

use crate::command::Command;
use crate::fixture::{World, gateway, key, refused, replacement, service, slice, udp, udp_route};
use crate::flow::FlowKey;
use crate::kind::Kind;
use crate::node::{Incarnation, NodeId, Protocol};
use crate::outcome::{Outcome, Refusal};
use crate::pin::{Holder, PinBatch, PinChange, PinKey};

/// Nodes 1 and 2; a route to `10.0.0.1:53` and `10.0.0.2:53`, whose flows end after 5 s of silence.
fn world() -> World {
    let mut world = World::new();
    world.add_node("b");
    world.create(gateway("g", json!([udp("dns", 53)])));
    world.create(dns());
    world.create(udp_route("r", "g", json!([{"name": "s", "port": 53}])));
    world.create(endpoints(&["10.0.0.1", "10.0.0.2"]));
    world.create(json!({
        "kind": "BackendTrafficPolicy",
        "metadata": {"name": "p"},
        "spec": {
            "targetRefs": [{"group": "", "kind": "Service", "name": "s"}],
            "udp": {"idleTimeout": "5s"},
        },
    }));
    world
}

fn dns() -> Value {
    let mut json = service("s", 53);
    json["spec"]["ports"][0]["protocol"] = json!("UDP");
    json
}

fn endpoints(addresses: &[&str]) -> Value {
    let mut json = slice("s", "s", 53, addresses);
    json["ports"][0]["protocol"] = json!("UDP");
    json
}

fn pin(world: &World, client: u16) -> PinKey {
    let pool = world.state.pool_number(&key(Kind::UdpRoute, "default", "r"));
    let client = format!("192.0.2.1:{client}").parse().expect("an address");
    PinKey {
        pool: pool.expect("a pool"),
        flow: FlowKey::five_tuple(Protocol::Udp, 53, client),
    }
}

impl World {
    fn pins(&mut self, node: u64, incarnation: u64, sequence: u64, changes: &[(PinKey, Option<&str>)]) -> Outcome {
        let changes = changes.iter().map(|(key, endpoint)| PinChange {
            key: *key,
            endpoint: endpoint.map(|endpoint| endpoint.parse().expect("an address")),
        });
        let changes = changes.collect();
        self.apply(Command::Pins(PinBatch {
            node: NodeId(node),
            incarnation: Incarnation(incarnation),
            sequence,
            changes,
        }))
    }

    fn pinned(&self, client: u16) -> Option<String> {
        let endpoint = self.state.pins().get(&pin(self, client))?;
        Some(endpoint.to_string())
    }
}

const ONE: Option<&str> = Some("10.0.0.1:53");
const TWO: Option<&str> = Some("10.0.0.2:53");

#[test]
fn a_batch_counts_once_and_only_of_the_current_start() {
    let mut world = world();
    let (one, two) = (pin(&world, 1), pin(&world, 2));
    assert_eq!(world.pins(1, 1, 1, &[(one, ONE), (two, TWO)]), Outcome::Done);
    assert_eq!(world.pins(1, 1, 2, &[(two, None)]), Outcome::Done);
    assert_eq!(world.state.pin_sequence(NodeId(1)), 2);
    // Proposed a second time, as after a change of leaders.
    assert_eq!(world.pins(1, 1, 1, &[(one, ONE), (two, TWO)]), Outcome::Done);
    assert_eq!((world.pinned(1).as_deref(), world.pinned(2)), (ONE, None));
    let stale = refused(world.pins(1, 7, 3, &[(two, TWO)]));
    assert_eq!(stale, Refusal::StaleIncarnation(NodeId(1)));
    assert_eq!(refused(world.pins(9, 1, 1, &[])), Refusal::UnknownNode(NodeId(9)));
    // A new start counts from 1 again.
    world.node_up(1, 2, "a");
    assert_eq!(world.state.pin_sequence(NodeId(1)), 0);
    assert_eq!(world.pins(1, 2, 1, &[(two, TWO)]), Outcome::Done);
    assert_eq!(world.pinned(2).as_deref(), TWO);
    let many = vec![(one, TWO); PinBatch::CHANGES + 1];
    assert!(matches!(refused(world.pins(1, 2, 2, &many)), Refusal::TooMany { .. }));
    assert_eq!(world.state.pin_sequence(NodeId(1)), 1);
}

#[test]
fn what_is_not_there_cannot_be_held() {
    let mut world = world();
    let one = pin(&world, 1);
    world.pins(1, 1, 1, &[(one, ONE)]);
    // A holder that needs another endpoint does not need the one before, even if it may not have the other.
    world.pins(1, 1, 2, &[(one, Some("10.0.0.9:53"))]);
    assert_eq!(world.pinned(1), None);
    let mut nowhere = one;
    nowhere.pool.0 += 1;
    world.pins(1, 1, 3, &[(nowhere, ONE), (one, Some("[::ffff:10.0.0.1]:53"))]);
    assert_eq!(world.state.pins().len(), 1);
    assert_eq!(world.pinned(1).as_deref(), ONE, "addresses are canonical");
}

#[test]
fn pins_go_with_their_endpoint_and_their_pool() {
    let mut world = world();
    world.by_hand = true;
    let (one, two) = (pin(&world, 1), pin(&world, 2));
    world.pins(1, 1, 1, &[(one, ONE), (two, TWO)]);
    world.replace(endpoints(&["10.0.0.2", "10.0.0.3"]));
    assert_eq!(world.pinned(1).as_deref(), ONE, "the table names it still");
    // One that is on its way in can be held already.
    let three = pin(&world, 3);
    world.pins(2, 1, 1, &[(three, Some("10.0.0.3:53"))]);
    world.prepare();
    assert_eq!((world.pinned(1), world.pinned(2).as_deref()), (None, TWO));
    assert_eq!(world.state.pins().len(), 2);
    world.delete(Kind::UdpRoute, "default", "r");
    assert!(world.state.pins().is_empty());
}

#[test]
fn an_endpoint_that_comes_back_in_time_keeps_its_pins() {
    let mut world = world();
    world.by_hand = true;
    let one = pin(&world, 1);
    world.pins(1, 1, 1, &[(one, ONE)]);
    world.replace(endpoints(&["10.0.0.2"]));
    world.replace(endpoints(&["10.0.0.1", "10.0.0.2"]));
    world.prepare();
    assert_eq!(world.state.active_generation(), 1);
    assert_eq!(world.pinned(1).as_deref(), ONE, "it is to be in the next generation");
    world.prepare();
    assert_eq!((world.state.active_generation(), world.pinned(1).as_deref()), (2, ONE));
}

#[test]
fn pins_of_a_lost_table_last_as_long_as_its_grace() {
    let mut world = world();
    let one = pin(&world, 1);
    world.pins(1, 1, 1, &[(one, ONE)]);
    world.node_down(2, 1);
    world.replace(endpoints(&["10.0.0.2"]));
    assert_eq!(world.pinned(1).as_deref(), ONE);
    world.wait(60);
    world.expire();
    assert_eq!(world.pinned(1), None);
}

#[test]
fn orphans_end_when_no_one_can_come_back_for_them() {
    let mut world = world();
    let holder = |incarnation| Holder {
        node: NodeId(2),
        incarnation: Incarnation(incarnation),
    };
    let one = pin(&world, 1);
    world.pins(2, 1, 1, &[(one, ONE)]);
    assert_eq!(
        (world.state.pins().lost(holder(1)), world.state.next_expiry()),
        (None, None)
    );
    world.node_down(2, 1);
    let lost = world.state.time();
    assert_eq!(world.state.pins().lost(holder(1)), Some(lost));
    assert_eq!(world.state.next_expiry().map(|next| next.0 - lost.0), Some(5000));
    // It was not dead, only silent.
    world.node_up(2, 1, "b");
    assert_eq!(world.state.pins().lost(holder(1)), None);
    world.node_down(2, 1);
    let lost = world.state.time();
    world.wait(2);
    world.expire();
    assert_eq!(world.pinned(1).as_deref(), ONE);
    // A new start does not make them live again, nor their loss later.
    world.node_up(2, 2, "b");
    assert_eq!(world.state.pins().lost(holder(1)), Some(lost));
    // Who takes the session over holds it too.
    world.pins(1, 1, 1, &[(one, ONE)]);
    world.wait(2);
    world.expire();
    let holders: Vec<u64> = world
        .state
        .pins()
        .holds_of(&one)
        .iter()
        .map(|hold| hold.holder.node.0)
        .collect();
    assert_eq!(holders, [1]);
    world.pins(1, 1, 2, &[(one, None)]);
    assert!(world.state.pins().is_empty());
}

#[test]
fn how_long_orphans_last_is_what_the_policy_says_now() {
    let mut world = world();
    let one = pin(&world, 1);
    world.pins(2, 1, 1, &[(one, ONE)]);
    world.apply(Command::RemoveNode { node: NodeId(2) });
    let lost = world.state.time();
    let next = |world: &World| world.state.next_expiry().map(|next| next.0 - lost.0);
    assert_eq!(next(&world), Some(5000));
    world.apply(replacement(json!({
        "kind": "BackendTrafficPolicy",
        "metadata": {"name": "p"},
        "spec": {
            "targetRefs": [{"group": "", "kind": "Service", "name": "s"}],
            "udp": {"idleTimeout": "20s"},
        },
    })));
    assert_eq!(next(&world), Some(20_000));
    world.delete(Kind::BackendTrafficPolicy, "default", "p");
    assert_eq!(next(&world), Some(60_000));
    // `Expire` never runs ahead of the cluster's time.
    let before = crate::meta::UnixMillis(u64::MAX);
    world.apply(Command::Expire { before });
    assert_eq!(world.pinned(1).as_deref(), ONE);
}
