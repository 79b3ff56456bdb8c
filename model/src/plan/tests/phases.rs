//! Plans while tables change, and after nodes were lost.

use std::net::SocketAddr;

use serde_json::json;

use super::{compile_small, entries, pool};
use crate::command::Command;
use crate::fixture::{World, gateway, route, service, slice, tcp};
use crate::node::{NodeId, Protocol};
use crate::plan::{Choice, KeyKind, NoChoice, Plan, Pool, Standing, Why};

/// Nodes 1 and 2, and a route to `addresses`.
fn world(addresses: &[&str]) -> World {
    let mut world = World::new();
    world.add_node("b");
    world.by_hand = true;
    world.create(gateway("g", json!([tcp("pg", 5432)])));
    world.create(service("s", 80));
    world.create(route("r", "g", json!([{"name": "s", "port": 80}])));
    world.create(slice("s", "s", 80, addresses));
    world
}

fn lead_to(world: &mut World, addresses: &[&str]) {
    world.replace(slice("s", "s", 80, addresses));
}

/// The next plan, and how many tables were built for it.
fn next(world: &World, plan: &mut Plan) -> usize {
    let next = compile_small(&world.state, Some(plan));
    assert_eq!(
        next,
        compile_small(&world.state, None),
        "what was there before leaves no trace"
    );
    let built = next.tables_built(Some(plan));
    *plan = next;
    built
}

fn at(address: &str) -> SocketAddr {
    address.parse().expect("an address")
}

fn standing(pool: &Pool, address: &str) -> Option<Standing> {
    pool.standing(pool.entry(at(address))?)
}

