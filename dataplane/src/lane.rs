//! A listener as one relay thread sees it: where its sessions go, and who counts them.

use std::cell::{OnceCell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use guideway_maglev::Seed;
use guideway_model::node::SocketKey;
use guideway_model::pin::PinKey;
use guideway_model::plan::{BackendSettings, BackendTls, ClientSettings, Entry, KeyKind, OpaqueListener, Pool, Why};
use guideway_model::session::TablePlace;

use crate::affinity::{self, Held};
use crate::core::expiry::Timeouts;
use crate::core::reason::CloseReason;
use crate::core::selection::{self, Attempt, ConnectFailure, Sources};
use crate::core::time::Micros;
use crate::metrics::tally::{EndpointTally, ListenerTally, Names};
use crate::shared::Shared;
use crate::sockets::tuning::Tuning;
use crate::terms::Terms;

/// One listener under one plan. A session holds it only while it dials, so that an old table does not live as long as
/// the longest session that once asked it.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) tally: Rc<ListenerTally>,
    socket: SocketKey,
    seed: Seed,
    pool: Option<Arc<Pool>>,
    settings: Arc<ClientSettings>,
    /// Of sessions that have not chosen an endpoint, and of those whose endpoint sets nothing.
    pub(crate) terms: Rc<Terms>,
    /// By entry of the pool; made when an endpoint gets its first session here.
    endpoints: RefCell<Box<[Option<Reach>]>>,
    /// The lane of the same listener and route under a later plan.
    successor: OnceCell<Rc<Lane>>,
}

/// An endpoint of a lane.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) tally: Rc<EndpointTally>,
    pub(crate) terms: Rc<Terms>,
}

/// Where a session goes first.
#[derive(Debug)]
pub(crate) struct First {
    pub(crate) attempt: Attempt,
    /// Its part in the affinity entry of its client.
    pub(crate) held: Option<Box<Held>>,
}

impl First {
    fn free(attempt: Attempt) -> First {
        First { attempt, held: None }
    }
}

impl Lane {
    /// The lane of `listener`; the one before is taken over as far as nothing has changed.
    pub(crate) fn of(
        socket: SocketKey,
        listener: &OpaqueListener,
        seed: Seed,
        defaults: &Timeouts,
        previous: Option<&Rc<Lane>>,
    ) -> Rc<Lane> {
        let pool = listener.route.as_ref().map(|route| &route.pool);
        let names = Names {
            listener: Arc::new(listener.name.clone()),
            route: listener
                .route
                .as_ref()
                .map(|route| format!("{}/{}", route.namespace, route.name))
                .unwrap_or_default()
                .into(),
        };
        let same_names = previous.filter(|lane| *lane.tally.names == names);
        if let Some(lane) = same_names
            && lane.seed == seed
            && same_pool(lane.pool.as_ref(), pool)
            && lane.settings == listener.settings
        {
            return Rc::clone(lane);
        }
        let lane = Rc::new(Lane {
            tally: same_names.map_or_else(|| Rc::new(ListenerTally::new(names)), |lane| Rc::clone(&lane.tally)),
            socket,
            seed,
            pool: pool.cloned(),
            settings: Arc::clone(&listener.settings),
            terms: Rc::new(Terms::new(&listener.settings, &BackendSettings::default(), defaults)),
            endpoints: RefCell::new(vec![None; pool.map_or(0, |pool| pool.entries.len())].into_boxed_slice()),
            successor: OnceCell::new(),
        });
        if let Some(before) = same_names
            && before.pool.as_ref().map(|pool| &pool.id) == lane.pool.as_ref().map(|pool| &pool.id)
        {
            before.successor.get_or_init(|| Rc::clone(&lane));
        }
        lane
    }

    /// The lane that the listener has now, so that what has changed since a session began counts where it goes on looking
    /// for an endpoint. One whose listener or route is gone stays as it was.
    pub(crate) fn newest(self: &Rc<Lane>) -> &Rc<Lane> {
        let mut newest = self;
        while let Some(successor) = newest.successor.get() {
            newest = successor;
        }
        newest
    }

    /// Whether the endpoint of an attempt takes new sessions.
    pub(crate) fn takes(&self, attempt: Attempt) -> bool {
        self.pool().is_some_and(|pool| pool.is_ready(attempt.entry))
    }

    /// The same attempt in the lane that came after.
    pub(crate) fn carried(&self, attempt: Attempt, to: &Lane) -> Attempt {
        match (&self.pool, &to.pool) {
            (Some(from), Some(to)) => selection::carried(attempt, from, to),
            (None, _) | (_, None) => attempt,
        }
    }

