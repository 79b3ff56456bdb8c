//! `guideway demo`: the contract for tools, losing and restarting a node, and leaving nothing behind.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use guideway_node::client::{Access, Client};
use rustix::process::Signal;
use serde::Deserialize;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::addresses::Block;
use crate::process::{self, GUIDEWAY, Process, argument, expect};
use crate::wait::until;

/// The demo's listener.
const LISTENER_PORT: u16 = 7400;

/// The promise of the contract.
const GONE_WITHIN: Duration = Duration::from_secs(8);

/// A running demo whose temporary files are in a folder of the test.
struct Demo {
    process: Process,
    ready: Ready,
    temporary: TempDir,
    ready_file: PathBuf,
    _block: Block,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ready {
    kubeconfig: PathBuf,
    dashboard: Option<String>,
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Node {
    name: String,
    pid: u32,
    address: std::net::IpAddr,
    api: String,
    metrics: String,
    /// That of the demo.
    #[serde(skip)]
    kubeconfig: PathBuf,
}

impl Demo {
    async fn start(options: &[&str]) -> Demo {
        Demo::start_on(Block::claim(), options).await
    }

    async fn start_on(block: Block, options: &[&str]) -> Demo {
        let temporary = tempfile::tempdir().expect("a temporary folder can be made");
        let ready_file = temporary.path().join("ready.json");
        let mut command = Command::new(GUIDEWAY);
        command
            .arg("demo")
            .args(["--base-address", &block.host(1).to_string()])
            .args(["--ready-file", &argument(&ready_file)])
            .args(options)
            .env("TMPDIR", temporary.path());
        let mut process = Process::start(command);
        let mut ready = until("the ready file", async || {
            if let Some(status) = process.ended() {
                panic!("the demo ended with {status}:\n{}", process.output());
            }
            let text = std::fs::read(&ready_file).map_err(|error| error.to_string())?;
            Ok(serde_json::from_slice::<Ready>(&text).expect("it is written whole"))
        })
        .await;
        for node in &mut ready.nodes {
            node.kubeconfig.clone_from(&ready.kubeconfig);
        }
        Demo {
            process,
            ready,
            temporary,
            ready_file,
            _block: block,
        }
    }

    /// SIGTERM, and everything that must then be gone is gone in time.
    async fn end(mut self, also: &[u32]) {
        let asked = Instant::now();
        self.process.signal(Signal::TERM);
        let status = self.process.wait().await;
        assert!(asked.elapsed() < GONE_WITHIN, "it took {:?}", asked.elapsed());
        assert_eq!(status.code(), Some(0), "{}", self.process.output());
        let pids = self.ready.nodes.iter().map(|node| node.pid).chain(also.iter().copied());
        for pid in pids {
            assert!(!process::runs(pid), "{pid} runs on");
        }
        let left: Vec<_> = std::fs::read_dir(self.temporary.path())
            .expect("the test's folder")
            .collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(!self.ready_file.exists());
    }

    /// The command that the demo printed to start a node again.
    async fn restart_command(&self, name: &str) -> String {
        until("a restart command", async || {
            let output = self.process.output();
            let line = output
                .lines()
                .find(|line| line.contains(" run ") && line.contains(name));
            line.map(|line| line.trim().to_owned()).ok_or(output)
        })
        .await
    }
}

impl Node {
    fn listener(&self) -> SocketAddr {
        SocketAddr::new(self.address, LISTENER_PORT)
    }

    fn client(&self) -> Client {
        let access = Access::from_kubeconfig(&self.kubeconfig, Some(&self.api));
        Client::new(access.expect("the demo wrote it"), Duration::from_secs(20))
    }

    async fn probe(&self, path: &str) -> Result<u16, String> {
        let answer = self.client().probe(path).await;
        answer
            .map(|(status, _)| status.as_u16())
            .map_err(|error| error.to_string())
    }
}

/// Name of the endpoint that answers.
async fn ask(listener: SocketAddr) -> Result<String, String> {
    let exchange = async {
        let mut stream = TcpStream::connect(listener).await?;
        stream.write_all(b"anyone\n").await?;
        stream.shutdown().await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = exchange.await.map_err(|error| error.to_string())?;
    match answer.split_once(": ") {
        Some((name, "anyone\n")) => Ok(name.to_owned()),
        _ => Err(format!("answered {answer:?}")),
    }
}

#[tokio::test]
async fn three_nodes_survive_the_loss_of_one_and_leave_nothing_behind() {
    let demo = Demo::start(&[]).await;
    let nodes = &demo.ready.nodes;
    let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["node-1", "node-2", "node-3"]);
    assert_eq!(demo.ready.dashboard, None);
    for node in nodes {
        assert!(process::runs(node.pid));
        assert_eq!(node.probe("/readyz").await, Ok(200));
        ask(node.listener()).await.expect("ready means that the route answers");
        let (server, path) = node.metrics.rsplit_once('/').expect("a full URL");
        let page = Client::new(Access::plain(server), Duration::from_secs(20))
            .probe(&format!("/{path}"))
            .await;
        assert!(page.expect("metrics are served").1.contains("guideway_node_ready 1"));
    }
    check_kubeconfig(&demo.ready.kubeconfig, nodes);

    let (victim, others) = nodes.split_first().expect("three nodes");
    process::signal(victim.pid, Signal::KILL);
    let command = demo.restart_command(&victim.name).await;
    for node in others {
        until("the others answer", || ask(node.listener())).await;
    }
    assert!(victim.probe("/livez").await.is_err(), "a dead node stays dead");

    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec {command}")]);
    let restarted = Process::start(shell);
    until("the restarted node answers", || ask(victim.listener())).await;
    assert_eq!(victim.probe("/readyz").await, Ok(200), "{}", restarted.output());
    let pid = restarted.pid();
    demo.end(&[pid]).await;
}

fn check_kubeconfig(path: &Path, nodes: &[Node]) {
    let text = std::fs::read_to_string(path).expect("the kubeconfig is there");
    let last = &nodes.last().expect("there are nodes").name;
    assert!(text.contains(&format!("\ncurrent-context: \"{last}\"\n")), "{text}");
    for node in nodes {
        assert!(text.contains(&format!("\n    server: \"{}\"\n", node.api)), "{text}");
    }
}

#[tokio::test]
async fn nodes_do_not_outlive_a_demo_that_is_killed() {
    let mut demo = Demo::start(&["--no-endpoints", "--nodes", "1"]).await;
    let list = demo.ready.nodes[0]
        .client()
        .get("/apis/gateway.networking.k8s.io/v1/gateways")
        .await
        .expect("the API answers");
    assert_eq!(list["items"].as_array().map(Vec::len), Some(0), "{list}");
    demo.process.signal(Signal::KILL);
    demo.process.wait().await;
    for node in &demo.ready.nodes {
        until("the node is gone", async || match process::runs(node.pid) {
            true => Err(format!("{} runs on", node.pid)),
            false => Ok(()),
        })
        .await;
    }
}

#[tokio::test]
async fn kept_data_is_gone_on_with() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let data = argument(&folder.path().join("kept"));
    let options = ["--nodes", "2", "--data-dir", &data];
    let block = Block::claim();
    let base = block.host(1).to_string();
    let first = Demo::start_on(block, &options).await;
    let node = &first.ready.nodes[1];
    ask(node.listener()).await.expect("ready means that the route answers");
    let listener = node.listener();
    let Demo {
        mut process, _block, ..
    } = first;
    process.signal(Signal::TERM);
    assert_eq!(process.wait().await.code(), Some(0), "{}", process.output());
    assert!(process.output().contains(&data), "{}", process.output());

    let (_, err) = expect(
        1,
        ["demo", "--base-address", &base, "--nodes", "3", "--data-dir", &data],
    )
    .await;
    assert!(err.contains(&format!("2 nodes from {base} on")), "{err}");
    let second = Demo::start_on(_block, &options).await;
    assert!(
        second.process.output().contains("on the data in"),
        "{}",
        second.process.output()
    );
    ask(listener).await.expect("the route answers again");
    second.end(&[]).await;
}

#[tokio::test]
async fn addresses_in_use_are_named_before_anything_starts() {
    let block = Block::claim();
    let taken = [(block.host(2), 7443), (block.host(3), LISTENER_PORT)];
    let mut held = Vec::new();
    for address in taken {
        held.push(TcpListener::bind(address).await.expect("the block is ours"));
    }
    let (_, err) = expect(5, ["demo", "--base-address", &block.host(1).to_string()]).await;
    for (address, what) in held.iter().zip(["API of node-2", "demo listener of node-3"]) {
        let address = address.local_addr().expect("it is bound");
        assert!(err.contains(&format!("{address} ({what})")), "{err}");
    }
    assert!(err.contains("--base-address"), "{err}");
}
