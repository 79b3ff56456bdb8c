//! The cookie of the dashboard: whoever has signed in with a token goes on without showing it again, at any node.
//!
//! The cookie names the token and says until when it is good, and is signed with a key that each member has; no node
//! remembers it. What it opens is decided by the token's record at each request, so that it ends with the token.

use std::time::Duration;

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use guideway_identity::CookieKey;
use guideway_model::meta::Timestamp;
use guideway_model::resource::ApiToken;

use crate::limits::Limits;

/// First part of a cookie's value: its form.
const FORM: &str = "gwc1";

/// Name of the cookie by TLS. Browsers take a cookie of this prefix only from the very host, for all paths, by TLS, so
/// that neither a neighbouring host nor plain HTTP can plant one.
const SECURE: &str = "__Host-guideway";
/// Name of the cookie by plain HTTP.
const PLAIN: &str = "guideway";

/// What a cookie says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cookie {
    /// Id of the token that was shown.
    pub(crate) token: String,
    /// `resourceVersion` of the token's record then; a later one ends the cookie: signing out raises it.
    pub(crate) version: u64,
    /// When the token was shown.
    pub(crate) began: Timestamp,
    /// Until when the cookie is good.
    pub(crate) ends: Timestamp,
}

impl Cookie {
    /// For who shows this token now.
    pub(crate) fn begin(token: &ApiToken, now: Timestamp, limits: &Limits) -> Cookie {
        let cookie = Cookie {
            token: token.metadata.name.clone(),
            version: token.metadata.resource_version,
            began: now,
            ends: now,
        };
        cookie.renewed(token, now, limits)
    }

    /// The same from now on: it ends [`Limits::cookie_life`] later, but not after the token, nor later than
    /// [`Limits::cookie_longest`] after the token was shown.
    pub(crate) fn renewed(&self, token: &ApiToken, now: Timestamp, limits: &Limits) -> Cookie {
        let ends = later(now, limits.cookie_life)
            .min(later(self.began, limits.cookie_longest))
            .min(token.spec.expiration_timestamp);
        Cookie { ends, ..self.clone() }
    }

    /// Whether at least half of its life is over, so that the answer to a request should bring a newer one.
    pub(crate) fn is_ageing(&self, now: Timestamp, limits: &Limits) -> bool {
        later(now, limits.cookie_life / 2) >= self.ends
    }

    /// Its value, signed.
    pub(crate) fn signed(&self, key: &CookieKey) -> String {
        let Cookie {
            token,
            version,
            began,
            ends,
        } = self;
        key.sign(&format!(
            "{FORM}.{token}.{version}.{}.{}",
            began.unix_seconds, ends.unix_seconds
        ))
    }

    /// What a value says, if it was signed with this key.
    pub(crate) fn verify(key: &CookieKey, value: &str) -> Option<Cookie> {
        let parts: Vec<&str> = key.verify(value)?.split('.').collect();
        let [FORM, token, version, began, ends] = parts[..] else {
            return None;
        };
        let seconds = |text: &str| text.parse().ok().map(|unix_seconds| Timestamp { unix_seconds });
        Some(Cookie {
            token: token.to_owned(),
            version: version.parse().ok()?,
            began: seconds(began)?,
            ends: seconds(ends)?,
        })
    }
}

/// The value of our cookie among those that a browser sends, and whether it is sent by TLS alone. By TLS only such a one
/// is read.
pub(crate) fn sent(headers: &HeaderMap, tls: bool) -> Option<(&str, bool)> {
    let all = headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
    let pairs = all
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let mut ours = pairs.filter_map(|(name, value)| match name {
        SECURE => Some((value, true)),
        PLAIN if !tls => Some((value, false)),
        _ => None,
    });
    ours.next()
}

/// `Set-Cookie` for a value that is good for so many seconds.
pub(crate) fn set(value: &str, seconds: i64, secure: bool) -> Option<HeaderValue> {
    let (name, only_by_tls) = if secure { (SECURE, "; Secure") } else { (PLAIN, "") };
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{only_by_tls}");
    HeaderValue::from_str(&text).ok()
}

/// `Set-Cookie` that has a browser forget it.
pub(crate) fn forget(secure: bool) -> Option<HeaderValue> {
    set("", 0, secure)
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    let seconds = i64::try_from(by.as_secs()).unwrap_or(i64::MAX);
    Timestamp {
        unix_seconds: at.unix_seconds.saturating_add(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(unix_seconds: i64) -> Timestamp {
        Timestamp { unix_seconds }
    }

    fn token(ends: i64) -> ApiToken {
        let mut token = ApiToken::default();
        token.metadata.name = "0123456789".to_owned();
        token.metadata.resource_version = 7;
        token.spec.expiration_timestamp = at(ends);
        token
    }

    fn limits() -> Limits {
        Limits {
            cookie_life: Duration::from_secs(100),
            cookie_longest: Duration::from_secs(250),
            ..Limits::default()
        }
    }

    #[test]
    fn a_cookie_comes_back_from_its_value_and_none_comes_from_another() {
        let key = CookieKey::from_secret(b"one");
        let cookie = Cookie::begin(&token(9_999), at(1_000), &limits());
        let value = cookie.signed(&key);
        assert_eq!(Cookie::verify(&key, &value), Some(cookie));
        assert_eq!(Cookie::verify(&CookieKey::from_secret(b"two"), &value), None);
        assert_eq!(Cookie::verify(&key, &value.replace(".1100.", ".9100.")), None);
        for text in ["gwc1", "gwc2.a.1.2.3", "gwc1.a.1.2", "gwc1.a.1.2.3.4", "gwc1.a.x.2.3"] {
            assert_eq!(Cookie::verify(&key, &key.sign(text)), None, "{text}");
        }
    }

    #[test]
    fn it_ends_with_its_life_its_token_or_the_day() {
        let limits = limits();
        let long = token(9_999);
        let cookie = Cookie::begin(&long, at(1_000), &limits);
        assert_eq!(cookie.ends, at(1_100));
        assert_eq!(Cookie::begin(&token(1_050), at(1_000), &limits).ends, at(1_050));
        let renewed = cookie.renewed(&long, at(1_090), &limits);
        assert_eq!((renewed.began, renewed.ends), (at(1_000), at(1_190)));
        assert_eq!(renewed.renewed(&long, at(1_180), &limits).ends, at(1_250));
        for (now, ageing) in [(1_000, false), (1_049, false), (1_050, true), (1_099, true)] {
            assert_eq!(cookie.is_ageing(at(now), &limits), ageing, "{now}");
        }
    }

    #[test]
    fn only_ours_is_read_and_by_tls_only_what_was_set_by_tls() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=b; guideway=plain"));
        assert_eq!(
            (sent(&headers, false), sent(&headers, true)),
            (Some(("plain", false)), None)
        );
        headers.append(COOKIE, HeaderValue::from_static("x; __Host-guideway=secure"));
        assert_eq!(sent(&headers, true), Some(("secure", true)));
        let set = |secure| set("v", 60, secure).expect("a header");
        assert_eq!(
            set(true),
            "__Host-guideway=v; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure"
        );
        assert_eq!(set(false), "guideway=v; Path=/; Max-Age=60; HttpOnly; SameSite=Strict");
    }
}
