//! A new cluster from a backup: its objects, its hash seed and its identity, with one new node in place of all those it had.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use guideway_identity::{Authority, AuthorityError, SealingKeys};
use guideway_model::command::{Command, Proposal};
use guideway_model::digest::Digest;
use guideway_model::meta::UnixMillis;
use guideway_model::node::NodeFacts;
use guideway_model::state::State;
use guideway_model::{NodeId, Outcome, Refusal};
use openraft::impls::BasicNode;
use openraft::storage::RaftLogStorage;
use rustls_pki_types::UnixTime;

use crate::backup::Backup;
use crate::clock;
use crate::credentials::folder::{self, Folder};
use crate::credentials::{Credentials, CredentialsError};
use crate::engine::blocking;
use crate::identity::Identity;
use crate::join::{Founding, InitError, clear};
use crate::raft_types::{LeaderId, LogId, Membership, SnapshotMeta, StoredMembership, Vote};
use crate::store::{self, Store};
use crate::trust::{Roster, RosterMember};

/// What is said of the node that a backup is restored on.
#[derive(Clone, Debug)]
pub struct Restoring {
    /// As at the founding of a cluster.
    pub founding: Founding,
    /// What the node says of itself.
    pub facts: NodeFacts,
    /// A kept copy of the folder `identity` of a member: the cluster's authority and its sealing keys.
    pub identity: Option<PathBuf>,
}

/// Why no cluster was made of a backup.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// As when a cluster is made.
    #[error(transparent)]
    Init(#[from] InitError),
    /// Secrets are in it, and no key.
    #[error(
        "the backup holds {secrets} sealed Secrets, which nobody can open without key {key}: give a kept copy of the folder `identity` of a member with --identity"
    )]
    NeedsIdentity {
        /// How many.
        secrets: usize,
        /// Id of the key.
        key: String,
    },
    /// The key is another one.
    #[error(
        "{path:?} holds sealing key {found}, and the backup's Secrets are sealed with key {wanted}: it is of another cluster"
    )]
    OtherKey {
        /// The folder.
        path: PathBuf,
        /// Id of the key in it.
        found: String,
        /// Id of the backup's.
        wanted: String,
    },
    /// The state does not take the node.
    #[error("the backup's state refused the new node: {0:?}")]
    Refused(Box<Refusal>),
}

impl From<CredentialsError> for RestoreError {
    fn from(error: CredentialsError) -> RestoreError {
        RestoreError::Init(error.into())
    }
}

/// Who may sign and what opens Secrets, before it is written.
struct Keys {
    authority: Authority,
    sealing: SealingKeys,
}

/// Makes a cluster of a backup in an empty folder. The node gets the next number; no member of the backup is one any more,
/// and tokens to join with are void. With a kept identity, certificates and kubeconfigs of the cluster go on being good.
///
/// # Errors
/// The folder holds a node or cannot be written, or the identity does not fit the backup.
pub async fn restore(data_dir: &Path, backup: Backup, restoring: Restoring) -> Result<NodeId, RestoreError> {
    let io = |source| InitError::Io {
        path: data_dir.to_owned(),
        source,
    };
    if let Some(identity) = Identity::read(data_dir).map_err(io)? {
        let path = data_dir.to_owned();
        let node = identity.node;
        return Err(InitError::NotEmpty { path, node }.into());
    }
    let keys = keys(&backup, restoring.identity.as_deref())?;
    std::fs::create_dir_all(data_dir).map_err(io)?;
    // The kept identity may be the one that is cleared away: it has been read.
    for left in [store::FOLDER, store::MARK, folder::FOLDER] {
        clear(&data_dir.join(left)).map_err(io)?;
    }
    let folder = Folder::of(data_dir);
    folder.make()?;
    folder.write_secret(folder::AUTHORITY_KEY, &keys.authority.key_pem())?;
    folder.write(folder::AUTHORITY_CERTIFICATE, keys.authority.certificate_pem())?;
    folder.write_secret(folder::SEALING_KEY, &keys.sealing.text())?;
    let key = Digest(folder.key_or_new()?.fingerprint().0);
    let (state, node) = taken_over(backup.state, &restoring.facts, key, &keys.sealing)?;
    let peer_address = &restoring.founding.peer_address;
    let member = RosterMember {
        address: peer_address.clone(),
        keys: vec![key],
    };
    let roster = Roster {
        index: 0,
        highest: node.0,
        members: BTreeMap::from([(node.0, member)]),
    };
    folder.write_json(folder::MEMBERS, &roster)?;
    let cluster = backup.header.cluster;
    write_store(data_dir, state, (backup.header.index, node), peer_address).await?;
    let mut identity = Identity::new(node, cluster, restoring.facts.name);
    let subject = restoring.founding.names.subject(&identity);
    Credentials::open(data_dir, subject, restoring.founding.certificate_life)?;
    identity.started = true;
    identity.write(data_dir).map_err(io)?;
    Ok(node)
}

