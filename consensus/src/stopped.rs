//! The data folder of a node that does not run.

use std::collections::BTreeSet;
use std::path::Path;

use guideway_model::NodeId;
use guideway_model::state::Applied;
use openraft::StorageHelper;
use openraft::storage::RaftLogStorage;
use tokio::sync::watch;

use crate::consensus::StartError;
use crate::engine::blocking;
use crate::identity::Identity;
use crate::machine::{Machine, SnapshotPressure};
use crate::store::Store;

/// An opened data folder, with the state up to what its node knew committed. Nobody else can open it meanwhile.
pub struct Stopped {
    pub(crate) store: Store,
    pub(crate) node: NodeId,
    pub(crate) applied: Applied,
    /// Last log index that it has.
    pub(crate) last: u64,
    pub(crate) voters: BTreeSet<NodeId>,
}

impl Stopped {
    /// Opens a folder. Blocks on the disk in tasks of its own.
    ///
    /// # Errors
    /// It holds no node, is in use, or is damaged.
    pub async fn open(data_dir: &Path) -> Result<Stopped, StartError> {
        let identity = Identity::read(data_dir).map_err(StartError::io(data_dir))?;
        let identity = identity.ok_or_else(|| StartError::NotInitialised {
            path: data_dir.to_owned(),
        })?;
        let path = data_dir.to_owned();
        let store = blocking(move || Store::open(&path, false)).await??;
        match read(&store, identity.node).await {
            Ok((applied, last, voters)) => Ok(Stopped {
                store,
                node: identity.node,
                applied,
                last,
                voters,
            }),
            Err(problem) => {
                blocking(move || store.close()).await?;
                Err(StartError::Raft { problem })
            }
        }
    }

    /// The state that the node knew committed.
    pub fn applied(&self) -> &Applied {
        &self.applied
    }

    /// Lets go of the folder.
    pub async fn close(self) {
        let store = self.store;
        if blocking(move || store.close()).await.is_err() {
            tracing::error!("the store could not be closed to its end");
        }
    }
}

/// The state, the last index and the voters.
async fn read(store: &Store, node: NodeId) -> Result<(Applied, u64, BTreeSet<NodeId>), String> {
    let (published, applied) = watch::channel(Applied::default());
    let mut machine = Machine::new(store.snapshots.clone(), published.into(), SnapshotPressure::new(u64::MAX));
    let mut log = store.log.clone();
    let found = StorageHelper::new(&mut log, &mut machine).with_id(node.0).get_initial_state().await;
    let found = found.map_err(|error| error.to_string())?;
    let state = log.get_log_state().await.map_err(|error| error.to_string())?;
    let voters = found.membership_state.effective().voter_ids().map(NodeId).collect();
    let applied = applied.borrow().clone();
    let last = state.last_log_id.map_or(0, |last| last.index).max(applied.index);
    Ok((applied, last, voters))
}
