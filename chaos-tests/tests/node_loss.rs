//! Promise: kill any node, and every UDP flow whose endpoint is alive goes on at that endpoint through another node: when the
//! endpoints were changed before the loss (pins), and when they are changed after it (grace).
//!
//! DESIGN section 5. Each half is tried again with its mechanism switched off, and must then fail: a test that cannot fail
//! would prove nothing. One of the nodes has too few local ports for its flows: those it has go on as well.
//! `GUIDEWAY_SOAK` asks for the long form.
//!
//! Needs root, which makes network namespaces, and the tools: ip.

use std::ops::RangeInclusive;

use guideway_chaos_tests::crowd::Round;
use guideway_chaos_tests::mesh::{Mesh, wait_pinned, wait_settled};
use guideway_chaos_tests::{Cluster, descriptors};

const NODES: [usize; 3] = [0, 1, 2];
const ENDPOINTS: u8 = 8;

/// The node with too few local ports, which is lost last.
const SHORT: usize = 2;

/// Clients of each node, with four flows each, and the local ports of the node that has too few.
fn size() -> (usize, RangeInclusive<u16>) {
    if std::env::var_os("GUIDEWAY_SOAK").is_some() {
        // Twelve thousand flows.
        (1200, 40_000..=40_599)
    } else {
        (150, 40_000..=40_089)
    }
}

/// Which came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// The endpoints changed, then the node was lost.
    ChangeThenKill,
    /// The node was lost, then the endpoints changed.
    KillThenChange,
}

#[test]
fn flows_of_a_lost_node_stay_with_their_endpoints() {
    for order in [Order::ChangeThenKill, Order::KillThenChange] {
        let moved = lose_each_node(order, &[]);
        assert_eq!(
            moved.moves(),
            0,
            "{order:?}: {} flows kept, moved by home: {:?}",
            moved.kept,
            moved.moved
        );
        assert!(moved.kept > 0);
    }
}

#[test]
fn without_pins_a_change_before_a_loss_moves_flows() {
    let moved = lose_each_node(Order::ChangeThenKill, &["pins=false"]);
    assert_breaks(&moved);
}

#[test]
fn without_grace_a_change_after_a_loss_moves_flows() {
    let moved = lose_each_node(Order::KillThenChange, &["grace=false"]);
    assert_breaks(&moved);
}

/// The set grows from four endpoints to five: a fifth of the rows moves. Of the flows of one node that is about as many.
fn assert_breaks(round: &Round) {
    let share = round.moves() as f64 / (round.moves() + round.kept) as f64;
    assert!(
        (0.1..0.3).contains(&share),
        "a table of four endpoints to which a fifth comes moves a fifth of its flows; this moved {share:.3}: {round:?}"
    );
}

/// Loses node after node with a change before or after each loss; the flows of the lost node go on through the next one.
/// Returns what became of those flows.
fn lose_each_node(order: Order, settings: &[&str]) -> Round {
    descriptors::allow_all();
    let (clients, few_ports) = size();
    let mut cluster = Cluster::start_in_boxes(settings, few_ports);
    let mut mesh = Mesh::start(&cluster, ENDPOINTS, &[(0, 1), (1, 1), (2, 1), (3, 1)]);
    mesh.open(&cluster, clients, Some(SHORT));
    assert!(mesh.served() < mesh.flows(), "node {SHORT} has a port for every flow");
    // Flows that it opens later, at an endpoint that was not their first choice, are pinned only when they have lasted.
    mesh.give_up_unserved();
    let mut all = Round::default();
    let losses = if settings.is_empty() { 3 } else { 1 };
    for lost in 0..losses {
        let others: Vec<usize> = NODES.into_iter().filter(|index| *index != lost).collect();
        let mut set = mesh.set().to_vec();
        set.push((4 + lost, 1));
        match order {
            Order::ChangeThenKill => {
                mesh.put(&cluster.api(others[0]), &set);
                wait_settled(&cluster, &NODES);
                wait_pinned(&cluster, &NODES);
                cluster.kill(lost);
            }
            Order::KillThenChange => {
                cluster.kill(lost);
                cluster.leader(&others);
                wait_down(&cluster, others[0], lost);
                mesh.put(&cluster.api(others[0]), &set);
                wait_settled(&cluster, &others);
            }
        }
        let mut ways = NODES.to_vec();
        ways[lost] = others[0];
        let only_lost = mesh.ask_crowd_through(&cluster, lost, others[0]);
        all.add(only_lost);
        // The flows of the nodes that live have not moved either, whatever is switched off.
        let rest = mesh.ask_through(&cluster, &ways, None);
        assert_eq!(rest.moves(), 0, "{order:?} {settings:?}: {:?}", rest.moved);
        cluster.restart(lost);
        wait_settled(&cluster, &NODES);
    }
    all
}

/// Waits until the cluster has agreed that the node is gone.
fn wait_down(cluster: &Cluster, ask: usize, lost: usize) {
    guideway_chaos_tests::wait::until("the loss is agreed", || {
        let live = cluster.node(lost).field(&cluster.api(ask), "/status/live")?;
        if live == false { Ok(()) } else { Err(live.to_string()) }
    });
}
