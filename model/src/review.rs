//! Which endpoint a client would get, and why: the chain of reasons, in sentences.
//!
//! Nothing is decided here: listeners, routes, keys and endpoints are chosen by what the data plane chooses with.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::node::{NodeId, Protocol, SocketKey};
use crate::pin::PoolNumber;
use crate::plan::{
    AffinityKind, Choice, Entry, HostPattern, KeyKind, Listener, ListenerName, ListenerService, NoChoice, Plan, Pool,
    Route, Standing, TlsListener, TlsPort, Unmatched, Why,
};
use crate::state::State;

mod words;

use words::{enumerate, name_of, opaque_kind, protocol_word, socket_words};

/// Which client is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReviewRequest {
    /// Where it comes in.
    pub listener: ReviewListener,
    /// Who dials; behind PROXY protocol, the source that is conveyed.
    pub client: SocketAddr,
    /// Server name of its ClientHello, on a TLS port.
    #[serde(default)]
    pub sni: Option<String>,
    /// Endpoints that are to be taken for gone.
    #[serde(default)]
    pub without: Vec<SocketAddr>,
}

/// Where a client comes in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReviewListener {
    /// By the name of the listener.
    Named(ListenerName),
    /// By protocol and port.
    Port {
        /// Transport protocol.
        protocol: Protocol,
        /// Port.
        port: u16,
    },
}

/// Which endpoint a client would get, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Review {
    /// The listener that takes the session.
    pub listener: Option<ListenerName>,
    /// `namespace/name` of the route that carries it.
    pub route: Option<String>,
    /// What pins call the route's pool.
    pub pool: Option<PoolNumber>,
    /// Where it goes; `None` if it is refused.
    pub endpoint: Option<SocketAddr>,
    /// Why there.
    pub why: Option<Why>,
    /// Row of the active table.
    pub row: Option<u64>,
    /// Generation of the active table.
    pub generation: u64,
    /// The chain of reasons, a sentence each.
    pub steps: Vec<String>,
}

/// Which endpoint a client would get, and why, as `state` has it and `plan`, which is compiled from it.
pub fn review(state: &State, plan: &Plan, request: &ReviewRequest) -> Review {
    let mut reviewing = Reviewing {
        state,
        plan,
        request,
        review: Review {
            generation: plan.generation,
            ..Review::default()
        },
    };
    if let Some((socket, route)) = reviewing.route() {
        reviewing.choose(socket, route);
    }
    reviewing.review
}

struct Reviewing<'a> {
    state: &'a State,
    plan: &'a Plan,
    request: &'a ReviewRequest,
    review: Review,
}

impl<'a> Reviewing<'a> {
    fn say(&mut self, step: impl Into<String>) {
        self.review.steps.push(step.into());
    }

    /// The route that carries the session, and where it comes in.
    fn route(&mut self) -> Option<(SocketKey, &'a Route)> {
        let Some(listener) = self.listener() else {
            let what = match &self.request.listener {
                ReviewListener::Named(name) => format!("listener {}", name_of(name)),
                ReviewListener::Port { protocol, port } => format!("{} port {port}", protocol_word(*protocol)),
            };
            self.say(format!("{what} is not served: there is nothing to connect to"));
            return None;
        };
        let socket = listener.socket;
        let route = match &listener.service {
            ListenerService::Opaque(opaque) => {
                self.review.listener = Some(opaque.name.clone());
                self.say(format!(
                    "listener {} has {}",
                    name_of(&opaque.name),
                    socket_words(socket)
                ));
                match &opaque.route {
                    Some(route) => {
                        let kind = opaque_kind(socket.protocol);
                        self.say(format!("{kind} {}/{} carries all of it", route.namespace, route.name));
                        Some(route)
                    }
                    None => {
                        self.say("no route is attached to it: the session is closed");
                        None
                    }
                }
            }
            ListenerService::Tls(port) => self.by_name(socket, port),
        }?;
        self.review.route = Some(format!("{}/{}", route.namespace, route.name));
        Some((socket, route))
    }

