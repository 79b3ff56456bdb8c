//! What a node proves itself with: its key, its certificate, and the cluster's authority, all in its data folder.
//!
//! A certificate is signed anew, for the same key, whenever a node starts and at two thirds of its life: every member
//! holds the authority's key. Who serves or calls takes the certificate at each handshake, so a new one is in use at once
//! and no connection ends for it.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use guideway_identity::{
    Authority, AuthorityError, Digest, Key, NodeSubject, SealingKeysError, Validity, certificates,
};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::sync::watch;

pub(crate) mod folder;

use self::folder::Folder;
use crate::identity::Identity;
use crate::sealing::Sealing;

/// Names and addresses by which clients reach a node, beside its own name and loopback: they go into its certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Names {
    /// DNS names.
    pub dns: Vec<String>,
    /// Addresses; one that stands for all of them is left out.
    pub ips: Vec<IpAddr>,
}

impl Names {
    /// Whom the certificate of this node names.
    pub(crate) fn subject(&self, identity: &Identity) -> NodeSubject {
        NodeSubject {
            cluster: identity.cluster.clone(),
            number: identity.node.0,
            name: identity.name.clone(),
            dns: self.dns.clone(),
            ips: self.ips.clone(),
        }
    }
}

/// Why a node has nothing to prove itself with.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: {source}")]
    Damaged {
        /// Which.
        path: String,
        /// What is wrong.
        source: AuthorityError,
    },
    /// There is no key for Secrets.
    #[error(
        "{path} is not there: Secrets of this cluster cannot be read or written without it. Copy it from the data folder of another member, readable for its owner alone"
    )]
    NoSealingKey {
        /// Where it belongs.
        path: String,
    },
    /// The file of keys for Secrets holds none.
    #[error("{path}: {source}; copy it from the data folder of another member, readable for its owner alone")]
    SealingKey {
        /// Which.
        path: String,
        /// What is wrong.
        source: SealingKeysError,
    },
    /// A certificate could not be signed.
    #[error("this node's certificate cannot be signed: {0}")]
    Sign(AuthorityError),
}

/// The certificate that a node shows, with its key.
#[derive(Clone, Debug)]
pub struct NodeCertificate {
    /// As rustls takes it.
    pub certified: Arc<CertifiedKey>,
    /// SHA-256 of its public key.
    pub key: Digest,
    /// When it ends.
    pub not_after: UnixTime,
}

/// A node's credentials; clones share them.
#[derive(Clone, Debug)]
pub struct Credentials {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: Folder,
    authority: Authority,
    sealing: Sealing,
    subject: NodeSubject,
    life: Duration,
    current: watch::Sender<Arc<NodeCertificate>>,
    /// Held while a certificate is changed, so that file and use agree.
    changing: Mutex<()>,
}

impl Credentials {
    /// Reads the keys in `data_dir` and signs a certificate of this `life` for the node.
    pub(crate) fn open(data_dir: &Path, subject: NodeSubject, life: Duration) -> Result<Credentials, CredentialsError> {
        let folder = Folder::of(data_dir);
        let authority = folder.authority()?;
        let sealing = Sealing::new(folder.sealing_keys()?);
        let key = folder.key()?;
        let certificate = issue(&authority, &subject, &key, life)?;
        folder.write(folder::NODE_CERTIFICATE, &certificate.0)?;
        Ok(Credentials {
            shared: Arc::new(Shared {
                folder,
                authority,
                sealing,
                subject,
                life,
                current: watch::Sender::new(Arc::new(certificate.1)),
                changing: Mutex::default(),
            }),
        })
    }

    /// The certificate in use, and each that follows it.
    pub fn watch(&self) -> watch::Receiver<Arc<NodeCertificate>> {
        self.shared.current.subscribe()
    }

    /// The certificate in use.
    pub fn current(&self) -> Arc<NodeCertificate> {
        self.shared.current.borrow().clone()
    }

    /// The cluster's authority, with its key.
    pub fn authority(&self) -> &Authority {
        &self.shared.authority
    }

    /// The keys with which Secrets are sealed.
    pub fn sealing(&self) -> &Sealing {
        &self.shared.sealing
    }

    /// How long certificates of nodes are good for.
    pub(crate) fn life(&self) -> Duration {
        self.shared.life
    }

    /// Signs a certificate for the key in use and uses it. Blocks on the disk.
    pub(crate) fn renew(&self) -> Result<Arc<NodeCertificate>, CredentialsError> {
        let key = self.shared.folder.key()?;
        self.take(&key)
    }

    /// Makes another key; it is used from [`Credentials::take`] on.
    pub(crate) fn next_key(&self) -> Result<Key, CredentialsError> {
        Key::generate().map_err(|error| CredentialsError::Sign(error.into()))
    }

    /// Uses this key from now on. Blocks on the disk.
    pub(crate) fn take(&self, key: &Key) -> Result<Arc<NodeCertificate>, CredentialsError> {
        let shared = &self.shared;
        let _changing = shared.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (pem, certificate) = issue(&shared.authority, &shared.subject, key, shared.life)?;
        // In this order: whoever starts between the two signs a certificate for the key that is there.
        shared.folder.write_secret(folder::NODE_KEY, &key.pem())?;
        shared.folder.write(folder::NODE_CERTIFICATE, &pem)?;
        let certificate = Arc::new(certificate);
        shared.current.send_replace(certificate.clone());
        Ok(certificate)
    }
}

/// The chain as PEM, and ready for use.
fn issue(
    authority: &Authority,
    subject: &NodeSubject,
    key: &Key,
    life: Duration,
) -> Result<(String, NodeCertificate), CredentialsError> {
    let validity = Validity::starting(UnixTime::now(), life);
    let pem = authority
        .issue_node(subject, &key.public(), validity)
        .map_err(CredentialsError::Sign)?;
    let chain = certificates(&pem).map_err(|error| CredentialsError::Sign(error.into()))?;
    let certificate = NodeCertificate {
        certified: certified(chain, key)?,
        key: key.fingerprint(),
        not_after: validity.not_after,
    };
    Ok((pem, certificate))
}

/// A chain and its key, as rustls takes them.
pub(crate) fn certified(chain: Vec<CertificateDer<'static>>, key: &Key) -> Result<Arc<CertifiedKey>, CredentialsError> {
    let signing = any_supported_type(&key.der());
    let signing = signing.map_err(|error| CredentialsError::Sign(AuthorityError::Sign(error.to_string())))?;
    Ok(Arc::new(CertifiedKey::new(chain, signing)))
}
