//! The file stays bounded however much is written and purged.
//!
//! `GUIDEWAY_SOAK_ENTRIES` sets how many entries are written; a million is the long form.

use std::path::Path;

use bytes::Bytes;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};

use super::Store;
use crate::raft_types::{Entry, EntryPayload, LeaderId, LogId, Payload, SnapshotMeta};

const ENTRIES: u64 = 100_000;
/// Entries that are kept behind the last purge.
const KEPT: u64 = 5_000;
/// Entries between two purges, each after a snapshot.
const ROUND: u64 = 5_000;
const BATCH: u64 = 50;
const LENGTH: usize = 600;

/// Five times what is there at most: entries kept and not yet purged, two snapshots.
const LIMIT: u64 = 64 << 20;

fn entry(index: u64) -> Entry {
    let leader_id = LeaderId { term: 1, node_id: 1 };
    Entry {
        log_id: LogId { leader_id, index },
        payload: EntryPayload::Normal(Payload(Bytes::from(vec![index.to_le_bytes()[0]; LENGTH]))),
    }
}

fn size(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path)
        .expect("a folder")
        .map(|entry| entry.expect("an entry"));
    entries
        .map(|entry| match entry.metadata().expect("there") {
            folder if folder.is_dir() => size(&entry.path()),
            file => file.len(),
        })
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_purged_is_used_again() {
    let entries = std::env::var("GUIDEWAY_SOAK_ENTRIES");
    let entries = entries.map_or(ENTRIES, |entries| entries.parse().expect("a number of entries"));
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(folder.path(), true).expect("a new store");
    let mut largest = 0;
    for start in (0..entries).step_by(usize::try_from(BATCH).expect("small")) {
        store
            .log
            .blocking_append((start..start + BATCH).map(entry))
            .await
            .expect("appended");
        let next = start + BATCH;
        if next.is_multiple_of(ROUND) && next > KEPT {
            let upto = entry(next - KEPT).log_id;
            let mut snapshot = store.snapshots.begin().expect("begun");
            for _ in 0..8 {
                snapshot.push_record(&[7; 100_000]).expect("written");
            }
            let meta = SnapshotMeta {
                last_log_id: Some(upto),
                ..SnapshotMeta::default()
            };
            store
                .snapshots
                .publish(&meta, &snapshot.finish().expect("finished"))
                .expect("published");
            store.log.purge(upto).await.expect("purged");
            largest = size(folder.path()).max(largest);
        }
    }
    assert!(
        store.log.bytes() < 3 * KEPT * 700,
        "{} bytes of log are kept",
        store.log.bytes()
    );
    tokio::task::spawn_blocking(move || store.close())
        .await
        .expect("no panic");
    eprintln!("{entries} entries written and purged: {} MiB at most", largest >> 20);
    assert!(largest < LIMIT, "the store has grown to {largest} bytes");
    let store = Store::open(folder.path(), false).expect("whole");
    tokio::task::spawn_blocking(move || store.close())
        .await
        .expect("no panic");
}
