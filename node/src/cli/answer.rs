//! What commands print when they are done.

use std::io::{self, Write};
use std::path::Path;

use guideway_consensus::BackupHeader;
use guideway_identity::{Digest, JoinToken};
use guideway_model::NodeId;

use super::exit::Failure;
use crate::config::Config;
use crate::{backup, membership, shell};

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
         Add a node:  guideway invite --config {file}, on this machine, prints how\n\
         Be admin:    export KUBECONFIG={admin}\n",
        dir = config.data_dir.display(),
        name = config.name,
        file = shell::word(&file.display().to_string()),
        admin = shell::word(&config.data_dir.join(membership::ADMIN_KUBECONFIG).display().to_string()),
    )
}

/// The token is the only line on standard output that is not a comment, so that a script can take it.
pub(super) fn invited(token: &JoinToken, minutes: u32) -> String {
    format!(
        "# One node can join with this within {minutes} minutes. On its machine, with its configuration:\n\
         #   guideway join --config FILE --token TOKEN\n\
         {}\n",
        token.text()
    )
}

pub(super) fn backed_up(file: &Path, header: &BackupHeader) -> String {
    format!(
        "{} is written and was read back: {}\
         No key is in it: keep a copy of the folder `identity` of a member elsewhere.\n",
        file.display(),
        backup::described(header)
    )
}

pub(super) fn restored(config: &Config, file: &Path, node: NodeId, header: &BackupHeader) -> String {
    format!(
        "{name} is node {node}, the only one, of a cluster restored from a backup: {described}\
         Start it:    guideway run --config {file}\n\
         Add a node:  guideway invite --config {file}, on this machine, prints how\n",
        name = config.name,
        described = backup::described(header),
        file = shell::word(&file.display().to_string()),
    )
}

pub(super) fn rotated(node: NodeId, key: Digest) -> String {
    format!("node {node} has another key: {key}\n")
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
