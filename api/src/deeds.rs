//! What is noted of what a caller has done, so that `kubectl describe` of the object concerned shows it.

use std::collections::BTreeMap;

use guideway_model::deed::{About, Act};
use guideway_model::node::Protocol;
use guideway_model::object::ObjectKey;
use guideway_model::session::{SessionId, SessionRow};
use guideway_model::{Kind, NodeId, Object, State};

use crate::caller::Caller;
use crate::nodes;
use crate::resource::{Verb, api_version};
use crate::server::Server;

/// Counts sessions that are about to be closed, by what they belong to.
#[derive(Default)]
pub(crate) struct Closing(BTreeMap<(String, Vec<Kind>, NodeId), u64>);

impl Closing {
    /// One more.
    pub(crate) fn add(&mut self, id: SessionId, row: &SessionRow) {
        // A route's name is that of one kind for UDP; for TCP the session has a name to go by only on a TLS port.
        let kinds = match (row.id.protocol, &row.sni) {
            (Protocol::Udp, _) => vec![Kind::UdpRoute],
            (Protocol::Tcp, Some(_)) => vec![Kind::TlsRoute, Kind::TcpRoute],
            (Protocol::Tcp, None) => vec![Kind::TcpRoute, Kind::TlsRoute],
        };
        // One without a route is its node's.
        let node = if row.route.is_empty() {
            id.node
        } else {
            NodeId::default()
        };
        *self.0.entry((row.route.to_string(), kinds, node)).or_default() += 1;
    }

    /// They have been closed.
    pub(crate) fn note(self, server: &Server, state: &State, caller: &Caller) {
        for ((route, kinds, node), sessions) in self.0 {
            let about = match route.split_once('/') {
                Some((namespace, name)) => about_one_of(state, &kinds, namespace, name),
                None => about_node(state, |id, _| id == node),
            };
            if let Some(about) = about {
                server.cluster.note(about, Act::ClosedSessions(sessions), &who(caller));
            }
        }
    }
}

/// A Drain has been written or deleted: that concerns it and what it empties.
pub(crate) fn note_drain(server: &Server, state: &State, caller: &Caller, (verb, object): (Verb, &Object)) {
    let Object::Drain(drain) = object else { return };
    let name = drain.metadata.name.clone();
    let act = match verb {
        Verb::Create => Act::BeganDrain(name),
        Verb::Delete => Act::EndedDrain(name),
        _ => Act::ChangedDrain(name),
    };
    let target = &drain.spec.target;
    let backend = target
        .backend
        .as_ref()
        .and_then(|backend| about_one_of(state, &[Kind::Backend], &backend.namespace, &backend.name));
    let node = target
        .node
        .as_ref()
        .and_then(|node| about_node(state, |_, name| name == node.name));
    let all = [Some(about(object)), backend, node].into_iter().flatten();
    all.for_each(|about| server.cluster.note(about, act.clone(), &who(caller)));
}

fn who(caller: &Caller) -> String {
    match &caller.impersonator {
        Some(other) => format!("{} (by {other})", caller.user.name),
        None => caller.user.name.clone(),
    }
}

fn about_one_of(state: &State, kinds: &[Kind], namespace: &str, name: &str) -> Option<About> {
    let mut keys = kinds.iter().map(|kind| ObjectKey {
        kind: *kind,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    });
    keys.find_map(|key| state.get(&key)).map(about)
}

fn about(object: &Object) -> About {
    let (info, meta) = (object.kind().info(), object.meta());
    About {
        api_version: api_version(info.group, info.version),
        kind: info.name.to_owned(),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
    }
}

fn about_node(state: &State, is_meant: impl Fn(NodeId, &str) -> bool) -> Option<About> {
    let mut all = state.nodes();
    let (id, record) = all.find(|(id, record)| is_meant(*id, &record.facts.name))?;
    Some(About {
        api_version: "guideway.dev/v1alpha1".to_owned(),
        kind: "Node".to_owned(),
        namespace: String::new(),
        name: record.facts.name.clone(),
        uid: nodes::uid(id),
    })
}
