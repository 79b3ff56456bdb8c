//! Promise: 50 000 new entries of client-IP affinity a second, all replicated, get their pins; and when there is room for no
//! more, the oldest go and are counted.
//!
//! Three real nodes in one process: real stores, real connections on loopback, and the real task. Only the data plane is left out,
//! since no test machine opens so many sessions in a second. The long form (`GUIDEWAY_SOAK=1`, part of `make soak`) keeps
//! the pace for a minute and prints how long entries waited; the short one makes none of time.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use guideway_consensus::{Config, Consensus, Founding, Joining, Names, Tuning};
use guideway_model::flow::FlowKey;
use guideway_model::meta::Uid;
use guideway_model::node::{Incarnation, NodeFacts, NodeFigures, Protocol};
use guideway_model::object::{FieldValidation, Object};
use guideway_model::pin::{Holder, PinKey, Pins, PoolNumber};
use guideway_model::{Command, Kind, State};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{PinOutlet, PinTask, Pinning};
use crate::metrics::NodeMetrics;

/// New entries a second, of all nodes together.
const PACE: u32 = 50_000;
const NODES: u32 = 3;
/// Time between two portions.
const TICK: Duration = Duration::from_millis(5);
/// Entries of one node in the short form.
const FEW: u32 = 20_000;
/// Longer than a busy machine takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Stands for a data plane: entries that a test makes, and when the last of each portion had its pin.
#[derive(Default)]
struct Feeder {
    made: Mutex<VecDeque<(PinKey, Option<SocketAddr>)>>,
    probes: Mutex<VecDeque<(PinKey, Instant)>>,
    waited: Mutex<Vec<Duration>>,
}

impl Pinning for Feeder {
    fn pin_changes(&self, most: usize) -> Vec<(PinKey, Option<SocketAddr>)> {
        let mut made = self.made.lock().expect("lock");
        let taken = made.len().min(most);
        made.drain(..taken).collect()
    }

    fn walked(&self) -> Option<u64> {
        None
    }

    fn set_pins(&self, pins: Arc<Pins>) {
        let mut probes = self.probes.lock().expect("lock");
        let mut waited = self.waited.lock().expect("lock");
        // Batches go out in the order of keys, which is that in which entries are made.
        while let Some((key, since)) = probes.front()
            && pins.get(key).is_some()
        {
            waited.push(since.elapsed());
            probes.pop_front();
        }
    }
}

/// A node with its task.
struct Member {
    consensus: Consensus,
    feeder: Arc<Feeder>,
    wake: watch::Sender<u64>,
    stop: watch::Sender<bool>,
}

impl Member {
    /// Makes entries of the clients with these numbers.
    fn make(&self, pool: PoolNumber, clients: std::ops::Range<u32>) {
        let Some(last) = clients.clone().last() else { return };
        let entries = clients.map(|client| (key(pool, client), Some(endpoint())));
        self.feeder
            .probes
            .lock()
            .expect("lock")
            .push_back((key(pool, last), Instant::now()));
        self.feeder.made.lock().expect("lock").extend(entries);
        self.wake.send_modify(|count| *count += 1);
    }

    fn pins(&self) -> Pins {
        self.consensus.watch().borrow().state.pins().clone()
    }

