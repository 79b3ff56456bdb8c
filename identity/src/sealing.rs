//! Keys with which Secrets are sealed before they are replicated, so that log, snapshots and backups hold none in clear.
//!
//! ```text
//! envelope := version (1 byte) | id of the key (8 bytes) | nonce (12 bytes) | ciphertext | tag (16 bytes)
//! ```
//! AES-256-GCM-SIV (RFC 8452) with a random nonce: a nonce that came twice would tell no more than that two texts are the
//! same. What an envelope belongs to is authenticated with it, so it opens nowhere else.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;

use crate::digest::{Digest, hex, unhex};

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Bytes of a key's id.
const ID_BYTES: usize = 8;
/// Bytes of a nonce.
const NONCE_BYTES: usize = 12;
/// Version of the envelopes that are made.
const VERSION: u8 = 1;
/// Begins each line of a key file.
const LABEL: &str = "guideway-sealing-key-1";
/// Hashed before a key to give its id.
const ID_CONTEXT: &[u8] = b"guideway: id of a sealing key\0";
/// Keys that a file holds at most.
const KEYS_MOST: usize = 8;

/// Which key: 16 hexadecimal digits that follow from it and do not tell it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealingKeyId([u8; ID_BYTES]);

/// The keys of a cluster: the first seals, each opens what it has sealed. `Debug` shows their ids alone.
pub struct SealingKeys {
    keys: Vec<SealingKey>,
}

struct SealingKey {
    id: SealingKeyId,
    bytes: [u8; KEY_BYTES],
    cipher: RandomizedNonceKey,
}

/// Text that holds no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealingKeysError {
    /// The system gave no random bytes.
    #[error("no sealing key could be made: the system gave no random bytes")]
    Random,
    /// Nothing in it.
    #[error("it holds no sealing key")]
    Empty,
    /// More than are looked through.
    #[error("it holds more than {KEYS_MOST} sealing keys")]
    TooMany,
    /// A line that is none.
    #[error("line {line} is not a sealing key: it must be \"{LABEL}\" and 64 hexadecimal digits")]
    Line {
        /// From 1.
        line: usize,
    },
}

/// Something was not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it could not be sealed: the system gave no random bytes")]
pub struct SealError;

/// Why an envelope does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is too short to be one.
    #[error("it is {bytes} bytes long, too short for an envelope")]
    Short {
        /// Its length.
        bytes: usize,
    },
    /// Of a newer release.
    #[error(
        "the envelope is of version {found}, this binary reads {VERSION}: run the binary that made it, or a newer one"
    )]
    Version {
        /// Its version.
        found: u8,
    },
    /// Its key is not among these.
    #[error("it is sealed with key {sealed}, and this node has {}", ids(has))]
    OtherKey {
        /// The key's id.
        sealed: SealingKeyId,
        /// Those there are.
        has: Vec<SealingKeyId>,
    },
    /// It was changed, or belongs to something else.
    #[error("it was changed after it was sealed, or was sealed for another object")]
    Forged,
}

impl SealingKeys {
    /// One new key.
    ///
    /// # Errors
    /// The system gave no random bytes.
    pub fn generate() -> Result<SealingKeys, SealingKeysError> {
        let mut bytes = [0; KEY_BYTES];
        rand::fill(&mut bytes).map_err(|_| SealingKeysError::Random)?;
        let key = SealingKey::new(bytes).ok_or(SealingKeysError::Random)?;
        Ok(SealingKeys { keys: vec![key] })
    }

    /// The keys in a file: one on each line, the one that seals first.
    ///
    /// # Errors
    /// A line is no key, or there is none. The error shows nothing of the text.
    pub fn parse(text: &str) -> Result<SealingKeys, SealingKeysError> {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let keys = lines.map(|(number, line)| {
            let digits = line.trim().strip_prefix(LABEL).map(str::trim);
            let bytes = digits.and_then(unhex).and_then(|bytes| bytes.try_into().ok());
            let key = bytes.and_then(SealingKey::new);
            key.ok_or(SealingKeysError::Line { line: number + 1 })
        });
        let keys: Vec<SealingKey> = keys.collect::<Result<_, _>>()?;
        match keys.len() {
            0 => Err(SealingKeysError::Empty),
            1..=KEYS_MOST => Ok(SealingKeys { keys }),
            _ => Err(SealingKeysError::TooMany),
        }
    }

    /// The file's text: secret.
    pub fn text(&self) -> String {
        let lines = self.keys.iter().map(|key| format!("{LABEL} {}\n", hex(&key.bytes)));
        lines.collect()
    }

    /// The key that seals; `None` never, since there is always one.
    pub fn current(&self) -> Option<SealingKeyId> {
        self.keys.first().map(|key| key.id)
    }

    /// All of them.
    pub fn ids(&self) -> Vec<SealingKeyId> {
        self.keys.iter().map(|key| key.id).collect()
    }

    /// Seals `plain` so that it opens only together with `place`, which says what it belongs to.
    ///
    /// # Errors
    /// The system gave no random bytes.
    pub fn seal(&self, plain: &[u8], place: &[u8]) -> Result<Vec<u8>, SealError> {
        let key = self.keys.first().ok_or(SealError)?;
        let mut sealed = plain.to_vec();
        let nonce = key
            .cipher
            .seal_in_place_append_tag(Aad::from(key.bound(place)), &mut sealed)
            .map_err(|_| SealError)?;
        let mut envelope = Vec::with_capacity(1 + ID_BYTES + NONCE_BYTES + sealed.len());
        envelope.push(VERSION);
        envelope.extend_from_slice(&key.id.0);
        envelope.extend_from_slice(nonce.as_ref());
        envelope.append(&mut sealed);
        Ok(envelope)
    }

