//! The live sessions of a cluster in memory: rows that a test gives, and what became of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use guideway_api::ports::{ClosedSessions, FoundSessions, NodeSilent, SessionImpact, TriedChange};
use guideway_model::impact::EffectCounts;
use guideway_model::node::Protocol;
use guideway_model::plan::{ListenerName, Why};
use guideway_model::session::{
    LocalSessionId, SessionDetail, SessionId, SessionQuery, SessionRow, SessionState, TcpFacts,
};
use guideway_model::{Incarnation, NodeId};

/// The sessions, and the nodes that do not answer.
#[derive(Default)]
pub(crate) struct LiveSessions {
    rows: Mutex<Vec<(SessionId, SessionRow)>>,
    /// Nodes that do not answer.
    pub(crate) silent: Mutex<Vec<NodeId>>,
    /// What each node counts of a change that is tried.
    pub(crate) counts: Mutex<Vec<(NodeId, EffectCounts)>>,
    /// The changes that were asked about.
    pub(crate) tried: Mutex<Vec<Arc<TriedChange>>>,
}

impl LiveSessions {
    /// Adds a session that goes from `client` through the route `default/postgres` to `endpoint`; gives its name.
    pub(crate) fn add(&self, node: u64, client: &str, endpoint: &str) -> String {
        self.add_with(node, client, endpoint, |_, _| {})
    }

    /// Like [`LiveSessions::add`], with changes to the row.
    pub(crate) fn add_with(
        &self,
        node: u64,
        client: &str,
        endpoint: &str,
        change: impl FnOnce(&mut SessionId, &mut SessionRow),
    ) -> String {
        let mut rows = self.rows.lock().expect("lock");
        let local = LocalSessionId {
            protocol: Protocol::Tcp,
            seat: 0,
            index: u32::try_from(rows.len()).expect("few"),
            generation: 1,
        };
        let mut id = SessionId {
            node: NodeId(node),
            incarnation: Incarnation(0xabc),
            local,
        };
        let mut row = row(local, client, endpoint);
        change(&mut id, &mut row);
        row.id = id.local;
        rows.push((id, row));
        id.to_string()
    }

    /// Names of the sessions that are left.
    pub(crate) fn names(&self) -> Vec<String> {
        let rows = self.rows.lock().expect("lock");
        rows.iter().map(|(id, _)| id.to_string()).collect()
    }

    fn is_silent(&self, node: NodeId) -> bool {
        self.silent.lock().expect("lock").contains(&node)
    }

    fn silent_nodes(&self) -> Vec<NodeId> {
        self.silent.lock().expect("lock").clone()
    }

    /// Answers as nodes would, of which the first is called `one`.
    pub(crate) fn page(&self, query: &SessionQuery) -> FoundSessions {
        let name = |node: NodeId| if node == NodeId(1) { "one" } else { "another" };
        let mut starts: BTreeMap<(NodeId, Incarnation), Vec<SessionRow>> = BTreeMap::new();
        for (id, row) in self.rows.lock().expect("lock").iter() {
            if !self.is_silent(id.node) && query.filter.wants_node(id.node, name(id.node)) {
                starts.entry((id.node, id.incarnation)).or_default().push(row.clone());
            }
        }
        let pages = starts
            .into_iter()
            .map(|((node, start), rows)| query.page(node, start, &rows));
        FoundSessions {
            page: query.merge(pages),
            silent: self.silent_nodes(),
        }
    }

    pub(crate) fn session(&self, id: SessionId) -> Result<Option<SessionDetail>, NodeSilent> {
        if self.is_silent(id.node) {
            return Err(NodeSilent { node: id.node });
        }
        let rows = self.rows.lock().expect("lock");
        let found = rows.iter().find(|(other, _)| *other == id);
        let facts = TcpFacts {
            rtt_us: 250,
            congestion_window: 10,
            ..TcpFacts::default()
        };
        Ok(found.map(|(_, row)| SessionDetail {
            row: row.clone(),
            local: Some(address("127.0.0.1:5432")),
            source: Some(address("127.0.0.1:40000")),
            tcp: [Some(facts), None],
        }))
    }

    pub(crate) fn close(&self, ids: &[SessionId]) -> ClosedSessions {
        let mut rows = self.rows.lock().expect("lock");
        let before = rows.len();
        rows.retain(|(id, _)| self.is_silent(id.node) || !ids.contains(id));
        let silent = self.silent_nodes().into_iter();
        ClosedSessions {
            closed: before - rows.len(),
            silent: silent.filter(|node| ids.iter().any(|id| id.node == *node)).collect(),
        }
    }

    pub(crate) fn impact(&self, change: Arc<TriedChange>) -> SessionImpact {
        self.tried.lock().expect("lock").push(change);
        SessionImpact {
            nodes: self.counts.lock().expect("lock").clone(),
            silent: self.silent_nodes(),
        }
    }
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn row(id: LocalSessionId, client: &str, endpoint: &str) -> SessionRow {
    SessionRow {
        id,
        listener: Arc::new(ListenerName {
            namespace: "default".to_owned(),
            gateway: "edge".to_owned(),
            listener: "postgres".to_owned(),
        }),
        route: "default/postgres".into(),
        client: address(client),
        endpoint: Some(address(endpoint)),
        why: Some(Why::Table),
        sni: None,
        alpn: None,
        state: SessionState::Established,
        age: Duration::from_secs(90),
        idle: Duration::from_secs(2),
        bytes: [1536, 20_000_000],
        packets: [0, 0],
    }
}
