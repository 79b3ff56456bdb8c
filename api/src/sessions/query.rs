//! What a request wants of the sessions: selectors, query parameters and the page.

use guideway_model::session::{
    Look, Marks, NamedSession, SessionDetail, SessionFilter, SessionId, SessionPage, SessionQuery, SessionQueryError,
    SessionSort,
};
use guideway_model::{NodeId, State};

use super::encode;
use super::token;
use crate::ports::{Cluster, FoundSessions, NodeSilent};
use crate::query::Parameters;
use crate::selector::{FieldTerm, split_unescaped, terms};
use crate::status::Status;
use crate::target::Target;
use crate::words::node_name;

/// Fields of the API that the model calls otherwise.
const RENAMED: &[(&str, &str)] = &[
    ("spec.listener.name", "listener"),
    ("spec.listener.gateway", "gateway"),
    ("status.choice.reason", "why"),
];

/// Parameters that say what field selectors of Kubernetes cannot, as tests of the model.
const PARAMETERS: &[(&str, &str)] = &[
    ("clientCIDR", "client="),
    ("minAge", "age>"),
    ("maxAge", "age<"),
    ("minIdle", "idle>"),
    ("maxIdle", "idle<"),
    ("minBytes", "bytes>"),
];

const NAME: &str = "metadata.name";

/// One page of what is wanted, and how to come to the next.
#[derive(Clone)]
pub(super) struct Wanted {
    query: SessionQuery,
    /// As the request has it.
    sort: String,
    /// Where nodes were at the first page.
    marks: Marks,
    /// Terms about names.
    names: Vec<FieldTerm>,
    /// Whether a selector excludes everything.
    nothing: bool,
}

impl Wanted {
    /// Reads the parameters of a list or of a delete of a collection.
    pub(super) fn read(parameters: &Parameters, target: &Target, most: usize) -> Result<Wanted, Status> {
        let selector = parameters.get("fieldSelector").unwrap_or_default();
        let (names, fields): (Vec<&str>, Vec<&str>) =
            split_unescaped(selector).partition(|term| field_of(term).trim() == NAME);
        let names = terms(&names.join(","), &[NAME]).map_err(|error| refused("fieldSelector", &error.to_string()))?;
        let fields: Vec<String> = fields.into_iter().map(renamed).collect();
        let mut filter = SessionFilter::parse(&fields.join(",")).map_err(|fault| in_words("fieldSelector", &fault))?;
        for (name, test) in PARAMETERS {
            if let Some(value) = parameters.get(name) {
                let parsed = SessionFilter::parse(&format!("{test}{}", escaped(value)));
                filter = filter.and(parsed.map_err(|fault| in_words(name, &fault))?);
            }
        }
        if let Some(namespace) = &target.namespace {
            filter = filter.in_namespace(namespace);
        }
        let sort = parameters.get("sortBy").unwrap_or_default();
        let order = match sort {
            "" => Ok(SessionSort::default()),
            text => SessionSort::parse(text).map_err(|fault| in_words("sortBy", &fault)),
        };
        let mut query = SessionQuery {
            filter,
            sort: order?,
            limit: parameters.limit()?.unwrap_or(most).min(most),
            after: None,
            marked: false,
        };
        let mut marks = Marks::default();
        if let Some(text) = parameters.get("continue") {
            let token = token::decode(text, sort)?;
            marks = token.marks().clone();
            query = token.apply(query);
        }
        Ok(Wanted {
            query,
            marks,
            sort: sort.to_owned(),
            names,
            nothing: !parameters.selects_unlabelled()?,
        })
    }

    /// Has nodes keep what opens and closes from the first page on.
    pub(super) fn marked(mut self) -> Wanted {
        self.query.marked = true;
        self
    }

    /// The same, if a watch may go on from this list. A list in an order of its own is nobody's start of a watch: what shows
    /// the busiest sessions again and again must not keep nodes at it.
    pub(super) fn for_watch(self) -> Wanted {
        let is_first = self.sort.is_empty() && self.query.after.is_none();
        match is_first && !self.names.iter().any(|term| term.equal) {
            true => self.marked(),
            false => self,
        }
    }

    /// The sessions of one node only.
    pub(super) fn on_node(mut self, node: NodeId) -> Wanted {
        self.query.filter = self.query.filter.on_node(node);
        self.query.after = None;
        self.marked()
    }

