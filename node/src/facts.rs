//! What this node says of itself to the cluster.

use guideway_model::State;
use guideway_model::node::NodeFacts;

use crate::config::Config;

/// Version of this binary.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn facts(config: &Config) -> NodeFacts {
    NodeFacts {
        name: config.name.clone(),
        peer_address: config.peer_listen.to_string(),
        api_url: config.api_url(),
        metrics_url: format!("http://{}/metrics", config.metrics_listen),
        data_address: config.data.address,
        version: VERSION.to_owned(),
        level: State::LEVEL,
    }
}
