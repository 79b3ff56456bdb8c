//! The keys of this node with which Secrets are sealed and opened.

use std::fmt;
use std::sync::Arc;

use guideway_identity::SealingKeys;
use guideway_model::sealing::{Sealer, SealerFault};

/// Seals and opens with the keys in this node's data folder; clones share them.
#[derive(Clone)]
pub struct Sealing {
    keys: Arc<SealingKeys>,
}

impl Sealing {
    /// With these keys.
    pub fn new(keys: SealingKeys) -> Sealing {
        Sealing { keys: Arc::new(keys) }
    }

    /// The keys.
    pub fn keys(&self) -> &SealingKeys {
        &self.keys
    }
}

impl Sealer for Sealing {
    fn seal(&self, plain: &[u8], place: &[u8]) -> Result<Vec<u8>, SealerFault> {
        let sealed = self.keys.seal(plain, place);
        sealed.map_err(|error| SealerFault(error.to_string()))
    }

    fn open(&self, envelope: &[u8], place: &[u8]) -> Result<Vec<u8>, SealerFault> {
        let opened = self.keys.open(envelope, place);
        opened.map_err(|error| SealerFault(error.to_string()))
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.keys.fmt(f)
    }
}