    /// The `resourceVersion` of a page. That of a list that no watch goes on from is `0`: it begins anew.
    pub(super) fn version(&self, page: &SessionPage) -> String {
        let mut marks = self.marks.clone();
        marks.add(page.marks.clone());
        match marks.iter().next() {
            Some(_) => marks.to_string(),
            None => "0".to_owned(),
        }
    }

    /// The tests that name no session.
    pub(super) fn filter(&self) -> &SessionFilter {
        &self.query.filter
    }

    /// Whether a session is meant that passes the filter.
    pub(super) fn is_meant(&self, id: SessionId) -> bool {
        let name = id.to_string();
        !self.nothing && self.names.iter().all(|term| (term.value == name) == term.equal)
    }

    /// Only the session of this name, if there is one.
    pub(super) fn named(mut self, name: Option<&str>) -> Wanted {
        self.names.extend(name.map(|name| FieldTerm {
            field: NAME.to_owned(),
            value: name.to_owned(),
            equal: true,
        }));
        self
    }

    /// Asks for the page.
    pub(super) async fn page(&self, cluster: &dyn Cluster, state: &State) -> FoundSessions {
        let only = self
            .names
            .iter()
            .find(|term| term.equal)
            .map(|term| encode::parse_name(&term.value));
        let mut found = match (self.nothing, only) {
            // Every node is to say where it is.
            _ if self.query.marked => cluster.sessions(self.query.clone()).await,
            (true, _) | (_, Some(None)) => FoundSessions::default(),
            // It need not be sought on all nodes.
            (_, Some(Some(id))) => self.one(state, id, cluster.session(id, Look::Glance).await),
            (false, None) => cluster.sessions(self.query.clone()).await,
        };
        found.page.sessions.retain(|session| self.is_meant(session.id));
        found
    }

    fn one(&self, state: &State, id: SessionId, found: Result<Option<SessionDetail>, NodeSilent>) -> FoundSessions {
        let filter = &self.query.filter;
        let sessions = match found {
            Ok(found) => found.map(|detail| detail.row),
            Err(NodeSilent { node }) => {
                return FoundSessions {
                    silent: vec![node],
                    ..FoundSessions::default()
                };
            }
        };
        let wanted = filter.wants_node(id.node, &node_name(state, id.node));
        let sessions = sessions.filter(|row| wanted && filter.matches(row));
        FoundSessions {
            page: SessionPage {
                sessions: sessions.map(|row| NamedSession { id, row }).into_iter().collect(),
                ..SessionPage::default()
            },
            silent: Vec::new(),
        }
    }

    /// The token that goes on behind a page; `None` behind the last.
    pub(super) fn token_after(&self, page: &SessionPage) -> Option<String> {
        let mut marks = self.marks.clone();
        marks.add(page.marks.clone());
        page.next.map(|next| token::encode(next, &self.sort, &marks))
    }

    /// Goes on behind a page; false behind the last.
    pub(super) fn advance(&mut self, page: &SessionPage) -> bool {
        self.query.after = page.next;
        page.next.is_some()
    }
}

/// The field of a term, with the spaces around it.
fn field_of(term: &str) -> &str {
    let end = term.find(['=', '!', '<', '>']).unwrap_or(term.len());
    &term[..end]
}

fn renamed(term: &str) -> String {
    let field = field_of(term);
    let found = RENAMED.iter().find(|(name, _)| *name == field.trim());
    found.map_or(term.to_owned(), |(_, own)| format!("{own}{}", &term[field.len()..]))
}

/// A value as a field selector has it.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for letter in value.chars() {
        if matches!(letter, ',' | '=' | '\\') {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

fn in_words(parameter: &str, fault: &SessionQueryError) -> Status {
    let SessionQueryError { field, value, rule } = fault;
    let value: String = value.chars().take(100).collect();
    match parameter {
        "fieldSelector" => {
            let field: String = field.chars().take(100).collect();
            refused(parameter, &format!("{field}: {value:?}: {rule}"))
        }
        _ => refused(parameter, &format!("{value:?}: {rule}")),
    }
}

fn refused(parameter: &str, why: &str) -> Status {
    Status::bad_request(format!("{parameter}: {why}"))
}
