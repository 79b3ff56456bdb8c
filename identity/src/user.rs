//! What the certificate of a user says: Kubernetes' convention, CN for the user and O for each group.

use rustls_pki_types::UnixTime;

use crate::read::{self, CertificateError};

/// The group that may do everything.
pub const MASTERS: &str = "system:masters";

/// A user, as a certificate names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserIdentity {
    /// Who.
    pub user: String,
    /// Groups, in the certificate's order.
    pub groups: Vec<String>,
    /// Until when the certificate is good.
    pub not_after: UnixTime,
}

/// Reads the certificate of a user. Who signed it and whether it is still good is another question.
///
/// # Errors
/// It is no certificate, or names no one.
pub fn parse_user(certificate: &[u8]) -> Result<UserIdentity, CertificateError> {
    let parts = read::read(certificate)?;
    let user = parts.common_name.filter(|name| !name.is_empty());
    let user = user.ok_or_else(|| CertificateError::Other {
        wanted: "the certificate of a user",
        problem: "its subject has no common name (CN)".to_owned(),
    })?;
    Ok(UserIdentity {
        user,
        groups: parts.organizations,
        not_after: parts.not_after,
    })
}
