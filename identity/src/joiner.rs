//! The certificate by which a node asks for its place, before it has one that was issued.
//!
//! It is signed with the node's own new key, which the handshake thereby proves, and carries the token. TLS 1.3 sends a
//! client's certificate encrypted, after the server has shown its own: the secret goes to a member or to nobody.

use rcgen::{CertificateParams, DnType, SanType};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::time::Duration;

use crate::authority::AuthorityError;
use crate::digest::Digest;
use crate::join_token::{self, JoinToken};
use crate::key::Key;
use crate::read::{self, CertificateError};
use crate::validity::Validity;

const SCHEME: &str = "guideway-join://";

/// For how long such a certificate says that it is good. No one relies on it: the token has its own end.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// A node that asks for a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Joiner {
    /// Id of its token.
    pub token: String,
    /// Digest of the token's secret.
    pub secret: Digest,
    /// SHA-256 of the key that it will have.
    pub key: Digest,
    /// DER of that key, a SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
}

impl Joiner {
    /// The certificate with which the node that has `key` shows `token`.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn certificate(token: &JoinToken, key: &Key, now: UnixTime) -> Result<CertificateDer<'static>, AuthorityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "guideway join");
        let uri = format!("{SCHEME}{}/{}", token.id(), token.secret());
        params.subject_alt_names = vec![SanType::URI(uri.try_into().map_err(AuthorityError::sign)?)];
        [params.not_before, params.not_after] = Validity::starting(now, LIFE).dates();
        let certificate = params.self_signed(key.pair()).map_err(AuthorityError::sign)?;
        Ok(certificate.der().clone())
    }
}

/// Reads such a certificate; whether the token is one of the cluster is another question.
///
/// # Errors
/// It is no certificate, or that of something else. The error shows no secret.
pub fn parse_joiner(certificate: &[u8]) -> Result<Joiner, CertificateError> {
    let parts = read::read(certificate)?;
    let named = match parts.uris.as_slice() {
        [uri] => uri.strip_prefix(SCHEME).and_then(|rest| rest.split_once('/')),
        _ => None,
    };
    let (token, secret) = named.ok_or_else(|| CertificateError::Other {
        wanted: "the certificate of a node that joins",
        problem: "it carries no token".to_owned(),
    })?;
    Ok(Joiner {
        token: token.to_owned(),
        secret: join_token::secret_digest(secret),
        key: parts.key,
        public_key: parts.public_key,
    })
}
