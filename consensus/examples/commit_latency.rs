//! Measures what a write costs on three nodes in this process: `cargo run --example commit_latency -- [folder] [writes]`.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use guideway_consensus::{Config, Consensus, Founding, Joining, Names, Tuning};
use guideway_model::command::Command;
use guideway_model::meta::Uid;
use guideway_model::node::{Incarnation, NodeFacts, NodeFigures};
use guideway_model::object::Object;
use guideway_model::resource::Namespace;

const NODES: u8 = 3;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = folder.join(format!("commit-latency-{}", std::process::id()));
    let writes: usize = arguments.next().map_or(Ok(500), |writes| writes.parse())?;
    let nodes = start(&folder).await?;
    let leader = nodes.iter().find(|node| node.status().leader == Some(node.node_id()));
    let leader = leader.ok_or_else(|| anyhow::anyhow!("no leader"))?;
    let follower = nodes.iter().find(|node| node.node_id() != leader.node_id());
    let follower = follower.ok_or_else(|| anyhow::anyhow!("no follower"))?;
    figures(
        "one at a time, through the leader",
        one_by_one(leader, "leader", writes).await?,
    );
    figures(
        "one at a time, through a follower",
        one_by_one(follower, "follower", writes).await?,
    );
    figures("64 at a time, through the leader", at_once(leader, writes, 64).await?);
    let mut reads = Vec::new();
    for _ in 0..writes {
        let began = Instant::now();
        follower.linearizable().await?;
        reads.push(began.elapsed());
    }
    figures("linearizable reads on a follower", reads);
    for node in nodes {
        node.shutdown().await;
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

async fn start(folder: &Path) -> anyhow::Result<Vec<Consensus>> {
    let mut nodes: Vec<Consensus> = Vec::new();
    for number in 1..=NODES {
        let ip = Ipv4Addr::new(127, 0, 77, number);
        let port = std::net::TcpListener::bind((ip, 0))?.local_addr()?.port();
        let address = SocketAddr::from((ip, port));
        let facts = NodeFacts {
            name: format!("node-{number}"),
            peer_address: address.to_string(),
            api_url: String::new(),
            metrics_url: String::new(),
            data_address: None,
            version: String::new(),
            level: 1,
        };
        let data_dir = folder.join(&facts.name);
        match nodes.first() {
            None => {
                let init = Command::InitCluster {
                    cluster: Uid("latency".to_owned()),
                    hash_seed: [0; 16],
                    uids: [Uid("a".to_owned()), Uid("b".to_owned())],
                    node: facts.clone(),
                };
                let founding = Founding {
                    peer_address: facts.peer_address.clone(),
                    names: Names::default(),
                    certificate_life: Tuning::default().certificate_life,
                };
                guideway_consensus::init(&data_dir, init, founding).await?;
            }
            Some(first) => {
                let member = first.peer_address().to_string();
                let joining = Joining {
                    token: first.invite(&member, Duration::from_secs(60)).await?,
                    member: None,
                    facts: facts.clone(),
                    names: Names::default(),
                };
                guideway_consensus::join(&data_dir, joining).await?;
            }
        }
        let config = Config {
            data_dir,
            peer_listen: address,
            facts,
            names: Names::default(),
            incarnation: Incarnation(number.into()),
            figures: Arc::new(NodeFigures::default),
            answers: Arc::new(|question| Box::pin(async { question })),
            tuning: Tuning::default(),
        };
        nodes.push(Consensus::start(config).await?);
    }
    while nodes.iter().any(|node| node.status().voters.len() < usize::from(NODES)) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(nodes)
}

fn write(name: String) -> Command {
    let mut namespace = Namespace::default();
    namespace.metadata.name.clone_from(&name);
    Command::Create {
        object: Object::Namespace(Arc::new(namespace)),
        uid: Uid(name),
    }
}

async fn one_by_one(node: &Consensus, prefix: &str, writes: usize) -> anyhow::Result<Vec<Duration>> {
    let mut took = Vec::new();
    for number in 0..writes {
        let began = Instant::now();
        node.propose(write(format!("{prefix}-{number}"))).await?;
        took.push(began.elapsed());
    }
    Ok(took)
}

async fn at_once(node: &Consensus, writes: usize, tasks: usize) -> anyhow::Result<Vec<Duration>> {
    let running: Vec<_> = (0..tasks)
        .map(|task| {
            let node = node.clone();
            tokio::spawn(async move { one_by_one(&node, &format!("task-{task}"), writes / 8).await })
        })
        .collect();
    let began = Instant::now();
    let mut took = Vec::new();
    for task in running {
        took.extend(task.await??);
    }
    println!(
        "{:.0} writes a second",
        took.len() as f64 / began.elapsed().as_secs_f64()
    );
    Ok(took)
}

fn figures(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or_default();
    println!("{what}: median {:?}, 99 % {:?}", at(50), at(99));
}
