//! What commands print when they are done.

use std::io::{self, Write};
use std::path::Path;

use guideway_model::NodeId;

use super::exit::Failure;
use crate::config::Config;
use crate::identity_folder::ADMIN_KUBECONFIG;
use crate::shell;

/// Writes to standard output. A reader that went away wants no more; that is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Output(error)),
        _ => Ok(()),
    }
}

pub(super) fn initialised(config: &Config, file: &Path, node: NodeId) -> String {
    format!(
        "A new cluster is in {dir}; {name} is node {node}, its first.\n\
         Start it:    guideway run --config {file}\n\
         Manage it:   export KUBECONFIG={kubeconfig}\n\
         Add a node:  guideway join --member {peer} --config FILE_OF_THE_OTHER_NODE\n",
        dir = config.data_dir.display(),
        name = config.name,
        file = shell::word(&file.display().to_string()),
        kubeconfig = shell::word(&config.data_dir.join(ADMIN_KUBECONFIG).display().to_string()),
        peer = config.peer_listen,
    )
}

pub(super) fn joined(config: &Config, file: &Path, node: NodeId) -> String {
    format!(
        "{name} is node {node} of the cluster; its place is in {dir}.\n\
         Start it:    guideway run --config {file}\n",
        dir = config.data_dir.display(),
        name = config.name,
        file = shell::word(&file.display().to_string()),
    )
}
