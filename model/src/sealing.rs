//! Secrets as they are replicated: what must not be read is sealed, and beside it stands what the state needs to know.
//!
//! The data of a Secret and its annotations (kubectl keeps a copy of the data in one) are sealed by the node that proposes
//! the write, with a key that is in no state. Every node holds the same bytes and derives the same status from the facts;
//! a node opens a Secret where it is shown or served with. Keys and ciphers are elsewhere: see [`Sealer`].

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::certificate::SecretFacts;
use crate::meta::Uid;
use crate::resource::rules::Rules;
use crate::resource::{Blob, Secret};

/// What a Secret has instead of its data and annotations.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sealed {
    /// Data and annotations, sealed for this object alone.
    pub envelope: Blob,
    /// Rises with each change of the data, so that two versions can be compared unopened.
    pub data_version: u64,
    /// What can be told of the data without telling them.
    pub facts: SecretFacts,
}

/// Seals and opens with the keys of this node.
pub trait Sealer: Send + Sync {
    /// Seals bytes so that they open only together with `place`.
    ///
    /// # Errors
    /// The system gives no random bytes.
    fn seal(&self, plain: &[u8], place: &[u8]) -> Result<Vec<u8>, SealerFault>;

    /// What was sealed for `place`.
    ///
    /// # Errors
    /// The key is not here, or the envelope is not what was made for this place.
    fn open(&self, envelope: &[u8], place: &[u8]) -> Result<Vec<u8>, SealerFault>;
}

/// Why a [`Sealer`] could not, as a part of a sentence. It shows nothing of what is sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SealerFault(pub String);

/// A Secret that was not sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealingError {
    /// It could not be sealed.
    #[error("Secret {secret} cannot be sealed: {problem}")]
    Seal {
        /// Namespace and name.
        secret: String,
        /// Why.
        problem: SealerFault,
    },
    /// It could not be opened.
    #[error("Secret {secret} cannot be opened: {problem}")]
    Open {
        /// Namespace and name.
        secret: String,
        /// Why.
        problem: SealerFault,
    },
    /// It opened, and what was in it cannot be read.
    #[error("Secret {secret} was opened and holds nothing that can be read: a node of another version sealed it")]
    Contents {
        /// Namespace and name.
        secret: String,
    },
}

/// What is in an envelope.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    annotations: BTreeMap<String, String>,
    data: BTreeMap<String, Blob>,
}

/// `secret` as it is proposed. `stored` is what it takes the place of: where they say the same, its envelope is kept, so
/// that a write which changes nothing changes nothing.
///
/// # Errors
/// The sealer could not.
pub fn seal(
    mut secret: Secret,
    uid: &Uid,
    stored: Option<&Secret>,
    sealer: &dyn Sealer,
) -> Result<Secret, SealingError> {
    let stored = stored.filter(|stored| stored.metadata.uid == *uid);
    let before = stored.and_then(|stored| stored.sealed.as_deref());
    // Text that is on its way into the data would stay readable.
    secret.fill_defaults();
    // One that does not open here is no reason not to replace it.
    let opened = stored.and_then(|stored| contents(stored, sealer).ok().flatten());
    let facts = SecretFacts::of(&secret);
    let contents = Contents {
        annotations: std::mem::take(&mut secret.metadata.annotations),
        data: std::mem::take(&mut secret.data),
    };
    let same_data = opened.as_ref().is_some_and(|opened| opened.data == contents.data);
    let data_version = before.map_or(0, |before| before.data_version);
    let envelope = match before {
        Some(before) if opened.as_ref() == Some(&contents) => before.envelope.clone(),
        _ => {
            // No map in it has a key that JSON cannot write.
            let plain = serde_json::to_vec(&contents).unwrap_or_default();
            let place = place(uid, &secret);
            let sealed = sealer.seal(&plain, &place);
            Blob(sealed.map_err(|problem| SealingError::Seal {
                secret: name(&secret),
                problem,
            })?)
        }
    };
    secret.sealed = Some(Box::new(Sealed {
        envelope,
        data_version: if same_data { data_version } else { data_version + 1 },
        facts,
    }));
    Ok(secret)
}

/// `secret` as clients see it and traffic is served with it. One that is not sealed is what it is.
///
/// # Errors
/// The sealer could not, or another version sealed it.
pub fn open(secret: &Secret, sealer: &dyn Sealer) -> Result<Secret, SealingError> {
    let mut secret = secret.clone();
    if let Some(contents) = contents(&secret, sealer)? {
        secret.sealed = None;
        secret.metadata.annotations = contents.annotations;
        secret.data = contents.data;
    }
    Ok(secret)
}

fn contents(secret: &Secret, sealer: &dyn Sealer) -> Result<Option<Contents>, SealingError> {
    let Some(sealed) = &secret.sealed else {
        return Ok(None);
    };
    let place = place(&secret.metadata.uid, secret);
    let plain = sealer.open(&sealed.envelope.0, &place);
    let plain = plain.map_err(|problem| SealingError::Open {
        secret: name(secret),
        problem,
    })?;
    let contents = serde_json::from_slice(&plain);
    // serde's error would show a part of the text.
    contents
        .map(Some)
        .map_err(|_| SealingError::Contents { secret: name(secret) })
}

/// What an envelope is bound to: this object and no other, not even a later one of the same name.
fn place(uid: &Uid, secret: &Secret) -> Vec<u8> {
    let meta = &secret.metadata;
    // None of the three has a NUL in it.
    ["guideway Secret", &uid.0, &meta.namespace, &meta.name]
        .join("\0")
        .into_bytes()
}

fn name(secret: &Secret) -> String {
    format!("{}/{}", secret.metadata.namespace, secret.metadata.name)
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed")
            .field("envelope", &self.envelope)
            .field("data_version", &self.data_version)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
