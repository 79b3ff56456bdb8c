//! What this node says of itself to the cluster.

use guideway_consensus::Names;
use guideway_model::State;
use guideway_model::node::NodeFacts;

use crate::config::Config;

/// Version of this binary.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What this node's certificate names: the addresses by which it is reached.
pub(crate) fn names(config: &Config) -> Names {
    let listens = [config.peer_listen.ip(), config.api_listen.ip()];
    Names {
        dns: Vec::new(),
        ips: listens.into_iter().chain(config.data.address).collect(),
    }
}

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
