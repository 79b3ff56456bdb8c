//! The compiler.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use guideway_maglev::TableSize;

use super::draft::{Draft, Drafts, Served};
use super::memory::{Made, Memory, Touched};
use super::pool::{self, ends_tls};
use super::workers::spread;
use super::{Listener, ListenerService, OpaqueListener, Plan, PoolId, Route, TlsListener, TlsPort};
use crate::kind::Kind;
use crate::node::Protocol;
use crate::object::ObjectKey;
use crate::sealing::Sealer;
use crate::state::State;
use crate::state::index::Name;

/// Compiles the plan of `state` on this thread; see [`compile_on`].
pub fn compile(state: &State, previous: Option<&Plan>) -> Plan {
    compile_on(state, previous, NonZeroUsize::MIN)
}

/// Compiles the plan of `state` on at most `threads` threads. What cannot have changed since `previous` is taken over
/// from it, and every table whose inputs are the same, so a change costs what it touches; the result does not otherwise
/// depend on `previous`, and not at all on `threads`.
pub fn compile_on(state: &State, previous: Option<&Plan>, threads: NonZeroUsize) -> Plan {
    compile_sized(state, previous, (threads, None), TableSize::DEFAULT)
}

/// As [`compile_on`], with the Secrets opened: the plan that traffic is served by. The other functions give one that is the
/// same but for certificates and authorities of sealed Secrets, which are empty in it unless `previous` has them. A
/// certificate that does not open is left out, and so is the traffic that needs it.
pub fn compile_opened(state: &State, previous: Option<&Plan>, threads: NonZeroUsize, sealer: &dyn Sealer) -> Plan {
    compile_sized(state, previous, (threads, Some(sealer)), TableSize::DEFAULT)
}

pub(super) fn compile_sized(
    state: &State,
    previous: Option<&Plan>,
    (threads, sealer): (NonZeroUsize, Option<&dyn Sealer>),
    size: TableSize,
) -> Plan {
    let seed = state.seed();
    let remembered = previous.and_then(|plan| plan.memory.as_ref().map(|memory| (plan, memory)));
    let usable = remembered.filter(|(plan, memory)| plan.seed == seed && memory.size == size);
    let touched = usable.map(|(_, memory)| memory.touched(state)).unwrap_or_default();
    let mut compilation = Compilation {
        state,
        threads,
        sealer,
        before: usable.map(|(_, memory)| memory),
        touched,
        now: Memory::of(state, size),
    };
    let listeners = match usable {
        Some((plan, memory)) if memory.has_shape_of(state) && !compilation.touched.listeners => {
            compilation.patch(&plan.listeners)
        }
        _ => compilation.listeners(usable.map_or(&[], |(plan, _)| &plan.listeners)),
    };
    Plan {
        generation: state.active_generation(),
        prepared: state.prepared_generation(),
        seed,
        listeners,
        memory: Some(compilation.now),
    }
}

/// The plan that is being compiled.
struct Compilation<'a> {
    state: &'a State,
    threads: NonZeroUsize,
    sealer: Option<&'a dyn Sealer>,
    before: Option<&'a Memory>,
    touched: Touched,
    now: Memory,
}

