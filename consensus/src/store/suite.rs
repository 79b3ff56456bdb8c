//! openraft's own test suite for stores, on this one.

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;
use tokio::sync::watch;

use super::{LogStore, Store};
use crate::machine::{Machine, SnapshotPressure};
use crate::raft_types::Types;

struct Builder;

impl StoreBuilder<Types, LogStore, Machine, (Store, TempDir)> for Builder {
    async fn build(&self) -> Result<((Store, TempDir), LogStore, Machine), StorageError<Types>> {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), true).expect("a new store");
        let (published, _) = watch::channel(Default::default());
        let machine = Machine::new(
            store.snapshots.clone(),
            published.into(),
            SnapshotPressure::new(u64::MAX),
        );
        let log = store.log.clone();
        Ok(((store, folder), log, machine))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openrafts_suite_passes() {
    Suite::test_all(Builder).await.expect("every case");
}