/// The kept keys, or new ones where nothing is lost by it.
fn keys(backup: &Backup, kept: Option<&Path>) -> Result<Keys, RestoreError> {
    let wanted = backup.header.sealing_key.clone().unwrap_or_default();
    let Some(path) = kept else {
        let secrets = backup.header.secrets;
        if secrets > 0 {
            return Err(RestoreError::NeedsIdentity { secrets, key: wanted });
        }
        let made = |error: AuthorityError| CredentialsError::Sign(error);
        let sealing = SealingKeys::generate().map_err(|source| CredentialsError::SealingKey {
            path: folder::SEALING_KEY.to_owned(),
            source,
        })?;
        return Ok(Keys {
            authority: Authority::create(&backup.header.cluster, UnixTime::now()).map_err(made)?,
            sealing,
        });
    };
    let folder = Folder::at(path);
    let keys = Keys {
        authority: folder.authority()?,
        sealing: folder.sealing_keys()?,
    };
    let found = keys.sealing.current().map(|id| id.to_string()).unwrap_or_default();
    if found == wanted {
        return Ok(keys);
    }
    Err(RestoreError::OtherKey {
        path: path.to_owned(),
        found,
        wanted,
    })
}

/// The state with the new node as its only member.
fn taken_over(
    mut state: State,
    facts: &NodeFacts,
    key: Digest,
    sealing: &SealingKeys,
) -> Result<(State, NodeId), RestoreError> {
    let time = state.time().max(UnixMillis(clock::now().0));
    let apply = |state: &mut State, command| match state.apply(Proposal { time, command }) {
        Outcome::Refused(refusal) => Err(RestoreError::Refused(Box::new(refusal))),
        outcome => Ok(outcome),
    };
    let tokens: Vec<String> = state.join_tokens().map(|(id, _)| id.to_owned()).collect();
    for id in tokens {
        apply(&mut state, Command::RevokeJoinToken { id })?;
    }
    let members: Vec<NodeId> = state.nodes().map(|(id, _)| id).collect();
    for node in members {
        apply(&mut state, Command::RemoveNode { node })?;
    }
    let joined = apply(&mut state, Command::JoinNode { node: facts.clone() })?;
    let node = match joined {
        Outcome::NodeId(node) => node,
        _ => state.highest_node(),
    };
    let keys = vec![key];
    apply(&mut state, Command::SetNodeKeys { node, keys })?;
    if let Some(id) = sealing.current() {
        let id = id.to_string();
        apply(&mut state, Command::SetSealingKey { id })?;
    }
    Ok((state, node))
}

/// Writes a store that has nothing but a snapshot of the state, one index after the backup's.
async fn write_store(
    data_dir: &Path,
    state: State,
    (index, node): (u64, NodeId),
    peer_address: &str,
) -> Result<(), InitError> {
    let failed = |problem: String| InitError::Store {
        path: data_dir.to_owned(),
        problem,
    };
    let voters = vec![BTreeSet::from([node.0])];
    let nodes = BTreeMap::from([(node.0, BasicNode::new(peer_address))]);
    let membership = Membership::new(voters, nodes).map_err(|error| failed(error.to_string()))?;
    let last = LogId {
        leader_id: LeaderId {
            term: 1,
            node_id: node.0,
        },
        index: index + 1,
    };
    let meta = SnapshotMeta {
        last_log_id: Some(last),
        last_membership: StoredMembership::new(Some(last), membership),
    };
    let path = data_dir.to_owned();
    let write = move || {
        let store = Store::open(&path, true).map_err(|error| error.to_string())?;
        let written = write_snapshot(&store, &state, &meta).map_err(|error| error.to_string());
        Ok::<_, String>((store, written))
    };
    let written = blocking(write).await.map_err(|error| failed(error.to_string()))?;
    let (store, written) = written.map_err(failed)?;
    let voted = store.log.clone().save_vote(&Vote::new(1, node.0)).await;
    let closed = blocking(move || store.close()).await;
    written.map_err(failed)?;
    voted.map_err(|error| failed(error.to_string()))?;
    closed.map_err(|error| failed(error.to_string()))
}

fn write_snapshot(store: &Store, state: &State, meta: &SnapshotMeta) -> std::io::Result<()> {
    let mut writer = store.snapshots.begin()?;
    for record in state.snapshot_records() {
        writer.push_record(&record)?;
    }
    store.snapshots.publish(meta, &writer.finish()?)
}
