//! The key that the cookies of the dashboard are signed with: the same at every member, and in no store and no backup.

use std::fmt;

use aws_lc_rs::hmac::{self, HMAC_SHA256};

use crate::authority::Authority;
use crate::digest::{hex, unhex};

/// Keeps keys that follow from one secret apart.
const SALT: &[u8] = b"guideway";
const PURPOSE: &[u8] = b"dashboard cookie 1";

/// A key for HMAC-SHA256 (RFC 2104). Its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct CookieKey(hmac::Key);

impl CookieKey {
    /// The key that follows from a secret; it does not tell the secret. HKDF of RFC 5869, for a length of one hash.
    pub fn from_secret(secret: &[u8]) -> CookieKey {
        let hash = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(HMAC_SHA256, key), text);
        let pseudorandom = hash(SALT, secret);
        let key = hash(pseudorandom.as_ref(), &[PURPOSE, &[1]].concat());
        CookieKey(hmac::Key::new(HMAC_SHA256, key.as_ref()))
    }

    /// `text.SIGNATURE`
    pub fn sign(&self, text: &str) -> String {
        format!("{text}.{}", hex(hmac::sign(&self.0, text.as_bytes()).as_ref()))
    }

    /// The text before the signature, if this key has signed it; found out in a time that does not tell where a wrong
    /// signature differs.
    pub fn verify<'a>(&self, signed: &'a str) -> Option<&'a str> {
        let (text, signature) = signed.rsplit_once('.')?;
        hmac::verify(&self.0, text.as_bytes(), &unhex(signature)?).ok()?;
        Some(text)
    }
}

impl Authority {
    /// The key of the cluster's cookies. Whoever has the authority's key can make a certificate for any user, so that this
    /// one, which follows from it, opens nothing more.
    pub fn cookie_key(&self) -> CookieKey {
        CookieKey::from_secret(self.key().der().secret_der())
    }
}

impl fmt::Debug for CookieKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls_pki_types::UnixTime;

    use super::*;

    fn authority() -> Authority {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
        Authority::create("cluster", now).expect("an authority")
    }

    #[test]
    fn members_of_a_cluster_take_each_others_cookies_and_those_of_another_do_not() {
        let authority = authority();
        let signed = authority.cookie_key().sign("a.text");
        let member = Authority::from_pem(authority.certificate_pem(), &authority.key_pem()).expect("the same");
        assert_eq!(member.cookie_key().verify(&signed), Some("a.text"));
        assert_eq!(self::authority().cookie_key().verify(&signed), None);
    }

    #[test]
    fn what_was_changed_or_cut_is_not_signed() {
        let key = CookieKey::from_secret(b"secret");
        let signed = key.sign("text");
        assert_eq!(key.verify(&signed), Some("text"));
        for wrong in [
            "",
            ".",
            "text",
            "text.",
            &signed[1..],
            &signed[..signed.len() - 2],
            "text.zz",
        ] {
            assert_eq!(key.verify(wrong), None, "{wrong}");
        }
        assert_eq!(key.verify(&signed.replace("text", "Text")), None);
    }
}
