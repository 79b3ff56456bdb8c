//! How a node gets its place: `init` makes a cluster, `join` asks a member for a place in one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use guideway_identity::{Authority, JoinToken, Joiner, Key, SealingKeys};
use guideway_model::command::{Command, Proposal};
use guideway_model::digest::Digest;
use guideway_model::node::NodeFacts;
use guideway_model::outcome::TokenFault;
use guideway_model::state::Applied;
use guideway_model::{NodeId, Outcome, Refusal, wire};
use openraft::ServerState;
use openraft::impls::BasicNode;
use rustls::AlertDescription;
use rustls_pki_types::UnixTime;
use tokio::sync::watch;

use crate::answer::{JOIN_TIMEOUT, JoinQuestion, Place};
use crate::clock;
use crate::config::Tuning;
use crate::credentials::folder::{self, Folder};
use crate::credentials::{Credentials, CredentialsError, Names, certified};
use crate::engine::blocking;
use crate::identity::Identity;
use crate::machine::{Machine, SnapshotPressure};
use crate::members::Members;
use crate::raft_types::{Payload, Raft};
use crate::store::{self, Store};
use crate::transport::network::Network;
use crate::transport::{Call, CallError, Dialer, Peers, Target};
use crate::trust::{Roster, RosterMember};

/// Why no cluster was made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The folder holds a node already.
    #[error("{path:?} holds node {node} already: start it, or choose an empty folder")]
    NotEmpty {
        /// The folder.
        path: PathBuf,
        /// The node in it.
        node: NodeId,
    },
    /// The command is not `InitCluster`.
    #[error("the first command of a cluster must be InitCluster")]
    NotInitCluster,
    /// The state refused the command.
    #[error("the new cluster's first command was refused: {0:?}")]
    Refused(Box<Refusal>),
    /// The folder cannot be written.
    #[error("{path:?}: {source}")]
    Io {
        /// What was written.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The store cannot be made.
    #[error("the store in {path:?} cannot be made: {problem}")]
    Store {
        /// The folder.
        path: PathBuf,
        /// What failed.
        problem: String,
    },
    /// The cluster's authority or the node's certificate cannot be made.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

/// Why a node has no place in a cluster.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The folder holds a node that has been started.
    #[error("{path:?} holds node {node} already: start it, or choose an empty folder")]
    NotEmpty {
        /// The folder.
        path: PathBuf,
        /// The node in it.
        node: NodeId,
    },
    /// The member cannot be asked.
    #[error("member {member} cannot be asked: {problem}")]
    Unreachable {
        /// Its peer address.
        member: String,
        /// What failed.
        problem: String,
    },
    /// The token names no one to ask, and no one was named.
    #[error("the token names no member to ask: name one with --member HOST:PORT")]
    NoMember,
    /// The token opens nothing.
    #[error(
        "member {member} does not let this node in: the token {fault}; make another with `guideway invite` on a member"
    )]
    Token {
        /// Its peer address.
        member: String,
        /// What is wrong with it.
        fault: TokenFault,
    },
    /// This node's key, or what came with its place, cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The cluster refused.
    #[error("the cluster refused: {0:?}")]
    Refused(Box<Refusal>),
    /// The cluster could not decide.
    #[error("member {member} could not have it decided: {problem}")]
    Undecided {
        /// Its peer address.
        member: String,
        /// What it said.
        problem: String,
    },
    /// The folder cannot be written.
    #[error("{path:?}: {source}")]
    Io {
        /// What was written.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// What is said of the node that makes a cluster.
#[derive(Clone, Debug)]
pub struct Founding {
    /// `host:port` at which later members reach it.
    pub peer_address: String,
    /// What its certificate names beside its own name and loopback.
    pub names: Names,
    /// How long its certificate is good for.
    pub certificate_life: Duration,
}

/// Creates a cluster in an empty folder, with an authority of its own: this node is node 1 and its only voter, `init` (an
/// `InitCluster`) is committed. The folder is then ready for [`crate::Consensus::start`].
///
/// What an attempt left that did not get to its end is cleared away.
///
/// # Errors
/// The folder holds a node, or cannot be written.
pub async fn init(data_dir: &Path, init: Command, founding: Founding) -> Result<NodeId, InitError> {
    let (cluster, name) = match &init {
        Command::InitCluster { cluster, node, .. } => (cluster.0.clone(), node.name.clone()),
        _ => return Err(InitError::NotInitCluster),
    };
    let io = |source| InitError::Io {
        path: data_dir.to_owned(),
        source,
    };
    if let Some(identity) = Identity::read(data_dir).map_err(io)? {
        return Err(InitError::NotEmpty {
            path: data_dir.to_owned(),
            node: identity.node,
        });
    }
    std::fs::create_dir_all(data_dir).map_err(io)?;
    for left in [store::FOLDER, store::MARK, folder::FOLDER] {
        clear(&data_dir.join(left)).map_err(io)?;
    }
    let mut identity = Identity::new(FIRST, cluster, name);
    let key = make_authority(data_dir, &identity, &founding)?;
    let keys = Command::SetNodeKeys {
        node: FIRST,
        keys: vec![key],
    };
    let sealing = Command::SetSealingKey {
        id: make_sealing_key(data_dir)?,
    };
    begin_log(data_dir, vec![init, keys, sealing], &founding.peer_address).await?;
    Credentials::open(data_dir, founding.names.subject(&identity), founding.certificate_life)?;
    identity.started = true;
    identity.write(data_dir).map_err(io)?;
    Ok(FIRST)
}

/// Makes the cluster's authority and the first node's key; returns the key's digest.
fn make_authority(data_dir: &Path, identity: &Identity, founding: &Founding) -> Result<Digest, CredentialsError> {
    let folder = Folder::of(data_dir);
    folder.make()?;
    let authority = Authority::create(&identity.cluster, UnixTime::now()).map_err(CredentialsError::Sign)?;
    write_authority(&folder, authority.certificate_pem(), &authority.key_pem())?;
    let key = Digest(folder.key_or_new()?.fingerprint().0);
    let first = RosterMember {
        address: founding.peer_address.clone(),
        keys: vec![key],
    };
    let roster = Roster {
        index: 0,
        highest: FIRST.0,
        members: BTreeMap::from([(FIRST.0, first)]),
    };
    folder.write_json(folder::MEMBERS, &roster)?;
    Ok(key)
}

/// Makes the key with which Secrets are sealed; returns its id.
fn make_sealing_key(data_dir: &Path) -> Result<String, CredentialsError> {
    let folder = Folder::of(data_dir);
    let keys = SealingKeys::generate().map_err(|source| CredentialsError::SealingKey {
        path: folder::SEALING_KEY.to_owned(),
        source,
    })?;
    folder.write_secret(folder::SEALING_KEY, &keys.text())?;
    Ok(keys.current().map(|id| id.to_string()).unwrap_or_default())
}

fn write_authority(folder: &Folder, certificate: &str, key: &str) -> Result<(), CredentialsError> {
    folder.write_secret(folder::AUTHORITY_KEY, key)?;
    folder.write(folder::AUTHORITY_CERTIFICATE, certificate)
}

/// The authority of the cluster that the node in `data_dir` is a member of, with its key.
///
/// # Errors
/// The folder holds none, or it cannot be read.
pub fn authority(data_dir: &Path) -> Result<Authority, CredentialsError> {
    Folder::of(data_dir).authority()
}

/// The node that makes the cluster.
const FIRST: NodeId = NodeId(1);

/// How long a log of one voter may take to take its first entry.
const INIT_TIMEOUT: Duration = Duration::from_secs(30);

/// Writes the first entries of the log: its voter and `commands`.
async fn begin_log(data_dir: &Path, commands: Vec<Command>, peer_address: &str) -> Result<(), InitError> {
    let failed = |problem: String| InitError::Store {
        path: data_dir.to_owned(),
        problem,
    };
    let path = data_dir.to_owned();
    let opened = blocking(move || Store::open(&path, true))
        .await
        .map_err(|error| failed(error.to_string()))?;
    let store = opened.map_err(|error| failed(error.to_string()))?;
    let outcome = first_entries(&store, commands, peer_address).await;
    blocking(move || store.close())
        .await
        .map_err(|error| failed(error.to_string()))?;
    match outcome.map_err(failed)? {
        Some(refusal) => Err(InitError::Refused(Box::new(refusal))),
        None => Ok(()),
    }
}

/// Returns what refused one of `commands`.
async fn first_entries(store: &Store, commands: Vec<Command>, peer_address: &str) -> Result<Option<Refusal>, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let (applied, receiver) = watch::channel(Applied::default());
    let machine = Machine::new(store.snapshots.clone(), applied.into(), SnapshotPressure::new(u64::MAX));
    let network = Network {
        peers: Arc::new(Peers::new(String::new(), None)),
        members: Members::new(receiver),
    };
    let config = Tuning::default().raft()?;
    let raft = Raft::new(FIRST.0, config.into(), network, store.log.clone(), machine);
    let raft = raft.await.map_err(|error| text(&error))?;
    let members = BTreeMap::from([(FIRST.0, BasicNode::new(peer_address))]);
    raft.initialize(members).await.map_err(|error| text(&error))?;
    let elected = raft
        .wait(Some(INIT_TIMEOUT))
        .state(ServerState::Leader, "the only voter leads")
        .await;
    elected.map_err(|error| text(&error))?;
    let mut refused = None;
    for command in commands {
        let bytes = wire::encode_proposal(&Proposal {
            time: clock::now(),
            command,
        });
        let written = raft.client_write(Payload(bytes.into())).await;
        if let Outcome::Refused(refusal) = written.map_err(|error| text(&error))?.data {
            refused = refused.or(Some(refusal));
        }
    }
    raft.shutdown().await.map_err(|error| text(&error))?;
    Ok(refused)
}

