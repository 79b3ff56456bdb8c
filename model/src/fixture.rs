//! A state to play with in tests, and short ways to say what is in it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;

use crate::command::{Command, Part, Proposal};
use crate::kind::Kind;
use crate::meta::{Condition, ConditionStatus, Uid, UnixMillis};
use crate::node::{BindAddress, BindFailure, BindResult, Incarnation, NodeFacts, NodeId, Protocol, SocketKey};
use crate::object::{Object, ObjectKey};
use crate::outcome::{Outcome, Refusal};
use crate::resource::{Gateway, ListenerSet, ListenerStatus, PolicyStatus, RouteParentStatus, RouteStatus};
use crate::state::State;

mod manifests;

pub(crate) use manifests::{
    authorities, backend, class, gateway, grant, inner_secret, listener_set, namespace, other_secret, route, secret,
    service, slice, tcp, terminate, tls, tls_route, udp, udp_route,
};

/// A cluster of one node, `a`, that is live in incarnation 1.
///
/// Its nodes prepare at once whatever is to be prepared, unless it is told otherwise.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) state: State,
    /// Whether nodes prepare only when a test says so.
    pub(crate) by_hand: bool,
    level: u32,
    seconds: u64,
    uids: u64,
}

pub(crate) fn facts(name: &str) -> NodeFacts {
    facts_at(State::LEVEL, name)
}

pub(crate) fn facts_at(level: u32, name: &str) -> NodeFacts {
    NodeFacts {
        name: name.to_owned(),
        peer_address: "192.0.2.1:7000".to_owned(),
        api_url: String::new(),
        metrics_url: String::new(),
        data_address: Some("192.0.2.1".parse().expect("an address")),
        version: "0.1.0".to_owned(),
        level,
    }
}

pub(crate) fn init_cluster() -> Command {
    init_cluster_at(State::LEVEL)
}

pub(crate) fn init_cluster_at(level: u32) -> Command {
    Command::InitCluster {
        cluster: Uid("cluster".to_owned()),
        hash_seed: *b"0123456789abcdef",
        uids: [Uid("namespace-default".to_owned()), Uid("class-guideway".to_owned())],
        node: facts_at(level, "a"),
    }
}

impl World {
    pub(crate) fn new() -> World {
        World::at_level(State::LEVEL)
    }

    /// Of nodes that support this cluster level.
    pub(crate) fn at_level(level: u32) -> World {
        let mut world = World {
            state: State::default(),
            by_hand: false,
            level,
            seconds: 1_000_000,
            uids: 0,
        };
        assert_eq!(world.apply(init_cluster_at(level)), Outcome::NodeId(NodeId(1)));
        world.node_up(1, 1, "a");
        world
    }

    /// Applies one second after the last command.
    pub(crate) fn apply(&mut self, command: Command) -> Outcome {
        self.seconds += 1;
        self.apply_in_same_second(command)
    }

    pub(crate) fn apply_in_same_second(&mut self, command: Command) -> Outcome {
        let outcome = self.propose(command);
        while !self.by_hand && self.state.prepared_generation().is_some() {
            self.prepare();
        }
        outcome
    }

    fn propose(&mut self, command: Command) -> Outcome {
        self.state.apply(Proposal {
            time: UnixMillis(self.seconds * 1000),
            command,
        })
    }

    /// Every live node prepares what is prepared, in the same second.
    pub(crate) fn prepare(&mut self) {
        for command in preparations(&self.state) {
            assert_eq!(self.propose(command), Outcome::Done);
        }
    }

    /// Seconds go by.
    pub(crate) fn wait(&mut self, seconds: u64) {
        self.seconds += seconds;
    }

    /// A start of a node says that it has prepared what is prepared.
    pub(crate) fn prepared(&mut self, node: u64, incarnation: u64) -> Outcome {
        let generation = self.state.prepared_generation().unwrap_or_default();
        self.apply(Command::Prepared {
            node: NodeId(node),
            incarnation: Incarnation(incarnation),
            generation,
        })
    }

