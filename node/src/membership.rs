//! How this node gets its place: `init` makes a cluster, `join` asks for a place in one.

use std::io;
use std::path::PathBuf;

use guideway_consensus as consensus;
use guideway_model::meta::Uid;
use guideway_model::{Command, NodeId, Refusal};
use rustix::rand::{GetRandomFlags, getrandom};
use uuid::Uuid;

use crate::config::Config;
use crate::facts;
use crate::identity_folder::{self, IdentityError};

/// Why no cluster was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InitError {
    /// The folder or the store in it.
    #[error(transparent)]
    Store(#[from] consensus::InitError),
    /// Its authority and certificates.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The system gave no random bytes for the cluster's hash seed.
    #[error("no random bytes for the cluster's secret seed: {0}")]
    Random(io::Error),
}

/// Why this node has no place in the cluster.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JoinError {
    /// The folder is not one that a joining node can use.
    #[error("{problem}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it, with what to do.
        problem: String,
    },
    /// A node of this name is a member already.
    #[error(
        "asked member {member}: the cluster has a node named {name} already; set another `name` in the configuration, or remove the old node first"
    )]
    NameTaken {
        /// Who was asked.
        member: String,
        /// The name.
        name: String,
    },
    /// The member did not answer or the cluster did not agree.
    #[error(
        "asked member {member}: {problem}\nCheck that this is the peer.listen of a running node (`guideway status` lists them), then try again."
    )]
    Member {
        /// Who was asked.
        member: String,
        /// Why it failed.
        problem: String,
    },
}

/// Creates a cluster in `data_dir`, with this node as its first.
pub(crate) async fn init(config: &Config) -> Result<NodeId, InitError> {
    let mut hash_seed = [0; 16];
    getrandom(&mut hash_seed, GetRandomFlags::empty()).map_err(|errno| InitError::Random(errno.into()))?;
    let cluster = uid();
    let command = Command::InitCluster {
        cluster: cluster.clone(),
        hash_seed,
        uids: [uid(), uid()],
        node: facts::facts(config),
    };
    let node = consensus::init(&config.data_dir, command, &config.peer_listen.to_string()).await?;
    identity_folder::found(config, &cluster.0)?;
    Ok(node)
}

/// Asks `member`, a peer address, for a place and writes it to `data_dir`.
pub(crate) async fn join(config: &Config, member: &str) -> Result<NodeId, JoinError> {
    let joined = consensus::join(&config.data_dir, member, facts::facts(config)).await;
    joined.map_err(|error| join_error(config, member, error))
}

fn join_error(config: &Config, member: &str, error: consensus::JoinError) -> JoinError {
    use consensus::JoinError as Cause;
    let member = member.to_owned();
    match error {
        Cause::NotEmpty { ref path, .. } | Cause::Io { ref path, .. } => JoinError::Folder {
            path: path.clone(),
            problem: error.to_string(),
        },
        Cause::Refused(refusal) => match *refusal {
            Refusal::NodeNameTaken(name) => JoinError::NameTaken { member, name },
            other => JoinError::Member {
                member,
                problem: format!("the cluster refused {}: {other:?}", config.name),
            },
        },
        Cause::Unreachable { problem, .. } => JoinError::Member {
            member,
            problem: format!("it does not answer: {problem}"),
        },
        Cause::Undecided { problem, .. } => JoinError::Member {
            member,
            problem: format!("it could not have it decided: {problem}"),
        },
    }
}

fn uid() -> Uid {
    Uid(Uuid::new_v4().to_string())
}
