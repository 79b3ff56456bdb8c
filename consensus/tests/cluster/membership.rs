//! Members come and go at run time.

use std::net::SocketAddr;

use guideway_consensus::{MembershipError, Tuning};
use guideway_model::node::Role;
use guideway_model::{NodeId, Refusal};

use crate::fixture::{Cluster, eventually, facts, free_port, joining, write, written};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_joins_becomes_a_voter_and_one_that_is_removed_leaves() {
    let mut cluster = Cluster::start(3, Tuning::default()).await;
    cluster.members[0]
        .node()
        .propose(write("key", 1))
        .await
        .expect("committed");
    let fourth = cluster.join().await;
    assert_eq!(fourth, NodeId(4));
    cluster.voters(4).await;
    assert_eq!(written(&cluster.members[3].state(), "key"), Some(1));
    let roles: Vec<Role> = cluster.members[3]
        .node()
        .nodes()
        .await
        .into_iter()
        .map(|view| view.role)
        .collect();
    assert_eq!(roles.iter().filter(|role| **role == Role::Leader).count(), 1);
    assert_eq!(roles.iter().filter(|role| **role == Role::Follower).count(), 3);

    let leader = cluster.leader().await;
    let gone = (leader + 1) % 4;
    let through = (leader + 2) % 4;
    cluster.members[through]
        .node()
        .remove_node(cluster.members[gone].id)
        .await
        .expect("removed");
    cluster.members[gone].crash();
    cluster.voters(3).await;
    let state = cluster.members[leader].state();
    assert!(state.node(cluster.members[gone].id).is_none());
    let again = cluster.members[through]
        .node()
        .remove_node(cluster.members[gone].id)
        .await;
    assert_eq!(again, Err(MembershipError::NotAMember(cluster.members[gone].id)));
    cluster.equal_states().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_removed_hands_over_and_leaves() {
    let mut cluster = Cluster::start(3, Tuning::default()).await;
    let leader = cluster.leader().await;
    let id = cluster.members[leader].id;
    let other = (leader + 1) % 3;
    cluster.members[other].node().remove_node(id).await.expect("removed");
    cluster.members[leader].crash();
    cluster.voters(2).await;
    cluster.members[other]
        .node()
        .propose(write("key", 1))
        .await
        .expect("committed");
    cluster.equal_states().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_member_is_removed_while_a_majority_lives() {
    let mut cluster = Cluster::start(3, Tuning::default()).await;
    let leader = cluster.leader().await;
    let dead = (leader + 1) % 3;
    cluster.members[dead].crash();
    cluster.members[leader]
        .node()
        .remove_node(cluster.members[dead].id)
        .await
        .expect("removed");
    cluster.voters(2).await;
    cluster.members[leader]
        .node()
        .propose(write("key", 1))
        .await
        .expect("committed");
}

/// A machine was given another address. The leader dials the old one, so the member has to speak first.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_comes_back_at_another_address_is_reached_again() {
    let mut cluster = Cluster::start(3, Tuning::default()).await;
    let leader = cluster.leader().await;
    let moved = (leader + 1) % 3;
    cluster.members[moved].crash();
    cluster.members[leader]
        .node()
        .propose(write("meanwhile", 1))
        .await
        .expect("committed");
    let before: SocketAddr = cluster.members[moved].facts.peer_address.parse().expect("an address");
    let after = SocketAddr::new(before.ip(), free_port(before.ip()));
    cluster.members[moved].facts.peer_address = after.to_string();
    cluster.members[moved].start().await;
    let id = cluster.members[moved].id;
    eventually("the leader knows the new address", || async {
        let known = cluster.members[leader].state();
        known
            .node(id)
            .is_some_and(|record| record.facts.peer_address == after.to_string())
    })
    .await;
    cluster.voters(3).await;
    eventually("it has what was written meanwhile", || async {
        written(&cluster.members[moved].state(), "meanwhile") == Some(1)
    })
    .await;
    cluster.equal_states().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_voter_stays() {
    let cluster = Cluster::start(1, Tuning::default()).await;
    let refused = cluster.members[0].node().remove_node(NodeId(1)).await;
    assert_eq!(refused, Err(MembershipError::LastVoter(NodeId(1))));
    assert_eq!(cluster.members[0].node().promote(NodeId(1)).await, Ok(()));
    let unknown = cluster.members[0].node().promote(NodeId(9)).await;
    assert_eq!(unknown, Err(MembershipError::NotAMember(NodeId(9))));
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_twice_before_the_first_start_gives_one_place() {
    let cluster = Cluster::start(1, Tuning::default()).await;
    let token = cluster.members[0].token().await;
    let folder = tempfile::tempdir().expect("a folder");
    let ip = "127.0.0.1".parse().expect("an address");
    let late = facts("late", (ip, free_port(ip)).into());
    let first = guideway_consensus::join(folder.path(), joining(token.clone(), late.clone()))
        .await
        .expect("a place");
    let second = guideway_consensus::join(folder.path(), joining(token, late))
        .await
        .expect("the same place");
    assert_eq!((first, second), (NodeId(2), NodeId(2)));

    let elsewhere = tempfile::tempdir().expect("a folder");
    let taken = facts("node-1", (ip, free_port(ip)).into());
    let taken = joining(cluster.members[0].token().await, taken);
    let refused = guideway_consensus::join(elsewhere.path(), taken)
        .await
        .expect_err("the name is taken");
    match refused {
        guideway_consensus::JoinError::Refused(refusal) => {
            assert_eq!(*refusal, Refusal::NodeNameTaken("node-1".to_owned()));
        }
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_learner_that_never_starts_holds_nothing_up() {
    let cluster = Cluster::start(1, Tuning::default()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let ip = "127.0.0.1".parse().expect("an address");
    let late = joining(
        cluster.members[0].token().await,
        facts("late", (ip, free_port(ip)).into()),
    );
    guideway_consensus::join(folder.path(), late).await.expect("a place");
    eventually("it is a learner", || async {
        cluster.members[0].node().status().learners == [NodeId(2)]
    })
    .await;
    cluster.members[0]
        .node()
        .propose(write("key", 1))
        .await
        .expect("committed");
    let refused = cluster.members[0].node().promote(NodeId(2)).await;
    assert!(
        matches!(refused, Err(MembershipError::NotCaughtUp { .. })),
        "{refused:?}"
    );
}
