//! The authority of a cluster: one certificate and key, which every member holds, so that any can sign.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, SanType, SerialNumber, SigningKey, SubjectPublicKeyInfo,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::api_token::random;
use crate::der;
use crate::digest::Digest;
use crate::key::{Key, KeyError};
use crate::peer;
use crate::read::{self, CertificateError};
use crate::validity::{AUTHORITY_LIFE, Validity};

/// Names and addresses in the certificate of a node at most.
const NAMES_MOST: usize = 64;

/// What an authority could not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// A key could not be made or read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A certificate could not be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The key is not the certificate's.
    #[error("the private key is not that of the authority's certificate")]
    KeyOfAnother,
    /// A certificate could not be signed.
    #[error("the certificate could not be signed: {0}")]
    Sign(String),
}

impl AuthorityError {
    pub(crate) fn sign(error: impl fmt::Display) -> AuthorityError {
        AuthorityError::Sign(error.to_string())
    }
}

/// The authority of one cluster.
#[derive(Debug)]
pub struct Authority {
    certificate: CertificateDer<'static>,
    pem: String,
    key: Key,
}

/// Whom the certificate of a node names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSubject {
    /// Identity of the cluster.
    pub cluster: String,
    /// The node's number.
    pub number: u64,
    /// The node's name.
    pub name: String,
    /// DNS names by which clients reach it, beside its name and `localhost`.
    pub dns: Vec<String>,
    /// Addresses by which clients reach it, beside loopback.
    pub ips: Vec<IpAddr>,
}

/// Whom the certificate of a user names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSubject {
    /// Who.
    pub user: String,
    /// Groups.
    pub groups: Vec<String>,
}

