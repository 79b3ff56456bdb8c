//! A kubeconfig for a demo: one cluster and one context for each node, all with the administrator's certificate. The last
//! node's is current: the demo proposes to kill the first, and kubectl should live through that.

use std::path::PathBuf;

use guideway_identity::KubeconfigServer;

use super::DemoError;
use super::layout::Layout;
use crate::client::Access;
use crate::membership;

/// Writes it and says where.
pub(super) fn write(layout: &Layout) -> Result<PathBuf, DemoError> {
    let path = path(layout);
    // The first server is that of the current context.
    let servers: Vec<KubeconfigServer> = layout
        .nodes
        .iter()
        .rev()
        .map(|node| KubeconfigServer {
            name: node.name.clone(),
            url: node.api(),
        })
        .collect();
    let text = membership::administrator(&layout.nodes[0].data_dir(), &servers)?;
    membership::write_private(&path, &text)?;
    Ok(path)
}

/// The administrator's way to the nodes. The kubeconfig is written if it is not there yet.
pub(super) fn access(layout: &Layout) -> Result<Access, DemoError> {
    if !path(layout).exists() {
        write(layout)?;
    }
    Ok(Access::from_kubeconfig(&path(layout), None)?)
}

fn path(layout: &Layout) -> PathBuf {
    layout.folder().join("kubeconfig")
}
