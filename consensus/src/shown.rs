//! What is in the folder `identity` of a node, for its operator: no secret is in it.

use std::path::Path;

use guideway_identity::{CertificateSummary, SealingKeyId, certificates, summary};
use guideway_model::NodeId;

use crate::credentials::CredentialsError;
use crate::credentials::folder::{AUTHORITY_CERTIFICATE, Folder, NODE_CERTIFICATE};
use crate::identity::Identity;

/// The certificates and keys of a node, without the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownIdentity {
    /// Identity of the cluster.
    pub cluster: String,
    /// The node's number.
    pub node: NodeId,
    /// The node's name when it joined.
    pub name: String,
    /// Of the cluster's authority.
    pub authority: CertificateSummary,
    /// Of the node.
    pub certificate: CertificateSummary,
    /// Ids of the keys that open Secrets; the first seals.
    pub sealing_keys: Vec<SealingKeyId>,
}

/// Reads the folder of the node in `data_dir`, whether it runs or not. Blocks on the disk.
///
/// # Errors
/// A file is missing or damaged. A folder without a node gives `None`.
pub fn shown_identity(data_dir: &Path) -> Result<Option<ShownIdentity>, CredentialsError> {
    let identity = Identity::read(data_dir).map_err(|source| CredentialsError::Io {
        path: data_dir.display().to_string(),
        source,
    })?;
    let Some(identity) = identity else {
        return Ok(None);
    };
    let folder = Folder::of(data_dir);
    Ok(Some(ShownIdentity {
        cluster: identity.cluster,
        node: identity.node,
        name: identity.name,
        authority: first(&folder, AUTHORITY_CERTIFICATE)?,
        certificate: first(&folder, NODE_CERTIFICATE)?,
        sealing_keys: folder.sealing_keys()?.ids(),
    }))
}

/// The first certificate in a file.
fn first(folder: &Folder, name: &str) -> Result<CertificateSummary, CredentialsError> {
    let text = folder.read(name)?;
    let read = certificates(&text).and_then(|chain| summary(chain.first().map_or(&[], |first| first.as_ref())));
    read.map_err(|error| folder.damaged(name, error.into()))
}
