//! A TLS port as one relay thread sees it: which way each name leads.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use guideway_maglev::Seed;
use guideway_model::node::SocketKey;
use guideway_model::plan::{
    BackendSettings, ClientSettings, ListenerName, OpaqueListener, Route, TlsHandling, TlsListener, TlsPort, Unmatched,
};
use rustls::ServerConfig;

use crate::core::expiry::Timeouts;
use crate::lane::Lane;
use crate::metrics::tally::{ListenerTally, Names};
use crate::terms::Terms;
use crate::tls::credentials::Credentials;

/// Where a listener stands in its port, and a route in its listener.
type Places = (usize, Option<usize>);

/// A TLS port under one plan.
#[derive(Debug)]
pub(crate) struct Door {
    /// Counts sessions until it is known which listener they are for, and those that never tell.
    pub(crate) tally: Rc<ListenerTally>,
    /// Until it is known. A client may take as long until its ClientHello is whole as the most patient listener allows.
    pub(crate) terms: Rc<Terms>,
    port: Arc<TlsPort>,
    socket: SocketKey,
    seed: Seed,
    credentials: Arc<Credentials>,
    defaults: Timeouts,
    /// By places of listener and route; made when they get their first session.
    ways: RefCell<BTreeMap<Places, Rc<Way>>>,
    /// The door of the port under the plan after this one.
    successor: OnceCell<Rc<Door>>,
}

/// Where the sessions of one route of one listener go.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) lane: Rc<Lane>,
    pub(crate) ending: Ending,
    pub(crate) credentials: Arc<Credentials>,
    /// The way of the same route of the same listener under a later plan.
    successor: OnceCell<Rc<Way>>,
}

/// Where TLS ends.
#[derive(Debug)]
pub(crate) enum Ending {
    /// At the endpoint.
    Endpoint,
    /// At this node; without a configuration there is no certificate to show.
    Here(Option<Arc<ServerConfig>>),
}

/// No route takes the session.
#[derive(Debug)]
pub(crate) struct Nowhere {
    /// The listener that has the name, if one has; it counts the session.
    pub(crate) tally: Option<Rc<ListenerTally>>,
}

impl Door {
    /// The door of `port`; the one before is kept if nothing has changed.
    pub(crate) fn of(
        socket: SocketKey,
        port: &Arc<TlsPort>,
        seed: Seed,
        credentials: &Arc<Credentials>,
        defaults: &Timeouts,
        previous: Option<&Rc<Door>>,
    ) -> Rc<Door> {
        if let Some(door) = previous
            && door.seed == seed
            && (Arc::ptr_eq(&door.port, port) || door.port == *port)
        {
            return Rc::clone(door);
        }
        let patience = |listener: &TlsListener| listener.settings.handshake_timeout.unwrap_or(defaults.handshake);
        let settings = ClientSettings {
            handshake_timeout: port.listeners.iter().map(patience).max(),
            ..ClientSettings::default()
        };
        let door = Rc::new(Door {
            tally: Rc::new(ListenerTally::new(names(socket, port))),
            terms: Rc::new(Terms::new(&settings, &BackendSettings::default(), defaults)),
            port: Arc::clone(port),
            socket,
            seed,
            credentials: Arc::clone(credentials),
            defaults: *defaults,
            ways: RefCell::default(),
            successor: OnceCell::new(),
        });
        if let Some(previous) = previous {
            door.take_over(previous);
            previous.successor.get_or_init(|| Rc::clone(&door));
        }
        door
    }

    /// Makes the ways anew that had sessions, so that these learn of them.
    fn take_over(&self, previous: &Door) {
        for (place, before) in previous.ways.borrow().iter() {
            let Some((listener, route)) = previous.at(*place) else {
                continue;
            };
            let listeners = self.port.listeners.iter();
            let Some(place) = listeners.clone().position(|one| one.name == listener.name) else {
                continue;
            };
            let Some(listener) = self.port.listeners.get(place) else {
                continue;
            };
            let same =
                |one: &Route| route.is_some_and(|route| (&one.namespace, &one.name) == (&route.namespace, &route.name));
            let Some(route_place) = listener.routes.iter().position(|(_, one)| same(one)) else {
                continue;
            };
            let route = listener.routes.get(route_place).map(|(_, route)| route);
            let way = self.known((place, Some(route_place)), listener, route, Some(before));
            before.successor.get_or_init(|| way);
        }
    }

