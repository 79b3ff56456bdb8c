//! Damaged stores: a node starts with all that it acknowledged, or not at all.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use guideway_consensus::{StartError, Tuning};
use tempfile::TempDir;

use crate::fixture::{Cluster, Member, copy, write, written};

const WRITES: u32 = 400;

/// A node with [`WRITES`] writes, stopped.
async fn stopped_node(tuning: Tuning) -> Cluster {
    let mut cluster = Cluster::start(1, tuning).await;
    for value in 0..WRITES {
        cluster.members[0]
            .node()
            .propose(write(&format!("key-{value}"), value))
            .await
            .expect("committed");
    }
    cluster.members[0].shut_down().await;
    cluster
}

/// Starts a copy of the node whose files `damage` has changed.
async fn start_damaged(member: &mut Member, damage: impl FnOnce(&Path)) -> Result<(), StartError> {
    let whole = member.data_dir.clone();
    let folder: TempDir = tempfile::tempdir().expect("a folder");
    copy(&whole, folder.path());
    damage(folder.path());
    member.data_dir = folder.path().to_owned();
    let started = member.try_start().await;
    if started.is_ok() {
        let applied = member.node().linearizable().await.expect("read");
        for value in 0..WRITES {
            assert_eq!(
                written(&applied.state, &format!("key-{value}")),
                Some(value),
                "a write is lost"
            );
        }
        member.shut_down().await;
    }
    member.data_dir = whole;
    if let Err(error) = &started {
        assert_names_file_and_index(error, folder.path());
    }
    started
}

fn database(data_dir: &Path) -> PathBuf {
    data_dir.join("store").join("db")
}

fn flip(path: &Path, position: u64, length: usize) {
    let file = OpenOptions::new().read(true).write(true).open(path).expect("there");
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, position).expect("inside the file");
    for byte in &mut bytes {
        *byte ^= 0xa5;
    }
    file.write_all_at(&bytes, position).expect("written");
}

fn assert_names_file_and_index(error: &StartError, data_dir: &Path) {
    let text = error.to_string();
    match error {
        StartError::Corrupted { path, index, .. } => {
            assert!(
                *path == database(data_dir) || *path == data_dir.join("acknowledged"),
                "{text}"
            );
            assert!(text.contains(&format!("log index {index}")), "{text}");
        }
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_file_is_refused_with_file_and_index() {
    let mut cluster = stopped_node(Tuning::default()).await;
    let member = &mut cluster.members[0];
    let length = std::fs::metadata(database(&member.data_dir)).expect("there").len();
    let mut refused = 0;
    for percent in [1, 2, 5, 10, 30, 60, 90] {
        let outcome = start_damaged(member, |data_dir| {
            let file = OpenOptions::new().write(true).open(database(data_dir)).expect("there");
            file.set_len(length * percent / 100).expect("cut");
        })
        .await;
        // A file may end in space that is not in use; `start_damaged` has then seen every write.
        refused += usize::from(outcome.is_err());
        assert!(
            outcome.is_err() || percent > 2,
            "{percent} % of the file cannot hold every write"
        );
    }
    assert!(refused >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn flipped_bytes_anywhere_lose_nothing_silently() {
    let mut cluster = stopped_node(Tuning::default()).await;
    let member = &mut cluster.members[0];
    let length = std::fs::metadata(database(&member.data_dir)).expect("there").len();
    let mut refused = 0;
    for step in 0..40 {
        let position = length.saturating_sub(64) * step / 40;
        let outcome = start_damaged(member, |data_dir| flip(&database(data_dir), position, 40)).await;
        refused += usize::from(outcome.is_err());
    }
    assert!(refused > 0, "no damage was noticed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_snapshot_is_refused() {
    let tuning = Tuning {
        snapshot_log_bytes: 10_000,
        entries_kept: 2,
        ..Tuning::default()
    };
    let mut cluster = stopped_node(tuning).await;
    let member = &mut cluster.members[0];
    let length = std::fs::metadata(database(&member.data_dir)).expect("there").len();
    let mut refused = 0;
    for step in 0..20 {
        let position = length.saturating_sub(64) * step / 20;
        let outcome = start_damaged(member, |data_dir| flip(&database(data_dir), position, 60)).await;
        refused += usize::from(outcome.is_err());
    }
    assert!(refused > 0, "no damage was noticed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_its_mark_or_its_database_is_refused() {
    let mut cluster = stopped_node(Tuning::default()).await;
    let member = &mut cluster.members[0];
    let unmarked = start_damaged(member, |data_dir| {
        std::fs::remove_file(data_dir.join("acknowledged")).expect("there");
    })
    .await;
    unmarked.expect_err("the mark is missing");
    let empty = start_damaged(member, |data_dir| {
        std::fs::remove_dir_all(data_dir.join("store")).expect("there");
    })
    .await;
    empty.expect_err("the database is missing");
    let torn = start_damaged(member, |data_dir| {
        flip(&data_dir.join("acknowledged"), 0, 1024);
    })
    .await;
    torn.expect_err("the mark is damaged");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_copy_of_the_database_is_refused() {
    let mut cluster = Cluster::start(1, Tuning::default()).await;
    cluster.members[0].shut_down().await;
    let earlier = tempfile::tempdir().expect("a folder");
    copy(&cluster.members[0].data_dir.join("store"), earlier.path());
    cluster.members[0].start().await;
    for value in 0..WRITES {
        cluster.members[0]
            .node()
            .propose(write(&format!("key-{value}"), value))
            .await
            .expect("committed");
    }
    cluster.members[0].shut_down().await;
    let restored = start_damaged(&mut cluster.members[0], |data_dir| {
        std::fs::remove_dir_all(data_dir.join("store")).expect("there");
        copy(earlier.path(), &data_dir.join("store"));
    })
    .await;
    restored.expect_err("the database is older than its mark");
}
