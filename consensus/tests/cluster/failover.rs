//! Leaders are lost, and hand over.

use std::time::{Duration, Instant};

use guideway_consensus::{ProposeError, TransferError, Tuning};
use guideway_model::node::Role;

use crate::fixture::{Cluster, eventually, write, written};

#[tokio::test(flavor = "multi_thread")]
async fn when_the_leader_is_lost_another_takes_writes_and_nothing_is_lost() {
    let mut cluster = Cluster::start(3, Tuning::default()).await;
    for round in 0..3u32 {
        let leader = cluster.leader().await;
        let through = (leader + 1) % 3;
        cluster.members[through]
            .node()
            .propose(write(&format!("before-{round}"), round))
            .await
            .expect("committed");
        cluster.members[leader].crash();
        let lost = Instant::now();
        let written_again = propose_until_done(&cluster, through, &format!("after-{round}"), round).await;
        eprintln!(
            "writes again {:?} after the loss of the leader",
            written_again.duration_since(lost)
        );
        cluster.members[leader].start().await;
        cluster.voters(3).await;
        cluster.equal_states().await;
        for member in &cluster.members {
            for earlier in 0..=round {
                for when in ["before", "after"] {
                    assert_eq!(written(&member.state(), &format!("{when}-{earlier}")), Some(earlier));
                }
            }
        }
    }
}

/// Proposes until it is certain that it happened; a proposal in doubt is made again.
async fn propose_until_done(cluster: &Cluster, through: usize, key: &str, value: u32) -> Instant {
    loop {
        match cluster.members[through].node().propose(write(key, value)).await {
            Ok(_) => return Instant::now(),
            Err(error @ (ProposeError::NoLeader { .. } | ProposeError::Unconfirmed { .. })) => {
                tracing::info!(%error, "once more");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_is_transferred_and_writes_go_on() {
    let cluster = Cluster::start(3, Tuning::default()).await;
    let leader = cluster.leader().await;
    let follower = cluster.members[(leader + 1) % 3].node();
    let refused = follower.transfer_leadership().await.expect_err("it does not lead");
    assert_eq!(
        refused,
        TransferError::NotLeader {
            leader: Some(cluster.members[leader].id)
        }
    );
    let to = cluster.members[leader]
        .node()
        .transfer_leadership()
        .await
        .expect("transferred");
    assert_ne!(to, cluster.members[leader].id);
    follower.propose(write("key", 1)).await.expect("committed");
    eventually("all know the new leader", || async {
        cluster
            .members
            .iter()
            .all(|member| member.node().status().leader == Some(to))
    })
    .await;
    cluster.equal_states().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_shuts_down_hands_over_first() {
    let mut cluster = Cluster::start(3, Tuning::default()).await;
    let leader = cluster.leader().await;
    let other = cluster.members[(leader + 1) % 3].node().clone();
    let term = other.status().term;
    cluster.members[leader].shut_down().await;
    // A new leader is there although no election timeout has passed: the next write finds it.
    other.propose(write("key", 1)).await.expect("committed");
    let status = other.status();
    assert!(status.term > term);
    assert_ne!(status.leader, Some(cluster.members[leader].id));
    assert!(matches!(status.role, Role::Leader | Role::Follower));
    cluster.equal_states().await;
}

/// The state says for a while that both others are live; a leader that hands over to one of them would wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_one_to_stop_hands_over_to_nobody() {
    let mut cluster = Cluster::start(3, Tuning::default()).await;
    let leader = cluster.leader().await;
    cluster.members[(leader + 1) % 3].crash();
    cluster.members[(leader + 2) % 3].crash();
    let handed = cluster.members[leader].node().resign().await;
    assert_eq!(handed, Err(TransferError::NoSuccessor));
}

/// As when the demo ends: every node is told to stop at once.
#[tokio::test(flavor = "multi_thread")]
async fn leadership_is_not_handed_to_a_member_that_stops_too() {
    let cluster = Cluster::start(3, Tuning::default()).await;
    let leader = cluster.leader().await;
    for other in [(leader + 1) % 3, (leader + 2) % 3] {
        let refused = cluster.members[other].node().resign().await;
        assert!(matches!(refused, Err(TransferError::NotLeader { .. })), "{refused:?}");
    }
    let handed = cluster.members[leader].node().resign().await;
    assert_eq!(handed, Err(TransferError::NoSuccessor));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_was_stopped_as_a_whole_comes_back_whole() {
    let mut cluster = Cluster::start(3, Tuning::default()).await;
    for value in 0..20 {
        cluster.members[0]
            .node()
            .propose(write(&format!("key-{value}"), value))
            .await
            .expect("committed");
    }
    for member in &mut cluster.members {
        member.crash();
    }
    for member in &mut cluster.members {
        member.start().await;
    }
    for member in &cluster.members {
        let index = member
            .node()
            .caught_up(Duration::from_secs(30))
            .await
            .expect("caught up");
        assert!(member.node().watch().borrow().index >= index);
        for value in 0..20 {
            assert_eq!(written(&member.state(), &format!("key-{value}")), Some(value));
        }
    }
    cluster.equal_states().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_agrees_who_is_alive() {
    let mut cluster = Cluster::start(3, Tuning::default()).await;
    let leader = cluster.leader().await;
    let lost = (leader + 1) % 3;
    let id = cluster.members[lost].id;
    let before = cluster.members[leader].state().node(id).cloned().expect("a member");
    cluster.members[lost].crash();
    let mut watch = cluster.members[leader].node().watch();
    let down = watch.wait_for(|applied| applied.state.node(id).is_some_and(|record| !record.live));
    let down = tokio::time::timeout(crate::fixture::PATIENCE, down)
        .await
        .expect("in time")
        .expect("the node runs");
    assert_eq!(down.state.node(id).expect("a member").incarnation, before.incarnation);
    drop(down);
    let views = cluster.members[leader].node().nodes().await;
    for view in views {
        assert_eq!(view.figures.is_some(), view.id != id, "node {}", view.id);
        assert_eq!(view.figures.map_or(7, |figures| figures.sessions), 7);
    }

    cluster.members[lost].start().await;
    cluster.voters(3).await;
    let after = cluster.members[leader].state().node(id).cloned().expect("a member");
    assert!(after.live);
    assert_ne!(after.incarnation, before.incarnation);
}
