//! What nodes and the leader say of generations and pins.

use std::net::SocketAddr;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use crate::command::Command;
use crate::fixture::{backend, gateway, object, route, service, slice, tcp, udp, udp_route};
use crate::flow::FlowKey;
use crate::meta::UnixMillis;
use crate::node::{Incarnation, NodeId, Protocol};
use crate::object::Object;
use crate::pin::{PinBatch, PinChange, PinKey, PoolNumber};
use crate::state::State;

/// Objects whose routes lead somewhere, and lead elsewhere time and again.
pub(super) fn served_objects() -> Vec<Value> {
    let mut objects = vec![
        gateway("g1", json!([tcp("l1", 1), udp("l2", 1)])),
        service("s1", 80),
        slice("e1", "s1", 8080, &["10.1.0.1", "10.1.0.2"]),
        backend("b1", json!([{"ip": "10.2.0.1", "port": 1}])),
    ];
    objects[1]["spec"]["ports"] = json!([{"port": 80}, {"port": 80, "protocol": "UDP"}]);
    objects.extend(["r1", "r2"].map(|name| route(name, "g1", json!([{"name": "s1", "port": 80}]))));
    objects.push(udp_route("r1", "g1", json!([{"name": "s1", "port": 80}])));
    objects
}

pub(super) fn moving_object() -> impl Strategy<Value = Object> {
    let to_s1 = json!({"name": "s1", "port": 80});
    let to_b1 = json!({"group": "guideway.dev", "kind": "Backend", "name": "b1", "weight": 2});
    let refs = subsequence(vec![to_s1, to_b1, json!({"name": "s2", "port": 80})], 0..=3);
    let routes = (select(vec!["r1", "r2"]), refs, any::<bool>()).prop_map(|(name, refs, by_udp)| {
        let refs = json!(refs);
        if by_udp {
            udp_route(name, "g1", refs)
        } else {
            route(name, "g1", refs)
        }
    });
    let addresses = subsequence(vec!["10.1.0.1", "10.1.0.2", "10.1.0.3"], 0..=3);
    let slices = (addresses, prop::bool::weighted(0.3)).prop_map(|(addresses, has_udp)| {
        let mut json = slice("e1", "s1", 8080, &addresses);
        if has_udp {
            json["ports"] = json!([{"port": 8080}, {"port": 8080, "protocol": "UDP"}]);
        }
        json
    });
    let endpoints = vec![
        json!({"ip": "10.2.0.1", "port": 1}),
        json!({"ip": "10.1.0.1", "port": 8080, "weight": 3}),
        json!({"hostname": "a.test", "port": 1}),
    ];
    let backends = subsequence(endpoints, 1..=3).prop_map(|endpoints| backend("b1", json!(endpoints)));
    prop_oneof![6 => slices, 3 => routes, 3 => backends].prop_map(object)
}

pub(super) fn phase_command() -> impl Strategy<Value = Command> {
    let node = || (1_u64..4).prop_map(NodeId);
    let incarnation = || (1_u64..3).prop_map(Incarnation);
    let prepared = (node(), incarnation(), 0_u64..5).prop_map(|(node, incarnation, generation)| Command::Prepared {
        node,
        incarnation,
        generation,
    });
    let pins = (
        node(),
        incarnation(),
        0_u64..4,
        prop::collection::vec(pin_change(), 0..6),
    )
        .prop_map(|(node, incarnation, sequence, changes)| {
            Command::Pins(PinBatch {
                node,
                incarnation,
                sequence,
                changes,
            })
        });
    prop_oneof![
        8 => prepared,
        1 => (node(), 0_u64..5).prop_map(|(node, generation)| Command::PassOver { node, generation }),
        6 => pins,
        1 => (0_u64..100_000).prop_map(|before| Command::Expire { before: UnixMillis(before) }),
    ]
}

fn pin_change() -> impl Strategy<Value = PinChange> {
    let flow =
        (select(vec!["192.0.2.1", "2001:db8::1"]), 1_u16..4, any::<bool>()).prop_map(|(client, port, masked)| {
            let client = SocketAddr::new(client.parse().expect("an address"), port);
            if masked {
                FlowKey::client_ip(Protocol::Udp, 53, client.ip(), 64)
            } else {
                FlowKey::five_tuple(Protocol::Udp, 53, client)
            }
        });
    let endpoint = prop::option::weighted(0.8, (0_u8..6).prop_map(place));
    (0_u32..6, flow, endpoint).prop_map(|(pool, flow, endpoint)| PinChange {
        key: PinKey {
            pool: PoolNumber(pool),
            flow,
        },
        endpoint,
    })
}

/// Stands for an endpoint that a pool has.
fn place(number: u8) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, number], 9))
}

/// The same command about starts, generations, pools and endpoints that there are in `state`.
pub(super) fn aimed(mut command: Command, state: &State, time: u64) -> Command {
    match &mut command {
        Command::Prepared {
            node,
            incarnation,
            generation,
        } => {
            *generation = state.prepared_generation().unwrap_or(*generation);
            *incarnation = current(state, *node).unwrap_or(*incarnation);
        }
        Command::PassOver { generation, .. } => {
            *generation = state.prepared_generation().unwrap_or(*generation);
        }
        Command::NodeDown { node, incarnation } => {
            *incarnation = current(state, *node).unwrap_or(*incarnation);
        }
        Command::Pins(batch) => {
            batch.incarnation = current(state, batch.node).unwrap_or(batch.incarnation);
            batch.sequence = state.pin_sequence(batch.node) + 1;
            for change in &mut batch.changes {
                aim(change, state);
            }
        }
        Command::Expire { before } => *before = UnixMillis(time),
        _ => {}
    }
    command
}

fn current(state: &State, node: NodeId) -> Option<Incarnation> {
    state.node(node)?.incarnation
}

fn aim(change: &mut PinChange, state: &State) {
    let pools: Vec<_> = state.pool_records().values().collect();
    let nth = change.key.pool.0 as usize;
    let Some(record) = pools.get(nth % pools.len().max(1)) else {
        return;
    };
    change.key.pool = record.number;
    let lists = [Some(&record.active), record.prepared.as_ref(), record.waiting.as_ref()];
    let lists = lists.into_iter().flatten();
    let targets = lists.chain(record.past.iter().map(|past| &past.weighted));
    let endpoints: Vec<SocketAddr> = targets
        .flat_map(|list| list.iter())
        .filter_map(|weighted| match weighted.target {
            guideway_maglev::Target::Endpoint(address) => Some(address),
            guideway_maglev::Target::Reject(_) => None,
        })
        .collect();
    if let Some(endpoint) = &mut change.endpoint
        && let SocketAddr::V4(v4) = endpoint
        && let Some(found) = endpoints.get(usize::from(v4.ip().octets()[3]) % endpoints.len().max(1))
    {
        *endpoint = *found;
    }
}
