//! Snapshots: the log is cut, and nodes that are far behind get the snapshot.

use guideway_consensus::Tuning;

use crate::fixture::{Cluster, eventually, long_write, write, written};

fn tuning() -> Tuning {
    Tuning {
        snapshot_log_bytes: 200_000,
        entries_kept: 5,
        ..Tuning::default()
    }
}

/// Writes until every running node has cut its log at least once after `from` bytes of it.
async fn write_past_snapshots(cluster: &Cluster, mark: &str) {
    for number in 0..120 {
        let key = format!("{mark}-{number}");
        cluster.members[0]
            .node()
            .propose(long_write(&key, 8_000))
            .await
            .expect("committed");
    }
    cluster.members[0]
        .node()
        .propose(write(mark, 1))
        .await
        .expect("committed");
    eventually("the logs are cut", || async {
        cluster
            .running()
            .all(|member| member.node().status().log_bytes < 500_000)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_far_behind_gets_the_snapshot() {
    let mut cluster = Cluster::start(3, tuning()).await;
    cluster.members[2].crash();
    write_past_snapshots(&cluster, "first").await;
    write_past_snapshots(&cluster, "second").await;
    cluster.members[2].start().await;
    cluster.voters(3).await;
    cluster.equal_states().await;
    assert_eq!(written(&cluster.members[2].state(), "first"), Some(1));
    assert!(cluster.members[2].node().status().log_bytes < 500_000);

    // What it was sent survives its next start, with entries on top of it.
    cluster.members[0]
        .node()
        .propose(write("third", 3))
        .await
        .expect("committed");
    cluster.equal_states().await;
    cluster.members[2].crash();
    cluster.members[2].start().await;
    cluster.voters(3).await;
    cluster.equal_states().await;
    assert_eq!(written(&cluster.members[2].state(), "third"), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_node_starts_from_the_snapshot_and_all_start_again_from_theirs() {
    let mut cluster = Cluster::start(1, tuning()).await;
    write_past_snapshots(&cluster, "first").await;
    cluster.join().await;
    cluster.voters(2).await;
    cluster.equal_states().await;
    assert_eq!(written(&cluster.members[1].state(), "first"), Some(1));
    for member in &mut cluster.members {
        member.crash();
    }
    for member in &mut cluster.members {
        member.start().await;
    }
    cluster.voters(2).await;
    cluster.equal_states().await;
    assert_eq!(written(&cluster.members[0].state(), "first"), Some(1));
}
