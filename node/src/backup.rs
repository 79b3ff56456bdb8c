//! `guideway backup` and `guideway restore`: the replicated state in a file, and a cluster made of one.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use guideway_consensus::{
    self as consensus, Backup, BackupError, BackupHeader, RestoreError, Restoring, StartError, Stopped,
};
use guideway_model::NodeId;
use guideway_model::meta::{Timestamp, UnixMillis};

use crate::client::{Access, Client, RequestError};
use crate::config::Config;
use crate::membership::{self, AdminError};

/// How long the whole backup may take on its way.
const BACKUP_TIMEOUT: Duration = Duration::from_secs(600);

/// Path of the API that answers with a backup.
const BACKUP: &str = "/backup";

/// What a cluster is restored from.
#[derive(Debug, Args)]
pub(crate) struct RestoreSource {
    /// A file that `guideway backup` wrote
    #[arg(long, value_name = "FILE")]
    pub(crate) from: PathBuf,
    /// A kept copy of the folder `identity` of a member; without it the cluster gets a new authority, which is possible
    /// only if the backup holds no Secrets
    #[arg(long, value_name = "FOLDER")]
    pub(crate) identity: Option<PathBuf>,
}

/// Why there is no backup, or no cluster of one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupCommandError {
    /// The API did not give it.
    #[error(
        "{0}\nName the API of a running node with --server URL, or its configuration with --config FILE; of a node that does not run, add --stopped."
    )]
    Request(#[from] RequestError),
    /// The data folder of a node that does not run.
    #[error("the data folder of this node cannot be read: {0}\nIf the node runs, leave --stopped out.")]
    Folder(#[from] StartError),
    /// The file.
    #[error("{path:?} cannot be written: {source}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was written or is to be restored is no whole backup.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The cluster cannot be made.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The node has its place, and its administrator has no kubeconfig.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

/// Writes a backup that a running node gives, and reads it back.
pub(crate) async fn of_running(access: Access, to: &Path) -> Result<BackupHeader, BackupCommandError> {
    let bytes = Client::new(access, BACKUP_TIMEOUT).download(BACKUP).await?;
    put(to, &bytes)
}

/// Writes a backup of a node that does not run.
pub(crate) async fn of_stopped(config: &Config, to: &Path) -> Result<BackupHeader, BackupCommandError> {
    let stopped = Stopped::open(&config.data_dir).await?;
    let bytes: Vec<u8> = consensus::backup(stopped.applied()).flatten().collect();
    stopped.close().await;
    put(to, &bytes)
}

/// As a whole or not at all: what cannot be read back does not get the name.
fn put(path: &Path, bytes: &[u8]) -> Result<BackupHeader, BackupCommandError> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let written = membership::write_private_bytes(&new, bytes);
    written.map_err(|source| BackupCommandError::Write {
        path: new.clone(),
        source,
    })?;
    let header = Backup::read(&new)?.header;
    std::fs::rename(&new, path).map_err(|source| BackupCommandError::Write {
        path: path.to_owned(),
        source,
    })?;
    Ok(header)
}

/// Makes a cluster of a backup in the data folder, with this node as its first.
pub(crate) async fn restore(
    config: &Config,
    args: &RestoreSource,
) -> Result<(NodeId, BackupHeader), BackupCommandError> {
    let backup = Backup::read(&args.from)?;
    let header = backup.header.clone();
    let restoring = Restoring {
        founding: membership::founding(config),
        facts: crate::facts::facts(config),
        identity: args.identity.clone(),
    };
    let node = consensus::restore(&config.data_dir, backup, restoring).await?;
    membership::write_admin(config)?;
    Ok((node, header))
}

/// A backup in a few lines.
pub(crate) fn described(header: &BackupHeader) -> String {
    let names: Vec<&str> = header.nodes.iter().map(|(_, name)| name.as_str()).collect();
    let key = header.sealing_key.as_deref().unwrap_or("none");
    format!(
        "cluster {cluster} at index {index}, of {time}\n\
         {objects} objects, {secrets} sealed Secrets among them (key {key}); members: {names}\n",
        cluster = header.cluster,
        index = header.index,
        time = Timestamp::from(UnixMillis(header.time_ms)),
        objects = header.objects,
        secrets = header.secrets,
        names = names.join(", "),
    )
}
