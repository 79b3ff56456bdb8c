//! Which sessions are meant: field selectors, and bounds of what is measured.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{SessionQueryError, SessionRow, SessionState};
use crate::node::{NodeId, Protocol};
use crate::plan::Why;

mod network;
mod parse;

pub use network::Network;

/// Which sessions are meant: those that pass every test. The default means all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionFilter {
    tests: Vec<Test>,
}

/// One test of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Test {
    /// What is looked at, and what it is compared with.
    field: Field,
    /// Whether those pass that are not like this.
    negated: bool,
}

/// What is looked at, and what it is compared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Field {
    /// Number or name of the node.
    Node(String),
    /// Name of the listener in its Gateway or ListenerSet.
    Listener(String),
    /// Gateway or ListenerSet.
    Gateway(Named),
    /// Route.
    Route(Named),
    /// Namespace of the session.
    Namespace(String),
    Endpoint(Place),
    Client(Place),
    Protocol(Protocol),
    State(SessionState),
    /// Server name, in lower case.
    Sni(String),
    Why(Why),
    Age(Bound<Duration>),
    Idle(Bound<Duration>),
    /// Both ways together.
    Bytes(Bound<u64>),
}

/// A name, perhaps with its namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Named {
    namespace: Option<String>,
    name: String,
}

/// Where a session comes from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    /// Address and port.
    Socket(SocketAddr),
    /// Any port of some addresses.
    Network(Network),
}

/// A bound of what is measured; the bound itself passes neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Bound<T> {
    MoreThan(T),
    LessThan(T),
}

impl SessionFilter {
    /// Reads a field selector as kubectl sends it: tests such as `client=10.0.0.0/8`, `state!=Established`, `age>5m`
    /// (where only `=` will do: `age=>5m`), parted by commas. Empty text means all sessions.
    ///
    /// # Errors
    /// The first test that cannot be read, with its field, its value and the rule.
    pub fn parse(selector: &str) -> Result<SessionFilter, SessionQueryError> {
        Ok(SessionFilter {
            tests: parse::tests(selector)?,
        })
    }

    /// With the tests of another filter too.
    #[must_use]
    pub fn and(mut self, other: SessionFilter) -> SessionFilter {
        self.tests.extend(other.tests);
        self
    }

    /// Only sessions in this namespace.
    #[must_use]
    pub fn in_namespace(mut self, namespace: &str) -> SessionFilter {
        let field = Field::Namespace(namespace.to_owned());
        self.tests.push(Test { field, negated: false });
        self
    }

    /// Only sessions on this node.
    #[must_use]
    pub fn on_node(mut self, node: NodeId) -> SessionFilter {
        let field = Field::Node(node.0.to_string());
        self.tests.push(Test { field, negated: false });
        self
    }

    /// Only sessions to this endpoint.
    #[must_use]
    pub fn to_endpoint(mut self, endpoint: SocketAddr) -> SessionFilter {
        let field = Field::Endpoint(Place::Socket(canonical(endpoint)));
        self.tests.push(Test { field, negated: false });
        self
    }

    /// Whether sessions of a node can pass: others need not be asked for theirs.
    pub fn wants_node(&self, node: NodeId, name: &str) -> bool {
        self.tests.iter().all(|test| match &test.field {
            Field::Node(wanted) => (wanted == name || wanted.parse() == Ok(node.0)) != test.negated,
            _ => true,
        })
    }

    /// The first field that is tested and changes while a session lives: whoever follows sessions cannot be told when one
    /// begins or ceases to pass.
    pub fn changing_field(&self) -> Option<&'static str> {
        self.tests.iter().find_map(|test| match &test.field {
            Field::State(_) => Some("state"),
            Field::Age(_) => Some("age"),
            Field::Idle(_) => Some("idle"),
            Field::Bytes(_) => Some("bytes"),
            Field::Node(_)
            | Field::Listener(_)
            | Field::Gateway(_)
            | Field::Route(_)
            | Field::Namespace(_)
            | Field::Endpoint(_)
            | Field::Client(_)
            | Field::Protocol(_)
            | Field::Sni(_)
            | Field::Why(_) => None,
        })
    }

    /// Whether a session passes, on a node that does.
    pub fn matches(&self, row: &SessionRow) -> bool {
        self.tests.iter().all(|test| match &test.field {
            // The row does not say; see `wants_node`.
            Field::Node(_) => true,
            field => field.matches(row) != test.negated,
        })
    }
}

impl Field {
    fn matches(&self, row: &SessionRow) -> bool {
        match self {
            Field::Node(_) => true,
            Field::Listener(name) => row.listener.listener == *name,
            Field::Gateway(named) => named.matches(&row.listener.namespace, &row.listener.gateway),
            Field::Route(named) => {
                let route = row.route.split_once('/');
                route.is_some_and(|(namespace, name)| named.matches(namespace, name))
            }
            Field::Namespace(namespace) => row.namespace() == namespace,
            Field::Endpoint(place) => row.endpoint.is_some_and(|endpoint| place.contains(endpoint)),
            Field::Client(place) => place.contains(row.client),
            Field::Protocol(protocol) => row.id.protocol == *protocol,
            Field::State(state) => row.state == *state,
            Field::Sni(name) => row.sni.as_ref().is_some_and(|sni| sni.eq_ignore_ascii_case(name)),
            Field::Why(why) => row.why == Some(*why),
            Field::Age(bound) => bound.contains(row.age),
            Field::Idle(bound) => bound.contains(row.idle),
            Field::Bytes(bound) => bound.contains(row.total_bytes()),
        }
    }
}

impl Named {
    fn matches(&self, namespace: &str, name: &str) -> bool {
        self.name == name && self.namespace.as_ref().is_none_or(|wanted| wanted == namespace)
    }
}

impl Place {
    fn contains(&self, address: SocketAddr) -> bool {
        match self {
            Place::Socket(wanted) => canonical(address) == *wanted,
            Place::Network(network) => network.contains(address.ip()),
        }
    }
}

impl<T: PartialOrd> Bound<T> {
    fn contains(&self, value: T) -> bool {
        match self {
            Bound::MoreThan(bound) => value > *bound,
            Bound::LessThan(bound) => value < *bound,
        }
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    let ip: IpAddr = address.ip().to_canonical();
    SocketAddr::new(ip, address.port())
}
