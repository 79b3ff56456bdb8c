//! A full disk, on a small tmpfs. Needs root, which mounts it; fails where it cannot be mounted.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use guideway_consensus::{Config, Consensus, Names, ProposeError, StoreHealth, Tuning};
use guideway_model::node::{Incarnation, NodeFigures};
use rustix::mount::{MountFlags, UnmountFlags};
use tempfile::TempDir;

use fixture::{Cluster, PATIENCE, eventually, facts, init, long_write, write, written};

#[expect(dead_code, reason = "the other target uses the rest")]
#[path = "cluster/fixture.rs"]
mod fixture;

/// A tmpfs of its own; unmounted at the end.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    fn mount(megabytes: u64) -> SmallDisk {
        let folder = tempfile::tempdir().expect("a folder");
        let options = std::ffi::CString::new(format!("size={megabytes}m")).expect("no zero byte");
        rustix::mount::mount("tmpfs", folder.path(), "tmpfs", MountFlags::empty(), options.as_c_str())
            .expect("this test mounts a tmpfs, which needs root (CAP_SYS_ADMIN)");
        SmallDisk { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Fills the disk but for `left` bytes, and returns the file that does.
    fn fill(&self, left: u64) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .expect("a file");
        let block = vec![0; 4096];
        loop {
            let figures = rustix::fs::statvfs(self.path()).expect("figures");
            if figures.f_bavail * figures.f_frsize <= left || file.write_all(&block).is_err() {
                return path;
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        rustix::mount::unmount(self.folder.path(), UnmountFlags::DETACH).expect("unmounted");
    }
}

fn tuning() -> Tuning {
    Tuning {
        free_space_mark: 8 << 20,
        ballast_bytes: 4 << 20,
        request_deadline: Duration::from_secs(2),
        ..Tuning::default()
    }
}

async fn start(data_dir: &Path) -> Consensus {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let facts = facts("node-1", address);
    if !data_dir.join("identity.json").exists() {
        init(data_dir, &facts).await.expect("a cluster");
    }
    let config = Config {
        data_dir: data_dir.to_owned(),
        peer_listen: address,
        facts,
        names: Names::default(),
        incarnation: Incarnation(1),
        figures: Arc::new(NodeFigures::default),
        answers: Arc::new(|question| Box::pin(async { question })),
        tuning: tuning(),
    };
    Consensus::start(config).await.expect("it starts")
}

#[tokio::test(flavor = "multi_thread")]
async fn below_the_mark_writes_are_refused_until_space_returns() {
    let disk = SmallDisk::mount(64);
    let node = start(&disk.path().join("data")).await;
    node.propose(write("before", 1)).await.expect("committed");
    let filler = disk.fill(6 << 20);
    let mut refused = None;
    eventually("the node notices", || async {
        matches!(node.status().store, StoreHealth::LowSpace { .. })
    })
    .await;
    eventually("a write is refused", || {
        let outcome = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(node.propose(write("during", 2)))
        });
        refused = outcome.err();
        let done = refused.is_some();
        async move { done }
    })
    .await;
    let error = refused.expect("refused");
    assert!(!error.may_have_happened());
    let text = error.to_string();
    match error {
        ProposeError::DiskFull {
            node: 1,
            path,
            free_bytes,
            mark_bytes,
        } => {
            assert!(path.starts_with(disk.path()));
            assert!(free_bytes < mark_bytes, "{text}");
        }
        other => panic!("{other}"),
    }
    assert!(text.contains("free space"), "{text}");
    let read = node.linearizable().await.expect("reads go on");
    assert_eq!(
        (written(&read.state, "before"), written(&read.state, "during")),
        (Some(1), None)
    );

    std::fs::remove_file(filler).expect("removed");
    eventually("writes go on", || async {
        node.propose(write("after", 3)).await.is_ok()
    })
    .await;
    assert_eq!(node.status().store, StoreHealth::Healthy);
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_is_opened_again_when_there_is_space() {
    let disk = SmallDisk::mount(64);
    let node = start(&disk.path().join("data")).await;
    let mut last = 0;
    node.propose(write("written-0", 0)).await.expect("committed");
    // Filled at once to the last byte: writes that pass the guard before it notices have nowhere to go.
    let filler = disk.fill(0);
    for number in 1..200 {
        match node.propose(long_write(&format!("long-{number}"), 300_000)).await {
            Ok(_) => {}
            Err(
                ProposeError::DiskFull { .. } | ProposeError::Unconfirmed { .. } | ProposeError::StoreFailed { .. },
            ) => {
                break;
            }
            Err(other) => panic!("{other}"),
        }
        if node.propose(write(&format!("written-{number}"), number)).await.is_ok() {
            last = number;
        }
    }
    // The state can be read, whatever has become of the store.
    let key = format!("written-{last}");
    assert_eq!(written(&node.watch().borrow().state, &key), Some(last));
    std::fs::remove_file(filler).expect("removed");
    let recovered = async {
        eventually("writes go on", || async {
            node.propose(write("after", 7)).await.is_ok()
        })
        .await;
    };
    tokio::time::timeout(PATIENCE, recovered).await.expect("in time");
    let read = node.linearizable().await.expect("read");
    assert_eq!(
        (written(&read.state, &key), written(&read.state, "after")),
        (Some(last), Some(7))
    );
    node.shutdown().await;

    let again = start(&disk.path().join("data")).await;
    let read = again.linearizable().await.expect("read");
    assert_eq!(
        (written(&read.state, &key), written(&read.state, "after")),
        (Some(last), Some(7))
    );
    again.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_disk_is_full_fails_and_says_why() {
    let disk = SmallDisk::mount(64);
    let node = start(&disk.path().join("data")).await;
    node.propose(write("before", 1)).await.expect("committed");
    let filler = disk.fill(0);
    // What members say about themselves passes the guard and meets the full disk, sooner or later.
    eventually("the store fails", || async {
        drop(
            node.propose(guideway_model::command::Command::NodeUp {
                node: node.node_id(),
                incarnation: Incarnation(1),
                facts: facts(&"n".repeat(100_000), SocketAddr::from(([127, 0, 0, 1], 1))),
            })
            .await,
        );
        matches!(node.status().store, StoreHealth::Failed { .. })
    })
    .await;
    assert_eq!(written(&node.watch().borrow().state, "before"), Some(1));
    let error = node.propose(write("during", 2)).await.expect_err("refused");
    assert!(
        matches!(error, ProposeError::StoreFailed { .. } | ProposeError::DiskFull { .. }),
        "{error}"
    );
    std::fs::remove_file(filler).expect("removed");
    eventually("writes go on", || async {
        node.propose(write("after", 3)).await.is_ok()
    })
    .await;
    eventually("the store is healthy", || async {
        node.status().store == StoreHealth::Healthy
    })
    .await;
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_refuses_while_a_follower_is_short_of_space() {
    let disk = SmallDisk::mount(64);
    let mut cluster = Cluster::start(2, tuning()).await;
    let leader = cluster.leader().await;
    let id = cluster.join_in(&disk.path().join("data")).await;
    cluster.voters(3).await;
    let filler = disk.fill(2 << 20);
    let mut refused = None;
    eventually("the leader refuses", || {
        let outcome = tokio::task::block_in_place(|| {
            let propose = cluster.members[leader].node().propose(write("key", 1));
            tokio::runtime::Handle::current().block_on(propose)
        });
        refused = outcome.err();
        let done = refused.is_some();
        async move { done }
    })
    .await;
    match refused.expect("refused") {
        ProposeError::DiskFull { node, path, .. } => {
            assert_eq!(node, id.0);
            assert!(path.starts_with(disk.path()));
        }
        other => panic!("{other}"),
    }
    std::fs::remove_file(filler).expect("removed");
    eventually("writes go on", || async {
        cluster.members[0].node().propose(write("key", 2)).await.is_ok()
    })
    .await;
    cluster.equal_states().await;
    for member in &mut cluster.members {
        member.shut_down().await;
    }
}
