//! Clusters of real nodes in one process: real stores in temporary folders, real TCP on loopback.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use guideway_consensus::{Config, Consensus, Founding, InitError, Joining, Names, StartError, Tuning};
use guideway_identity::JoinToken;
use guideway_model::command::Command;
use guideway_model::meta::{ObjectMeta, Uid};
use guideway_model::node::{Incarnation, NodeFacts, NodeFigures};
use guideway_model::object::{Object, ObjectKey};
use guideway_model::resource::Namespace;
use guideway_model::state::Applied;
use guideway_model::{Kind, NodeId, State};
use tempfile::TempDir;
use tracing_subscriber::EnvFilter;

/// Far longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A node that can be stopped and started again.
pub(crate) struct Member {
    pub(crate) id: NodeId,
    pub(crate) facts: NodeFacts,
    pub(crate) data_dir: PathBuf,
    pub(crate) tuning: Tuning,
    running: Option<Consensus>,
}

/// Nodes on addresses of their own.
pub(crate) struct Cluster {
    pub(crate) members: Vec<Member>,
    folder: TempDir,
    network: [u8; 2],
    tuning: Tuning,
}

impl Member {
    /// The running node.
    pub(crate) fn node(&self) -> &Consensus {
        self.running.as_ref().expect("the member runs")
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub(crate) async fn try_start(&mut self) -> Result<(), StartError> {
        static STARTS: AtomicU64 = AtomicU64::new(1);
        let config = Config {
            data_dir: self.data_dir.clone(),
            peer_listen: self.facts.peer_address.parse().expect("an address"),
            facts: self.facts.clone(),
            names: Names::default(),
            incarnation: Incarnation(STARTS.fetch_add(1, Ordering::Relaxed)),
            figures: Arc::new(|| NodeFigures {
                sessions: 7,
                ..NodeFigures::default()
            }),
            answers: answers(self.id),
            tuning: self.tuning.clone(),
        };
        self.running = Some(Consensus::start(config).await?);
        Ok(())
    }

    /// Starts; waits for the address if what ran before has not let go of it yet.
    pub(crate) async fn start(&mut self) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        loop {
            match self.try_start().await {
                Ok(()) => return,
                Err(StartError::Bind { .. }) if tokio::time::Instant::now() < deadline => {}
                Err(error) => panic!("the member does not start: {error}"),
            }
            ticks.tick().await;
        }
    }

    /// Stops without handing anything over.
    pub(crate) fn crash(&mut self) {
        drop(self.running.take());
    }

    /// Hands leadership over if it has it and there is a successor, and stops.
    pub(crate) async fn shut_down(&mut self) {
        let node = self.running.take().expect("the member runs");
        drop(node.resign().await);
        node.shutdown().await;
    }

    /// A token with which a node joins by asking this one.
    pub(crate) async fn token(&self) -> JoinToken {
        let token = self.node().invite(&self.facts.peer_address, PATIENCE).await;
        token.expect("a token")
    }

    pub(crate) fn state(&self) -> Arc<State> {
        self.node().watch().borrow().state.clone()
    }
}

impl Cluster {
    /// `count` voters.
    pub(crate) async fn start(count: usize, tuning: Tuning) -> Cluster {
        static NETWORKS: AtomicU32 = AtomicU32::new(0);
        // With RUST_LOG set, a failed test shows what the nodes did. Another test may have been first.
        let logs = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::from_default_env())
            .with_test_writer();
        drop(logs.try_init());
        // An address range for this process and cluster, so that a port that was free stays free.
        let number = std::process::id()
            .wrapping_mul(16)
            .wrapping_add(NETWORKS.fetch_add(1, Ordering::Relaxed));
        let [_, _, high, low] = number.to_be_bytes();
        let mut cluster = Cluster {
            members: Vec::new(),
            folder: tempfile::tempdir().expect("a folder"),
            network: [high | 0x40, low],
            tuning,
        };
        cluster.make().await;
        for _ in 1..count {
            cluster.join().await;
        }
        cluster.voters(count).await;
        cluster
    }

    async fn make(&mut self) {
        let (facts, data_dir) = self.next_member();
        let id = init(&data_dir, &facts).await.expect("a cluster");
        self.members.push(self.member(id, facts, data_dir));
        self.members[0].start().await;
    }

    /// Adds a node and starts it; it becomes a voter by itself.
    pub(crate) async fn join(&mut self) -> NodeId {
        let (_, data_dir) = self.next_member();
        self.join_in(&data_dir).await
    }

    /// Adds a node with its data in a folder of the caller's.
    pub(crate) async fn join_in(&mut self, data_dir: &Path) -> NodeId {
        let (facts, _) = self.next_member();
        let data_dir = data_dir.to_owned();
        let asked = self
            .members
            .iter()
            .find(|member| member.is_running())
            .expect("one runs");
        let joining = joining(asked.token().await, facts.clone());
        let id = guideway_consensus::join(&data_dir, joining).await.expect("a place");
        self.members.push(self.member(id, facts, data_dir));
        self.members.last_mut().expect("just added").start().await;
        id
    }

    fn member(&self, id: NodeId, facts: NodeFacts, data_dir: PathBuf) -> Member {
        let tuning = self.tuning.clone();
        Member {
            id,
            facts,
            data_dir,
            tuning,
            running: None,
        }
    }

    fn next_member(&self) -> (NodeFacts, PathBuf) {
        let number = u8::try_from(self.members.len() + 1).expect("few members");
        let ip = Ipv4Addr::new(127, self.network[0], self.network[1], number);
        let port = free_port(ip.into());
        let name = format!("node-{number}");
        let data_dir = self.folder.path().join(&name);
        (facts(&name, SocketAddr::from((ip, port))), data_dir)
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.is_running())
    }

    /// Waits until all running nodes see `count` voters, a leader, and themselves live.
    pub(crate) async fn voters(&self, count: usize) {
        eventually("the voters are there and live", || async {
            self.running().all(|member| {
                let status = member.node().status();
                status.voters.len() == count && status.leader.is_some() && status.learners.is_empty()
            }) && self.running().all(|member| {
                self.running()
                    .all(|other| member.state().node(other.id).is_some_and(|record| record.live))
            })
        })
        .await;
    }

    /// The position of the leader that a majority of the running nodes follow.
    pub(crate) async fn leader(&self) -> usize {
        let mut found = None;
        eventually("one leader", || {
            let leader = self.running().next().and_then(|member| member.node().status().leader);
            let agreed = self.running().all(|member| member.node().status().leader == leader);
            found = self
                .members
                .iter()
                .position(|member| agreed && Some(member.id) == leader && member.is_running());
            let done = found.is_some();
            async move { done }
        })
        .await;
        found.expect("there is one")
    }

    /// Waits until all running nodes have applied the same, and have the same bytes.
    pub(crate) async fn equal_states(&self) {
        eventually("equal states", || async {
            let mut states = self.running().map(|member| {
                let applied: Applied = member.node().watch().borrow().clone();
                (applied.index, bytes(&applied.state))
            });
            let first = states.next().expect("one runs");
            states.all(|state| {
                if state.0 == first.0 {
                    assert!(state.1 == first.1, "the states at index {} differ", first.0);
                }
                state.0 == first.0
            })
        })
        .await;
    }
}

