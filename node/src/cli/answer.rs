//! What commands print when they are done.

use std::io::{self, Write};
use std::path::Path;

use guideway_consensus::{BackupHeader, ShownIdentity};
use guideway_identity::{Digest, JoinToken};
use guideway_model::NodeId;
use guideway_model::meta::{Timestamp, UnixMillis};
use rustls_pki_types::UnixTime;

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

pub(super) fn shown(shown: &ShownIdentity) -> String {
    let time = |at: UnixTime| Timestamp::from(UnixMillis(at.as_secs().saturating_mul(1000))).to_string();
    let keys: Vec<String> = shown.sealing_keys.iter().map(ToString::to_string).collect();
    let (authority, own) = (&shown.authority, &shown.certificate);
    format!(
        "cluster      {cluster}\n\
         authority    key {authority_key}\n             good until {authority_end}\n\
         node         {node} {name}\n             key {key}\n             good from {begin} until {end}\n             for {names}\n\
         sealing key  {keys}\n",
        cluster = shown.cluster,
        authority_key = authority.key,
        authority_end = time(authority.not_after),
        node = shown.node,
        name = shown.name,
        key = own.key,
        begin = time(own.not_before),
        end = time(own.not_after),
        names = own.names.join(", "),
        keys = keys.join(", "),
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
