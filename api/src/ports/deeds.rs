//! What the API has nodes keep of what users did, and asks them for.

use futures_util::future::BoxFuture;
use guideway_model::NodeId;
use guideway_model::deed::{About, Act, Deed};

/// The deeds of every node. Implementations bound the wait for a node themselves, to a few seconds.
pub trait Deeds: Send + Sync + 'static {
    /// Keeps on this node what a user has done through it, just now.
    fn note(&self, about: About, act: Act, by: &str);

    /// What every live node has kept.
    fn deeds(&self) -> BoxFuture<'_, FoundDeeds>;
}

/// What nodes said of what was done through them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundDeeds {
    /// Of all of them, oldest first within each.
    pub deeds: Vec<Deed>,
    /// Nodes that did not answer: what was done through them is missing.
    pub silent: Vec<NodeId>,
}
