//! What each pool chooses among: the weighted endpoints of the active generation, of the prepared one, and of those that
//! lost nodes had.
//!
//! ```text
//!                wanted differs             all live nodes have prepared
//!   active ─────────────────────▶ prepared ─────────────────────────────▶ active
//!                                    │ wanted differs again                  ▲
//!                                    └───────▶ waits for the next ───────────┘
//! ```
//!
//! Only lists are in the state; tables are built from them where plans are compiled.

use std::net::SocketAddr;
use std::sync::Arc;

use guideway_maglev::{Target, Weighted};
use imbl::{OrdMap, OrdSet};

use super::State;
use crate::kind::Kind;
use crate::object::ObjectKey;
use crate::pin::PoolNumber;
use crate::plan::pool::{Wants, ends_tls, wants};

/// Weighted targets in canonical order, each once.
pub(crate) type WeightedList = Arc<[Weighted]>;

/// The pool of one route's rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PoolRecord {
    /// 0 below [`State::TWO_PHASES`].
    pub(crate) number: PoolNumber,
    /// The generation that was active when `active` became what it is.
    pub(crate) since: u64,
    /// What the active generation says.
    pub(crate) active: WeightedList,
    /// What the prepared generation says, if it says otherwise.
    pub(crate) prepared: Option<WeightedList>,
    /// What the next generation is to say, if it cannot be prepared yet.
    pub(crate) waiting: Option<WeightedList>,
    /// What generations said that a grace names, the oldest first.
    pub(crate) past: Vec<Past>,
    /// Endpoints that keep the sessions they have, ascending.
    pub(crate) draining: Arc<[SocketAddr]>,
    /// How long what stands behind a pin can be silent, in milliseconds.
    pub(crate) idle_ms: u64,
}

/// What a pool once said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Past {
    /// The first generation that said so.
    pub(crate) since: u64,
    /// The last.
    pub(crate) through: u64,
    pub(crate) weighted: WeightedList,
}

/// All pools.
#[derive(Clone, Debug, Default)]
pub(super) struct Pools {
    /// One for each route, attached or not.
    pub(super) records: OrdMap<ObjectKey, Arc<PoolRecord>>,
    pub(super) numbers: OrdMap<PoolNumber, ObjectKey>,
    /// The number that was given last.
    pub(super) last: PoolNumber,
    /// Those with a list that waits.
    pub(super) waiting: OrdSet<ObjectKey>,
    /// Those with a past.
    pub(super) past: OrdSet<ObjectKey>,
}

impl PoolRecord {
    /// What is wanted by now, active or not: endpoints in it take new sessions.
    pub(crate) fn wanted(&self) -> &WeightedList {
        let later = self.waiting.as_ref().or(self.prepared.as_ref());
        later.unwrap_or(&self.active)
    }

    /// Whether some list of the pool names an endpoint.
    pub(crate) fn knows(&self, endpoint: SocketAddr) -> bool {
        let later = self.prepared.iter().chain(&self.waiting);
        let past = self.past.iter().map(|past| &past.weighted);
        let mut lists = std::iter::once(&self.active).chain(later).chain(past);
        lists.any(|list| names(list, endpoint)) || self.draining.binary_search(&endpoint).is_ok()
    }
}

impl Past {
    /// Whether this is what a generation said.
    pub(super) fn is_of(&self, generation: u64) -> bool {
        self.since <= generation && generation <= self.through
    }
}

/// Whether a list names an endpoint.
pub(crate) fn names(list: &[Weighted], endpoint: SocketAddr) -> bool {
    let target = Target::Endpoint(endpoint);
    list.binary_search_by(|weighted| weighted.target.cmp(&target)).is_ok()
}

/// Whether a list leads anywhere.
fn has_endpoint(list: &[Weighted]) -> bool {
    list.iter()
        .any(|weighted| matches!(weighted.target, Target::Endpoint(_)))
}

impl State {
    /// The pool of a route.
    pub(crate) fn pool(&self, route: &ObjectKey) -> Option<&PoolRecord> {
        self.pools.records.get(route).map(Arc::as_ref)
    }

    pub(crate) fn pool_records(&self) -> &OrdMap<ObjectKey, Arc<PoolRecord>> {
        &self.pools.records
    }