    fn listener(&self) -> Option<&'a Listener> {
        self.plan
            .listeners
            .iter()
            .find(|listener| match &self.request.listener {
                ReviewListener::Port { protocol, port } => {
                    (listener.socket.protocol, listener.socket.port) == (*protocol, *port)
                }
                ReviewListener::Named(name) => match &listener.service {
                    ListenerService::Opaque(opaque) => opaque.name == *name,
                    ListenerService::Tls(port) => port.listeners.iter().any(|listener| listener.name == *name),
                },
            })
    }

    /// The route of a TLS port for the server name.
    fn by_name(&mut self, socket: SocketKey, port: &'a TlsPort) -> Option<&'a Route> {
        let sni = self.request.sni.as_deref();
        let asked = match sni {
            Some(name) => format!("server name {name:?}"),
            None => "a ClientHello without server name".to_owned(),
        };
        match port.find(sni) {
            Ok((listener, route)) => {
                self.taken_by(socket, &asked, listener);
                let found = listener.routes.iter().find(|(_, other)| std::ptr::eq(other, route));
                let pattern = found.map(|(pattern, _)| words::pattern(pattern)).unwrap_or_default();
                self.say(format!(
                    "TLSRoute {}/{} carries {pattern} there, the most specific that fits",
                    route.namespace, route.name
                ));
                Some(route)
            }
            Err(Unmatched::Listener) => {
                let served: Vec<String> = port
                    .listeners
                    .iter()
                    .map(|listener| words::pattern(&listener.hostname))
                    .collect();
                self.say(format!(
                    "no listener on {} has {asked}, only {}: the connection is closed",
                    socket_words(socket),
                    enumerate(&served)
                ));
                None
            }
            Err(Unmatched::Route(place)) => {
                if let Some(listener) = port.listeners.get(place) {
                    self.taken_by(socket, &asked, listener);
                }
                self.say("no route of that listener has it, and less specific listeners are not asked: it is closed");
                None
            }
        }
    }

    fn taken_by(&mut self, socket: SocketKey, asked: &str, listener: &TlsListener) {
        self.review.listener = Some(listener.name.clone());
        let served = match &listener.hostname {
            HostPattern::Any => "every name".to_owned(),
            other => words::pattern(other),
        };
        self.say(format!(
            "on {}, {asked} belongs to listener {}, which has {served}",
            socket_words(socket),
            name_of(&listener.name)
        ));
        if let ReviewListener::Named(wanted) = &self.request.listener
            && *wanted != listener.name
        {
            self.say(format!(
                "so it does not reach listener {}, which shares the port",
                name_of(wanted)
            ));
        }
    }

    /// Chooses in the pool of a route, and says why.
    fn choose(&mut self, socket: SocketKey, route: &Route) {
        let pool = self.pool(&route.pool);
        self.review.pool = Some(pool.number);
        let kind = pool.key_kind(socket.protocol);
        let flow = pool.flow_key(socket, self.request.client);
        let hash = flow.hash(self.plan.seed);
        self.say(words::key(&pool.affinity.kind, kind, self.request.client));
        let pinned = kind
            .is_pinned()
            .then(|| self.pinned(&pool, &pool.pin_key(flow)))
            .flatten();
        let choice = pool.choose(kind, hash, pinned);
        if let (Some(pinned), Ok(choice)) = (pinned, &choice)
            && choice.why != Why::Pin
        {
            let standing = pool.entry(pinned).and_then(|entry| pool.standing(entry));
            self.say(format!(
                "the pin is not followed: {pinned} {}",
                words::standing(standing)
            ));
        }
        if !matches!(&choice, Ok(choice) if choice.why == Why::Pin) {
            self.by_tables(&pool, kind, hash);
        }
        self.conclude(&pool, hash, choice);
    }

    /// The pool, without the endpoints that are to be taken for gone.
    fn pool(&mut self, pool: &Arc<Pool>) -> Pool {
        let mut pool = Pool::clone(pool);
        let mut gone = Vec::new();
        for entry in &mut pool.entries {
            if let Entry::Endpoint { address, standing, .. } = entry
                && self.request.without.contains(address)
            {
                *standing = Standing::Leaving;
                gone.push(address.to_string());
            }
        }
        if !gone.is_empty() {
            self.say(format!("taken for gone: {}", enumerate(&gone)));
        }
        pool
    }

    fn pinned(&mut self, pool: &Pool, key: &crate::pin::PinKey) -> Option<SocketAddr> {
        let pins = self.state.pins();
        let Some(pinned) = pins.get(key) else {
            if matches!(pool.affinity.kind, AffinityKind::ClientIp { .. }) {
                self.say("no pin names it; an entry on the node that takes the session would go first");
            } else {
                self.say("no pin names it");
            }
            return None;
        };
        let holders = pins.holds_of(key);
        let mut nodes: Vec<NodeId> = holders.iter().map(|hold| hold.holder.node).collect();
        nodes.dedup();
        let nodes: Vec<String> = nodes.iter().map(|node| format!("node {node}")).collect();
        self.say(format!("a pin names {pinned}, held by {}", enumerate(&nodes)));
        Some(pinned)
    }

    /// What the tables say.
    fn by_tables(&mut self, pool: &Pool, kind: KeyKind, hash: u64) {
        if kind.is_pinned() {
            for phase in &pool.past {
                let found = phase
                    .choose(hash)
                    .and_then(|entry| pool.entries.get(usize::from(entry)));
                let found = found.map(words::entry).unwrap_or_default();
                self.say(format!(
                    "a node was lost a short while ago whose table, of generation {}, names {found}",
                    phase.generation
                ));
            }
        }
        let rows = pool.table.rows().len();
        if rows == 0 {
            self.say("the table is empty: no backendRef has weight");
            return;
        }
        let row = pool.table.row(hash);
        self.review.row = u64::try_from(row).ok();
        let entry = pool.table.choose(hash);
        let found = entry.and_then(|entry| pool.entries.get(usize::from(entry)));
        self.say(format!(
            "row {row} of {rows} in the table of generation {} names {}",
            self.plan.generation,
            found.map(words::entry).unwrap_or_default()
        ));
        if let Some(Entry::Endpoint { address, standing, .. }) = found
            && *standing != Standing::Ready
        {
            let drain = self
                .state
                .is_draining(*address)
                .filter(|_| *standing == Standing::Draining);
            let by = drain.map(|drain| format!(", as Drain {} says", drain.metadata.name));
            self.say(format!(
                "{address} {}{}",
                words::standing(Some(*standing)),
                by.unwrap_or_default()
            ));
        }
        if let (Some(phase), Some(prepared)) = (&pool.prepared, self.plan.prepared) {
            let next = phase
                .choose(hash)
                .and_then(|entry| pool.entries.get(usize::from(entry)));
            self.say(format!(
                "generation {prepared} is being prepared, and names {}",
                next.map(words::entry).unwrap_or_default()
            ));
        }
    }

    fn conclude(&mut self, pool: &Pool, hash: u64, choice: Result<Choice, NoChoice>) {
        match choice {
            Err(problem) => self.say(format!("so it is refused: {problem}")),
            Ok(choice) => {
                self.review.why = Some(choice.why);
                if let Some(Entry::Endpoint { address, origin, .. }) = pool.entries.get(usize::from(choice.entry)) {
                    self.review.endpoint = Some(*address);
                    self.say(format!(
                        "so it goes to {address} of {origin}: {}",
                        words::why(choice.why)
                    ));
                }
                let mut along = pool.table.candidates(hash).filter(|entry| *entry != choice.entry);
                let next = along.find(|entry| pool.is_ready(*entry));
                let next = next.and_then(|entry| pool.entries.get(usize::from(entry)));
                match next {
                    Some(next) => self.say(format!(
                        "if a node cannot connect there, the next along is {}",
                        words::entry(next)
                    )),
                    None => self.say("if a node cannot connect there, there is no other to try"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