impl Authority {
    /// A new authority for the cluster of this identity.
    ///
    /// # Errors
    /// The system gave no random bytes.
    pub fn create(cluster: &str, now: UnixTime) -> Result<Authority, AuthorityError> {
        let key = Key::generate()?;
        let mut params = base(Validity::starting(now, AUTHORITY_LIFE))?;
        params
            .distinguished_name
            .push(DnType::CommonName, format!("guideway {cluster}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(key.pair()).map_err(AuthorityError::sign)?;
        Ok(Authority {
            pem: certificate.pem(),
            certificate: certificate.der().clone(),
            key,
        })
    }

    /// The authority whose certificate and key these are.
    ///
    /// # Errors
    /// One of them cannot be read, or they do not belong together.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Authority, AuthorityError> {
        let key = Key::from_pem(key)?;
        let first = read::certificates(certificate)?.into_iter().next();
        let der = first.ok_or_else(|| CertificateError::Unreadable("there is no PEM block CERTIFICATE".to_owned()))?;
        if read::read(&der)?.key != key.fingerprint() {
            return Err(AuthorityError::KeyOfAnother);
        }
        Ok(Authority {
            certificate: der,
            pem: certificate.to_owned(),
            key,
        })
    }

    /// DER of its certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// PEM of its certificate: not secret.
    pub fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// PEM of its key: secret.
    pub fn key_pem(&self) -> String {
        self.key.pem()
    }

    /// SHA-256 of its public key, by which a joining node knows it.
    pub fn fingerprint(&self) -> Digest {
        self.key.fingerprint()
    }

    /// A certificate for the node that holds `public_key` (a DER SubjectPublicKeyInfo), in PEM, followed by the
    /// authority's.
    ///
    /// # Errors
    /// The key is of a kind that is not known, or a name cannot be in a certificate.
    pub fn issue_node(
        &self,
        subject: &NodeSubject,
        public_key: &[u8],
        validity: Validity,
    ) -> Result<String, AuthorityError> {
        let mut params = base(validity)?;
        let name = format!("system:node:{}", subject.name);
        params.distinguished_name.push(DnType::CommonName, name);
        params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
        params.subject_alt_names = alternative_names(subject)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let public = SubjectPublicKeyInfo::from_der(public_key).map_err(AuthorityError::sign)?;
        let certificate = params
            .signed_by(&public, &self.issuer()?)
            .map_err(AuthorityError::sign)?;
        Ok(certificate.pem() + &self.pem)
    }

    /// A certificate and a new key for a user, both in PEM.
    ///
    /// # Errors
    /// The system gave no random bytes.
    pub fn issue_user(&self, subject: &UserSubject, validity: Validity) -> Result<(String, String), AuthorityError> {
        let key = Key::generate()?;
        let mut params = base(validity)?;
        params.distinguished_name.push(DnType::CommonName, &*subject.user);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let issued = params
            .signed_by(key.pair(), &self.issuer()?)
            .map_err(AuthorityError::sign)?;
        let groups = subject.groups.iter().map(|group| (der::ORGANIZATION, group.as_str()));
        let name = der::name(groups.chain([(der::COMMON_NAME, subject.user.as_str())]));
        let certificate = self.with_subject(issued.der(), &name)?;
        Ok((pem("CERTIFICATE", &certificate), key.pem()))
    }

    /// The same certificate with another subject, signed again.
    fn with_subject(&self, certificate: &[u8], name: &[u8]) -> Result<Vec<u8>, AuthorityError> {
        let odd = || AuthorityError::Sign("the certificate has no subject to replace".to_owned());
        let parts = der::contents(certificate).and_then(der::elements).ok_or_else(odd)?;
        let [signed, algorithm, _] = parts[..] else {
            return Err(odd());
        };
        let mut fields = der::contents(signed).and_then(der::elements).ok_or_else(odd)?;
        // RFC 5280, 4.1: version, serial number, algorithm, issuer, validity, subject.
        *fields.get_mut(5).ok_or_else(odd)? = name;
        let signed = der::element(der::SEQUENCE, &fields.concat());
        let signature = self.key.pair().sign(&signed).map_err(AuthorityError::sign)?;
        let signature = der::element(der::BIT_STRING, &[&[0], signature.as_slice()].concat());
        Ok(der::element(der::SEQUENCE, &[&signed, algorithm, &signature].concat()))
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    fn issuer(&self) -> Result<Issuer<'static, &rcgen::KeyPair>, AuthorityError> {
        Issuer::from_ca_cert_der(&self.certificate, self.key.pair()).map_err(AuthorityError::sign)
    }
}

/// Whether `chain`, the leaf first, was issued by `authority`, is good now and made for this use: that of a server, or of
/// a client.
///
/// # Errors
/// Which of it is not so.
pub fn verify_issued(
    chain: &[CertificateDer<'_>],
    authority: &CertificateDer<'_>,
    now: UnixTime,
    server: bool,
) -> Result<(), webpki::Error> {
    let (leaf, others) = chain.split_first().ok_or(webpki::Error::UnknownIssuer)?;
    let usage = if server {
        KeyUsage::server_auth()
    } else {
        KeyUsage::client_auth()
    };
    let anchor = anchor_from_trusted_cert(authority)?;
    let algorithms = webpki::ALL_VERIFICATION_ALGS;
    EndEntityCert::try_from(leaf)?
        .verify_for_usage(algorithms, &[anchor], others, now, usage, None, None)
        .map(|_| ())
}

fn base(validity: Validity) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    [params.not_before, params.not_after] = validity.dates();
    let mut serial = random::<16>().map_err(|_| KeyError::Make("no random serial number".to_owned()))?;
    // Positive, and of the same length always.
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

fn alternative_names(subject: &NodeSubject) -> Result<Vec<SanType>, AuthorityError> {
    let uri = peer::uri(&subject.cluster, subject.number);
    let mut names = vec![SanType::URI(uri.try_into().map_err(AuthorityError::sign)?)];
    let mut add = |name: SanType| {
        if !names.contains(&name) && names.len() < NAMES_MOST {
            names.push(name);
        }
    };
    for name in [subject.name.as_str(), "localhost"]
        .into_iter()
        .chain(subject.dns.iter().map(String::as_str))
    {
        add(SanType::DnsName(name.try_into().map_err(AuthorityError::sign)?));
    }
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    // An address that stands for all of them is none that a client can ask for.
    let given = subject.ips.iter().copied().filter(|ip| !ip.is_unspecified());
    loopback
        .into_iter()
        .chain(given)
        .for_each(|ip| add(SanType::IpAddress(ip)));
    Ok(names)
}

fn pem(label: &str, bytes: &[u8]) -> String {
    use base64::Engine;
    let encoded = base64::prelude::BASE64_STANDARD.encode(bytes);
    let lines: Vec<&str> = encoded
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap_or_default())
        .collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests;
