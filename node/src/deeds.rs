//! What users have done through this node since it started, for those who look at it from any node.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use guideway_model::Incarnation;
use guideway_model::deed::{About, Act, Deed, Deeds};

use crate::clock::now;

/// Clones share it.
#[derive(Clone)]
pub(crate) struct DeedLog(Arc<Mutex<Deeds>>);

impl DeedLog {
    /// Of this start of a node.
    pub(crate) fn new(incarnation: Incarnation) -> DeedLog {
        DeedLog(Arc::new(Mutex::new(Deeds::new(format!("{:x}", incarnation.0)))))
    }

    /// Keeps what was done just now.
    pub(crate) fn note(&self, about: About, act: Act, by: &str) {
        self.deeds().note(about, act, by, now());
    }

    /// What is kept, oldest first.
    pub(crate) fn kept(&self) -> Vec<Deed> {
        self.deeds().kept().cloned().collect()
    }

    /// They are whole at every moment, so a panic elsewhere leaves nothing half done.
    fn deeds(&self) -> MutexGuard<'_, Deeds> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
