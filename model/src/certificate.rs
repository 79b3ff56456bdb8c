//! Certificates and keys in Secrets and ConfigMaps: what can be told of them without signing anything.
//!
//! Admission stores any bytes, as Kubernetes does. What refers to a Secret says in its status whether it can be used, and
//! this is where that is found out: the same bytes give the same answer on every node. Validity in time is not looked at,
//! since nothing here reads a clock.

mod der;
mod facts;
mod key;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{self, PemObject};
use webpki::{EndEntityCert, anchor_from_trusted_cert};

use crate::resource::{Blob, ConfigMap, Secret};

pub use facts::{CertificateFacts, SecretFacts, certificate_facts};
pub use key::KeyFault;

/// Certificates in one chain at most; longer ones are refused. Clients give up sooner.
const CHAIN_MOST: usize = 16;
/// Authorities in one bundle at most; larger ones are refused. Those of an operating system are about 150.
const AUTHORITIES_MOST: usize = 512;
/// Key of a bundle of certificate authorities, in ConfigMaps and Secrets.
pub const AUTHORITIES_KEY: &str = "ca.crt";

/// A certificate chain with its private key, checked. Its `Debug` does not show the key.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerCertificate {
    /// DER of the chain, the leaf first.
    pub chain: Vec<Vec<u8>>,
    /// PEM of the private key.
    pub key: Vec<u8>,
    /// DNS names of the leaf, as it has them: perhaps with a wildcard, perhaps none.
    pub dns_names: Vec<String>,
}

/// Why a Secret cannot be used as a certificate, as a part of a sentence about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// It is of another type.
    #[error("it has type {found:?} and must have type kubernetes.io/tls")]
    WrongType {
        /// Its type.
        found: String,
    },
    /// The chain cannot be read.
    #[error("{} {problem}", Place(Secret::TLS_CERTIFICATE))]
    Chain {
        /// What is wrong with it.
        problem: PemFault,
    },
    /// The private key cannot be used.
    #[error("{} {problem}", Place(Secret::TLS_PRIVATE_KEY))]
    Key {
        /// What is wrong with it.
        problem: KeyFault,
    },
    /// Chain and key are each in order and do not belong together.
    #[error("its private key is not that of the first certificate in data[tls.crt]")]
    KeyOfAnother,
}

/// Why PEM text is not the certificates that are wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemFault {
    /// There is no such key in the data.
    #[error("is not set")]
    Missing,
    /// No PEM at all, or of something else.
    #[error("has no PEM block BEGIN CERTIFICATE")]
    Empty,
    /// A PEM block is damaged.
    #[error("is damaged: {0}")]
    Damaged(&'static str),
    /// Too many certificates.
    #[error("has more than {most} certificates")]
    TooMany {
        /// The bound.
        most: usize,
    },
    /// A block is PEM, and what is in it cannot be used as a certificate.
    #[error("has a certificate that cannot be used, number {place}: {problem}")]
    NotACertificate {
        /// From 1.
        place: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// Reads a Secret of type `kubernetes.io/tls` that is not sealed: the chain must be PEM with an X.509 leaf, the key one that can be served
/// with, and the two must belong together as far as the key tells its public half.
///
/// # Errors
/// What is wrong with it, without showing any of it.
pub fn of_secret(secret: &Secret) -> Result<ServerCertificate, CertificateFault> {
    if secret.secret_type != Secret::TLS {
        return Err(CertificateFault::WrongType {
            found: secret.secret_type.clone(),
        });
    }
    let chain =
        read_chain(secret.data.get(Secret::TLS_CERTIFICATE)).map_err(|problem| CertificateFault::Chain { problem })?;
    let key_fault = |problem| CertificateFault::Key { problem };
    let pem = secret
        .data
        .get(Secret::TLS_PRIVATE_KEY)
        .ok_or(key_fault(KeyFault::Missing))?;
    let private = key::read_private(&pem.0).map_err(key_fault)?;
    let leaf = CertificateDer::from(chain[0].as_slice());
    let (dns_names, public) = read_leaf(&leaf).map_err(|problem| CertificateFault::Chain { problem })?;
    if !private.belongs_to(&public) {
        return Err(CertificateFault::KeyOfAnother);
    }
    Ok(ServerCertificate {
        chain,
        key: pem.0.clone(),
        dns_names,
    })
}

/// DER of the certificate authorities in `ca.crt` of a ConfigMap.
///
/// # Errors
/// What is wrong with it.
pub fn authorities_of_config_map(map: &ConfigMap) -> Result<Vec<Vec<u8>>, PemFault> {
    let text = map.data.get(AUTHORITIES_KEY).map(String::as_bytes);
    let bytes = map.binary_data.get(AUTHORITIES_KEY).map(|blob| blob.0.as_slice());
    read_authorities(text.or(bytes))
}

/// DER of the certificate authorities in `ca.crt` of a Secret of any type that is not sealed.
///
/// # Errors
/// What is wrong with it.
pub fn authorities_of_secret(secret: &Secret) -> Result<Vec<Vec<u8>>, PemFault> {
    read_authorities(secret.data.get(AUTHORITIES_KEY).map(|blob| blob.0.as_slice()))
}

impl std::fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerCertificate")
            .field("dns_names", &self.dns_names)
            .field("chain", &self.chain.len())
            .finish_non_exhaustive()
    }
}

