//! What every request shares: the cluster, the bounds, and the turns that writers of one object take.

use std::sync::Arc;

use guideway_identity::CookieKey;
use guideway_model::State;
use guideway_model::object::ObjectKey;
use tokio::sync::{Mutex, MutexGuard, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::audit::AuditLog;
use crate::failure::not_read;
use crate::limits::Limits;
use crate::metrics;
use crate::ports::Cluster;
use crate::query::Freshness;
use crate::router::{MetricsText, Options};
use crate::sign_in::SignInLimit;
use crate::status::Status;

/// Locks that spread the objects being patched; two objects may share one, which costs only time.
const TURNS: usize = 64;

/// Changes that are tried at once; further ones wait. Each may build the tables of every pool that it touches, which is
/// work for a core and must leave the others to the data plane.
const REHEARSALS: usize = 1;

/// Shared by all requests of one router.
pub(crate) struct Server {
    /// The cluster.
    pub(crate) cluster: Arc<dyn Cluster>,
    /// Version of the binary.
    pub(crate) version: String,
    /// Bounds.
    pub(crate) limits: Limits,
    /// Where what is done is written down.
    pub(crate) audit: AuditLog,
    /// Failed sign-ins.
    pub(crate) sign_ins: SignInLimit,
    /// What the dashboard's cookies are signed with.
    pub(crate) cookie_key: CookieKey,
    /// Text of `/metrics`.
    pub(crate) metrics: MetricsText,
    requests: Arc<Semaphore>,
    watches: Arc<Semaphore>,
    session_watches: Arc<Semaphore>,
    turns: Vec<Mutex<()>>,
    rehearsals: Semaphore,
}

impl Server {
    /// Over a cluster, with the bounds of `options`.
    pub(crate) fn new(cluster: Arc<dyn Cluster>, options: Options) -> Server {
        Server {
            cluster,
            version: options.version,
            requests: Arc::new(Semaphore::new(options.limits.requests)),
            watches: Arc::new(Semaphore::new(options.limits.watches)),
            session_watches: Arc::new(Semaphore::new(options.limits.session_watches)),
            rehearsals: Semaphore::new(REHEARSALS),
            audit: options.audit,
            sign_ins: SignInLimit::new(options.limits.failed_sign_ins, options.limits.failed_sign_in_memory),
            cookie_key: options.cookie_key,
            metrics: options.metrics,
            turns: (0..TURNS).map(|_| Mutex::new(())).collect(),
            limits: options.limits,
        }
    }

    /// A place among the requests at work, or 429.
    pub(crate) fn admit_request(&self) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(&self.requests).try_acquire_owned().map_err(|_| {
            metrics::refused(metrics::Bound::Requests);
            Status::too_many_requests(format!(
                "this node works on {} requests already, which is the limit",
                self.limits.requests
            ))
        })
    }

    /// A place among the watches, or 429.
    pub(crate) fn admit_watch(&self) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(&self.watches).try_acquire_owned().map_err(|_| {
            metrics::refused(metrics::Bound::Watches);
            Status::too_many_requests(format!(
                "{} watches are open on this node, which is the limit",
                self.limits.watches
            ))
        })
    }

    /// A place among the watches of sessions, or 429.
    pub(crate) fn admit_session_watch(&self) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(&self.session_watches).try_acquire_owned().map_err(|_| {
            metrics::refused(metrics::Bound::SessionWatches);
            Status::too_many_requests(format!(
                "{} watches of sessions are open on this node, which is the limit",
                self.limits.session_watches
            ))
        })
    }

    /// Waits for the turn to read, change and write one object through this node. Without turns, many patches of one
    /// object would make each other conflict.
    pub(crate) async fn turn(&self, key: &ObjectKey) -> MutexGuard<'_, ()> {
        let spread = key
            .namespace
            .bytes()
            .chain(key.name.bytes())
            .fold(key.kind as usize, |hash, byte| {
                hash.wrapping_mul(31).wrapping_add(usize::from(byte))
            });
        self.turns[spread % TURNS].lock().await
    }

    /// Waits for the turn to compile plans for a change that is only tried, within the time of the request.
    pub(crate) async fn rehearsal_turn(&self) -> Result<SemaphorePermit<'_>, Status> {
        let waiting = metrics::RehearsalWait::start();
        let turn = self.rehearsals.acquire().await;
        drop(waiting);
        turn.map_err(|_closed| Status::unavailable("this node shuts down"))
    }

    /// The state that a read wants.
    pub(crate) async fn state(&self, freshness: Freshness) -> Result<Arc<State>, Status> {
        match freshness {
            Freshness::Linearizable => {
                let applied = self
                    .cluster
                    .linearizable()
                    .await
                    .map_err(|failure| not_read(&failure))?;
                Ok(applied.state)
            }
            Freshness::Local => Ok(Arc::clone(&self.cluster.watch().borrow().state)),
            Freshness::NotOlderThan(version) | Freshness::Exact(version) => self.state_at_least(version).await,
        }
    }

    async fn state_at_least(&self, version: u64) -> Result<Arc<State>, Status> {
        let mut receiver = self.cluster.watch();
        let reached = receiver.wait_for(|applied| applied.state.revision() >= version);
        match tokio::time::timeout(self.limits.version_wait, reached).await {
            Ok(Ok(applied)) => Ok(Arc::clone(&applied.state)),
            Ok(Err(_closed)) => Err(Status::unavailable("this node shuts down")),
            Err(_late) => {
                let applied = self.cluster.watch().borrow().state.revision();
                Err(Status::version_too_large(version, applied))
            }
        }
    }
}