impl Compilation<'_> {
    /// Listeners that are served by the same routes as before: only touched pools are looked at.
    fn patch(&mut self, before: &[Listener]) -> Vec<Listener> {
        let mut listeners = before.to_vec();
        if let Some(memory) = self.before {
            self.now.made = memory.made.clone();
            self.now.certificates = memory.certificates.clone();
        }
        // A touched route that carries nothing has no pool, and needs none.
        let made = &self.now.made;
        let touched = self.touched.routes.iter().filter(|route| made.contains_key(*route));
        let remade: BTreeSet<ObjectKey> = touched.cloned().collect();
        for route in &remade {
            self.now.made.remove(route);
        }
        self.make_all(&remade);
        if remade.is_empty() {
            return listeners;
        }
        for listener in &mut listeners {
            self.renew(listener, &remade);
        }
        listeners
    }

    /// Gives the routes of a listener that were made again their new pools.
    fn renew(&self, listener: &mut Listener, remade: &BTreeSet<ObjectKey>) {
        let protocol = listener.socket.protocol;
        let renewed = |kind: Kind, route: &Route| {
            let key = Name::new(&route.namespace, &route.name).key(kind);
            let made = self.now.made.get(&key).filter(|_| remade.contains(&key));
            made.filter(|made| !Arc::ptr_eq(&made.pool, &route.pool))
                .map(|made| Arc::clone(&made.pool))
        };
        match &mut listener.service {
            ListenerService::Opaque(OpaqueListener { route: Some(route), .. }) => {
                let kind = match protocol {
                    Protocol::Tcp => Kind::TcpRoute,
                    Protocol::Udp => Kind::UdpRoute,
                };
                if let Some(pool) = renewed(kind, route) {
                    route.pool = pool;
                }
            }
            ListenerService::Opaque(OpaqueListener { route: None, .. }) => {}
            ListenerService::Tls(port) => {
                let mut routes = port.listeners.iter().flat_map(|listener| &listener.routes);
                if routes.all(|(_, route)| renewed(Kind::TlsRoute, route).is_none()) {
                    return;
                }
                let routes = Arc::make_mut(port).listeners.iter_mut();
                for (_, route) in routes.flat_map(|listener| &mut listener.routes) {
                    if let Some(pool) = renewed(Kind::TlsRoute, route) {
                        route.pool = pool;
                    }
                }
            }
        }
    }

    /// All listeners, put together again. A TLS port that says what the one before said is that one.
    fn listeners(&mut self, before: &[Listener]) -> Vec<Listener> {
        let drafts = Drafts::of(self.state, self.before.map(|memory| &memory.certificates), self.sealer);
        self.now.certificates = drafts.certificates;
        let routes = drafts.listeners.iter().flat_map(|draft| draft.served.routes());
        let routes: BTreeSet<ObjectKey> = routes.cloned().collect();
        self.make_all(&routes);
        let listeners = drafts.listeners.into_iter().map(|draft| {
            let place = before.binary_search_by(|listener| listener.socket.cmp(&draft.socket));
            let before = place.ok().and_then(|place| before.get(place));
            self.finish(draft, before)
        });
        listeners.collect()
    }

    fn finish(&self, draft: Draft, before: Option<&Listener>) -> Listener {
        let service = match draft.served {
            Served::Opaque { name, settings, route } => ListenerService::Opaque(OpaqueListener {
                name,
                settings,
                route: route.and_then(|route| self.route(&route)),
            }),
            Served::Tls(listeners) => {
                let listeners = listeners.into_iter().map(|listener| TlsListener {
                    name: listener.name,
                    hostname: listener.hostname,
                    settings: listener.settings,
                    handling: listener.handling,
                    routes: listener
                        .routes
                        .into_iter()
                        .filter_map(|(pattern, route)| Some((pattern, self.route(&route)?)))
                        .collect(),
                });
                let port = TlsPort {
                    listeners: listeners.collect(),
                };
                match before.map(|before| &before.service) {
                    Some(ListenerService::Tls(before)) if **before == port => ListenerService::Tls(Arc::clone(before)),
                    _ => ListenerService::Tls(Arc::new(port)),
                }
            }
        };
        Listener {
            socket: draft.socket,
            service,
        }
    }

    fn route(&self, key: &ObjectKey) -> Option<Route> {
        // A route that is attached to many listeners has one pool.
        let made = self.now.made.get(key)?;
        Some(Route {
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            pool: Arc::clone(&made.pool),
        })
    }

    /// Makes the pools of `routes` that are not there yet.
    fn make_all(&mut self, routes: &BTreeSet<ObjectKey>) {
        let mut stale = Vec::new();
        for key in routes {
            let terminates = ends_tls(self.state, key);
            let before = self.before.and_then(|memory| memory.made.get(key));
            match before.filter(|made| made.terminates == terminates && !self.touched.routes.contains(key)) {
                Some(made) => {
                    self.now.made.insert(key.clone(), made.clone());
                }
                None => stale.push((key, terminates)),
            }
        }
        let made = spread(self.threads, &stale, |(key, terminates)| self.make(key, *terminates));
        for ((key, _), made) in stale.into_iter().zip(made) {
            if let Some(made) = made {
                self.now.made.insert(key.clone(), made);
            }
        }
    }

    fn make(&self, key: &ObjectKey, terminates: bool) -> Option<Made> {
        let before = self.before.and_then(|memory| memory.made.get(key));
        let route = self.state.route(key)?;
        let id = PoolId {
            route: route.metadata.uid.clone(),
            rule: 0,
        };
        let making = pool::Making {
            state: self.state,
            size: self.now.size,
            terminates,
            before,
            sealer: self.sealer,
        };
        making.make(&route, key, id)
    }
}
