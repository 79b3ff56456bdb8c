//! Private keys: ECDSA on P-256, in PKCS #8.

use std::fmt;

use rcgen::{KeyPair, PublicKeyData};
use rustls_pki_types::PrivateKeyDer;

use crate::digest::Digest;

/// A private key. Its `Debug` shows nothing of it.
pub struct Key {
    pair: KeyPair,
}

/// A key that could not be made or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The system gave no random bytes.
    #[error("no key could be made: {0}")]
    Make(String),
    /// The text is no private key.
    #[error("this is not a private key in PEM that can be used: {0}")]
    Read(String),
}

impl Key {
    /// A new one.
    ///
    /// # Errors
    /// The system gave no random bytes.
    pub fn generate() -> Result<Key, KeyError> {
        let pair = KeyPair::generate().map_err(|error| KeyError::Make(error.to_string()))?;
        Ok(Key { pair })
    }

    /// The one in this PEM.
    ///
    /// # Errors
    /// It is not PKCS #8, or of a kind that certificates are not signed with.
    pub fn from_pem(pem: &str) -> Result<Key, KeyError> {
        let pair = KeyPair::from_pem(pem).map_err(|error| KeyError::Read(error.to_string()))?;
        Ok(Key { pair })
    }

    /// As PEM: secret.
    pub fn pem(&self) -> String {
        self.pair.serialize_pem()
    }

    /// As a TLS library takes it: secret.
    pub fn der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.pair.serialize_der().into())
    }

    /// DER of its public half, a SubjectPublicKeyInfo.
    pub fn public(&self) -> Vec<u8> {
        self.pair.subject_public_key_info()
    }

    /// SHA-256 of its public half.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.public())
    }

    pub(crate) fn pair(&self) -> &KeyPair {
        &self.pair
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("fingerprint", &self.fingerprint())
            .finish_non_exhaustive()
    }
}
