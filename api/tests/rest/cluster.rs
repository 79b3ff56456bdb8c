//! A cluster of one that keeps its state in memory: the real state and the real server, without a log under them.

#[path = "live.rs"]
pub(crate) mod live;

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use guideway_api::ports::{
    BackupPieces, ClosedSessions, Cluster, Committed, Deeds, FoundDeeds, FoundEvents, FoundSessions, NodeSilent,
    ProposeFailure, ReadFailure, ReadinessCheck, SessionImpact, Sessions, TriedChange,
};
use guideway_api::{AuditLog, Limits, Options, Transport, router, serve};
use guideway_identity::{ApiToken, CookieKey, SealingKeys};
use guideway_model::deed::{self as kept, About, Act};
use guideway_model::meta::{Uid, UnixMillis};
use guideway_model::node::{NodeFacts, NodeFigures, NodeView, Role};
use guideway_model::object::FieldValidation;
use guideway_model::sealing::{Sealer, SealerFault};
use guideway_model::session::{Look, Marks, SessionDetail, SessionFilter, SessionId, SessionQuery};
use guideway_model::state::Applied;
use guideway_model::{Command, Incarnation, Kind, NodeId, Object, Plan, Proposal, State};
use live::LiveSessions;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// The token of someone who may do everything: that of every client here unless it says otherwise.
pub(crate) static ROOT: LazyLock<ApiToken> = LazyLock::new(|| ApiToken::create().expect("random bytes"));

/// The state, and the failures that a test wants next.
pub(crate) struct MemoryCluster {
    applied: watch::Sender<Applied>,
    /// What every propose answers, if set.
    pub(crate) propose_failure: Mutex<Option<ProposeFailure>>,
    /// What every linearizable read answers, if set.
    pub(crate) read_failure: Mutex<Option<ReadFailure>>,
    /// While true, proposals are neither applied nor answered.
    pub(crate) hangs: watch::Sender<bool>,
    /// What `/readyz` sees.
    pub(crate) readiness: Mutex<Vec<ReadinessCheck>>,
    /// With which it seals Secrets.
    pub(crate) sealing: Sealing,
    /// What its data planes carry.
    pub(crate) live: LiveSessions,
    /// What users did.
    deeds: Mutex<kept::Deeds>,
    /// Nodes that do not say what users did through them.
    pub(crate) silent: Mutex<Vec<NodeId>>,
}

/// The keys of a node, as its data folder would have them.
pub(crate) struct Sealing(pub(crate) SealingKeys);

impl Sealer for Sealing {
    fn seal(&self, plain: &[u8], place: &[u8]) -> Result<Vec<u8>, SealerFault> {
        let sealed = self.0.seal(plain, place);
        sealed.map_err(|error| SealerFault(error.to_string()))
    }

    fn open(&self, envelope: &[u8], place: &[u8]) -> Result<Vec<u8>, SealerFault> {
        let opened = self.0.open(envelope, place);
        opened.map_err(|error| SealerFault(error.to_string()))
    }
}

impl MemoryCluster {
    pub(crate) fn new() -> MemoryCluster {
        let cluster = MemoryCluster {
            applied: watch::Sender::default(),
            propose_failure: Mutex::default(),
            read_failure: Mutex::default(),
            hangs: watch::Sender::new(false),
            readiness: Mutex::new(vec![ReadinessCheck {
                name: "caught-up",
                result: Ok(()),
            }]),
            sealing: Sealing(SealingKeys::generate().expect("random bytes")),
            live: LiveSessions::default(),
            deeds: Mutex::new(kept::Deeds::new("a")),
            silent: Mutex::default(),
        };
        cluster.apply(Command::InitCluster {
            cluster: Uid("cluster".to_owned()),
            hash_seed: [7; 16],
            uids: [Uid("namespace".to_owned()), Uid("class".to_owned())],
            node: facts("one"),
        });
        cluster.token(&ROOT, "root", &["system:masters"], "2999-01-01T00:00:00Z");
        cluster
    }

    /// Has a token speak for a user.
    pub(crate) fn token(&self, token: &ApiToken, user: &str, groups: &[&str], until: &str) {
        let object = serde_json::json!({
            "apiVersion": "guideway.dev/v1alpha1",
            "kind": "ApiToken",
            "metadata": { "name": token.id() },
            "spec": {
                "user": user,
                "groups": groups,
                "secretHash": token.digest().to_string(),
                "expirationTimestamp": until,
            },
        });
        let decoded = Object::decode(Kind::ApiToken, object, FieldValidation::Strict);
        let object = decoded.expect("a valid token").object;
        let uid = Uid(format!("token-{}", token.id()));
        self.apply(Command::Create { object, uid });
    }

    /// Applies a command as the log would, and shows the result to watchers.
    pub(crate) fn apply(&self, command: Command) -> Committed {
        let time = now();
        let mut committed = None;
        self.applied.send_modify(|applied| {
            let mut state = State::clone(&applied.state);
            let outcome = state.apply(Proposal { time, command });
            applied.index += 1;
            applied.state = Arc::new(state);
            committed = Some(Committed {
                index: applied.index,
                outcome,
            });
        });
        committed.expect("applied")
    }

    /// One more member, which never starts.
    pub(crate) fn join(&self, name: &str) {
        self.apply(Command::JoinNode { node: facts(name) });
    }

    /// A node has started.
    pub(crate) fn start_node(&self, node: NodeId, incarnation: Incarnation) {
        let facts = self.state().node(node).expect("a member").facts.clone();
        self.apply(Command::NodeUp {
            node,
            incarnation,
            facts,
        });
    }

    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.applied.borrow().state)
    }
}

