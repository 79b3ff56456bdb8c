//! What stands beside a sealed Secret: all that status and plans must know of it without opening it.

use serde::{Deserialize, Serialize};

use super::der::{INTEGER, Reader};
use super::{authorities_of_secret, of_secret};
use crate::meta::Timestamp;
use crate::resource::Secret;

/// Facts about the data of a Secret, found out when it was written. An error is a part of a sentence about the Secret, and
/// shows nothing of the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretFacts {
    /// Keys of the data, ascending.
    pub keys: Vec<String>,
    /// Of the certificate with its key, or why they cannot be used.
    pub certificate: Result<CertificateFacts, String>,
    /// How many authorities `ca.crt` holds, or why they cannot be used.
    pub authorities: Result<usize, String>,
}

/// What a certificate tells everybody who sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFacts {
    /// DNS names of the leaf, as it has them.
    pub dns_names: Vec<String>,
    /// When the leaf ends; `None` where that cannot be read.
    pub not_after: Option<Timestamp>,
}

impl SecretFacts {
    /// Of a Secret that is not sealed.
    pub(crate) fn of(secret: &Secret) -> SecretFacts {
        let certificate = of_secret(secret).map(|read| CertificateFacts {
            not_after: read.chain.first().and_then(|leaf| not_after(leaf)),
            dns_names: read.dns_names,
        });
        SecretFacts {
            keys: secret.data.keys().cloned().collect(),
            certificate: certificate.map_err(|fault| fault.to_string()),
            authorities: authorities_of_secret(secret)
                .map(|found| found.len())
                .map_err(|fault| fault.to_string()),
        }
    }
}

/// What is known of the certificate in a Secret, sealed or not.
///
/// # Errors
/// Why it cannot be used, as a part of a sentence about the Secret.
pub fn certificate_facts(secret: &Secret) -> Result<CertificateFacts, String> {
    match &secret.sealed {
        Some(sealed) => sealed.facts.certificate.clone(),
        None => SecretFacts::of(secret).certificate,
    }
}

const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// `notAfter` of a certificate (RFC 5280, section 4.1).
fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    let mut tbs = Reader::new(certificate).sequence()?.sequence()?;
    let first = tbs.element()?;
    if first.tag == VERSION {
        tbs.expect(INTEGER)?;
    }
    let (_algorithm, _issuer) = (tbs.sequence()?, tbs.sequence()?);
    let mut validity = tbs.sequence()?;
    validity.element()?;
    let end = validity.element()?;
    let text = std::str::from_utf8(end.contents).ok()?;
    let text = match end.tag {
        // Two digits of the year stand for 1950 to 2049.
        UTC_TIME if text.get(..2)? < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let at = jiff::civil::DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
    let at = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Timestamp {
        unix_seconds: at.timestamp().as_second(),
    })
}