fn read_chain(pem: Option<&Blob>) -> Result<Vec<Vec<u8>>, PemFault> {
    let chain = read_blocks(pem.map(|blob| blob.0.as_slice()), CHAIN_MOST)?;
    for (index, certificate) in chain.iter().enumerate().skip(1) {
        // Clients judge these; only what cannot be a certificate at all is refused here.
        if !der::is_one_sequence(certificate) {
            return Err(PemFault::NotACertificate {
                place: index + 1,
                problem: UNREADABLE,
            });
        }
    }
    Ok(chain)
}

fn read_leaf(leaf: &CertificateDer<'_>) -> Result<(Vec<String>, key::PublicKey), PemFault> {
    let not_a_certificate = |problem| PemFault::NotACertificate { place: 1, problem };
    let leaf = EndEntityCert::try_from(leaf).map_err(|error| not_a_certificate(unusable(&error)))?;
    let public = key::read_public(&leaf.subject_public_key_info()).ok_or(not_a_certificate(UNREADABLE))?;
    Ok((leaf.valid_dns_names().map(str::to_owned).collect(), public))
}

fn read_authorities(pem: Option<&[u8]>) -> Result<Vec<Vec<u8>>, PemFault> {
    let authorities = read_blocks(pem, AUTHORITIES_MOST)?;
    for (index, authority) in authorities.iter().enumerate() {
        let der = CertificateDer::from(authority.as_slice());
        anchor_from_trusted_cert(&der).map_err(|error| PemFault::NotACertificate {
            place: index + 1,
            problem: unusable(&error),
        })?;
    }
    Ok(authorities)
}

/// DER of every certificate in PEM text, at least one.
fn read_blocks(pem: Option<&[u8]>, most: usize) -> Result<Vec<Vec<u8>>, PemFault> {
    let pem = pem.ok_or(PemFault::Missing)?;
    let mut found = Vec::new();
    for block in CertificateDer::pem_slice_iter(pem) {
        if found.len() == most {
            return Err(PemFault::TooMany { most });
        }
        found.push(block.map_err(|error| PemFault::Damaged(damage(&error)))?.to_vec());
    }
    if found.is_empty() {
        return Err(PemFault::Empty);
    }
    Ok(found)
}

/// What is wrong with PEM, without a word of it.
fn damage(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a PEM block has no END line",
        pem::Error::IllegalSectionStart { .. } => "the BEGIN line of a PEM block does not end in -----",
        pem::Error::Base64Decode(_) => "a PEM block is not base64",
        _ => "it is not PEM",
    }
}

const UNREADABLE: &str = "it is no X.509 certificate in DER";

/// Why a certificate cannot be used; the same words whatever version of the parser a node has.
fn unusable(error: &webpki::Error) -> &'static str {
    match error {
        webpki::Error::UnsupportedCertVersion => "it is not of X.509 version 3",
        webpki::Error::UnsupportedCriticalExtension => "it has a critical extension that is not known here",
        _ => UNREADABLE,
    }
}

/// Where in the data something is.
struct Place(&'static str);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "data[{}]", self.0)
    }
}

#[cfg(test)]
mod tests;