    /// What was sealed for `place`.
    ///
    /// # Errors
    /// The key is not here, or the envelope is not what was made for this place.
    pub fn open(&self, envelope: &[u8], place: &[u8]) -> Result<Vec<u8>, OpenError> {
        let short = OpenError::Short { bytes: envelope.len() };
        let (version, rest) = envelope.split_first().ok_or(short.clone())?;
        if *version != VERSION {
            return Err(OpenError::Version { found: *version });
        }
        let (id, rest) = rest.split_first_chunk::<ID_BYTES>().ok_or(short.clone())?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(short)?;
        let sealed_with = SealingKeyId(*id);
        let key = self.keys.iter().find(|key| key.id == sealed_with);
        let key = key.ok_or_else(|| OpenError::OtherKey {
            sealed: sealed_with,
            has: self.ids(),
        })?;
        let mut plain = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = key
            .cipher
            .open_in_place(nonce, Aad::from(key.bound(place)), &mut plain)
            .map_err(|_| OpenError::Forged)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }
}

impl SealingKey {
    fn new(bytes: [u8; KEY_BYTES]) -> Option<SealingKey> {
        let digest = Digest::of(&[ID_CONTEXT, &bytes].concat());
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&digest.0[..ID_BYTES]);
        Some(SealingKey {
            id: SealingKeyId(id),
            bytes,
            cipher: RandomizedNonceKey::new(&AES_256_GCM_SIV, &bytes).ok()?,
        })
    }

    /// What is authenticated with a text: the envelope's own header, and where it belongs.
    fn bound(&self, place: &[u8]) -> Vec<u8> {
        [&[VERSION], self.id.0.as_slice(), place].concat()
    }
}

impl fmt::Display for SealingKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for SealingKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SealingKeyId {
    type Err = SealingKeysError;

    fn from_str(text: &str) -> Result<SealingKeyId, SealingKeysError> {
        let bytes = unhex(text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(SealingKeyId).ok_or(SealingKeysError::Line { line: 1 })
    }
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKeys")
            .field("ids", &self.ids())
            .finish_non_exhaustive()
    }
}

fn ids(ids: &[SealingKeyId]) -> String {
    let texts: Vec<String> = ids.iter().map(SealingKeyId::to_string).collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_in_its_place_and_nowhere_else() {
        let keys = SealingKeys::generate().expect("random bytes");
        let envelope = keys.seal(b"hunter2", b"a/b/c").expect("sealed");
        assert_eq!(keys.open(&envelope, b"a/b/c").as_deref(), Ok(b"hunter2".as_slice()));
        assert_eq!(keys.open(&envelope, b"a/b/d"), Err(OpenError::Forged));
        assert!(!envelope.windows(7).any(|window| window == b"hunter2"));
        let again = keys.seal(b"hunter2", b"a/b/c").expect("sealed");
        assert_ne!(again, envelope, "another nonce");
        assert_eq!(
            keys.open(&keys.seal(b"", b"").expect("sealed"), b"").as_deref(),
            Ok(b"".as_slice())
        );
    }

    #[test]
    fn no_byte_of_an_envelope_can_be_changed_or_left_out() {
        let keys = SealingKeys::generate().expect("random bytes");
        let envelope = keys.seal(b"text", b"here").expect("sealed");
        for place in 0..envelope.len() {
            let mut changed = envelope.clone();
            changed[place] ^= 1;
            assert!(keys.open(&changed, b"here").is_err(), "byte {place}");
            assert!(keys.open(&envelope[..place], b"here").is_err(), "{place} bytes");
        }
        let mut newer = envelope;
        newer[0] = VERSION + 1;
        assert_eq!(
            keys.open(&newer, b"here"),
            Err(OpenError::Version { found: VERSION + 1 })
        );
    }

    #[test]
    fn the_first_key_seals_and_each_opens_what_it_has_sealed() {
        let old = SealingKeys::generate().expect("random bytes");
        let new = SealingKeys::generate().expect("random bytes");
        let both = SealingKeys::parse(&(new.text() + "\n" + &old.text())).expect("two keys");
        assert_eq!((both.current(), both.ids().len()), (new.current(), 2));
        let before = old.seal(b"1", b"x").expect("sealed");
        let after = both.seal(b"2", b"x").expect("sealed");
        assert_eq!(both.open(&before, b"x").as_deref(), Ok(b"1".as_slice()));
        assert_eq!(new.open(&after, b"x").as_deref(), Ok(b"2".as_slice()));
        let error = old.open(&after, b"x").expect_err("another key").to_string();
        let (sealed, has) = (new.current().expect("a key"), old.current().expect("a key"));
        assert_eq!(
            error,
            format!("it is sealed with key {sealed}, and this node has {has}")
        );
    }

    #[test]
    fn a_key_file_comes_back_and_what_is_none_is_named_without_showing_it() {
        let keys = SealingKeys::generate().expect("random bytes");
        let back = SealingKeys::parse(&keys.text()).expect("the same");
        assert_eq!(back.ids(), keys.ids());
        assert_eq!(SealingKeys::parse("\n").expect_err("none"), SealingKeysError::Empty);
        let cut = &keys.text()[..60];
        let error = SealingKeys::parse(cut).expect_err("cut").to_string();
        assert!(
            error.starts_with("line 1 is not") && !error.contains(&cut[30..]),
            "{error}"
        );
        assert_eq!(
            SealingKeys::parse(&keys.text().repeat(9)).expect_err("nine"),
            SealingKeysError::TooMany
        );
        assert!(!format!("{keys:?}").contains(&keys.text()[30..60]));
        let id = keys.current().expect("one");
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}
