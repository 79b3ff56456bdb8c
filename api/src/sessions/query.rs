//! What a request wants of the sessions: selectors, query parameters and the page.

use guideway_model::State;
use guideway_model::session::{
    NamedSession, SessionDetail, SessionFilter, SessionId, SessionPage, SessionQuery, SessionQueryError, SessionSort,
};

use super::encode;
use super::token;
use crate::ports::{FoundSessions, NodeSilent};
use crate::query::Parameters;
use crate::selector::{FieldTerm, split_unescaped, terms};
use crate::server::Server;
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
pub(super) struct Wanted {
    query: SessionQuery,
    /// As the request has it.
    sort: String,
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
        };
        if let Some(text) = parameters.get("continue") {
            query = token::decode(text, sort)?.apply(query);
        }
        Ok(Wanted {
            query,
            sort: sort.to_owned(),
            names,
            nothing: !parameters.selects_unlabelled()?,
        })
    }

    /// Asks for the page.
    pub(super) async fn page(&self, server: &Server, state: &State) -> FoundSessions {
        let only = self
            .names
            .iter()
            .find(|term| term.equal)
            .map(|term| encode::parse_name(&term.value));
        let mut found = match (self.nothing, only) {
            (true, _) | (_, Some(None)) => FoundSessions::default(),
            // It need not be sought on all nodes.
            (_, Some(Some(id))) => self.one(state, id, server.cluster.session(id).await),
            (false, None) => server.cluster.sessions(self.query.clone()).await,
        };
        let is_meant = |session: &NamedSession| {
            let name = session.id.to_string();
            self.names.iter().all(|term| (term.value == name) == term.equal)
        };
        found.page.sessions.retain(is_meant);
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
        page.next.map(|next| token::encode(next, &self.sort))
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
