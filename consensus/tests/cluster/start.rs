//! What a start refuses.

use std::net::SocketAddr;

use guideway_consensus::{Config, Consensus, InitError, StartError, Tuning};
use guideway_model::NodeId;
use guideway_model::command::Command;
use guideway_model::node::{Incarnation, NodeFigures};

use crate::fixture::{Cluster, facts, init_command};

fn config(data_dir: &std::path::Path, peer_listen: SocketAddr) -> Config {
    Config {
        data_dir: data_dir.to_owned(),
        peer_listen,
        facts: facts("node-1", peer_listen),
        incarnation: Incarnation(1),
        figures: std::sync::Arc::new(NodeFigures::default),
        answers: std::sync::Arc::new(|question| Box::pin(async { question })),
        tuning: Tuning::default(),
    }
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

async fn refused(config: Config) -> StartError {
    match Consensus::start(config).await {
        Ok(_) => panic!("it started"),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_folder_is_not_a_node() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = refused(config(folder.path(), loopback())).await;
    assert!(matches!(error, StartError::NotInitialised { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("init") && text.contains("join"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_others_reach_needs_a_word() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = refused(config(folder.path(), SocketAddr::from(([0, 0, 0, 0], 0)))).await;
    assert!(error.to_string().contains("allow_plaintext_peers"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_made_once_in_a_folder_and_only_by_its_first_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let facts = facts("node-1", loopback());
    let wrong = guideway_consensus::init(folder.path(), Command::RemoveNode { node: NodeId(1) }, "127.0.0.1:1").await;
    assert!(matches!(wrong, Err(InitError::NotInitCluster)));
    let first = guideway_consensus::init(folder.path(), init_command(&facts), "127.0.0.1:1").await;
    assert_eq!(first.expect("made"), NodeId(1));
    let second = guideway_consensus::init(folder.path(), init_command(&facts), "127.0.0.1:1").await;
    assert!(matches!(second, Err(InitError::NotEmpty { node: NodeId(1), .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_init_left_that_was_cut_off_is_cleared_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let facts = facts("node-1", loopback());
    guideway_consensus::init(folder.path(), init_command(&facts), "127.0.0.1:1")
        .await
        .expect("made");
    std::fs::remove_file(folder.path().join("identity.json")).expect("there");
    guideway_consensus::init(folder.path(), init_command(&facts), "127.0.0.1:1")
        .await
        .expect("made again");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_do_not_share_a_folder() {
    let cluster = Cluster::start(1, Tuning::default()).await;
    let error = refused(config(&cluster.members[0].data_dir, loopback())).await;
    assert!(matches!(error, StartError::Io { .. }), "{error}");
    assert!(error.to_string().contains("lock"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn times_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let facts = facts("node-1", loopback());
    guideway_consensus::init(folder.path(), init_command(&facts), "127.0.0.1:1")
        .await
        .expect("made");
    let mut config = config(folder.path(), loopback());
    config.tuning.heartbeat_interval = std::time::Duration::from_secs(1);
    let error = refused(config).await;
    assert!(matches!(error, StartError::Tuning { .. }), "{error}");
}
