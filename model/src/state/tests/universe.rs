//! Random commands over so few names that they meet all the time.

use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use crate::command::{Command, Part, Proposal};
use crate::fixture::{busy, facts, init_cluster, key, object, socket, socket_at};
use crate::kind::Kind;
use crate::meta::{Condition, ConditionStatus, Uid, UnixMillis};
use crate::node::{BindResult, Incarnation, NodeId, SocketKey};
use crate::object::Object;
use crate::state::State;

/// A command, and how it comes.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Milliseconds after the one before.
    later: u64,
    /// Whether a create of what is there already becomes a replace.
    upsert: bool,
    command: Command,
}

impl Step {
    /// The proposal at `time`, which is moved on, for a cluster in `state`.
    pub(super) fn propose(self, state: &State, time: &mut u64) -> Proposal {
        *time += self.later;
        let command = match self.command {
            Command::Create { object, .. } if self.upsert && state.get(&object.key()).is_some() => Command::Replace {
                object,
                part: Part::Main,
                expected: None,
                uid: None,
            },
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
pub(super) fn steps(least: usize, most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step =
        (0_u64..1500, any::<bool>(), command()).prop_map(|(later, upsert, command)| Step { later, upsert, command });
    prop::collection::vec(step, least..most).prop_map(|steps| {
        let beginning = beginning().into_iter().map(|command| Step {
            later: 0,
            upsert: false,
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
    })
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
        2 => resolved(),
        1 => Just(init_cluster()),
    ]
}

fn expected() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![9 => Just(None), 1 => (1_u64..40).prop_map(Some)]
}

fn namespace_name() -> impl Strategy<Value = &'static str> {
    select(vec!["default", "default", "default", "apps"])
}

fn any_key() -> impl Strategy<Value = crate::ObjectKey> {
    let names = select(vec![
        "g1", "g2", "r1", "r2", "r3", "s1", "s2", "e1", "e2", "b1", "c1", "apps", "default",
    ]);
    let kinds = select(Kind::all().collect::<Vec<_>>());
    prop_oneof![
        1 => (kinds, namespace_name(), names).prop_map(|(kind, namespace, name)| {
            key(kind, if kind.info().namespaced { namespace } else { "" }, name)
        }),
        6 => any_object().prop_map(|object| object.key()),
    ]
}

fn any_object() -> impl Strategy<Value = Object> {
    prop_oneof![
        2 => namespaces(),
        2 => classes(),
        6 => gateways(),
        8 => routes(),
        4 => services(),
        4 => slices(),
        3 => backends(),
    ]
    .prop_map(object)
}

fn namespaces() -> impl Strategy<Value = Value> {
    let labels = select(vec![json!({}), json!({"team": "a"}), json!({"team": "b"})]);
    (select(vec!["apps", "apps", "default"]), labels)
        .prop_map(|(name, labels)| json!({"kind": "Namespace", "metadata": {"name": name, "labels": labels}}))
}

fn classes() -> impl Strategy<Value = Value> {
    let controller = select(vec!["guideway.dev/gateway-controller", "example.com/other"]);
    (controller, prop::bool::weighted(0.2)).prop_map(|(controller, parameters)| {
        let mut json =
            json!({"kind": "GatewayClass", "metadata": {"name": "c1"}, "spec": {"controllerName": controller}});
        if parameters {
            json["spec"]["parametersRef"] = json!({"group": "example.com", "kind": "P", "name": "p"});
        }
        json
    })
}

fn gateways() -> impl Strategy<Value = Value> {
    let addresses = select(vec![
        json!([]),
        json!([]),
        json!([{"value": "10.0.0.1"}]),
        json!([{"value": "10.0.0.1"}, {"value": "10.0.0.2"}]),
        json!([{"value": "10.0.0.2"}, {"type": "IPAddress"}]),
        json!([{"type": "Hostname", "value": "lb.example.com"}]),
    ]);
    let class = select(vec!["guideway", "guideway", "guideway", "c1", "missing"]);
    let listeners = subsequence(vec!["l1", "l2", "l3"], 1..=3)
        .prop_flat_map(|names| names.into_iter().map(listener).collect::<Vec<_>>());
    (namespace_name(), select(vec!["g1", "g2"]), class, addresses, listeners).prop_map(
        |(namespace, name, class, addresses, listeners)| {
            json!({
                "kind": "Gateway",
                "metadata": {"namespace": namespace, "name": name},
                "spec": {"gatewayClassName": class, "addresses": addresses, "listeners": listeners},
            })
        },
    )
}

fn listener(name: &'static str) -> impl Strategy<Value = Value> {
    let protocol = select(vec!["TCP", "TCP", "TCP", "TCP", "HTTP", "UDP"]);
    let namespaces = select(vec![
        json!({"from": "Same"}),
        json!({"from": "All"}),
        json!({"from": "Selector", "selector": {"matchLabels": {"team": "a"}}}),
    ]);
    let kinds = select(vec![
        json!([]),
        json!([]),
        json!([{"kind": "TCPRoute"}]),
        json!([{"kind": "TLSRoute"}]),
    ]);
    (select(vec![1_u16, 2, 3]), protocol, namespaces, kinds).prop_map(move |(port, protocol, namespaces, kinds)| {
        json!({
            "name": name,
            "port": port,
            "protocol": protocol,
            "allowedRoutes": {"namespaces": namespaces, "kinds": kinds},
        })
    })
}

fn routes() -> impl Strategy<Value = Value> {
    let parent = select(vec![
        json!({"name": "g1"}),
        json!({"name": "g2"}),
        json!({"name": "g1", "namespace": "default"}),
        json!({"name": "g1", "namespace": "apps"}),
        json!({"name": "g1", "sectionName": "l1"}),
        json!({"name": "g2", "sectionName": "l2"}),
        json!({"name": "g1", "port": 2}),
        json!({"name": "s1", "group": "", "kind": "Service"}),
    ]);
    let backend = select(vec![
        json!({"name": "s1", "port": 80}),
        json!({"name": "s1", "port": 80, "weight": 0}),
        json!({"name": "s2", "port": 80, "weight": 3}),
        json!({"name": "s2", "port": 81}),
        json!({"name": "s1", "port": 80, "namespace": "apps"}),
        json!({"group": "guideway.dev", "kind": "Backend", "name": "b1", "weight": 2}),
        json!({"group": "example.com", "kind": "Thing", "name": "t"}),
    ]);
    let parents = prop::collection::vec(parent, 0..3);
    let backends = prop::collection::vec(backend, 0..3);
    (namespace_name(), select(vec!["r1", "r2", "r3"]), parents, backends).prop_map(
        |(namespace, name, parents, backends)| {
            json!({
                "kind": "TCPRoute",
                "metadata": {"namespace": namespace, "name": name},
                "spec": {"parentRefs": parents, "rules": [{"backendRefs": backends}]},
            })
        },
    )
}

fn services() -> impl Strategy<Value = Value> {
    let ports = select(vec![
        json!([{"port": 80}]),
        json!([{"port": 80}, {"name": "b", "port": 81}]),
        json!([{"port": 80, "protocol": "UDP"}]),
        json!([{"name": "named", "port": 80}]),
    ]);
    (namespace_name(), select(vec!["s1", "s2"]), ports).prop_map(|(namespace, name, ports)| {
        json!({"kind": "Service", "metadata": {"namespace": namespace, "name": name}, "spec": {"ports": ports}})
    })
}

fn slices() -> impl Strategy<Value = Value> {
    let addresses = subsequence(vec!["10.1.0.1", "10.1.0.2", "10.1.0.3"], 0..=3);
    let service = select(vec![
        json!({}),
        json!({"kubernetes.io/service-name": "s1"}),
        json!({"kubernetes.io/service-name": "s2"}),
    ]);
    (
        namespace_name(),
        select(vec!["e1", "e2"]),
        service,
        addresses,
        any::<bool>(),
    )
        .prop_map(|(namespace, name, labels, addresses, ready)| {
            let endpoints: Vec<Value> = addresses
                .iter()
                .map(|address| json!({"addresses": [address], "conditions": {"ready": ready}}))
                .collect();
            json!({
                "kind": "EndpointSlice",
                "metadata": {"namespace": namespace, "name": name, "labels": labels},
                "addressType": "IPv4",
                "endpoints": endpoints,
                "ports": [{"port": 8080}],
            })
        })
}

fn backends() -> impl Strategy<Value = Value> {
    let endpoints = subsequence(
        vec![
            json!({"ip": "10.2.0.1", "port": 1}),
            json!({"hostname": "a.test", "port": 1}),
            json!({"hostname": "b.test", "port": 2, "weight": 0}),
        ],
        1..=3,
    );
    (namespace_name(), endpoints).prop_map(|(namespace, endpoints)| {
        json!({"kind": "Backend", "metadata": {"namespace": namespace, "name": "b1"}, "spec": {"endpoints": endpoints}})
    })
}

fn node_command() -> impl Strategy<Value = Command> {
    let node = (1_u64..4).prop_map(NodeId);
    let incarnation = (1_u64..3).prop_map(Incarnation);
    let name = select(vec!["a", "b", "c"]);
    let binds = prop::collection::vec((any_socket(), bind_result()), 1..4);
    prop_oneof![
        2 => name.clone().prop_map(|name| Command::JoinNode { node: facts(name) }),
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
    (1_u16..4, select(vec![None, Some("10.0.0.1"), Some("10.0.0.2")]))
        .prop_map(|(port, address)| address.map_or(socket(port), |address| socket_at(address, port)))
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

/// The object with a status that someone else wrote, perhaps under the names of ours.
fn with_conditions(mut object: Object, forged: bool) -> Object {
    let condition = Condition {
        condition_type: if forged { "Accepted" } else { "example.com/Seen" }.to_owned(),
        status: ConditionStatus::True,
        reason: "Written".to_owned(),
        ..Condition::default()
    };
    match &mut object {
        Object::Gateway(gateway) => std::sync::Arc::make_mut(gateway).status.conditions.push(condition),
        Object::GatewayClass(class) => std::sync::Arc::make_mut(class).status.conditions.push(condition),
        Object::Backend(backend) => std::sync::Arc::make_mut(backend).status.conditions.push(condition),
        Object::Service(service) => std::sync::Arc::make_mut(service).status.conditions.push(condition),
        Object::Namespace(namespace) => std::sync::Arc::make_mut(namespace).status.conditions.push(condition),
        Object::TcpRoute(route) => {
            let parents = &mut std::sync::Arc::make_mut(route).status.parents;
            let controller = if forged {
                crate::state::CONTROLLER_NAME
            } else {
                "example.com/other"
            };
            parents.extend(route_entry(controller, condition));
        }
        Object::EndpointSlice(_) => {}
    }
    object
}

fn route_entry(controller: &str, condition: Condition) -> Option<crate::resource::RouteParentStatus> {
    let parent_ref = serde_json::from_value(json!({"name": "g1"})).ok()?;
    Some(crate::resource::RouteParentStatus {
        parent_ref,
        controller_name: controller.to_owned(),
        conditions: vec![condition],
    })
}