/// Waits for a condition.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let look = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        while !condition().await {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, look)
        .await
        .unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// The state as the bytes of a snapshot.
pub(crate) fn bytes(state: &State) -> Vec<Vec<u8>> {
    state.snapshot_records().collect()
}

/// A write whose trace in the state is easily found: a namespace of that name. Each key can be written once.
pub(crate) fn write(key: &str, value: u32) -> Command {
    create(key, value.to_string())
}

/// What was written under `key`.
pub(crate) fn written(state: &State, key: &str) -> Option<u32> {
    let key = ObjectKey {
        kind: Kind::Namespace,
        namespace: String::new(),
        name: key.to_owned(),
    };
    state.get(&key)?.meta().annotations.get(ANNOTATION)?.parse().ok()
}

/// A write of about `length` bytes; it counts as 1.
pub(crate) fn long_write(key: &str, length: usize) -> Command {
    create(key, "0".repeat(length) + "1")
}

const ANNOTATION: &str = "value";

fn create(name: &str, value: String) -> Command {
    let metadata = ObjectMeta {
        name: name.to_owned(),
        annotations: BTreeMap::from([(ANNOTATION.to_owned(), value)]),
        ..ObjectMeta::default()
    };
    let namespace = Namespace {
        metadata,
        ..Namespace::default()
    };
    Command::Create {
        object: Object::Namespace(Arc::new(namespace)),
        uid: Uid(name.to_owned()),
    }
}

pub(crate) fn facts(name: &str, peer_address: SocketAddr) -> NodeFacts {
    NodeFacts {
        name: name.to_owned(),
        peer_address: peer_address.to_string(),
        api_url: String::new(),
        metrics_url: String::new(),
        data_address: None,
        version: "0.0.0".to_owned(),
        level: State::LEVEL,
    }
}

/// Makes a cluster.
pub(crate) async fn init(data_dir: &Path, facts: &NodeFacts) -> Result<NodeId, InitError> {
    guideway_consensus::init(data_dir, init_command(facts), founding(&facts.peer_address)).await
}

pub(crate) fn founding(peer_address: &str) -> Founding {
    Founding {
        peer_address: peer_address.to_owned(),
        names: Names::default(),
        certificate_life: Tuning::default().certificate_life,
    }
}

pub(crate) fn joining(token: JoinToken, facts: NodeFacts) -> Joining {
    Joining {
        token,
        member: None,
        facts,
        names: Names::default(),
    }
}

pub(crate) fn init_command(facts: &NodeFacts) -> Command {
    Command::InitCluster {
        cluster: Uid("6e0a1f3c-0000-4000-8000-000000000000".to_owned()),
        hash_seed: [7; 16],
        uids: [Uid("a".to_owned()), Uid("b".to_owned())],
        node: facts.clone(),
    }
}

/// An empty question is never answered, one of zeros by a MiB for each, any other by [`answer`].
pub(crate) fn answers(id: NodeId) -> Arc<dyn Fn(Bytes) -> BoxFuture<'static, Bytes> + Send + Sync> {
    Arc::new(move |question| {
        Box::pin(async move {
            match question.len() {
                0 => std::future::pending().await,
                length if question.iter().all(|byte| *byte == 0) => vec![1; length << 20].into(),
                _ => answer(id, &question),
            }
        })
    })
}

/// The question with the name of the one who answers before it.
pub(crate) fn answer(id: NodeId, question: &[u8]) -> Bytes {
    [format!("node {id}: ").as_bytes(), question].concat().into()
}

/// A port that is free on `ip`.
pub(crate) fn free_port(ip: IpAddr) -> u16 {
    let listener = std::net::TcpListener::bind((ip, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Copies a folder.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}
