//! `Programmed`: what the nodes have bound.

use serde_json::json;

use crate::command::Command;
use crate::fixture::{World, busy, condition, facts, gateway, socket, socket_at, summary, tcp};
use crate::kind::Kind;
use crate::node::{BindResult, Incarnation, NodeId};
use crate::outcome::{Outcome, Refusal};

fn programmed(world: &World) -> (String, String) {
    let gateway = world.gateway("g");
    let condition = condition(&gateway.status.conditions, "Programmed").clone();
    (summary(std::slice::from_ref(&condition)).remove(0), condition.message)
}

fn down(world: &mut World, node: u64, incarnation: u64) -> Outcome {
    world.apply(Command::NodeDown {
        node: NodeId(node),
        incarnation: Incarnation(incarnation),
    })
}

#[test]
fn every_live_node_must_have_bound() {
    let mut world = World::new();
    let b = world.add_node("b");
    world.apply(Command::JoinNode {
        node: facts("never-started"),
    });
    world.create(gateway("g", json!([tcp("pg", 5432)])));
    let (pending, message) = programmed(&world);
    assert_eq!(pending, "Programmed=False/Pending");
    assert!(message.contains("\"a\"") && message.contains("\"b\"") && !message.contains("never-started"));

    world.report(1, socket(5432), Some(BindResult::Bound));
    let (pending, message) = programmed(&world);
    assert_eq!(pending, "Programmed=False/Pending");
    assert!(!message.contains("\"a\"") && message.contains("\"b\""));

    world.report(b, socket(5432), Some(busy("192.0.2.2:5432")));
    let (failed, message) = programmed(&world);
    assert_eq!(failed, "Programmed=False/AddressNotUsable");
    for part in ["\"pg\"", "\"b\"", "192.0.2.2:5432", "EADDRINUSE", "98"] {
        assert!(message.contains(part), "{part} is not in {message}");
    }
    let listener = world.listener("g", "pg");
    assert_eq!(
        summary(&listener.conditions)[..2],
        ["Accepted=True/Accepted", "Programmed=False/Invalid"]
    );

    world.report(b, socket(5432), Some(BindResult::Bound));
    assert_eq!(programmed(&world).0, "Programmed=True/Programmed");
    assert_eq!(world.gateway("g").status.addresses.len(), 1);
}

#[test]
fn a_dead_node_is_not_waited_for() {
    let mut world = World::new();
    let b = world.add_node("b");
    world.create(gateway("g", json!([tcp("pg", 5432)])));
    world.report(1, socket(5432), Some(BindResult::Bound));
    assert_eq!(programmed(&world).0, "Programmed=False/Pending");
    assert_eq!(
        down(&mut world, b, 99),
        Outcome::Refused(Refusal::StaleIncarnation(NodeId(b)))
    );
    assert_eq!(programmed(&world).0, "Programmed=False/Pending");
    assert_eq!(down(&mut world, b, 1), Outcome::Done);
    assert_eq!(programmed(&world).0, "Programmed=True/Programmed");

    // The same start is alive again, and nothing it had bound is forgotten.
    world.report(b, socket(5432), Some(BindResult::Bound));
    world.node_up(b, 1, "b");
    assert_eq!(programmed(&world).0, "Programmed=True/Programmed");
    // A new start has bound nothing.
    world.node_up(b, 2, "b");
    assert_eq!(programmed(&world).0, "Programmed=False/Pending");
    assert_eq!(world.apply(Command::RemoveNode { node: NodeId(b) }), Outcome::Done);
    assert_eq!(programmed(&world).0, "Programmed=True/Programmed");
}

#[test]
fn without_a_live_node_nothing_is_programmed() {
    let mut world = World::new();
    world.create(gateway("g", json!([tcp("pg", 5432)])));
    world.report(1, socket(5432), Some(BindResult::Bound));
    assert_eq!(programmed(&world).0, "Programmed=True/Programmed");
    down(&mut world, 1, 1);
    assert_eq!(programmed(&world).0, "Programmed=False/Pending");
    assert!(world.gateway("g").status.addresses.is_empty());
}

#[test]
fn every_address_must_be_bound() {
    let mut world = World::new();
    let mut json = gateway("g", json!([tcp("pg", 5432)]));
    json["spec"]["addresses"] = json!([{"value": "10.0.0.1"}, {"value": "10.0.0.2"}]);
    world.create(json);
    world.report(1, socket_at("10.0.0.1", 5432), Some(BindResult::Bound));
    assert_eq!(programmed(&world).0, "Programmed=False/Pending");
    let addresses = world.gateway("g").status.addresses.clone();
    assert_eq!(addresses.len(), 1);
    assert_eq!(addresses[0].value, "10.0.0.1");
    world.report(1, socket_at("10.0.0.2", 5432), Some(BindResult::Bound));
    assert_eq!(programmed(&world).0, "Programmed=True/Programmed");
    assert_eq!(world.gateway("g").status.addresses.len(), 2);
}

#[test]
fn reports_are_kept_only_for_sockets_that_are_wanted() {
    let mut world = World::new();
    let binds = |world: &World| world.state.node(NodeId(1)).expect("a member").binds.len();
    world.report(1, socket(5432), Some(BindResult::Bound));
    assert_eq!(binds(&world), 0);
    world.create(gateway("g", json!([tcp("pg", 5432)])));
    world.report(1, socket(5432), Some(BindResult::Bound));
    assert_eq!(binds(&world), 1);
    world.delete(Kind::Gateway, "default", "g");
    assert_eq!(binds(&world), 0);

    let actual = [(socket(5432), BindResult::Bound)].into_iter().collect();
    assert!(world.state.bind_report(NodeId(1), &actual).is_empty());
    world.create(gateway("g", json!([tcp("pg", 5432)])));
    let report = world.state.bind_report(NodeId(1), &actual);
    assert_eq!(report, [(socket(5432), Some(BindResult::Bound))]);
    world.report(1, socket(5432), Some(BindResult::Bound));
    assert!(world.state.bind_report(NodeId(1), &actual).is_empty());
    let nothing = Default::default();
    assert_eq!(world.state.bind_report(NodeId(1), &nothing), [(socket(5432), None)]);
}

#[test]
fn a_stale_start_reports_nothing() {
    let mut world = World::new();
    world.create(gateway("g", json!([tcp("pg", 5432)])));
    let stale = Command::ReportBinds {
        node: NodeId(1),
        incarnation: Incarnation(2),
        binds: vec![(socket(5432), Some(BindResult::Bound))],
    };
    assert_eq!(
        world.apply(stale),
        Outcome::Refused(Refusal::StaleIncarnation(NodeId(1)))
    );
    assert_eq!(programmed(&world).0, "Programmed=False/Pending");
}
