//! Random commands over so few names that they meet all the time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::json;

use crate::command::{Command, Part, Proposal};
use crate::digest::Digest;
use crate::fixture::{busy, facts, init_cluster, key, object, socket, socket_at};
use crate::kind::Kind;
use crate::meta::{Condition, ConditionStatus, Uid, UnixMillis};
use crate::node::{BindResult, Incarnation, NodeId, Protocol, SocketKey};
use crate::object::Object;
use crate::resource::{ParentReference, PolicyAncestorStatus, RouteParentStatus};
use crate::state::State;

mod objects;
mod phases;
mod policies;

use objects::{any_object, fitting_object, namespace_name};
use phases::{aimed, moving_object, phase_command, served_objects};

/// A command, and how it comes.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Milliseconds after the one before.
    later: u64,
    /// Whether a create of what is there already becomes a replace.
    upsert: bool,
    /// Whether starts, generations, pools and endpoints become ones that there are.
    aimed: bool,
    command: Command,
}

impl Step {
    /// The proposal at `time`, which is moved on, for a cluster in `state`.
    pub(crate) fn propose(self, state: &State, time: &mut u64) -> Proposal {
        *time += self.later;
        let command = match self.command {
            Command::Create { object, .. } if self.upsert && state.get(&object.key()).is_some() => Command::Replace {
                object,
                part: Part::Main,
                expected: None,
                uid: None,
            },
            // Made without knowing which Drain it will meet.
            Command::ReportDrain { name, uid, remaining } => Command::ReportDrain {
                uid: state
                    .get(&key(Kind::Drain, "", &name))
                    .map_or(uid, |drain| drain.meta().uid.clone()),
                name,
                remaining,
            },
            command if self.aimed => aimed(command, state, *time),
            command => command,
        };
        Proposal {
            time: UnixMillis(*time),
            command,
        }
    }
}

/// What every sequence begins with, so that little of what follows is refused.
fn beginning() -> Vec<Command> {
    let mut commands = vec![init_cluster()];
    commands.extend(["b", "c"].map(|name| Command::JoinNode { node: facts(name) }));
    commands.extend([(1, "a"), (2, "b")].map(|(node, name)| Command::NodeUp {
        node: NodeId(node),
        incarnation: Incarnation(1),
        facts: facts(name),
    }));
    let apps = json!({"kind": "Namespace", "metadata": {"name": "apps"}});
    commands.push(Command::Create {
        object: object(apps),
        uid: Uid::default(),
    });
    commands
}

/// Between `least` and `most` commands behind those that begin every cluster.
pub(crate) fn steps(least: usize, most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step =
        (later(), any::<bool>(), prop::bool::weighted(0.9), command()).prop_map(|(later, upsert, aimed, command)| {
            Step {
                later,
                upsert,
                aimed,
                command,
            }
        });
    behind_beginning(prop::collection::vec(step, least..most))
}

/// The same, of objects that mostly fit together.
pub(crate) fn fitting_steps(least: usize, most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = (0_u64..1500, fitting_object()).prop_map(|(later, object)| Step {
        later,
        upsert: true,
        aimed: false,
        command: Command::Create {
            object,
            uid: Uid::default(),
        },
    });
    behind_beginning(prop::collection::vec(step, least..most))
}

/// The same, of what makes tables change and pins come and go.
pub(crate) fn moving_steps(least: usize, most: usize) -> impl Strategy<Value = Vec<Step>> {
    let create = |object| Command::Create {
        object,
        uid: Uid::default(),
    };
    let command = prop_oneof![
        12 => moving_object().prop_map(create),
        20 => phase_command(),
        5 => node_command(),
        1 => resolved(),
        1 => moving_object().prop_map(|object| Command::Delete {
            key: object.key(),
            expected: None,
            uid: None,
        }),
        2 => command(),
    ];
    let step = (later(), prop::bool::weighted(0.9), command).prop_map(|(later, aimed, command)| Step {
        later,
        upsert: true,
        aimed,
        command,
    });
    prop::collection::vec(step, least..most).prop_map(move |steps| {
        let served = served_objects().into_iter().map(|json| Step {
            later: 0,
            upsert: true,
            aimed: false,
            command: create(object(json)),
        });
        begun(served.chain(steps).collect())
    })
}

