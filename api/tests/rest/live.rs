//! The live sessions of a cluster in memory: rows that a test gives, and what became of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use guideway_api::ports::{ClosedSessions, FoundEvents, FoundSessions, NodeSilent, SessionImpact, TriedChange};
use guideway_model::impact::EffectCounts;
use guideway_model::node::Protocol;
use guideway_model::plan::{ListenerName, Why};
use guideway_model::session::{
    LocalSessionId, Look, Mark, Marks, Rates, SessionDetail, SessionEvent, SessionEvents, SessionFilter, SessionId,
    SessionPage, SessionQuery, SessionRow, SessionState, TablePlace, TcpFacts,
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
    /// What has opened and closed, with the node that tells it.
    events: Mutex<Vec<(SessionId, SessionEvent)>>,
    /// The first event that is still kept.
    pub(crate) kept_from: Mutex<u64>,
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
        rows.push((id, row.clone()));
        self.tell(id, row, None);
        id.to_string()
    }

    /// Closes a session for a reason of the data plane.
    pub(crate) fn end(&self, name: &str, reason: &str) {
        let mut rows = self.rows.lock().expect("lock");
        let place = rows.iter().position(|(id, _)| id.to_string() == name);
        let (id, row) = rows.remove(place.expect("a session of this name"));
        self.tell(id, row, Some(reason.to_owned()));
    }

    fn tell(&self, id: SessionId, row: SessionRow, closed: Option<String>) {
        let mut events = self.events.lock().expect("lock");
        let number = u64::try_from(events.len()).expect("few");
        events.push((id, SessionEvent { number, row, closed }));
    }

    fn end_of_events(&self) -> u64 {
        u64::try_from(self.events.lock().expect("lock").len()).expect("few")
    }

    /// Nodes that are asked: all that carry a session, and the first.
    fn nodes(&self) -> BTreeSet<NodeId> {
        let rows = self.rows.lock().expect("lock");
        rows.iter().map(|(id, _)| id.node).chain([NodeId(1)]).collect()
    }

    /// Answers as nodes would, each with the numbers that all of them share.
    pub(crate) fn events(&self, filter: &SessionFilter, after: &Marks) -> FoundEvents {
        let mut found = FoundEvents::default();
        let (kept_from, next) = (*self.kept_from.lock().expect("lock"), self.end_of_events());
        for node in self.nodes() {
            let Some(mark) = after.get(node) else {
                found.unknown.push(node);
                continue;
            };
            if self.is_silent(node) {
                found.silent.push(node);
                continue;
            }
            if mark.next < kept_from {
                found.told.push((node, SessionEvents::Lost));
                continue;
            }
            let events = self.events.lock().expect("lock");
            let own = events
                .iter()
                .filter(|(id, event)| id.node == node && event.number >= mark.next && filter.matches(&event.row));
            let told = SessionEvents::Told {
                events: own.map(|(_, event)| event.clone()).collect(),
                next,
                more: false,
            };
            found.told.push((node, told));
        }
        found
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
            .map(|((node, start), rows)| travelled(&query.page(node, start, &rows)));
        let mut page = query.merge(pages);
        for node in self
            .nodes()
            .into_iter()
            .filter(|node| query.marked && !self.is_silent(*node))
        {
            let incarnation = Incarnation(0xabc);
            let next = self.end_of_events();
            page.marks.set(node, Mark { incarnation, next });
        }
        FoundSessions {
            page,
            silent: self.silent_nodes(),
        }
    }

    pub(crate) fn session(&self, id: SessionId, look: Look) -> Result<Option<SessionDetail>, NodeSilent> {
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
            place: Some(TablePlace { row: 77, generation: 3 }),
            rates: (look == Look::Measure).then_some(Rates {
                bytes: [1000, 20],
                packets: [0, 0],
                over: Duration::from_millis(200),
            }),
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

/// A page as it comes from another node.
fn travelled(page: &SessionPage) -> SessionPage {
    let bytes = serde_json::to_vec(page).expect("JSON");
    serde_json::from_slice(&bytes).expect("a page")
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