    /// Waits for a state of the pins on this node.
    async fn settled(&self, what: &str, done: impl Fn(&Pins) -> bool) {
        let mut applied = self.consensus.watch();
        let reached = applied.wait_for(|applied| done(applied.state.pins()));
        let reached = tokio::time::timeout(PATIENCE, reached).await;
        assert!(
            matches!(reached, Ok(Ok(_))),
            "not in time: {what}: {:?}",
            self.pins().holds()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_new_entry_gets_its_pin_and_the_oldest_go_when_there_are_too_many() {
    let folder = tempfile::tempdir().expect("a folder");
    let members = start(folder.path()).await;
    let pool = make_pool(&members[0].consensus).await;
    let long = std::env::var_os("GUIDEWAY_SOAK").is_some();
    let each = if long {
        flood(&members, pool).await
    } else {
        burst(&members, pool)
    };

    let made = u64::from(each) * u64::from(NODES);
    let room = u64::try_from(Pins::MOST).expect("fits");
    let shed = made.saturating_sub(room);
    for member in &members {
        let all = |pins: &Pins| pins.shed() >= shed && pins.holds() as u64 + pins.shed() >= made;
        member.settled("every entry has, or had, its pin", all).await;
        let pins = member.pins();
        // What was shed is not asked for again: that would only shed another one.
        assert_eq!((pins.holds() as u64, pins.shed()), (made - shed, shed));
        for node in 0..NODES {
            let newest = first_of(node) + each - 1;
            assert_eq!(pins.get(&key(pool, newest)), Some(endpoint()), "the newest are there");
            assert_eq!(
                pins.get(&key(pool, first_of(node))).is_some(),
                shed == 0,
                "the oldest go first"
            );
        }
    }
    if long {
        report(&members);
    }
    for member in members {
        member.stop.send_replace(true);
        member.consensus.shutdown().await;
    }
}

/// Entries as fast as they can be handed in; gives how many each node has made.
fn burst(members: &[Member], pool: PoolNumber) -> u32 {
    for (member, node) in members.iter().zip(0..) {
        member.make(pool, first_of(node)..first_of(node) + FEW);
    }
    FEW
}

/// Entries at the pace, for a minute; gives how many each node has made.
async fn flood(members: &[Member], pool: PoolNumber) -> u32 {
    let began = Instant::now();
    let mut made = 0;
    let mut ticks = tokio::time::interval(TICK);
    while made < PACE * 60 / NODES {
        ticks.tick().await;
        let due = began.elapsed().as_micros() * u128::from(PACE / NODES) / 1_000_000;
        let due = u32::try_from(due).unwrap_or(u32::MAX).min(PACE * 60 / NODES);
        for (member, node) in members.iter().zip(0..) {
            member.make(pool, first_of(node) + made..first_of(node) + due);
        }
        made = due;
    }
    println!("{} entries handed in within {:?}", made * NODES, began.elapsed());
    made
}

fn report(members: &[Member]) {
    let mut waited: Vec<Duration> = Vec::new();
    for member in members {
        waited.append(&mut member.feeder.waited.lock().expect("lock"));
    }
    waited.sort();
    let at = |share: usize| waited[(waited.len() - 1) * share / 100];
    println!(
        "from an entry made until its pin is applied: median {:?}, 90th {:?}, 99th {:?}, longest {:?}, of {} looked at",
        at(50),
        at(90),
        at(99),
        at(100),
        waited.len()
    );
}

/// The first client of a node; each has a network of its own.
fn first_of(node: u32) -> u32 {
    (10 + node) << 24
}

fn key(pool: PoolNumber, client: u32) -> PinKey {
    let client = IpAddr::V4(Ipv4Addr::from_bits(client));
    PinKey {
        pool,
        flow: FlowKey::client_ip(Protocol::Tcp, 80, client, 32),
    }
}

fn endpoint() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 80))
}

async fn start(folder: &Path) -> Vec<Member> {
    let facts: Vec<NodeFacts> = (1..=NODES).map(facts).collect();
    let dirs: Vec<_> = facts.iter().map(|facts| folder.join(&facts.name)).collect();
    let init = Command::InitCluster {
        cluster: Uid("cluster".to_owned()),
        hash_seed: [7; 16],
        uids: [Uid("a".to_owned()), Uid("b".to_owned())],
        node: facts[0].clone(),
    };
    let founding = Founding {
        peer_address: facts[0].peer_address.clone(),
        names: Names::default(),
        certificate_life: Tuning::default().certificate_life,
    };
    let made = guideway_consensus::init(&dirs[0], init, founding).await;
    made.expect("a cluster");
    let mut members = vec![member(&dirs[0], &facts[0]).await];
    for (facts, dir) in facts.iter().zip(&dirs).skip(1) {
        let first = &members[0].consensus;
        let token = first.invite(&first.peer_address().to_string(), PATIENCE).await;
        let joining = Joining {
            token: token.expect("a token"),
            member: None,
            facts: facts.clone(),
            names: Names::default(),
        };
        let place = guideway_consensus::join(dir, joining).await;
        place.expect("a place");
        members.push(member(dir, facts).await);
    }
    let mut applied = members[0].consensus.watch();
    let live = applied.wait_for(|applied| applied.state.nodes().filter(|(_, record)| record.live).count() == 3);
    let live = tokio::time::timeout(PATIENCE, live).await;
    assert!(matches!(live, Ok(Ok(_))), "three live nodes");
    members
}

