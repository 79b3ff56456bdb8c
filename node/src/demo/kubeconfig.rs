//! A kubeconfig for a demo: one cluster and one context for each node. The last is current: the demo
//! proposes to kill the first, and kubectl should live through that.

use std::path::PathBuf;

use super::DemoError;
use super::folder::failed;
use super::layout::Layout;

/// Writes it and says where.
pub(super) fn write(layout: &Layout) -> Result<PathBuf, DemoError> {
    let path = layout.folder().join("kubeconfig");
    std::fs::write(&path, text(layout)).map_err(|source| failed(&path, source))?;
    Ok(path)
}

/// Names and URLs of a layout need no quoting in YAML.
fn text(layout: &Layout) -> String {
    let mut text = String::from("apiVersion: v1\nkind: Config\nclusters:\n");
    for node in &layout.nodes {
        text += &format!("- name: {}\n  cluster:\n    server: {}\n", node.name, node.api());
    }
    text += "users:\n- name: demo\n  user: {}\ncontexts:\n";
    for node in &layout.nodes {
        let name = &node.name;
        text += &format!("- name: {name}\n  context:\n    cluster: {name}\n    user: demo\n    namespace: default\n");
    }
    if let Some(last) = layout.nodes.last() {
        text += &format!("current-context: {}\n", last.name);
    }
    text
}
