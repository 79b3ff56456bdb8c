//! What a store does at its next start with a log that is not as it left it.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use openraft::RaftLogReader;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use tempfile::TempDir;

use super::database::Database;
use super::{FOLDER, OpenError, Store, meta, record};
use crate::raft_types::{Entry, EntryPayload, LeaderId, LogId, Payload, SnapshotMeta, Vote};

const LEADER: LeaderId = LeaderId { term: 2, node_id: 1 };

fn log_id(index: u64) -> LogId {
    LogId {
        leader_id: LEADER,
        index,
    }
}

fn entry(index: u64) -> Entry {
    Entry {
        log_id: log_id(index),
        payload: EntryPayload::Normal(Payload(Bytes::from(format!("proposal {index}")))),
    }
}

fn record_of(index: u64) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    record::encode(&entry(index), &mut bytes);
    bytes.to_vec()
}

/// A closed store that has acknowledged a vote and entries 0 to 5.
async fn closed_store() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(folder.path(), true).expect("a new store");
    store.log.save_vote(&Vote::new_committed(2, 1)).await.expect("saved");
    store.log.blocking_append((0..=5).map(entry)).await.expect("appended");
    close(store).await;
    folder
}

async fn close(store: Store) {
    tokio::task::spawn_blocking(move || store.close())
        .await
        .expect("no panic");
}

fn change(folder: &TempDir, damage: impl FnOnce(&Database)) {
    let database = Database::open(&folder.path().join(FOLDER)).expect("opened");
    damage(&database);
    database.sync().expect("synced");
    database.close();
}

async fn indexes(store: &mut Store) -> Vec<u64> {
    let entries = store.log.try_get_log_entries(0..).await.expect("read");
    entries.iter().map(|entry| entry.log_id.index).collect()
}

fn refused(path: &Path) -> (u64, String) {
    match Store::open(path, false) {
        Ok(_) => panic!("it opened"),
        Err(OpenError::Corrupted { index, problem, .. }) => (index, problem),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_tail_that_was_not_acknowledged_is_cut() {
    let cut_record = record_of(7)[..20].to_vec();
    type Tail = BTreeMap<u64, Vec<u8>>;
    let tails: [(&str, Tail, u64); 4] = [
        ("whole entries are kept", BTreeMap::from([(6, record_of(6))]), 6),
        ("a cut record", BTreeMap::from([(6, record_of(6)), (7, cut_record)]), 6),
        ("a hole", BTreeMap::from([(7, record_of(7)), (8, record_of(8))]), 5),
        ("the record of another", BTreeMap::from([(6, record_of(9))]), 5),
    ];
    for (what, tail, last) in tails {
        let folder = closed_store().await;
        change(&folder, |database| {
            for (index, record) in &tail {
                database.put_entry(*index, record).expect("written");
            }
        });
        let mut store = Store::open(folder.path(), false).expect(what);
        assert_eq!(indexes(&mut store).await, (0..=last).collect::<Vec<_>>(), "{what}");
        store.log.blocking_append([entry(last + 1)]).await.expect("appended");
        close(store).await;
        let mut store = Store::open(folder.path(), false).expect(what);
        assert_eq!(indexes(&mut store).await, (0..=last + 1).collect::<Vec<_>>(), "{what}");
        close(store).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_to_what_was_acknowledged_is_refused_with_its_index() {
    type Damage = fn(&Database);
    let cases: [(&str, Damage, u64); 5] = [
        ("a hole", |database| drop(database.remove_entry(3)), 3),
        ("the first is missing", |database| drop(database.remove_entry(0)), 0),
        ("the last is missing", |database| drop(database.remove_entry(5)), 6 - 1),
        (
            "a wrong byte",
            |database| {
                let mut record = record_of(4);
                record[35] ^= 1;
                database.put_entry(4, &record).expect("written");
            },
            4,
        ),
        (
            "an entry of another leader",
            |database| {
                let mut other = entry(5);
                other.log_id.leader_id.term = 1;
                let mut bytes = BytesMut::new();
                record::encode(&other, &mut bytes);
                database.put_entry(5, &bytes).expect("written");
            },
            6,
        ),
    ];
    for (what, damage, index) in cases {
        let folder = closed_store().await;
        change(&folder, damage);
        let (found, problem) = refused(folder.path());
        assert_eq!(found, index, "{what}: {problem}");
        // Refused as it is, and again: nothing was repaired away.
        assert_eq!(refused(folder.path()).0, index, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_vote_is_refused() {
    let folder = closed_store().await;
    change(&folder, |database| {
        meta::put(database, meta::VOTE, &Vote::new(2, 1)).expect("written");
    });
    let (_, problem) = refused(folder.path());
    assert!(problem.contains("vote"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_were_cut_on_purpose_are_not_missed() {
    let folder = closed_store().await;
    let mut store = Store::open(folder.path(), false).expect("whole");
    store.log.truncate_after(Some(log_id(2))).await.expect("cut");
    close(store).await;
    let mut store = Store::open(folder.path(), false).expect("whole");
    assert_eq!(indexes(&mut store).await, [0, 1, 2]);
    store.log.truncate_after(None).await.expect("cut");
    close(store).await;
    let mut store = Store::open(folder.path(), false).expect("whole");
    assert!(indexes(&mut store).await.is_empty());
    close(store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn purged_entries_need_a_snapshot_that_has_them() {
    let folder = closed_store().await;
    let mut store = Store::open(folder.path(), false).expect("whole");
    let meta = SnapshotMeta {
        last_log_id: Some(log_id(4)),
        ..SnapshotMeta::default()
    };
    let snapshot = store.snapshots.begin().expect("begun").finish().expect("finished");
    store.snapshots.publish(&meta, &snapshot).expect("published");
    drop(snapshot);
    store.log.purge(log_id(4)).await.expect("purged");
    close(store).await;
    let mut store = Store::open(folder.path(), false).expect("whole");
    assert_eq!(indexes(&mut store).await, [5]);
    // As after a snapshot from a leader that is ahead: the log goes on behind it.
    store.log.purge(log_id(100)).await.expect("purged");
    store.log.blocking_append([entry(101)]).await.expect("appended");
    close(store).await;
    let (index, problem) = refused(folder.path());
    assert_eq!(index, 5, "{problem}");
    assert!(problem.contains("purged"), "{problem}");
}