async fn member(dir: &Path, facts: &NodeFacts) -> Member {
    static STARTS: AtomicU64 = AtomicU64::new(1);
    let incarnation = Incarnation(STARTS.fetch_add(1, Ordering::Relaxed));
    let config = Config {
        data_dir: dir.to_owned(),
        peer_listen: facts.peer_address.parse().expect("an address"),
        facts: facts.clone(),
        names: Names::default(),
        incarnation,
        figures: Arc::new(NodeFigures::default),
        answers: Arc::new(|question| Box::pin(async move { question })),
        tuning: Tuning::default(),
    };
    let consensus = Consensus::start(config).await.expect("a node");
    let feeder = Arc::new(Feeder::default());
    let (wake, woken) = watch::channel(0);
    let (stop, stopped) = watch::channel(false);
    let task = PinTask {
        consensus: consensus.clone(),
        holder: Holder {
            node: consensus.node_id(),
            incarnation,
        },
        outlet: PinOutlet::new(Arc::clone(&feeder) as Arc<dyn Pinning>),
        wake: woken,
        metrics: NodeMetrics::register(),
    };
    tokio::spawn(task.run(stopped));
    Member {
        consensus,
        feeder,
        wake,
        stop,
    }
}

fn facts(number: u32) -> NodeFacts {
    // An address range for this process, so that a port that was free stays free.
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let number = u8::try_from(number).expect("few");
    let ip = Ipv4Addr::new(127, high | 0x80, low, number);
    let free = std::net::TcpListener::bind((ip, 0)).and_then(|listener| listener.local_addr());
    NodeFacts {
        name: format!("node-{number}"),
        peer_address: free.expect("a free port").to_string(),
        api_url: String::new(),
        metrics_url: String::new(),
        data_address: None,
        version: "0.0.0".to_owned(),
        level: State::LEVEL,
    }
}

/// A route to one endpoint, and what pins call its pool.
async fn make_pool(consensus: &Consensus) -> PoolNumber {
    let listeners = json!([{"name": "main", "protocol": "TCP", "port": 80}]);
    let parent = json!([{"name": "flood", "sectionName": "main"}]);
    let backend = json!([{"group": "guideway.dev", "kind": "Backend", "name": "flood"}]);
    for (kind, spec) in [
        (
            Kind::Backend,
            json!({"endpoints": [{"ip": endpoint().ip().to_string(), "port": 80}]}),
        ),
        (
            Kind::Gateway,
            json!({"gatewayClassName": "guideway", "listeners": listeners}),
        ),
        (
            Kind::TcpRoute,
            json!({"parentRefs": parent, "rules": [{"backendRefs": backend}]}),
        ),
    ] {
        let command = Command::Create {
            object: object(kind, &spec),
            uid: Uid(kind.info().name.to_owned()),
        };
        consensus.propose(command).await.expect("committed");
    }
    let mut applied = consensus.watch();
    let pool_of = |state: &State| (0..10).map(PoolNumber).find(|pool| state.pool_route(*pool).is_some());
    let found = applied.wait_for(|applied| pool_of(&applied.state).is_some());
    let found = tokio::time::timeout(PATIENCE, found)
        .await
        .expect("in time")
        .expect("running");
    pool_of(&found.state).expect("just found")
}

fn object(kind: Kind, spec: &Value) -> Object {
    let info = kind.info();
    let group = if info.group.is_empty() {
        String::new()
    } else {
        format!("{}/", info.group)
    };
    let json = json!({
        "apiVersion": format!("{group}{}", info.version),
        "kind": info.name,
        "metadata": {"name": "flood", "namespace": "default"},
        "spec": spec,
    });
    let decoded = Object::decode(kind, json, FieldValidation::Strict);
    decoded.unwrap_or_else(|causes| panic!("{causes:?}")).object
}
