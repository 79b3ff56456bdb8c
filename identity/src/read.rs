//! What stands in a certificate, whoever signed it.

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use std::net::IpAddr;
use std::time::Duration;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::digest::Digest;

/// Why a certificate does not say what is wanted of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// No X.509.
    #[error("it is not an X.509 certificate: {0}")]
    Unreadable(String),
    /// It is one of another purpose.
    #[error("it is not {wanted}: {problem}")]
    Other {
        /// What it should be.
        wanted: &'static str,
        /// Why it is not.
        problem: String,
    },
    /// The authority did not sign it, or it is not good at this time or for this use.
    #[error("{0}")]
    NotIssued(String),
}

/// SHA-256 of the public key of a certificate.
///
/// # Errors
/// It is no certificate.
pub fn fingerprint(certificate: &[u8]) -> Result<Digest, CertificateError> {
    Ok(read(certificate)?.key)
}

/// The certificates in PEM text, in order; other blocks are left out.
///
/// # Errors
/// A block is damaged.
pub fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    read.map_err(|error| CertificateError::Unreadable(error.to_string()))
}

/// What a certificate tells an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSummary {
    /// DNS names and addresses that it is good for.
    pub names: Vec<String>,
    /// SHA-256 of its public key.
    pub key: Digest,
    /// From when it is good.
    pub not_before: UnixTime,
    /// Until when.
    pub not_after: UnixTime,
}

/// Reads a certificate of any purpose.
///
/// # Errors
/// It is no certificate.
pub fn summary(certificate: &[u8]) -> Result<CertificateSummary, CertificateError> {
    let parts = read(certificate)?;
    Ok(CertificateSummary {
        names: parts.names,
        key: parts.key,
        not_before: parts.not_before,
        not_after: parts.not_after,
    })
}

/// The parts of a certificate that we use.
pub(crate) struct Parts {
    pub(crate) common_name: Option<String>,
    pub(crate) organizations: Vec<String>,
    pub(crate) uris: Vec<String>,
    pub(crate) names: Vec<String>,
    pub(crate) key: Digest,
    pub(crate) public_key: Vec<u8>,
    pub(crate) not_before: UnixTime,
    pub(crate) not_after: UnixTime,
}

pub(crate) fn read(certificate: &[u8]) -> Result<Parts, CertificateError> {
    let unreadable = |problem: String| CertificateError::Unreadable(problem);
    let (rest, parsed) = X509Certificate::from_der(certificate).map_err(|error| unreadable(error.to_string()))?;
    if !rest.is_empty() {
        return Err(unreadable(format!("{} bytes follow it", rest.len())));
    }
    let text = |value: &x509_parser::x509::AttributeTypeAndValue<'_>| value.as_str().ok().map(str::to_owned);
    let names = parsed.subject_alternative_name();
    let names = names.map_err(|error| unreadable(error.to_string()))?;
    let (mut uris, mut own) = (Vec::new(), Vec::new());
    for name in names.iter().flat_map(|names| &names.value.general_names) {
        match name {
            GeneralName::URI(uri) => uris.push((*uri).to_owned()),
            GeneralName::DNSName(name) => own.push((*name).to_owned()),
            GeneralName::IPAddress(bytes) => own.extend(address(bytes).map(|address| address.to_string())),
            _ => {}
        }
    }
    let seconds = |time: x509_parser::time::ASN1Time| {
        UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or_default()))
    };
    Ok(Parts {
        common_name: parsed.subject().iter_common_name().next().and_then(text),
        organizations: parsed.subject().iter_organization().filter_map(text).collect(),
        uris,
        names: own,
        key: Digest::of(parsed.public_key().raw),
        public_key: parsed.public_key().raw.to_vec(),
        not_before: seconds(parsed.validity().not_before),
        not_after: seconds(parsed.validity().not_after),
    })
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}
