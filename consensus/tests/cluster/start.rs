//! What a start refuses.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use guideway_consensus::{Config, Consensus, InitError, Names, StartError, Tuning};
use guideway_model::command::Command;
use guideway_model::node::{Incarnation, NodeFigures};
use guideway_model::{NodeId, Refusal, State};

use crate::fixture::{Cluster, facts, founding, init};

fn config(data_dir: &std::path::Path, peer_listen: SocketAddr) -> Config {
    Config {
        data_dir: data_dir.to_owned(),
        peer_listen,
        facts: facts("node-1", peer_listen),
        names: Names::default(),
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
async fn below_the_level_of_identities_no_cluster_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut old = facts("node-1", loopback());
    old.level = State::IDENTITIES - 1;
    match init(folder.path(), &old).await {
        Err(InitError::Refused(refusal)) => {
            assert_eq!(*refusal, Refusal::LevelTooLow { needed: 3, level: 2 });
        }
        other => panic!("its node's key would be known to nobody: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_its_keys_does_not_start_and_says_which_file_it_wants() {
    let folder = tempfile::tempdir().expect("a folder");
    init(folder.path(), &facts("node-1", loopback())).await.expect("made");
    for name in ["node.key", "ca.key", "ca.crt"] {
        let file = folder.path().join("identity").join(name);
        let kept = std::fs::read(&file).expect("it is there");
        std::fs::remove_file(&file).expect("removed");
        let error = refused(config(folder.path(), loopback())).await;
        assert!(matches!(error, StartError::Credentials(_)), "{error}");
        assert!(error.to_string().contains(name), "{error}");
        std::fs::write(&file, kept).expect("written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_their_owners_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data");
    init(&data_dir, &facts("node-1", loopback())).await.expect("made");
    let mode = |path: &std::path::Path| path.metadata().expect("there").permissions().mode() & 0o777;
    let identity = data_dir.join("identity");
    assert_eq!((mode(&data_dir), mode(&identity)), (0o700, 0o700));
    for (name, wanted) in [
        ("node.key", 0o600),
        ("ca.key", 0o600),
        ("ca.crt", 0o644),
        ("node.crt", 0o644),
    ] {
        assert_eq!(mode(&identity.join(name)), wanted, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_made_once_in_a_folder_and_only_by_its_first_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let facts = facts("node-1", loopback());
    let wrong = guideway_consensus::init(
        folder.path(),
        Command::RemoveNode { node: NodeId(1) },
        founding("127.0.0.1:1"),
    )
    .await;
    assert!(matches!(wrong, Err(InitError::NotInitCluster)));
    let first = init(folder.path(), &facts).await;
    assert_eq!(first.expect("made"), NodeId(1));
    let second = init(folder.path(), &facts).await;
    assert!(matches!(second, Err(InitError::NotEmpty { node: NodeId(1), .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_init_left_that_was_cut_off_is_cleared_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let facts = facts("node-1", loopback());
    init(folder.path(), &facts).await.expect("made");
    std::fs::remove_file(folder.path().join("identity.json")).expect("there");
    init(folder.path(), &facts).await.expect("made again");
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
    init(folder.path(), &facts).await.expect("made");
    let mut config = config(folder.path(), loopback());
    config.tuning.heartbeat_interval = std::time::Duration::from_secs(1);
    let error = refused(config).await;
    assert!(matches!(error, StartError::Tuning { .. }), "{error}");
}
