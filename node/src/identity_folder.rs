//! The folder in which a node keeps who it is: `identity/` in its data folder.
//!
//! The certificate of the authority, that of the node and their keys, all in PEM; the folder is readable for its owner
//! alone.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use guideway_identity::{
    Authority, AuthorityError, CertificateError, Key, KeyError, KubeconfigServer, MASTERS, NodeSubject, UserSubject,
    Validity, certificates, kubeconfig, parse_peer,
};
use guideway_model::NodeId;
use rustls_pki_types::UnixTime;

use crate::config::Config;

/// Name of the kubeconfig that `init` leaves in the data folder.
pub(crate) const ADMIN_KUBECONFIG: &str = "admin.kubeconfig";
/// User of that kubeconfig.
const ADMIN: &str = "admin";

const FOLDER: &str = "identity";
const AUTHORITY: &str = "ca.crt";
const AUTHORITY_KEY: &str = "ca.key";
const NODE: &str = "node.crt";
const NODE_KEY: &str = "node.key";

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long the certificate of a node is good for.
const NODE_LIFE: Duration = Duration::from_secs(90 * DAY.as_secs());
/// How long that of the first administrator is.
const ADMIN_LIFE: Duration = Duration::from_secs(365 * DAY.as_secs());

/// Why a node has no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file could not be read or written.
    #[error("{}: {source}; `guideway init` and `guideway join` make it", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The node's key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A certificate in the folder.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// What the API serves with; all in PEM.
#[derive(Clone, Debug)]
pub(crate) struct ServingIdentity {
    /// Certificate of the authority.
    pub(crate) authority: String,
    /// That of the node, and those up to the authority's.
    pub(crate) chain: String,
    /// The node's private key.
    pub(crate) key: String,
}

/// What the API of a node serves with.
pub(crate) fn serving(data_dir: &Path) -> Result<ServingIdentity, IdentityError> {
    let folder = data_dir.join(FOLDER);
    Ok(ServingIdentity {
        authority: read(&folder.join(AUTHORITY))?,
        chain: read(&folder.join(NODE))?,
        key: read(&folder.join(NODE_KEY))?,
    })
}

/// Makes the authority of a new cluster, the certificate of its first node, and a kubeconfig for its administrator.
pub(crate) fn found(config: &Config, cluster: &str) -> Result<PathBuf, IdentityError> {
    let authority = Authority::create(cluster, now())?;
    give(config, &authority, cluster, NodeId(1))?;
    let path = config.data_dir.join(ADMIN_KUBECONFIG);
    let servers = [KubeconfigServer {
        name: config.name.clone(),
        url: config.api_url(),
    }];
    write(&path, &admin_kubeconfig(&authority, &servers)?)?;
    Ok(path)
}

/// Makes the certificate of a node that has joined, with the authority in a member's data folder.
pub(crate) fn extend(config: &Config, node: NodeId, member_data_dir: &Path) -> Result<(), IdentityError> {
    let authority = authority(member_data_dir)?;
    let chain = certificates(&read(&member_data_dir.join(FOLDER).join(NODE))?)?;
    let own = chain.first().map(|certificate| parse_peer(certificate)).transpose()?;
    let cluster = own.map(|peer| peer.cluster).unwrap_or_default();
    give(config, &authority, &cluster, node)
}

/// A kubeconfig with a context for each server, for a new administrator of the cluster whose member has this data folder.
pub(crate) fn administrator(member_data_dir: &Path, servers: &[KubeconfigServer]) -> Result<String, IdentityError> {
    admin_kubeconfig(&authority(member_data_dir)?, servers)
}

fn admin_kubeconfig(authority: &Authority, servers: &[KubeconfigServer]) -> Result<String, IdentityError> {
    let subject = UserSubject {
        user: ADMIN.to_owned(),
        groups: vec![MASTERS.to_owned()],
    };
    let (certificate, key) = authority.issue_user(&subject, Validity::starting(now(), ADMIN_LIFE))?;
    Ok(kubeconfig(
        servers,
        ADMIN,
        authority.certificate_pem(),
        &certificate,
        &key,
    ))
}

fn authority(data_dir: &Path) -> Result<Authority, IdentityError> {
    let folder = data_dir.join(FOLDER);
    Ok(Authority::from_pem(
        &read(&folder.join(AUTHORITY))?,
        &read(&folder.join(AUTHORITY_KEY))?,
    )?)
}

fn give(config: &Config, authority: &Authority, cluster: &str, node: NodeId) -> Result<(), IdentityError> {
    let key = Key::generate()?;
    let mut ips: Vec<IpAddr> = [config.peer_listen.ip(), config.api_listen.ip()]
        .into_iter()
        .chain(config.data.address)
        .filter(|address| !address.is_unspecified())
        .collect();
    ips.sort_unstable();
    ips.dedup();
    let subject = NodeSubject {
        cluster: cluster.to_owned(),
        number: node.0,
        name: config.name.clone(),
        dns: Vec::new(),
        ips,
    };
    let chain = authority.issue_node(&subject, &key.public(), Validity::starting(now(), NODE_LIFE))?;
    let folder = config.data_dir.join(FOLDER);
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(&folder).map_err(|source| IdentityError::File {
        path: folder.clone(),
        source,
    })?;
    for (name, pem) in [
        (AUTHORITY, authority.certificate_pem()),
        (AUTHORITY_KEY, &authority.key_pem()),
        (NODE, &chain),
        (NODE_KEY, &key.pem()),
    ] {
        write(&folder.join(name), pem)?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, IdentityError> {
    std::fs::read_to_string(path).map_err(|source| IdentityError::File {
        path: path.to_owned(),
        source,
    })
}

/// Writes a file that only its owner may read.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), IdentityError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|source| IdentityError::File {
        path: path.to_owned(),
        source,
    })
}

fn now() -> UnixTime {
    UnixTime::since_unix_epoch(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}