fn now() -> UnixMillis {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_millis();
    UnixMillis(u64::try_from(now).expect("before the year 500 million"))
}

fn facts(name: &str) -> NodeFacts {
    NodeFacts {
        name: name.to_owned(),
        peer_address: "127.0.0.1:7000".to_owned(),
        api_url: "http://127.0.0.1:7001".to_owned(),
        metrics_url: "http://127.0.0.1:7002/metrics".to_owned(),
        data_address: Some([127, 0, 0, 1].into()),
        version: "0.1.0".to_owned(),
        level: State::LEVEL,
    }
}

impl Cluster for MemoryCluster {
    fn watch(&self) -> watch::Receiver<Applied> {
        self.applied.subscribe()
    }

    fn propose(&self, command: Command) -> BoxFuture<'_, Result<Committed, ProposeFailure>> {
        async move {
            if let Some(failure) = self.propose_failure.lock().expect("lock").clone() {
                return Err(failure);
            }
            let mut hangs = self.hangs.subscribe();
            hangs.wait_for(|hangs| !hangs).await.expect("the cluster lives");
            Ok(self.apply(command))
        }
        .boxed()
    }

    fn sealer(&self) -> &dyn Sealer {
        &self.sealing
    }

    fn backup(&self, applied: Applied) -> BackupPieces {
        Box::new(applied.state.snapshot_records().collect::<Vec<_>>().into_iter())
    }

    fn linearizable(&self) -> BoxFuture<'_, Result<Applied, ReadFailure>> {
        async move {
            match self.read_failure.lock().expect("lock").clone() {
                Some(failure) => Err(failure),
                None => Ok(self.applied.borrow().clone()),
            }
        }
        .boxed()
    }

    fn nodes(&self) -> BoxFuture<'_, Vec<NodeView>> {
        let applied = self.applied.borrow().clone();
        async move {
            let view = |(id, record): (NodeId, &_)| NodeView {
                id,
                record: Clone::clone(record),
                role: Role::Leader,
                figures: Some(NodeFigures {
                    applied_index: applied.index,
                    sessions: 3,
                    plan_generation: 1,
                    active_generation: 1,
                    prepared_generation: None,
                    driver: None,
                    source_addresses: vec![[10, 0, 0, 1].into(), [10, 0, 0, 2].into()],
                }),
            };
            applied.state.nodes().map(view).collect()
        }
        .boxed()
    }

    fn readiness(&self) -> Vec<ReadinessCheck> {
        self.readiness.lock().expect("lock").clone()
    }
}

impl Deeds for MemoryCluster {
    fn note(&self, about: About, act: Act, by: &str) {
        let mut deeds = self.deeds.lock().expect("lock");
        deeds.note(about, act, by, now());
    }

    fn deeds(&self) -> BoxFuture<'_, FoundDeeds> {
        let deeds = self.deeds.lock().expect("lock").kept().cloned().collect();
        let silent = self.silent.lock().expect("lock").clone();
        async move { FoundDeeds { deeds, silent } }.boxed()
    }
}

impl Sessions for MemoryCluster {
    fn sessions(&self, query: SessionQuery) -> BoxFuture<'_, FoundSessions> {
        async move { self.live.page(&query) }.boxed()
    }

    fn session_events(&self, filter: SessionFilter, after: Marks) -> BoxFuture<'_, FoundEvents> {
        async move { self.live.events(&filter, &after) }.boxed()
    }

    fn session(&self, id: SessionId, look: Look) -> BoxFuture<'_, Result<Option<SessionDetail>, NodeSilent>> {
        async move { self.live.session(id, look) }.boxed()
    }

    fn close_sessions(&self, ids: Vec<SessionId>) -> BoxFuture<'_, ClosedSessions> {
        async move { self.live.close(&ids) }.boxed()
    }

    fn impact(&self, change: Arc<TriedChange>) -> BoxFuture<'_, SessionImpact> {
        async move { self.live.impact(change) }.boxed()
    }

    fn plan(&self) -> Option<Arc<Plan>> {
        None
    }
}

/// A server on a port of its own; it stops when dropped.
pub(crate) struct Server {
    pub(crate) cluster: Arc<MemoryCluster>,
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start() -> Server {
        Server::with_limits(Limits::default()).await
    }

    pub(crate) async fn with_limits(limits: Limits) -> Server {
        Server::serving(Arc::new(MemoryCluster::new()), limits).await
    }

    /// One node of several: they serve the same state.
    pub(crate) async fn serving(cluster: Arc<MemoryCluster>, limits: Limits) -> Server {
        Server::with(cluster, limits, Transport::Plain, AuditLog::off()).await
    }

    /// With a transport and an audit log of the test's own.
    pub(crate) async fn with(
        cluster: Arc<MemoryCluster>,
        limits: Limits,
        transport: Transport,
        audit: AuditLog,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("address");
        let options = Options {
            version: "0.1.0".to_owned(),
            limits: limits.clone(),
            audit: audit.clone(),
            cookie_key: CookieKey::from_secret(b"of the cluster"),
            metrics: Some(Arc::new(|| "a_metric 1\n".to_owned())),
        };
        let router = router(Arc::clone(&cluster) as Arc<dyn Cluster>, options);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(listener, (router, transport, audit), limits, async {
            let _dropped = stopped.await.is_err();
        }));
        Server {
            cluster,
            address,
            stop: Some(stop),
            task,
        }
    }

    /// Asks the server to stop and waits until it has.
    pub(crate) async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).expect("running");
        }
        (&mut self.task).await.expect("stopped cleanly");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
