//! Bearer tokens of the API: `gwt_<id>_<secret>`. The id may be shown and logged, the secret is seen once.

use std::fmt;

use crate::digest::{Digest, hex, unhex};
use crate::join_token::TokenError;

const PREFIX: &str = "gwt_";
/// Bytes at random in an id: enough that the few tokens of a cluster never share one.
const ID_BYTES: usize = 5;
const SECRET_BYTES: usize = 32;

/// A bearer token. Its `Debug` does not show the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiToken {
    id: String,
    secret: String,
}

impl ApiToken {
    /// A new one.
    ///
    /// # Errors
    /// The system gave no random bytes.
    pub fn create() -> Result<ApiToken, TokenError> {
        Ok(ApiToken {
            id: hex(&random::<ID_BYTES>()?),
            secret: hex(&random::<SECRET_BYTES>()?),
        })
    }

    /// The token in this text.
    ///
    /// # Errors
    /// It has not the form of one; the error shows none of it.
    pub fn parse(text: &str) -> Result<ApiToken, TokenError> {
        let (id, secret) = text
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('_'))
            .ok_or(TokenError::Form("gwt_<id>_<secret>"))?;
        let whole = |text: &str, bytes| unhex(text).is_some_and(|found| found.len() == bytes);
        if !whole(id, ID_BYTES) || !whole(secret, SECRET_BYTES) {
            return Err(TokenError::Form("gwt_<id>_<secret>"));
        }
        Ok(ApiToken {
            id: id.to_owned(),
            secret: secret.to_owned(),
        })
    }

    /// What it is called; no secret.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is stored of the secret. Compare with [`Digest::matches`].
    pub fn digest(&self) -> Digest {
        Digest::of(self.secret.as_bytes())
    }

    /// The whole token: secret.
    pub fn text(&self) -> String {
        format!("{PREFIX}{}_{}", self.id, self.secret)
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiToken").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Bytes of the system's generator.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], TokenError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| TokenError::Random)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_from_its_text_and_no_other_text_is_one() {
        let token = ApiToken::create().expect("random bytes");
        let text = token.text();
        assert_eq!(ApiToken::parse(&text), Ok(token.clone()));
        assert!(!format!("{token:?}").contains(&text[15..]), "the secret is not shown");
        let other = ApiToken::create().expect("random bytes");
        assert!(token.digest().matches(&token.digest()) && !token.digest().matches(&other.digest()));
        for wrong in ["", "gwt_", &text[1..], &text[..text.len() - 1], &text.to_uppercase()] {
            assert!(ApiToken::parse(wrong).is_err(), "{wrong}");
        }
    }
}
