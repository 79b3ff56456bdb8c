//! `kill -9` in the middle of writes: every write that was acknowledged is there after the next start.
//!
//! The writing process is this test binary, run again for one test.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;

use guideway_consensus::{Config, Consensus, Names, Tuning};
use guideway_model::node::{Incarnation, NodeFigures};

use crate::fixture::{PATIENCE, facts, init, write, written};

/// Tells the process where its data are.
const DATA_DIR: &str = "GUIDEWAY_TEST_DATA_DIR";
/// Tells the process how many times it was started before.
const ROUND: &str = "GUIDEWAY_TEST_ROUND";

const WRITERS: u32 = 4;

async fn start(data_dir: &Path, tuning: Tuning) -> Consensus {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = Config {
        data_dir: data_dir.to_owned(),
        peer_listen: address,
        facts: facts("node-1", address),
        names: Names::default(),
        incarnation: Incarnation(u64::from(std::process::id())),
        figures: Arc::new(NodeFigures::default),
        answers: Arc::new(|question| Box::pin(async { question })),
        tuning,
    };
    Consensus::start(config).await.expect("the store is whole")
}

/// Small, so that snapshots and purges happen all the time.
fn tuning() -> Tuning {
    Tuning {
        snapshot_log_bytes: 20_000,
        entries_kept: 3,
        ..Tuning::default()
    }
}

/// The process that is killed. On its own it writes a little and ends.
#[tokio::test(flavor = "multi_thread")]
async fn writing_process() {
    let limit = if std::env::var(DATA_DIR).is_ok() { u32::MAX } else { 20 };
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = match std::env::var(DATA_DIR) {
        Ok(data_dir) => PathBuf::from(data_dir),
        Err(_) => {
            initialise(folder.path()).await;
            folder.path().to_owned()
        }
    };
    let round: u32 = std::env::var(ROUND).map_or(0, |round| round.parse().expect("a number"));
    let node = start(&data_dir, tuning()).await;
    let writers = (0..WRITERS).map(|writer| {
        let node = node.clone();
        tokio::spawn(async move {
            for number in 0..limit {
                let key = format!("{round}-{writer}-{number}");
                node.propose(write(&key, number)).await.expect("committed");
                let mut out = std::io::stdout().lock();
                writeln!(out, "acknowledged {key} {number}").expect("the parent reads");
                out.flush().expect("the parent reads");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("no panic");
    }
    let applied = node.linearizable().await.expect("read");
    assert_eq!(
        written(&applied.state, &format!("{round}-0-{}", limit - 1)),
        Some(limit - 1)
    );
}

async fn initialise(data_dir: &Path) {
    let facts = facts("node-1", SocketAddr::from(([127, 0, 0, 1], 0)));
    init(data_dir, &facts).await.expect("a cluster");
}

fn spawn(data_dir: &Path, round: usize) -> Child {
    Process::new(std::env::current_exe().expect("this binary"))
        .args([
            "--exact",
            "crash::writing_process",
            "--nocapture",
            "--test-threads",
            "1",
        ])
        .env(DATA_DIR, data_dir)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the process starts")
}

/// Reads `count` acknowledgements, kills the process, and reads what it had still acknowledged.
fn kill_after(mut child: Child, count: usize) -> BTreeMap<String, u32> {
    let mut acknowledged = BTreeMap::new();
    let out = BufReader::new(child.stdout.take().expect("piped"));
    let mut killed = false;
    for line in out.lines() {
        let line = line.expect("text");
        let mut words = line.split_whitespace();
        if words.next() == Some("acknowledged")
            && let (Some(key), Some(value)) = (words.next(), words.next())
            && let Ok(value) = value.parse()
        {
            acknowledged.insert(key.to_owned(), value);
        }
        if acknowledged.len() >= count && !killed {
            child.kill().expect("killed");
            killed = true;
        }
    }
    assert!(
        killed,
        "the process ended by itself after {} writes",
        acknowledged.len()
    );
    child.wait().expect("it has ended");
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_write_survives_kill_9() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data");
    initialise(&data_dir).await;
    let mut acknowledged = BTreeMap::new();
    for (round, count) in [1, 40, 7, 333, 2, 150, 90, 11].into_iter().enumerate() {
        let child = spawn(&data_dir, round);
        let written_now = tokio::task::spawn_blocking(move || kill_after(child, count));
        let written_now = tokio::time::timeout(PATIENCE, written_now)
            .await
            .expect("in time")
            .expect("no panic");
        acknowledged.extend(written_now);
        let node = start(&data_dir, tuning()).await;
        let applied = node.linearizable().await.expect("read");
        for (key, value) in &acknowledged {
            assert_eq!(written(&applied.state, key), Some(*value), "{key} after round {round}");
        }
        node.shutdown().await;
    }
    assert!(acknowledged.len() >= 634);
}
