//! What the API needs to know of live sessions, which no state holds: nodes are asked when someone looks.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use guideway_model::impact::EffectCounts;
use guideway_model::session::{
    Look, Marks, SessionDetail, SessionEvents, SessionFilter, SessionId, SessionPage, SessionQuery,
};
use guideway_model::{Command, NodeId, Plan};

/// The sessions of every node. Implementations bound the wait for a node themselves, to a few seconds.
pub trait Sessions: Send + Sync + 'static {
    /// What a query selects, in its order, of all nodes.
    fn sessions(&self, query: SessionQuery) -> BoxFuture<'_, FoundSessions>;

    /// What has opened and closed since these marks, on the nodes that a filter wants. Does not wait for something to happen.
    fn session_events(&self, filter: SessionFilter, after: Marks) -> BoxFuture<'_, FoundEvents>;

    /// One session; `None` if it has ended.
    fn session(&self, id: SessionId, look: Look) -> BoxFuture<'_, Result<Option<SessionDetail>, NodeSilent>>;

    /// Closes sessions with the reason `killed`. When it is done, they are no longer listed.
    fn close_sessions(&self, ids: Vec<SessionId>) -> BoxFuture<'_, ClosedSessions>;

    /// What a change would do to the live sessions of each node.
    fn impact(&self, change: Arc<TriedChange>) -> BoxFuture<'_, SessionImpact>;

    /// The plan that this node runs. What is compiled to try a change shares its tables.
    fn plan(&self) -> Option<Arc<Plan>>;
}

/// What nodes said of their sessions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundSessions {
    /// The page, made of theirs.
    pub page: SessionPage,
    /// Nodes that did not answer: their sessions are missing.
    pub silent: Vec<NodeId>,
}

/// What nodes said of sessions that open and close.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundEvents {
    /// Node by node, of those that the marks know.
    pub told: Vec<(NodeId, SessionEvents)>,
    /// Live nodes that the marks do not know: their sessions are still to be listed.
    pub unknown: Vec<NodeId>,
    /// Nodes that did not answer in time.
    pub silent: Vec<NodeId>,
    /// Nodes that the marks know and that are no longer live: what became of their sessions is not known.
    pub gone: Vec<NodeId>,
}

/// The node that carries a session did not answer in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node {node} did not answer in time")]
pub struct NodeSilent {
    /// Which.
    pub node: NodeId,
}

/// What became of sessions that were to be closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClosedSessions {
    /// How many were closed; the others had ended before.
    pub closed: usize,
    /// Nodes that did not answer: whether they closed theirs is not known.
    pub silent: Vec<NodeId>,
}

/// A change that was tried on a copy of the state: what nodes are to measure on their sessions.
#[derive(Debug)]
pub struct TriedChange {
    /// What was applied, in order; a node that is asked applies it to a copy of its own state.
    pub commands: Vec<Command>,
    /// The plan as it is.
    pub before: Arc<Plan>,
    /// The plan as it would be.
    pub after: Arc<Plan>,
}

/// What a change would do to the live sessions of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionImpact {
    /// By node, in the order of their numbers.
    pub nodes: Vec<(NodeId, EffectCounts)>,
    /// Nodes that did not answer: their sessions are not counted.
    pub silent: Vec<NodeId>,
}