    fn at(&self, (place, route_place): Places) -> Option<(&TlsListener, Option<&Route>)> {
        let listener = self.port.listeners.get(place)?;
        let route = route_place.and_then(|place| listener.routes.get(place));
        Some((listener, route.map(|(_, route)| route)))
    }

    /// The door that the port has now. One whose port is gone stays as it was.
    pub(crate) fn newest(self: &Rc<Door>) -> &Rc<Door> {
        let mut newest = self;
        while let Some(successor) = newest.successor.get() {
            newest = successor;
        }
        newest
    }

    /// Where the sessions go that ask for a name.
    pub(crate) fn way(&self, name: Option<&str>) -> Result<Rc<Way>, Nowhere> {
        match self.port.find(name) {
            Ok((listener, route)) => {
                let place = self.port.listeners.iter().position(|one| std::ptr::eq(one, listener));
                let route_place = listener.routes.iter().position(|(_, one)| std::ptr::eq(one, route));
                let places = (place.unwrap_or_default(), route_place);
                Ok(self.known(places, listener, Some(route), None))
            }
            Err(Unmatched::Listener) => Err(Nowhere { tally: None }),
            Err(Unmatched::Route(place)) => {
                let listener = self.port.listeners.get(place);
                let way = listener.map(|listener| self.known((place, None), listener, None, None));
                Err(Nowhere {
                    tally: way.map(|way| Rc::clone(&way.lane.tally)),
                })
            }
        }
    }

    fn known(
        &self,
        places: Places,
        listener: &TlsListener,
        route: Option<&Route>,
        before: Option<&Rc<Way>>,
    ) -> Rc<Way> {
        let mut ways = self.ways.borrow_mut();
        Rc::clone(
            ways.entry(places)
                .or_insert_with(|| Rc::new(self.make(listener, route, before.map(|before| &before.lane)))),
        )
    }

    fn make(&self, listener: &TlsListener, route: Option<&Route>, before: Option<&Rc<Lane>>) -> Way {
        let opaque = OpaqueListener {
            name: listener.name.clone(),
            settings: Arc::clone(&listener.settings),
            route: route.cloned(),
        };
        Way {
            lane: Lane::of(self.socket, &opaque, self.seed, &self.defaults, before),
            ending: match &listener.handling {
                TlsHandling::Passthrough => Ending::Endpoint,
                TlsHandling::Terminate { .. } => Ending::Here(self.credentials.server(listener)),
            },
            credentials: Arc::clone(&self.credentials),
            successor: OnceCell::new(),
        }
    }
}

impl Way {
    /// The way that the same route of the same listener has now.
    pub(crate) fn newest(self: &Rc<Way>) -> &Rc<Way> {
        let mut newest = self;
        while let Some(successor) = newest.successor.get() {
            newest = successor;
        }
        newest
    }
}

/// The only listener of a port stands for it. Where several share it, `*` and the port stand for all of them, under the
/// Gateway that they have in common, if they do.
fn names(socket: SocketKey, port: &TlsPort) -> Names {
    let common = |part: fn(&ListenerName) -> &String| {
        let mut parts = port.listeners.iter().map(|listener| part(&listener.name));
        let first = parts.next();
        first
            .filter(|first| parts.all(|other| other == *first))
            .cloned()
            .unwrap_or_else(|| "*".to_owned())
    };
    let listener = match port.listeners.as_slice() {
        [one] => one.name.listener.clone(),
        _ => format!("*:{}", socket.port),
    };
    Names {
        listener: Arc::new(ListenerName {
            namespace: common(|name| &name.namespace),
            gateway: common(|name| &name.gateway),
            listener,
        }),
        route: Arc::default(),
    }
}
