//! A listener as one relay thread sees it: where its sessions go, and who counts them.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use guideway_maglev::Seed;
use guideway_model::flow::FlowKey;
use guideway_model::node::SocketKey;
use guideway_model::plan::{Listener, Pool};

use crate::core::reason::CloseReason;
use crate::core::selection::{self, Attempt, ConnectFailure, Sources};
use crate::metrics::tally::{EndpointTally, ListenerTally, Names};

/// One listener under one plan. A session holds it only while it dials, so that an old table does not live as long as
/// the longest session that once asked it.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) tally: Rc<ListenerTally>,
    socket: SocketKey,
    seed: Seed,
    pool: Option<Arc<Pool>>,
    /// By entry of the pool; made when an endpoint gets its first session here.
    endpoints: RefCell<Box<[Option<Rc<EndpointTally>>]>>,
}

impl Lane {
    /// The lane of `listener`; the one before is taken over as far as nothing has changed.
    pub(crate) fn of(listener: &Listener, seed: Seed, previous: Option<&Rc<Lane>>) -> Rc<Lane> {
        let pool = listener.route.as_ref().map(|route| &route.pool);
        let names = Names {
            listener: listener.name.clone(),
            route: listener
                .route
                .as_ref()
                .map(|route| format!("{}/{}", route.namespace, route.name))
                .unwrap_or_default(),
        };
        let same_names = previous.filter(|lane| *lane.tally.names == names);
        if let Some(lane) = same_names
            && lane.seed == seed
            && same_pool(lane.pool.as_ref(), pool)
        {
            return Rc::clone(lane);
        }
        Rc::new(Lane {
            tally: same_names.map_or_else(|| Rc::new(ListenerTally::new(names)), |lane| Rc::clone(&lane.tally)),
            socket: listener.socket,
            seed,
            pool: pool.cloned(),
            endpoints: RefCell::new(vec![None; pool.map_or(0, |pool| pool.entries.len())].into_boxed_slice()),
        })
    }

    /// The flow's hash, and its first attempt or why there is none.
    pub(crate) fn choose(&self, client: SocketAddr) -> (u64, Result<Attempt, CloseReason>) {
        let hash = FlowKey::five_tuple(self.socket.protocol, self.socket.port, client).hash(self.seed);
        (hash, selection::first(self.pool.as_deref(), hash))
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

    /// The endpoint of an attempt, with its counters.
    pub(crate) fn endpoint(&self, attempt: Attempt) -> Option<Rc<EndpointTally>> {
        let address = selection::address(self.pool.as_deref()?, attempt.entry)?;
        let mut endpoints = self.endpoints.borrow_mut();
        let place = endpoints.get_mut(usize::from(attempt.entry))?;
        let tally = place.get_or_insert_with(|| Rc::new(EndpointTally::new(Arc::clone(&self.tally.names), address)));
        Some(Rc::clone(tally))
    }
}

fn same_pool(one: Option<&Arc<Pool>>, other: Option<&Arc<Pool>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}
