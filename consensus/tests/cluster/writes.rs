//! Writes through any node, reads that see them on any node.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

use guideway_consensus::{Config, Consensus, Names, ProposeError, ReadError, Tuning};
use guideway_model::Outcome;
use guideway_model::node::{Incarnation, NodeFigures};
use guideway_model::state::Applied;

use crate::fixture::{Cluster, PATIENCE, answers, eventually, facts, init, long_write, write, written};

#[tokio::test(flavor = "multi_thread")]
async fn a_write_through_any_node_is_read_through_any_other() {
    let cluster = Cluster::start(3, Tuning::default()).await;
    let mut last = 0;
    for round in 0..30 {
        let writer = &cluster.members[round % 3];
        let reader = &cluster.members[(round / 3) % 3];
        let value = u32::try_from(round).expect("small");
        let committed = writer
            .node()
            .propose(write(&format!("key-{round}"), value))
            .await
            .expect("committed");
        assert!(matches!(committed.outcome, Outcome::Object(_)));
        assert!(committed.index > last, "indexes rise");
        last = committed.index;
        let read: Applied = reader.node().linearizable().await.expect("read");
        assert!(read.index >= committed.index);
        assert_eq!(
            written(&read.state, &format!("key-{round}")),
            Some(value),
            "round {round}"
        );
    }
    cluster.equal_states().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_at_once_lose_nothing() {
    let cluster = Cluster::start(3, Tuning::default()).await;
    let writers = (0..60u32).map(|number| {
        let node = cluster.members[usize::try_from(number).expect("small") % 3]
            .node()
            .clone();
        tokio::spawn(async move {
            for round in 0..5 {
                node.propose(write(&format!("{number}-{round}"), number))
                    .await
                    .expect("committed");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("no panic");
    }
    cluster.equal_states().await;
    let state = cluster.members[1].state();
    for number in 0..60 {
        for round in 0..5 {
            assert_eq!(written(&state, &format!("{number}-{round}")), Some(number));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_command_passes_and_one_too_large_is_refused() {
    let cluster = Cluster::start(3, Tuning::default()).await;
    for member in &cluster.members {
        let key = format!("large-{}", member.id);
        member
            .node()
            .propose(long_write(&key, 3 << 20))
            .await
            .expect("committed");
        let error = member
            .node()
            .propose(long_write("larger", 30 << 20))
            .await
            .expect_err("too large");
        assert!(matches!(error, ProposeError::TooLarge { .. }), "{error}");
        assert!(!error.may_have_happened());
    }
    cluster.equal_states().await;
    assert!(written(&cluster.members[2].state(), "large-3").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_nothing_is_written_and_the_state_can_still_be_read() {
    let tuning = Tuning {
        request_deadline: std::time::Duration::from_secs(2),
        ..Tuning::default()
    };
    let mut cluster = Cluster::start(3, tuning).await;
    let leader = cluster.leader().await;
    cluster.members[leader]
        .node()
        .propose(write("before", 1))
        .await
        .expect("committed");
    cluster.equal_states().await;
    for member in &mut cluster.members {
        if member.id != cluster_id(leader) {
            member.crash();
        }
    }
    let alone = cluster.members[leader].node().clone();
    eventually("the lease has run out", || async {
        matches!(
            alone.propose(write("lost", 2)).await,
            Err(ProposeError::NoLeader { .. })
        )
    })
    .await;
    let error = alone.linearizable().await.expect_err("no majority");
    assert!(matches!(error, ReadError::NoLeader { .. }), "{error}");
    assert_eq!(written(&alone.watch().borrow().state, "before"), Some(1));

    for member in &mut cluster.members {
        if !member.is_running() {
            member.start().await;
        }
    }
    cluster.voters(3).await;
    alone.propose(write("after", 3)).await.expect("committed again");
    cluster.equal_states().await;
}

/// Members are numbered from 1 in the order they joined.
fn cluster_id(position: usize) -> guideway_model::NodeId {
    guideway_model::NodeId(u64::try_from(position).expect("small") + 1)
}

/// A node once stood still for good: it lent the applied state out while it asked for its own figures, which read the state
/// too, behind a write that waited for the first to be given back.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_write_is_applied_while_somebody_asks_for_figures() {
    let folder = tempfile::tempdir().expect("a folder");
    let facts = facts("node-1", ([127, 0, 0, 1], 0).into());
    let id = init(folder.path(), &facts).await.expect("made");
    // The first question for figures is answered when the write is done, or when it has waited too long for that.
    let (begun, has_begun) = sync_channel(1);
    let (done, is_done) = sync_channel::<()>(1);
    let is_done = Mutex::new(Some(is_done));
    let waited_in_vain = Arc::new(AtomicBool::new(false));
    let in_vain = waited_in_vain.clone();
    let config = Config {
        data_dir: folder.path().to_owned(),
        peer_listen: ([127, 0, 0, 1], 0).into(),
        facts,
        names: Names::default(),
        incarnation: Incarnation(1),
        figures: Arc::new(move || {
            if let Some(is_done) = is_done.lock().expect("whole").take() {
                begun.send(()).expect("the test waits");
                let late = is_done.recv_timeout(PATIENCE).is_err();
                in_vain.store(late, Ordering::Relaxed);
            }
            NodeFigures::default()
        }),
        answers: answers(id),
        tuning: Tuning::default(),
    };
    let node = Consensus::start(config).await.expect("started");
    tokio::time::timeout(PATIENCE, node.linearizable())
        .await
        .expect("it leads in time")
        .expect("it leads");
    let asking = tokio::spawn({
        let node = node.clone();
        async move { node.nodes().await }
    });
    tokio::task::spawn_blocking(move || has_begun.recv())
        .await
        .expect("no panic")
        .expect("figures are asked for");
    node.propose(write("key", 7)).await.expect("committed");
    done.send(()).expect("somebody waits");
    assert_eq!(asking.await.expect("no panic").len(), 1);
    assert!(
        !waited_in_vain.load(Ordering::Relaxed),
        "the write was applied only when figures had been told"
    );
    node.shutdown().await;
}
