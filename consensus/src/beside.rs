//! A command that runs beside a node, on its machine: it has the node's data folder, and so calls the node as the node
//! itself would.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use guideway_identity::{Digest, certificates};
use guideway_model::NodeId;
use guideway_model::command::{Command, Proposal};
use guideway_model::meta::UnixMillis;
use guideway_model::wire;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer;
use crate::credentials::{CredentialsError, certified, folder::Folder, folder::NODE_CERTIFICATE};
use crate::identity::Identity;
use crate::propose::{Committed, Handed, ProposeError};
use crate::recover::Loss;
use crate::transport::{Call, Dialer, Peers, Target};

/// How long the node may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A node that runs, as a command on its machine reaches it.
pub struct Beside {
    peers: Peers,
    target: Target,
    authority: Digest,
    node: NodeId,
}

/// Why a node did not do what a command beside it asked.
#[derive(Debug, thiserror::Error)]
pub enum BesideError {
    /// The folder holds no node.
    #[error("{0} holds no node: run this on a member's machine, with its configuration")]
    NoNode(String),
    /// The folder cannot be read.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The node does not answer.
    #[error("the node at {address} does not answer: {problem}; is it running?")]
    Silent {
        /// Its peer address.
        address: String,
        /// What happened.
        problem: String,
    },
    /// The cluster did not agree.
    #[error(transparent)]
    Propose(#[from] ProposeError),
    /// The node could not do it.
    #[error("the node could not: {0}")]
    Failed(String),
}

impl Beside {
    /// The node in `data_dir`, whose transport listens at `peer_listen`. Nothing is called yet.
    ///
    /// # Errors
    /// The folder holds no node, or cannot be read.
    pub fn new(data_dir: &Path, peer_listen: SocketAddr) -> Result<Beside, BesideError> {
        let none = || BesideError::NoNode(data_dir.display().to_string());
        let identity = Identity::read(data_dir).ok().flatten().ok_or_else(none)?;
        let folder = Folder::of(data_dir);
        let authority = folder.authority()?.fingerprint();
        let chain = certificates(&folder.read(NODE_CERTIFICATE)?);
        let chain = chain.map_err(|error| BesideError::Failed(error.to_string()))?;
        let shown = certified(chain, &folder.key()?)?;
        Ok(Beside {
            peers: Peers::new(identity.cluster, Some(Dialer::pinned(authority, shown))),
            target: Target {
                address: peer_listen.to_string(),
                node: Some(identity.node.0),
            },
            authority,
            node: identity.node,
        })
    }

    /// Fingerprint of the cluster's authority.
    pub fn authority(&self) -> Digest {
        self.authority
    }

    /// The node's number.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Has a command committed through the node.
    ///
    /// # Errors
    /// The node does not answer, or the cluster did not agree.
    pub async fn propose(&self, command: Command) -> Result<Committed, BesideError> {
        let bytes = wire::encode_proposal(&Proposal {
            time: UnixMillis::default(),
            command,
        });
        let handed = self
            .peers
            .call_bytes::<Handed>(&self.target, Call::Submit, bytes.into(), PATIENCE)
            .await;
        match handed.map_err(|error| self.silent(&error))? {
            Handed::Committed(committed) => Ok(committed),
            Handed::NotLeader => Err(BesideError::Propose(ProposeError::NoLeader { waited: PATIENCE })),
            Handed::Failed(error) => Err(error.into()),
        }
    }

    /// Has the node take another key; returns its fingerprint.
    ///
    /// # Errors
    /// The node does not answer, or could not do it.
    pub async fn rotate(&self) -> Result<Digest, BesideError> {
        self.ask(Call::Rotate, &()).await
    }

    /// Has a member removed for good.
    ///
    /// # Errors
    /// The node does not answer, there is no such member, or it is the last voter.
    pub async fn remove(&self, node: NodeId) -> Result<(), BesideError> {
        self.ask(Call::Remove, &node).await
    }

    /// What is lost, if all others are.
    ///
    /// # Errors
    /// The node does not answer, or most of the others do.
    pub async fn loss(&self) -> Result<Loss, BesideError> {
        self.ask(Call::Loss, &()).await
    }

    /// Has the node become the only member of its cluster.
    ///
    /// # Errors
    /// The node does not answer, most of the others do, or its store cannot be written.
    pub async fn recover(&self) -> Result<Loss, BesideError> {
        self.ask(Call::Recover, &()).await
    }

    async fn ask<T: DeserializeOwned>(&self, call: Call, question: &impl Serialize) -> Result<T, BesideError> {
        let answer = self.peers.call(&self.target, call, question, PATIENCE).await;
        let answer: answer::Beside<T> = answer.map_err(|error| self.silent(&error))?;
        answer.map_err(BesideError::Failed)
    }

    fn silent(&self, error: &dyn std::fmt::Display) -> BesideError {
        BesideError::Silent {
            address: self.target.address.clone(),
            problem: error.to_string(),
        }
    }
}
