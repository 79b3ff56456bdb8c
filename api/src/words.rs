//! What the model knows by number, as people call it.

use guideway_model::node::Protocol;
use guideway_model::{NodeId, State};

/// The name of a member; the number of one that is gone.
pub(crate) fn node_name(state: &State, id: NodeId) -> String {
    match state.node(id) {
        Some(record) => record.facts.name.clone(),
        None => id.to_string(),
    }
}

/// `TCP` or `UDP`.
pub(crate) fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
    }
}