/// What a node needs that joins.
#[derive(Clone, Debug)]
pub struct Joining {
    /// Opens the door once.
    pub token: JoinToken,
    /// `host:port` of a member to ask, instead of those in the token.
    pub member: Option<String>,
    /// What the node says of itself.
    pub facts: NodeFacts,
    /// What its certificate names beside its own name and loopback.
    pub names: Names,
}

/// Asks members, by their peer addresses, for a place; writes the number that the cluster gave, the certificate and the
/// cluster's authority into `data_dir`. Members are known by the fingerprint in the token: nobody else gets to see it.
///
/// Asking again with the same name and token gives the same number as long as the node has never started.
///
/// # Errors
/// The last member that was asked did not give a place, or the folder cannot be used.
pub async fn join(data_dir: &Path, joining: Joining) -> Result<NodeId, JoinError> {
    let io = |source| JoinError::Io {
        path: data_dir.to_owned(),
        source,
    };
    let facts = &joining.facts;
    if let Some(identity) = Identity::read(data_dir).map_err(io)?
        && (identity.started || identity.name != facts.name)
    {
        return Err(JoinError::NotEmpty {
            path: data_dir.to_owned(),
            node: identity.node,
        });
    }
    let folder = Folder::of(data_dir);
    folder.make()?;
    let key = folder.key_or_new()?;
    let members = match &joining.member {
        Some(member) => std::slice::from_ref(member),
        None => joining.token.members(),
    };
    let mut last = JoinError::NoMember;
    for member in members {
        match ask(member, &joining, &key).await {
            Ok(place) => {
                let name = facts.name.clone();
                let written = tokio::task::spawn_blocking({
                    let (data_dir, folder) = (data_dir.to_owned(), folder.clone());
                    move || settle(&data_dir, &folder, name, place)
                });
                return written.await.map_err(|error| io(std::io::Error::other(error)))?;
            }
            // Another may answer, or know more of the token.
            Err(error @ (JoinError::Unreachable { .. } | JoinError::Token { .. } | JoinError::Undecided { .. })) => {
                last = error;
            }
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// What came with a place.
struct Given {
    node: NodeId,
    cluster: String,
    certificate: String,
    authority: String,
    authority_key: String,
    sealing_key: String,
    roster: Roster,
}

async fn ask(member: &str, joining: &Joining, key: &Key) -> Result<Given, JoinError> {
    let token = &joining.token;
    let shown = Joiner::certificate(token, key, UnixTime::now()).map_err(CredentialsError::Sign)?;
    let dialer = Dialer::pinned(token.authority(), certified(vec![shown], key)?);
    let target = Target {
        address: member.to_owned(),
        node: None,
    };
    let question = JoinQuestion {
        facts: joining.facts.clone(),
        names: joining.names.clone(),
    };
    let asked = Peers::new(String::new(), Some(dialer))
        .call(&target, Call::Join, &question, JOIN_TIMEOUT)
        .await;
    let member = || member.to_owned();
    match asked.map_err(|error| not_asked(member(), &error))? {
        Place::Given {
            node,
            cluster,
            certificate,
            authority,
            authority_key,
            sealing_key,
            roster,
        } => Ok(Given {
            node,
            cluster,
            certificate,
            authority,
            authority_key,
            sealing_key,
            roster,
        }),
        Place::Refused(Refusal::JoinToken { fault, .. }) => Err(JoinError::Token {
            member: member(),
            fault,
        }),
        Place::Refused(refusal) => Err(JoinError::Refused(Box::new(refusal))),
        Place::Undecided(problem) => Err(JoinError::Undecided {
            member: member(),
            problem,
        }),
    }
}

/// A member says by its alert what is wrong with a token.
fn not_asked(member: String, error: &CallError) -> JoinError {
    let fault = match error {
        CallError::ShutOut { alert: Some(alert), .. } => match *alert {
            AlertDescription::CertificateRevoked => Some(TokenFault::Used),
            AlertDescription::CertificateExpired => Some(TokenFault::Expired),
            AlertDescription::AccessDenied => Some(TokenFault::Unknown),
            _ => None,
        },
        _ => None,
    };
    match fault {
        Some(fault) => JoinError::Token { member, fault },
        None => JoinError::Unreachable {
            member,
            problem: error.to_string(),
        },
    }
}

/// Writes what came with a place; the identity last, since with it the folder holds a node.
fn settle(data_dir: &Path, folder: &Folder, name: String, given: Given) -> Result<NodeId, JoinError> {
    write_authority(folder, &given.authority, &given.authority_key)?;
    folder.write_secret(folder::SEALING_KEY, &given.sealing_key)?;
    // What cannot be read must not be what the node is started with.
    folder.authority()?;
    folder.sealing_keys()?;
    folder.write(folder::NODE_CERTIFICATE, &given.certificate)?;
    folder.write_json(folder::MEMBERS, &given.roster)?;
    let written = Identity::new(given.node, given.cluster, name).write(data_dir);
    written.map_err(|source| JoinError::Io {
        path: data_dir.to_owned(),
        source,
    })?;
    Ok(given.node)
}

pub(crate) fn clear(path: &Path) -> std::io::Result<()> {
    let removed = if path.is_dir() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
