//! The token that lets a node join once: whom to ask, how to know that they are the ones, and a secret.
//!
//! Its text is `gwj1_` and then URL-safe base64 of JSON, one word for a command line.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustls_pki_types::UnixTime;
use serde::{Deserialize, Serialize};

use crate::api_token::random;
use crate::digest::{Digest, hex, unhex};

const PREFIX: &str = "gwj1_";
const ID_BYTES: usize = 5;
const SECRET_BYTES: usize = 32;
/// Longest text that is read.
const TEXT_MOST: usize = 4096;
/// Addresses in one token at most.
const MEMBERS_MOST: usize = 8;

/// A token that could not be made or read. Never shows the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
    /// The text has not the form of such a token.
    #[error("this is not a token of the form {0}: copy it whole")]
    Form(&'static str),
}

/// A token with which one node joins. Its `Debug` does not show the secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinToken {
    id: String,
    secret: String,
    expires: u64,
    authority: Digest,
    members: Vec<String>,
}

impl JoinToken {
    /// A new one: good until `expires`, for the cluster whose authority has this fingerprint, whose `members` (`host:port`,
    /// at most 8 are kept) can be asked.
    ///
    /// # Errors
    /// The system gave no random bytes.
    pub fn create(authority: Digest, mut members: Vec<String>, expires: UnixTime) -> Result<JoinToken, TokenError> {
        members.truncate(MEMBERS_MOST);
        Ok(JoinToken {
            id: hex(&random::<ID_BYTES>()?),
            secret: hex(&random::<SECRET_BYTES>()?),
            expires: expires.as_secs(),
            authority,
            members,
        })
    }

    /// The token in this text.
    ///
    /// # Errors
    /// It has not the form of one.
    pub fn parse(text: &str) -> Result<JoinToken, TokenError> {
        let form = TokenError::Form("gwj1_...");
        let encoded = text.trim().strip_prefix(PREFIX).filter(|rest| rest.len() <= TEXT_MOST);
        let json = encoded.and_then(|encoded| BASE64_URL_SAFE_NO_PAD.decode(encoded).ok());
        let token = json.and_then(|json| serde_json::from_slice::<JoinToken>(&json).ok());
        let whole = |text: &str, bytes| unhex(text).is_some_and(|found| found.len() == bytes);
        token
            .filter(|token| whole(&token.id, ID_BYTES) && whole(&token.secret, SECRET_BYTES))
            .filter(|token| token.members.len() <= MEMBERS_MOST)
            .ok_or(form)
    }

    /// The whole token: secret.
    pub fn text(&self) -> String {
        // Strings and numbers always have a JSON form.
        let json = serde_json::to_vec(self).unwrap_or_default();
        format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(json))
    }

    /// What it is called; no secret.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is replicated of the secret.
    pub fn digest(&self) -> Digest {
        secret_digest(&self.secret)
    }

    /// When it ends.
    pub fn expires(&self) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(self.expires))
    }

    /// Fingerprint of the authority whose cluster this is: whoever shows another is not asked.
    pub fn authority(&self) -> Digest {
        self.authority
    }

    /// Who can be asked.
    pub fn members(&self) -> &[String] {
        &self.members
    }

    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }
}

/// What is replicated of a secret.
pub(crate) fn secret_digest(secret: &str) -> Digest {
    Digest::of(secret.as_bytes())
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken")
            .field("id", &self.id)
            .field("expires", &self.expires)
            .field("authority", &self.authority)
            .field("members", &self.members)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word_and_comes_back_from_it() {
        let expires = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
        let members = vec!["10.0.0.1:7444".to_owned(), "[2001:db8::1]:7444".to_owned()];
        let token = JoinToken::create(Digest::of(b"authority"), members, expires).expect("random bytes");
        let text = token.text();
        assert!(
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        );
        let read = JoinToken::parse(&format!(" {text}\n")).expect("whole");
        assert_eq!(read, token);
        assert_eq!((read.digest(), read.expires()), (token.digest(), expires));
        assert!(
            !format!("{token:?}").contains(token.secret()),
            "the secret is not shown"
        );
        for wrong in ["", "gwj1_", &text[1..], &text[..text.len() - 3], "gwj1_e30"] {
            assert!(JoinToken::parse(wrong).is_err(), "{wrong}");
        }
    }
}