    pub(crate) fn pass_over(&mut self, node: u64) -> Outcome {
        let generation = self.state.prepared_generation().unwrap_or_default();
        self.apply(Command::PassOver {
            node: NodeId(node),
            generation,
        })
    }

    pub(crate) fn node_down(&mut self, node: u64, incarnation: u64) -> Outcome {
        self.apply(Command::NodeDown {
            node: NodeId(node),
            incarnation: Incarnation(incarnation),
        })
    }

    /// The leader ends what is over by now.
    pub(crate) fn expire(&mut self) -> Outcome {
        let before = UnixMillis((self.seconds + 1) * 1000);
        self.apply(Command::Expire { before })
    }

    fn facts(&self, name: &str) -> NodeFacts {
        facts_at(self.level, name)
    }

    pub(crate) fn seconds(&self) -> i64 {
        i64::try_from(self.seconds).expect("small")
    }

    pub(crate) fn create(&mut self, json: Value) -> Object {
        let command = self.creation(json);
        stored(self.apply(command))
    }

    pub(crate) fn creation(&mut self, json: Value) -> Command {
        self.uids += 1;
        Command::Create {
            object: object(json),
            uid: Uid(format!("uid-{}", self.uids)),
        }
    }

    pub(crate) fn replace(&mut self, json: Value) -> Object {
        stored(self.apply(replacement(json)))
    }

    pub(crate) fn delete(&mut self, kind: Kind, namespace: &str, name: &str) -> Object {
        stored(self.apply(deletion(kind, namespace, name)))
    }

    pub(crate) fn node_up(&mut self, node: u64, incarnation: u64, name: &str) {
        let outcome = self.apply(Command::NodeUp {
            node: NodeId(node),
            incarnation: Incarnation(incarnation),
            facts: self.facts(name),
        });
        assert_eq!(outcome, Outcome::Done);
    }

    /// Joins and starts a node in incarnation 1.
    pub(crate) fn add_node(&mut self, name: &str) -> u64 {
        let node = self.facts(name);
        let Outcome::NodeId(NodeId(id)) = self.apply(Command::JoinNode { node }) else {
            panic!("{name} may not join");
        };
        self.node_up(id, 1, name);
        id
    }

    pub(crate) fn report(&mut self, node: u64, socket: SocketKey, result: Option<BindResult>) {
        let outcome = self.apply(Command::ReportBinds {
            node: NodeId(node),
            incarnation: Incarnation(1),
            binds: vec![(socket, result)],
        });
        assert_eq!(outcome, Outcome::Done);
    }

    pub(crate) fn resolve(&mut self, name: &str, addresses: &[&str]) {
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        let names = BTreeMap::from([(name.to_owned(), addresses)]);
        assert_eq!(self.apply(Command::SetResolved { names }), Outcome::Done);
    }

    pub(crate) fn gateway(&self, name: &str) -> Arc<Gateway> {
        match self.state.get(&key(Kind::Gateway, "default", name)) {
            Some(Object::Gateway(gateway)) => Arc::clone(gateway),
            other => panic!("no Gateway {name}: {other:?}"),
        }
    }

    /// Status of the TCPRoute, UDPRoute or TLSRoute of this name.
    pub(crate) fn route(&self, name: &str) -> RouteStatus {
        let kinds = [Kind::TcpRoute, Kind::UdpRoute, Kind::TlsRoute];
        let mut routes = kinds
            .iter()
            .filter_map(|kind| self.state.get(&key(*kind, "default", name)));
        let route = routes.next().unwrap_or_else(|| panic!("no route {name}"));
        route.as_route().expect("a route").status.clone()
    }

    pub(crate) fn set(&self, name: &str) -> Arc<ListenerSet> {
        match self.state.get(&key(Kind::ListenerSet, "default", name)) {
            Some(Object::ListenerSet(set)) => Arc::clone(set),
            other => panic!("no ListenerSet {name}: {other:?}"),
        }
    }

    pub(crate) fn set_listener(&self, set: &str, listener: &str) -> ListenerStatus {
        let set = self.set(set);
        let found = set.status.listeners.iter().find(|status| status.name == listener);
        found.expect("a status for the listener").clone()
    }

