//! A node's certificate is renewed for the same key before it ends, and has another key by command.
//!
//! Who lives here: one task, [`renew`], which owns nothing and ends when the node stops.
//!
//! A renewal is this node's own affair: members know it by its key, which stays. Another key is told to the cluster
//! before it is used, and the old one is forgotten only when the new one is in use, so that at every moment each member
//! takes the key that is shown.

use std::sync::Arc;
use std::time::Duration;

use guideway_identity::Digest;
use guideway_model::command::Command;
use guideway_model::{Outcome, digest};
use rustls_pki_types::UnixTime;

use crate::credentials::CredentialsError;
use crate::engine::{Engine, blocking};
use crate::metrics;
use crate::propose::ProposeError;

/// Longest pause before the clock is looked at again: it may have been set.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// Pause after a renewal failed.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long live members may take to apply what the cluster was told of a new key.
const SPREAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How often they are asked.
const SPREAD_INTERVAL: Duration = Duration::from_millis(50);

/// Why a node has no new key.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The key could not be made or stored.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The cluster could not be told.
    #[error("the cluster was not told of the new key, which is not used: {0}")]
    Propose(#[from] ProposeError),
    /// The cluster does not take it.
    #[error("the cluster does not take the new key, which is not used: {0}")]
    Refused(String),
    /// This node is shutting down.
    #[error("this node is shutting down")]
    ShuttingDown,
}

/// Renews the node's certificate when two thirds of its life are over; runs until the node stops.
pub(crate) async fn renew(engine: Arc<Engine>) {
    let credentials = &engine.credentials;
    loop {
        let ends = credentials.current().not_after;
        metrics::certificate(ends.as_secs());
        let due = ends.as_secs().saturating_sub(credentials.life().as_secs() / 3);
        let left = Duration::from_secs(due.saturating_sub(UnixTime::now().as_secs()));
        if !left.is_zero() {
            if engine.pause(left.min(LOOK_INTERVAL)).await {
                return;
            }
            continue;
        }
        let renewing = credentials.clone();
        match blocking(move || renewing.renew()).await {
            Ok(Ok(renewed)) => {
                metrics::certificate_signed("renewed");
                tracing::info!(
                    ends = renewed.not_after.as_secs(),
                    "this node's certificate was renewed"
                );
            }
            Ok(Err(error)) => {
                metrics::certificate_signed("failed");
                tracing::error!(%error, ends = ends.as_secs(), "this node's certificate could not be renewed");
                if engine.pause(RETRY_PAUSE).await {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

impl Engine {
    /// Makes another key for this node and uses it once every live member takes it; returns its fingerprint.
    pub(crate) async fn rotate(&self) -> Result<Digest, RotateError> {
        let _rotating = self.rotating.lock().await;
        let old = self.credentials.current().key;
        let new = self.credentials.next_key()?;
        let index = self.tell_keys(&[new.fingerprint(), old]).await?;
        self.await_spread(index).await;
        let (credentials, fingerprint) = (self.credentials.clone(), new.fingerprint());
        let taken = blocking(move || credentials.take(&new)).await;
        taken.map_err(|_| RotateError::ShuttingDown)??;
        metrics::certificate_signed("rotated");
        tracing::info!(key = %fingerprint, "this node has another key");
        // Should it fail, the old key, which nobody has any more, is forgotten with the next rotation.
        if let Err(error) = self.tell_keys(&[fingerprint]).await {
            tracing::warn!(%error, "the cluster still takes this node's old key");
        }
        Ok(fingerprint)
    }

    async fn tell_keys(&self, keys: &[Digest]) -> Result<u64, RotateError> {
        let command = Command::SetNodeKeys {
            node: self.node_id(),
            keys: keys.iter().map(|key| digest::Digest(key.0)).collect(),
        };
        let committed = self.propose(&command).await?;
        match committed.outcome {
            Outcome::Refused(refusal) => Err(RotateError::Refused(format!("{refusal:?}"))),
            _ => Ok(committed.index),
        }
    }

    /// Waits until every live member has applied `index`, or for as long as that may take: one that is slower hears of the
    /// key from others.
    async fn await_spread(&self, index: u64) {
        let spread = async {
            loop {
                let nodes = self.nodes().await;
                let behind = |view: &guideway_model::node::NodeView| {
                    let applied = view.figures.as_ref().map(|figures| figures.applied_index);
                    view.record.live && applied.is_none_or(|applied| applied < index)
                };
                if !nodes.iter().any(behind) || self.pause(SPREAD_INTERVAL).await {
                    return;
                }
            }
        };
        if tokio::time::timeout(SPREAD_TIMEOUT, spread).await.is_err() {
            tracing::warn!(waited = ?SPREAD_TIMEOUT, "not every live member has heard of this node's new key");
        }
    }
}
