//! The data folder of a node that does not run.

use std::collections::BTreeSet;
use std::path::Path;

use futures_util::stream;
use guideway_model::NodeId;
use guideway_model::state::Applied;
use openraft::storage::RaftStateMachine;
use openraft::{RaftLogReader, StorageHelper};
use tokio::sync::watch;

use crate::consensus::StartError;
use crate::engine::blocking;
use crate::identity::Identity;
use crate::machine::{Machine, SnapshotPressure};
use crate::store::Store;

/// An opened data folder, with the state after all that is in its log. Nobody else can open it meanwhile.
///
/// What a node knows committed is on its disk a little late, so that the last entries may well have been acknowledged.
pub struct Stopped {
    pub(crate) store: Store,
    pub(crate) node: NodeId,
    /// After the last log entry.
    pub(crate) applied: Applied,
    /// Last log index that the node knew committed.
    pub(crate) committed: u64,
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
            Ok((applied, committed, voters)) => Ok(Stopped {
                store,
                node: identity.node,
                applied,
                committed,
                voters,
            }),
            Err(problem) => {
                blocking(move || store.close()).await?;
                Err(StartError::Raft { problem })
            }
        }
    }

    /// The state after all that is in the log.
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

/// The state after the last entry, the last index known committed, and the voters.
async fn read(store: &Store, node: NodeId) -> Result<(Applied, u64, BTreeSet<NodeId>), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let (published, watched) = watch::channel(Applied::default());
    let mut machine = Machine::new(
        store.snapshots.clone(),
        published.into(),
        SnapshotPressure::new(u64::MAX),
    );
    let mut log = store.log.clone();
    let found = StorageHelper::new(&mut log, &mut machine)
        .with_id(node.0)
        .get_initial_state()
        .await;
    let found = found.map_err(|error| text(&error))?;
    let voters = found.membership_state.effective().voter_ids().map(NodeId).collect();
    let (applied, _) = machine.applied_state().await.map_err(|error| text(&error))?;
    let committed = applied.map_or(0, |applied| applied.index);
    let first = applied.map_or(0, |applied| applied.index + 1);
    let entries = log.try_get_log_entries(first..).await.map_err(|error| text(&error))?;
    let entries = entries.into_iter().map(|entry| Ok((entry, None)));
    let rest = machine.apply(stream::iter(entries)).await;
    rest.map_err(|error| text(&error))?;
    let state = watched.borrow().clone();
    Ok((state, committed, voters))
}
