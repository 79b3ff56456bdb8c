//! The compiler.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use guideway_maglev::TableSize;

use super::memory::{Made, Memory};
use super::pool;
use super::{Listener, ListenerName, Plan, PoolId, Route};
use crate::state::State;
use crate::state::index::{AttachPoint, Claim, Name};

/// Compiles the plan of `state`. What cannot have changed since `previous` is taken over from it, and every table
/// whose inputs are the same, so a change costs what it touches; the result does not otherwise depend on `previous`.
pub fn compile(state: &State, previous: Option<&Plan>) -> Plan {
    compile_sized(state, previous, TableSize::DEFAULT)
}

pub(super) fn compile_sized(state: &State, previous: Option<&Plan>, size: TableSize) -> Plan {
    let seed = state.seed();
    let remembered = previous.and_then(|plan| plan.memory.as_ref().map(|memory| (plan, memory)));
    let usable = remembered.filter(|(plan, memory)| plan.seed == seed && memory.size == size);
    let touched = usable
        .map(|(_, memory)| memory.routes_touched(state))
        .unwrap_or_default();
    let mut pools = Pools {
        state,
        before: usable.map(|(_, memory)| memory),
        touched,
        now: Memory::of(state, size),
    };
    let listeners = match usable {
        Some((plan, memory)) if memory.has_shape_of(state) => pools.patch(&plan.listeners),
        _ => pools.listeners(),
    };
    Plan {
        generation: state.revision(),
        seed,
        listeners,
        memory: Some(pools.now),
    }
}

/// The pools of the plan that is being compiled.
struct Pools<'a> {
    state: &'a State,
    before: Option<&'a Memory>,
    /// Routes whose pool may differ from the one in `before`.
    touched: BTreeSet<Name>,
    now: Memory,
}

impl Pools<'_> {
    /// Listeners that are served by the same routes as before: only touched pools are looked at.
    fn patch(&mut self, before: &[Listener]) -> Vec<Listener> {
        let mut listeners = before.to_vec();
        if let Some(memory) = self.before {
            self.now.made = memory.made.clone();
        }
        let mut remade = BTreeMap::new();
        for name in self.touched.clone() {
            // A touched route that carries nothing has no pool, and needs none.
            if self.now.made.contains_key(&name) {
                self.now.made.remove(&name);
                remade.insert(name.clone(), self.make(&name));
            }
        }
        if remade.is_empty() {
            return listeners;
        }
        for route in listeners.iter_mut().filter_map(|listener| listener.route.as_mut()) {
            if let Some(Some(pool)) = remade.get(&Name::new(&route.namespace, &route.name)) {
                route.pool = Arc::clone(pool);
            }
        }
        listeners
    }

    fn listeners(&mut self) -> Vec<Listener> {
        let mut listeners = Vec::new();
        let mut last = None;
        for (socket, claim) in self.state.index().claims.iter() {
            // The first claim of a socket holds it; later ones are conflicted and open nothing.
            if last.replace(*socket) == Some(*socket) || !holds_all(self.state, claim) {
                continue;
            }
            let gateway = &claim.gateway.name;
            let point = AttachPoint {
                gateway: gateway.clone(),
                listener: claim.listener.clone(),
            };
            let carrier = self.state.index().attached.first(&point);
            listeners.push(Listener {
                socket: *socket,
                name: ListenerName {
                    namespace: gateway.namespace.clone(),
                    gateway: gateway.name.clone(),
                    listener: claim.listener.clone(),
                },
                route: carrier.and_then(|carrier| self.route(&carrier.name)),
            });
        }
        listeners
    }

    fn route(&mut self, name: &Name) -> Option<Route> {
        // A route that is attached to many listeners has one pool.
        let pool = match self.now.made.get(name) {
            Some(made) => Arc::clone(&made.pool),
            None => self.make(name)?,
        };
        Some(Route {
            namespace: name.namespace.clone(),
            name: name.name.clone(),
            pool,
        })
    }

    fn make(&mut self, name: &Name) -> Option<Arc<super::Pool>> {
        let before = self.before.and_then(|memory| memory.made.get(name));
        let made = match before {
            Some(before) if !self.touched.contains(name) => before.clone(),
            _ => self.make_again(name, before)?,
        };
        let pool = Arc::clone(&made.pool);
        self.now.made.insert(name.clone(), made);
        Some(pool)
    }

    fn make_again(&self, name: &Name, before: Option<&Made>) -> Option<Made> {
        let route = self.state.route(name)?;
        let id = PoolId {
            route: route.metadata.uid.clone(),
            rule: 0,
        };
        pool::make(self.state, route, id, self.now.size, before)
    }
}

/// Whether a listener holds every socket that it claims: one that lost any of them is not accepted, and serves none.
fn holds_all(state: &State, claim: &Claim) -> bool {
    let index = state.index();
    let claims = index.claims_of(&claim.gateway.name);
    let mut own = claims.iter().filter(|(_, other)| other.listener == claim.listener);
    own.all(|(socket, claim)| index.claims.first(socket) == Some(claim))
}
