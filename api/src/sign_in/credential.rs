//! By what someone has signed in, and whom it stands for as long as it is good.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use guideway_identity::{ApiToken, Digest, UserIdentity};
use guideway_model::authority::User;
use guideway_model::meta::{Timestamp, Uid};
use guideway_model::object::ObjectKey;
use guideway_model::{Kind, Object, State, resource};

use super::Refused;
use super::cookie::Cookie;
use crate::metrics::SignInFault;

/// What has been shown and found to be right. Whether it is still good is asked again by [`Credential::user`].
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// A certificate, for which the handshake has verified that the cluster's authority issued it.
    Certificate(UserIdentity),
    /// A token whose secret was shown.
    Token {
        /// Its id.
        id: String,
        /// Identity of its record.
        uid: Uid,
    },
    /// A cookie that a member has signed.
    Cookie {
        /// What it says.
        cookie: Cookie,
        /// Whether browsers send it by TLS alone.
        secure: bool,
    },
}

impl Credential {
    /// The user for whom it stands in this state at this time.
    ///
    /// # Errors
    /// Its time is over, or the token behind it is revoked.
    pub(crate) fn user(&self, state: &State, now: Timestamp) -> Result<User, Refused> {
        match self {
            // A connection may outlive the certificate that it was made with.
            Credential::Certificate(certificate) if now > end_of(certificate) => Err(Refused::unauthorized(
                SignInFault::Certificate,
                format!(
                    "the certificate of {:?} has expired on an open connection",
                    certificate.user
                ),
            )),
            Credential::Certificate(certificate) => {
                Ok(User::authenticated(&certificate.user, certificate.groups.clone()))
            }
            Credential::Token { id, uid } => match record(state, id) {
                Some(token) if token.metadata.uid == *uid => user_of(token, now),
                _ => Err(unknown(id, "it has been revoked")),
            },
            Credential::Cookie { cookie, .. } => match record(state, &cookie.token) {
                None => Err(unknown(
                    &cookie.token,
                    "it has been revoked; a cookie ends with its token",
                )),
                // A node may be behind the one that gave the cookie out.
                Some(token) if token.metadata.resource_version > cookie.version => Err(Refused::unauthorized(
                    SignInFault::Expired,
                    format!(
                        "a cookie of token {} was signed out, or the token changed",
                        cookie.token
                    ),
                )),
                Some(_) if now >= cookie.ends => Err(Refused::unauthorized(
                    SignInFault::Expired,
                    format!("a cookie of token {} expired at {}", cookie.token, cookie.ends),
                )),
                Some(token) => user_of(token, now),
            },
        }
    }

    /// When it ends by itself.
    pub(crate) fn ends(&self, state: &State) -> Option<Timestamp> {
        match self {
            Credential::Certificate(certificate) => Some(end_of(certificate)),
            Credential::Token { id, .. } => Some(record(state, id)?.spec.expiration_timestamp),
            Credential::Cookie { cookie, .. } => Some(cookie.ends),
        }
    }

    /// Id of the token that it is or comes from.
    pub(crate) fn token(&self) -> Option<&str> {
        match self {
            Credential::Certificate(_) => None,
            Credential::Token { id, .. } => Some(id),
            Credential::Cookie { cookie, .. } => Some(&cookie.token),
        }
    }

    /// Whether a browser adds it by itself, whichever page has it ask.
    pub(crate) fn is_ambient(&self) -> bool {
        match self {
            Credential::Certificate(_) | Credential::Cookie { .. } => true,
            Credential::Token { .. } => false,
        }
    }
}

/// The token in the `Authorization` header, if its record has this secret; `None` without such a header.
pub(super) fn bearer(state: &State, headers: &HeaderMap) -> Option<Result<Credential, Refused>> {
    let value = headers.get(AUTHORIZATION)?;
    let text = value.to_str().unwrap_or_default();
    let bearer = text
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let token = bearer.and_then(|(_, token)| ApiToken::parse(token.trim()).ok());
    let Some(token) = token else {
        return Some(Err(Refused::unauthorized(
            SignInFault::Malformed,
            "the Authorization header holds no API token".to_owned(),
        )));
    };
    let Some(found) = record(state, token.id()) else {
        return Some(Err(unknown(token.id(), "there is none of this id")));
    };
    let stored: Result<Digest, _> = found.spec.secret_hash.parse();
    if !stored.is_ok_and(|stored| stored.matches(&token.digest())) {
        return Some(Err(unknown(token.id(), "the secret is wrong")));
    }
    Some(Ok(Credential::Token {
        id: token.id().to_owned(),
        uid: found.metadata.uid.clone(),
    }))
}

/// The record of a token.
pub(crate) fn record<'a>(state: &'a State, id: &str) -> Option<&'a resource::ApiToken> {
    let key = ObjectKey {
        kind: Kind::ApiToken,
        namespace: String::new(),
        name: id.to_owned(),
    };
    match state.get(&key) {
        Some(Object::ApiToken(token)) => Some(token),
        _ => None,
    }
}

fn user_of(token: &resource::ApiToken, now: Timestamp) -> Result<User, Refused> {
    let end = token.spec.expiration_timestamp;
    if now >= end {
        return Err(Refused::unauthorized(
            SignInFault::Expired,
            format!(
                "token {} of {:?} expired at {end}",
                token.metadata.name, token.spec.user
            ),
        ));
    }
    Ok(User::authenticated(&token.spec.user, token.spec.groups.clone()))
}

fn end_of(certificate: &UserIdentity) -> Timestamp {
    Timestamp {
        unix_seconds: i64::try_from(certificate.not_after.as_secs()).unwrap_or(i64::MAX),
    }
}

fn unknown(id: &str, why: &str) -> Refused {
    Refused::unauthorized(SignInFault::Unknown, format!("token {id}: {why}"))
}