fn behind_beginning(steps: impl Strategy<Value = Vec<Step>>) -> impl Strategy<Value = Vec<Step>> {
    steps.prop_map(begun)
}

fn begun(steps: Vec<Step>) -> Vec<Step> {
    let beginning = beginning().into_iter().map(|command| Step {
        later: 0,
        upsert: false,
        aimed: false,
        command,
    });
    let mut steps: Vec<Step> = beginning.chain(steps).collect();
    // Identities are unique, as the proposer makes them.
    for (number, step) in steps.iter_mut().enumerate() {
        if let Command::Create { uid, .. } = &mut step.command {
            *uid = Uid(format!("uid-{number}"));
        }
    }
    steps
}

/// Mostly soon, sometimes when graces and orphans are over.
fn later() -> impl Strategy<Value = u64> {
    prop_oneof![19 => 0_u64..1500, 1 => 20_000_u64..80_000]
}

fn command() -> impl Strategy<Value = Command> {
    let create = any_object().prop_map(|object| Command::Create {
        object,
        uid: Uid::default(),
    });
    let replace = (any_object(), expected()).prop_map(|(object, expected)| Command::Replace {
        object,
        part: Part::Main,
        expected,
        uid: None,
    });
    let status = (any_object(), expected(), any::<bool>()).prop_map(|(object, expected, forged)| Command::Replace {
        object: with_conditions(object, forged),
        part: Part::Status,
        expected,
        uid: None,
    });
    let delete = (any_key(), expected()).prop_map(|(key, expected)| Command::Delete {
        key,
        expected,
        uid: None,
    });
    prop_oneof![
        16 => create,
        4 => replace,
        2 => status,
        4 => delete,
        8 => node_command(),
        16 => phase_command(),
        2 => resolved(),
        2 => reported(),
        1 => Just(init_cluster()),
    ]
}

fn expected() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![9 => Just(None), 1 => (1_u64..40).prop_map(Some)]
}

fn any_key() -> impl Strategy<Value = crate::ObjectKey> {
    let names = select(vec![
        "g1", "g2", "r1", "r2", "r3", "s1", "s2", "e1", "e2", "b1", "c1", "x1", "k1", "d1", "apps", "default",
    ]);
    let kinds = select(Kind::all().collect::<Vec<_>>());
    prop_oneof![
        1 => (kinds, namespace_name(), names).prop_map(|(kind, namespace, name)| {
            key(kind, if kind.info().namespaced { namespace } else { "" }, name)
        }),
        6 => any_object().prop_map(|object| object.key()),
    ]
}

fn node_command() -> impl Strategy<Value = Command> {
    let node = (1_u64..4).prop_map(NodeId);
    let incarnation = (1_u64..3).prop_map(Incarnation);
    let name = select(vec!["a", "b", "c"]);
    let binds = prop::collection::vec((any_socket(), bind_result()), 1..4);
    prop_oneof![
        2 => name.clone().prop_map(|name| Command::JoinNode { node: facts(name) }),
        1 => name.clone().prop_map(|name| Command::Admit {
            node: facts(name),
            key: Digest([7; 32]),
            token: "t".to_owned(),
            secret: Digest([8; 32]),
        }),
        1 => (0_u64..3).prop_map(|expires| Command::CreateJoinToken {
            id: "t".to_owned(),
            secret: Digest([8; 32]),
            expires: UnixMillis(expires * 1_000_000_000_000),
        }),
        3 => (node.clone(), incarnation.clone(), name).prop_map(|(node, incarnation, name)| Command::NodeUp {
            node,
            incarnation,
            facts: facts(name),
        }),
        1 => (node.clone(), incarnation.clone()).prop_map(|(node, incarnation)| Command::NodeDown { node, incarnation }),
        1 => node.clone().prop_map(|node| Command::RemoveNode { node }),
        6 => (node, incarnation, binds).prop_map(|(node, incarnation, binds)| Command::ReportBinds {
            node,
            incarnation,
            binds,
        }),
    ]
}

