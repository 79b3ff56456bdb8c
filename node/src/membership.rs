//! How this node gets its place: `init` makes a cluster, `join` asks for a place in one, with a token that `invite` made.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use guideway_consensus::{self as consensus, Beside, BesideError, Founding, InviteError, Joining};
use guideway_identity::{AuthorityError, JoinToken, KubeconfigServer, MASTERS, UserSubject, Validity, kubeconfig};
use guideway_model::meta::Uid;
use guideway_model::{Command, NodeId, Refusal};
use rustix::rand::{GetRandomFlags, getrandom};
use rustls_pki_types::UnixTime;
use uuid::Uuid;

use crate::client::{Access, AccessError, Client, RequestError};
use crate::config::Config;
use crate::facts;

/// Why no cluster was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InitError {
    /// The folder or the store in it.
    #[error(transparent)]
    Store(#[from] consensus::InitError),
    /// The system gave no random bytes for the cluster's hash seed.
    #[error("no random bytes for the cluster's secret seed: {0}")]
    Random(io::Error),
    /// The administrator's kubeconfig could not be made.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

/// Why there is no kubeconfig for the administrator.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    /// The authority cannot be read.
    #[error(transparent)]
    Credentials(#[from] consensus::CredentialsError),
    /// The certificate cannot be signed.
    #[error("the administrator's certificate cannot be signed: {0}")]
    Sign(#[from] AuthorityError),
    /// The file cannot be written.
    #[error("{path:?}: {source}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why there is no kubeconfig with all nodes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KubeconfigError {
    /// The present kubeconfig cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The node does not say who the others are.
    #[error("{0}\nThe node of this configuration must run.")]
    Request(#[from] RequestError),
    /// The new one cannot be made or written.
    #[error(transparent)]
    Admin(#[from] AdminError),
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
    /// The token does not open.
    #[error("{0}")]
    Token(String),
    /// The node has its place, and its administrator has no kubeconfig.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

/// Name of the administrator's kubeconfig in the data folder.
pub(crate) const ADMIN_KUBECONFIG: &str = "admin.kubeconfig";

/// Where the API lists nodes.
const NODES: &str = "/apis/guideway.dev/v1alpha1/nodes";
/// How long that may take.
const NODES_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the administrator's certificate is good for. It is not renewed by itself: any member's machine can make
/// another.
const ADMIN_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);

/// Creates a cluster in `data_dir`, with this node as its first.
pub(crate) async fn init(config: &Config) -> Result<NodeId, InitError> {
    let mut hash_seed = [0; 16];
    getrandom(&mut hash_seed, GetRandomFlags::empty()).map_err(|errno| InitError::Random(errno.into()))?;
    let command = Command::InitCluster {
        cluster: uid(),
        hash_seed,
        uids: [uid(), uid()],
        node: facts::facts(config),
    };
    let node = consensus::init(&config.data_dir, command, founding(config)).await?;
    write_admin(config)?;
    Ok(node)
}

/// What is said of this node when it is the first of a cluster.
pub(crate) fn founding(config: &Config) -> Founding {
    Founding {
        peer_address: config.peer_listen.to_string(),
        names: facts::names(config),
        certificate_life: config.certificate_life,
    }
}

/// Makes a token with which one node can join within `life`, through the node that runs with this configuration.
pub(crate) async fn invite(config: &Config, life: Duration) -> Result<JoinToken, InviteError> {
    let address = config.peer_listen.to_string();
    beside(config)?.invite(&address, life).await
}

/// The node that runs with this configuration.
pub(crate) fn beside(config: &Config) -> Result<Beside, BesideError> {
    Beside::new(&config.data_dir, config.peer_listen)
}

/// Asks `member`, a peer address, or else those in the token, for a place and writes it to the data folder.
pub(crate) async fn join(config: &Config, token: &JoinToken, member: Option<&str>) -> Result<NodeId, JoinError> {
    let joining = Joining {
        token: token.clone(),
        member: member.map(str::to_owned),
        facts: facts::facts(config),
        names: facts::names(config),
    };
    let joined = consensus::join(&config.data_dir, joining).await;
    let asked = member.map_or_else(|| token.members().join(", "), str::to_owned);
    let node = joined.map_err(|error| join_error(config, &asked, error))?;
    write_admin(config)?;
    Ok(node)
}

/// Writes a kubeconfig with which whoever can read it may do everything: the owner of the data folder, who has the
/// authority's key anyway.
pub(crate) fn write_admin(config: &Config) -> Result<(), AdminError> {
    let server = KubeconfigServer {
        name: config.name.clone(),
        url: config.api_url(),
    };
    let text = administrator(&config.data_dir, &[server])?;
    write_private(&config.data_dir.join(ADMIN_KUBECONFIG), &text)
}

/// A kubeconfig with a context for each node of the cluster, this one's first: whom it asks by default, since it is near. The
/// node is asked who the others are.
pub(crate) async fn kubeconfig_of_all(config: &Config) -> Result<String, KubeconfigError> {
    let access = Access::from_kubeconfig(&config.data_dir.join(ADMIN_KUBECONFIG), Some(&config.api_url()))?;
    let nodes = Client::new(access, NODES_TIMEOUT).get(NODES).await?;
    let named = |node: &serde_json::Value| KubeconfigServer {
        name: node["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
        url: node["status"]["apiURL"].as_str().unwrap_or_default().to_owned(),
    };
    let nodes = nodes["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut servers: Vec<KubeconfigServer> = nodes.iter().map(named).collect();
    servers.sort_by_key(|server| server.name != config.name);
    Ok(administrator(&config.data_dir, &servers)?)
}

/// A kubeconfig with a context for each server, for a new administrator of the cluster whose member has this data folder.
pub(crate) fn administrator(data_dir: &Path, servers: &[KubeconfigServer]) -> Result<String, AdminError> {
    let authority = consensus::authority(data_dir)?;
    let admin = UserSubject {
        user: "admin".to_owned(),
        groups: vec![MASTERS.to_owned()],
    };
    let (certificate, key) = authority.issue_user(&admin, Validity::starting(UnixTime::now(), ADMIN_LIFE))?;
    Ok(kubeconfig(
        servers,
        "admin",
        authority.certificate_pem(),
        &certificate,
        &key,
    ))
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), AdminError> {
    write_private_bytes(path, text.as_bytes()).map_err(|source| AdminError::Write {
        path: path.to_owned(),
        source,
    })
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private_bytes(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // One that was there may have another mode.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn join_error(config: &Config, member: &str, error: consensus::JoinError) -> JoinError {
    use consensus::JoinError as Cause;
    let member = member.to_owned();
    match error {
        Cause::NotEmpty { ref path, .. } | Cause::Io { ref path, .. } => JoinError::Folder {
            path: path.clone(),
            problem: error.to_string(),
        },
        Cause::Credentials(_) => JoinError::Folder {
            path: config.data_dir.clone(),
            problem: error.to_string(),
        },
        Cause::Token { .. } | Cause::NoMember => JoinError::Token(error.to_string()),
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