    /// The flow's hash, and its first attempt or why there is none.
    pub(crate) fn choose(
        &self,
        client: SocketAddr,
        shared: &Arc<Shared>,
        now: Micros,
    ) -> (u64, Result<First, CloseReason>) {
        let Some(pool) = self.pool.as_deref() else {
            return (0, Err(CloseReason::NoRoute));
        };
        let key = pool.flow_key(self.socket, client);
        let hash = key.hash(self.seed);
        let kind = pool.key_kind(self.socket.protocol);
        let first = match kind {
            KeyKind::Relayed => selection::first(pool, kind, hash, None).map(First::free),
            KeyKind::Flow => {
                let pinned = shared.pinned(&pool.pin_key(key));
                selection::first(pool, kind, hash, pinned).map(First::free)
            }
            KeyKind::Client => {
                let taken = affinity::take(shared, pool, key, hash, now);
                let first = taken.map(|(attempt, held)| First { attempt, held });
                first.map_err(selection::refusal)
            }
        };
        (hash, first)
    }

    /// Where a key with this hash lies.
    pub(crate) fn place(&self, hash: u64, generation: u32) -> TablePlace {
        let row = self.pool.as_deref().map_or(0, |pool| pool.table.row(hash));
        TablePlace {
            row: u32::try_from(row).unwrap_or(u32::MAX),
            generation,
        }
    }

    /// The pin that a UDP flow to `endpoint` needs, whose node could be lost: `why` is why it went there, if it did so
    /// under this plan. Under client-IP affinity the entry of the client needs it, not the flow.
    pub(crate) fn pin_needed(&self, client: SocketAddr, endpoint: SocketAddr, why: Option<Why>) -> Option<PinKey> {
        let pool = self.pool.as_deref()?;
        // The one table there is chose it.
        if why == Some(Why::Table) && pool.prepared.is_none() {
            return None;
        }
        if pool.key_kind(self.socket.protocol) != KeyKind::Flow {
            return None;
        }
        let key = pool.flow_key(self.socket, client);
        pool.needs_pin(KeyKind::Flow, key.hash(self.seed), endpoint)
            .then(|| pool.pin_key(key))
    }

    /// What the pin of a UDP flow is called.
    pub(crate) fn pin_key(&self, client: SocketAddr) -> Option<PinKey> {
        let pool = self.pool.as_deref()?;
        Some(pool.pin_key(pool.flow_key(self.socket, client)))
    }

    /// The attempt after `failed`, if there is one.
    pub(crate) fn next(
        &self,
        hash: u64,
        failed: Attempt,
        failure: ConnectFailure,
        sources: &Sources,
        max_tries: u8,
    ) -> Option<Attempt> {
        selection::next(self.pool.as_deref()?, hash, failed, failure, sources, max_tries)
    }

    /// What BackendTLSPolicy says of the endpoint of an attempt.
    pub(crate) fn upstream_tls(&self, attempt: Attempt) -> Option<&BackendTls> {
        match self.pool.as_deref()?.entries.get(usize::from(attempt.entry))? {
            Entry::Endpoint { upstream, .. } => upstream.tls.as_ref(),
            Entry::Reject { .. } => None,
        }
    }

    /// Where its sessions may go; `None` without a route.
    pub(crate) fn pool(&self) -> Option<&Pool> {
        self.pool.as_deref()
    }

    /// The endpoint of an attempt.
    pub(crate) fn endpoint(&self, attempt: Attempt, defaults: &Timeouts) -> Option<Reach> {
        let mut endpoints = self.endpoints.borrow_mut();
        let place = usize::from(attempt.entry);
        if let Some(reach) = endpoints.get(place)? {
            return Some(reach.clone());
        }
        let Entry::Endpoint { address, upstream, .. } = self.pool.as_deref()?.entries.get(place)? else {
            return None;
        };
        let terms = Terms::new(&self.settings, &upstream.settings, defaults);
        // Endpoints of one route rarely differ: those that have sessions already show the terms there are.
        let known = endpoints.iter().flatten().map(|reach| &reach.terms);
        let shared = [&self.terms]
            .into_iter()
            .chain(known)
            .find(|known| ***known == terms)
            .cloned();
        let reach = Reach {
            tally: Rc::new(EndpointTally::new(Arc::clone(&self.tally.names), *address)),
            terms: shared.unwrap_or_else(|| Rc::new(terms)),
        };
        endpoints[place] = Some(reach.clone());
        Some(reach)
    }

    /// For the sockets toward clients.
    pub(crate) fn client_tuning(&self) -> Tuning {
        Tuning::toward_clients(&self.settings)
    }
}

fn same_pool(one: Option<&Arc<Pool>>, other: Option<&Arc<Pool>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}