fn any_socket() -> impl Strategy<Value = SocketKey> {
    let protocol = select(vec![Protocol::Tcp, Protocol::Tcp, Protocol::Udp]);
    let address = select(vec![None, Some("10.0.0.1"), Some("10.0.0.2")]);
    (1_u16..4, address, protocol).prop_map(|(port, address, protocol)| SocketKey {
        protocol,
        ..address.map_or(socket(port), |address| socket_at(address, port))
    })
}

fn bind_result() -> impl Strategy<Value = Option<BindResult>> {
    select(vec![
        Some(BindResult::Bound),
        Some(BindResult::Bound),
        Some(busy("192.0.2.1:1")),
        None,
    ])
}

fn resolved() -> impl Strategy<Value = Command> {
    let addresses = subsequence(vec!["10.3.0.1", "10.3.0.2"], 0..=2);
    (select(vec!["a.test", "b.test", "c.test"]), addresses).prop_map(|(name, addresses)| {
        let addresses: Vec<IpAddr> = addresses.iter().filter_map(|address| address.parse().ok()).collect();
        Command::SetResolved {
            names: BTreeMap::from([(name.to_owned(), addresses)]),
        }
    })
}

fn reported() -> impl Strategy<Value = Command> {
    let remaining = prop::collection::btree_map((1_u64..4).prop_map(NodeId), select(vec![0_u64, 0, 7]), 0..3);
    (select(vec!["d1", "d2"]), remaining).prop_map(|(name, remaining)| Command::ReportDrain {
        name: name.to_owned(),
        uid: Uid::default(),
        remaining,
    })
}

/// The object with a status that someone else wrote, perhaps under the names of ours.
fn with_conditions(mut object: Object, forged: bool) -> Object {
    let condition = Condition {
        condition_type: if forged { "Accepted" } else { "example.com/Seen" }.to_owned(),
        status: ConditionStatus::True,
        reason: "Written".to_owned(),
        ..Condition::default()
    };
    let controller = if forged {
        crate::state::CONTROLLER_NAME
    } else {
        "example.com/other"
    };
    let parent: ParentReference = serde_json::from_value(json!({"name": "g1"})).expect("a reference");
    if let Some(status) = object.route_status_mut() {
        status.parents.push(RouteParentStatus {
            parent_ref: parent,
            controller_name: controller.to_owned(),
            conditions: vec![condition],
        });
        return object;
    }
    if let Some(status) = object.policy_status_mut() {
        status.ancestors.push(PolicyAncestorStatus {
            ancestor_ref: parent,
            controller_name: controller.to_owned(),
            conditions: vec![condition],
        });
        return object;
    }
    match &mut object {
        Object::Gateway(gateway) => Arc::make_mut(gateway).status.conditions.push(condition),
        Object::ListenerSet(set) => Arc::make_mut(set).status.conditions.push(condition),
        Object::GatewayClass(class) => Arc::make_mut(class).status.conditions.push(condition),
        Object::Backend(backend) => Arc::make_mut(backend).status.conditions.push(condition),
        Object::Service(service) => Arc::make_mut(service).status.conditions.push(condition),
        Object::Namespace(namespace) => Arc::make_mut(namespace).status.conditions.push(condition),
        Object::Drain(drain) => {
            let status = &mut Arc::make_mut(drain).status;
            status.conditions.push(condition);
            status.phase = crate::resource::DrainPhase::Drained;
        }
        _ => {}
    }
    object
}