    /// Routes whose pools have a past.
    pub(crate) fn pools_with_past(&self) -> &OrdSet<ObjectKey> {
        &self.pools.past
    }

    /// Brings the pools of `routes` in step with the objects. What tables they lead to is prepared, or waits for that;
    /// a pool without a session that could be moved changes at once.
    pub(super) fn settle_pools<'a>(&mut self, routes: impl IntoIterator<Item = &'a ObjectKey>) {
        for route in routes {
            match self.wants_of(route) {
                Some(wants) => self.want(route, wants),
                None => self.forget_pool(route),
            }
        }
    }

    /// Makes every pool anew from the objects, without numbers or history.
    pub(super) fn derive_pools(&mut self) {
        self.pools = Pools::default();
        for kind in [Kind::TcpRoute, Kind::UdpRoute, Kind::TlsRoute] {
            let routes: Vec<ObjectKey> = self.list(kind, None, None).map(crate::Object::key).collect();
            self.settle_pools(&routes);
        }
    }

    /// What the objects say of a route's pool; `None` if there is no such route.
    pub(super) fn wants_of(&self, route: &ObjectKey) -> Option<Wants> {
        let found = self.route(route)?;
        Some(wants(self, &found, ends_tls(self, route)))
    }

    fn want(&mut self, route: &ObjectKey, wants: Wants) {
        let Some(before) = self.pools.records.get(route) else {
            return self.add_pool(route, wants);
        };
        let mut record = Arc::clone(before);
        let changed = Arc::make_mut(&mut record);
        changed.draining = wants.draining;
        changed.idle_ms = wants.idle_ms;
        self.turn(route, changed, wants.weighted);
        self.store(route, record);
    }

    /// Turns a pool toward `wanted`: nothing to do, at once, or with the next generation.
    pub(super) fn turn(&mut self, route: &ObjectKey, record: &mut PoolRecord, wanted: WeightedList) {
        record.waiting = None;
        self.pools.waiting.remove(route);
        if *record.prepared.as_ref().unwrap_or(&record.active) == wanted {
            return;
        }
        let is_empty = record.prepared.is_none() && !has_endpoint(&record.active);
        if is_empty || self.level < State::TWO_PHASES {
            record.active = wanted;
            record.since = self.generations.active;
        } else {
            record.waiting = Some(wanted);
            self.pools.waiting.insert(route.clone());
        }
    }

    /// Stores a pool, and ends pins to endpoints that it does not know any more.
    pub(super) fn store(&mut self, route: &ObjectKey, record: Arc<PoolRecord>) {
        if record.past.is_empty() {
            self.pools.past.remove(route);
        } else {
            self.pools.past.insert(route.clone());
        }
        for endpoint in self.pins.endpoints_of(record.number) {
            if !record.knows(endpoint) {
                self.pins.end_endpoint(record.number, endpoint);
            }
        }
        let same = self.pools.records.get(route).is_some_and(|before| *before == record);
        if !same {
            self.pools.records.insert(route.clone(), record);
        }
    }

    fn add_pool(&mut self, route: &ObjectKey, wants: Wants) {
        let mut number = PoolNumber::default();
        if self.level >= State::TWO_PHASES {
            // A thousand new routes a second would use the numbers up in fifty days.
            self.pools.last = PoolNumber(self.pools.last.0.saturating_add(1));
            number = self.pools.last;
            self.pools.numbers.insert(number, route.clone());
        }
        let record = PoolRecord {
            number,
            since: self.generations.active,
            active: wants.weighted,
            prepared: None,
            waiting: None,
            past: Vec::new(),
            draining: wants.draining,
            idle_ms: wants.idle_ms,
        };
        self.pools.records.insert(route.clone(), Arc::new(record));
    }

    fn forget_pool(&mut self, route: &ObjectKey) {
        if let Some(record) = self.pools.records.remove(route) {
            self.pools.numbers.remove(&record.number);
            self.pools.waiting.remove(route);
            self.pools.past.remove(route);
            if let Some(preparation) = &mut self.generations.prepared {
                preparation.pools.remove(route);
            }
            self.pins.end_pool(record.number);
        }
    }
}