fn hashes() -> impl Iterator<Item = u64> {
    (0..2000_u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Every reason why keys of this kind go where they go, and how many go to `address`.
fn whys(pool: &Pool, kind: KeyKind, address: &str) -> (Vec<Why>, usize) {
    let choices = hashes().map(|hash| pool.choose(kind, hash, None).expect("an endpoint"));
    let choices: Vec<Choice> = choices.collect();
    let there = choices
        .iter()
        .filter(|choice| Some(choice.entry) == pool.entry(at(address)));
    let there = there.count();
    let mut whys: Vec<Why> = choices.iter().map(|choice| choice.why).collect();
    whys.sort();
    whys.dedup();
    (whys, there)
}

const OLD: &str = "10.0.0.2:80";
const NEW: &str = "10.0.0.3:80";

#[test]
fn a_change_builds_one_table_and_activation_none() {
    let mut world = world(&["10.0.0.1", "10.0.0.2"]);
    let mut plan = compile_small(&world.state, None);
    assert_eq!((plan.generation, plan.prepared, plan.tables_built(None)), (0, None, 1));
    lead_to(&mut world, &["10.0.0.1", "10.0.0.3"]);
    assert_eq!(next(&world, &mut plan), 1);
    assert_eq!((plan.generation, plan.prepared), (0, Some(1)));
    let preparing = pool(&plan).clone();
    let phase = preparing.prepared.as_ref().expect("a prepared table");
    assert_eq!(phase.generation, 1);
    assert_eq!(
        entries(&preparing),
        [
            "10.0.0.1:80 Service/default/s",
            "10.0.0.2:80 Service/default/s",
            "10.0.0.3:80 Service/default/s"
        ]
    );
    assert_eq!(phase.entries, [0, 2]);
    assert_eq!(standing(&preparing, OLD), Some(Standing::Leaving));
    assert_eq!(standing(&preparing, NEW), Some(Standing::Ready));
    // What comes meanwhile waits, and builds nothing yet.
    lead_to(&mut world, &["10.0.0.1", "10.0.0.3", "10.0.0.4"]);
    assert_eq!(next(&world, &mut plan), 0);
    assert_eq!(standing(pool(&plan), "10.0.0.4:80"), Some(Standing::Ready));
    world.prepare();
    assert_eq!(
        next(&world, &mut plan),
        1,
        "the next generation is prepared with the activation of this one"
    );
    assert_eq!((plan.generation, plan.prepared), (1, Some(2)));
    assert!(std::sync::Arc::ptr_eq(&pool(&plan).table, &phase.table));
    world.prepare();
    assert_eq!(next(&world, &mut plan), 0);
    assert_eq!((plan.generation, plan.prepared), (2, None));
    assert_eq!(pool(&plan).entries.len(), 3);
}

#[test]
fn one_that_leaves_gets_nothing_new_from_the_commit_on() {
    let mut world = world(&["10.0.0.1", "10.0.0.2"]);
    let steady = compile_small(&world.state, None);
    assert_eq!(whys(pool(&steady), KeyKind::Flow, OLD).0, [Why::Table]);
    lead_to(&mut world, &["10.0.0.1", "10.0.0.3"]);
    let preparing = compile_small(&world.state, Some(&steady));
    let pool_now = pool(&preparing);
    for kind in [KeyKind::Relayed, KeyKind::Flow, KeyKind::Client] {
        assert_eq!(whys(pool_now, kind, OLD), (vec![Why::Table, Why::Leaving], 0));
    }
    for hash in hashes() {
        let was = pool(&steady).by_tables(hash).expect("an endpoint").entry;
        let now = pool_now.by_tables(hash).expect("an endpoint");
        // Those that need not move stay, the others go where the next table has them.
        if now.why == Why::Table {
            assert_eq!(now.entry, was);
        }
        let address = match &pool_now.entries[usize::from(now.entry)] {
            crate::plan::Entry::Endpoint { address, .. } => *address,
            crate::plan::Entry::Reject { .. } => panic!("a reject"),
        };
        let is_settled = now.why == Why::Leaving || !pool_now.needs_pin(KeyKind::Flow, hash, address);
        assert!(is_settled || Some(now.entry) == pool_now.entry(at("10.0.0.1:80")));
    }
    // Nothing is left to choose.
    lead_to(&mut world, &[]);
    let emptied = compile_small(&world.state, Some(&preparing));
    let chosen = pool(&emptied).choose(KeyKind::Relayed, 1, None);
    assert_eq!(chosen, Err(NoChoice::NoEndpoint));
}

#[test]
fn a_grace_begins_with_the_change_after_a_loss_and_ends_with_time() {
    let mut world = world(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    let mut plan = compile_small(&world.state, None);
    let pins = pool(&plan).key_kind(Protocol::Udp);
    world.node_down(2, 1);
    assert_eq!(next(&world, &mut plan), 0);
    assert!(pool(&plan).past.is_empty(), "the lost node had the active table");
    lead_to(&mut world, &["10.0.0.1", "10.0.0.2"]);
    world.prepare();
    assert_eq!(next(&world, &mut plan), 1);
    lead_to(&mut world, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    world.prepare();
    // It is as it was when the node was lost.
    assert_eq!(next(&world, &mut plan), 0, "its table is there still");
    assert!(pool(&plan).past.is_empty());
    lead_to(&mut world, &["10.0.0.2", "10.0.0.3", "10.0.0.4"]);
    world.prepare();
    assert_eq!(next(&world, &mut plan), 1);
    let generations: Vec<u64> = pool(&plan).past.iter().map(|phase| phase.generation).collect();
    assert_eq!(generations, [0]);
    assert_eq!(standing(pool(&plan), "10.0.0.1:80"), Some(Standing::Leaving));
    assert_eq!(
        whys(pool(&plan), pins, "10.0.0.1:80"),
        (vec![Why::Table, Why::Grace], 0)
    );
    assert_eq!(whys(pool(&plan), KeyKind::Relayed, OLD).0, [Why::Table]);
    let mut twice = world.clone();
    twice.wait(100);
    twice.apply(Command::JoinNode {
        node: crate::fixture::facts("c"),
    });
    let mut other = compile_small(&twice.state, Some(&plan));
    assert!(pool(&other).past.is_empty(), "time has gone by, with whatever command");
    assert_eq!(next(&twice, &mut other), 0);
    // Nodes that were lost with the table of now count more than those before them.
    world.node_down(1, 1);
    assert_eq!(next(&world, &mut plan), 0);
    assert!(pool(&plan).past.is_empty());
    world.wait(60);
    world.expire();
    assert_eq!(next(&world, &mut plan), 0);
    assert_eq!(pool(&plan).entries.len(), 3);
}

#[test]
fn a_pass_over_counts_as_a_loss_of_the_table_before() {
    let mut world = world(&["10.0.0.1", "10.0.0.2"]);
    let mut plan = compile_small(&world.state, None);
    lead_to(&mut world, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    next(&world, &mut plan);
    world.prepared(1, 1);
    world.pass_over(2);
    assert_eq!(next(&world, &mut plan), 0);
    assert_eq!((plan.generation, pool(&plan).past.len()), (1, 1));
    assert!(world.state.node(NodeId(2)).is_some_and(|node| node.live));
    let (reasons, _) = whys(pool(&plan), KeyKind::Flow, NEW);
    assert_eq!(reasons, [Why::Table, Why::Grace]);
    let pinned = hashes()
        .find(|hash| pool(&plan).table.choose(*hash) == Some(2))
        .expect("a third");
    let chosen = pool(&plan).choose(KeyKind::Flow, pinned, Some(at(NEW)));
    assert_eq!(chosen.map(|choice| choice.why), Ok(Why::Pin));
}

#[test]
fn an_invalid_ref_keeps_its_share_until_it_is_active() {
    let mut world = world(&["10.0.0.1"]);
    let refs = json!([{"name": "s", "port": 80}, {"name": "t", "port": 80}]);
    world.replace(route("r", "g", refs));
    world.prepare();
    let mut plan = compile_small(&world.state, None);
    assert_eq!(
        entries(pool(&plan)),
        [
            "10.0.0.1:80 Service/default/s",
            "reject Service default/t: there is no such Service"
        ]
    );
    world.create(service("t", 80));
    world.create(slice("t", "t", 80, &["10.0.0.9"]));
    assert_eq!(next(&world, &mut plan), 1);
    assert_eq!(
        entries(pool(&plan)),
        [
            "10.0.0.1:80 Service/default/s",
            "reject Service/default/t: its endpoints are being prepared",
            "10.0.0.9:80 Service/default/t"
        ]
    );
}