    pub(crate) fn policy(&self, kind: Kind, name: &str) -> PolicyStatus {
        let object = self.state.get(&key(kind, "default", name)).expect("a policy");
        object.as_policy().expect("a policy").status.clone()
    }

    pub(crate) fn listener(&self, gateway: &str, listener: &str) -> ListenerStatus {
        let gateway = self.gateway(gateway);
        let found = gateway.status.listeners.iter().find(|status| status.name == listener);
        found.expect("a status for the listener").clone()
    }

    /// The only entry of a route.
    pub(crate) fn parent(&self, route: &str) -> RouteParentStatus {
        let route = self.route(route);
        assert_eq!(route.parents.len(), 1, "{route:?}");
        route.parents[0].clone()
    }
}

/// What the live nodes have to say so that the prepared generation becomes active.
pub(crate) fn preparations(state: &State) -> Vec<Command> {
    let generation = state.prepared_generation();
    let nodes = state.preparing_nodes().into_iter();
    let commands = nodes.filter_map(|node| {
        Some(Command::Prepared {
            node,
            incarnation: state.node(node)?.incarnation?,
            generation: generation?,
        })
    });
    commands.collect()
}

pub(crate) fn stored(outcome: Outcome) -> Object {
    match outcome {
        Outcome::Object(object) => *object,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn refused(outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn replacement(json: Value) -> Command {
    Command::Replace {
        object: object(json),
        part: Part::Main,
        expected: None,
        uid: None,
    }
}

pub(crate) fn status_write(object: Object) -> Command {
    Command::Replace {
        object,
        part: Part::Status,
        expected: None,
        uid: None,
    }
}

pub(crate) fn deletion(kind: Kind, namespace: &str, name: &str) -> Command {
    Command::Delete {
        key: key(kind, namespace, name),
        expected: None,
        uid: None,
    }
}

pub(crate) fn key(kind: Kind, namespace: &str, name: &str) -> ObjectKey {
    ObjectKey {
        kind,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

/// An object from its JSON, `kind` naming the type; namespaced kinds are in `default` unless they say otherwise.
pub(crate) fn object(mut json: Value) -> Object {
    let kind = Kind::all().find(|kind| json["kind"] == kind.info().name);
    if kind.expect("a known kind").info().namespaced && json["metadata"]["namespace"].is_null() {
        json["metadata"]["namespace"] = Value::from("default");
    }
    serde_json::from_value(json).expect("an object")
}

/// The socket group of a listener without address.
pub(crate) fn socket(port: u16) -> SocketKey {
    SocketKey {
        protocol: Protocol::Tcp,
        address: BindAddress::NodeDefault,
        port,
    }
}

pub(crate) fn socket_at(address: &str, port: u16) -> SocketKey {
    SocketKey {
        address: BindAddress::Exactly(address.parse().expect("an address")),
        ..socket(port)
    }
}

pub(crate) fn busy(address: &str) -> BindResult {
    BindResult::Failed(BindFailure {
        address: address.to_owned(),
        errno: 98,
        message: "EADDRINUSE: address already in use".to_owned(),
    })
}

/// The condition of a type, which must be there once.
pub(crate) fn condition<'a>(conditions: &'a [Condition], condition_type: &str) -> &'a Condition {
    let mut found = conditions
        .iter()
        .filter(|condition| condition.condition_type == condition_type);
    let condition = found
        .next()
        .unwrap_or_else(|| panic!("no {condition_type} in {conditions:?}"));
    assert!(found.next().is_none(), "{condition_type} twice");
    condition
}

/// Type, status and reason of each condition, in their order.
pub(crate) fn summary(conditions: &[Condition]) -> Vec<String> {
    conditions
        .iter()
        .map(|condition| {
            let status = match condition.status {
                ConditionStatus::True => "True",
                ConditionStatus::False => "False",
                ConditionStatus::Unknown => "Unknown",
            };
            format!("{}={status}/{}", condition.condition_type, condition.reason)
        })
        .collect()
}
