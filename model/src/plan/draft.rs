//! Which listener serves what, before there are pools.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::OrdMap;

use super::{Certificate, ClientSettings, HostPattern, ListenerName, TlsHandling};
use crate::certificate;
use crate::kind::Kind;
use crate::node::SocketKey;
use crate::object::ObjectKey;
use crate::resource::{Listener, Secret};
use crate::sealing::{self, Sealer};
use crate::state::State;
use crate::state::host::HostKey;
use crate::state::index::{AttachPoint, Claim, Holder, Name};
use crate::status::certificates::certificates;
use crate::status::client_traffic;
use crate::status::listener::terminates;
use crate::status::owner::Owner;

/// Every socket group that is served, ordered by socket.
pub(super) struct Drafts {
    pub(super) listeners: Vec<Draft>,
    /// The certificates in use, by Secret.
    pub(super) certificates: OrdMap<Name, Arc<Certificate>>,
}

/// One socket group and the routes of its sessions.
pub(super) struct Draft {
    pub(super) socket: SocketKey,
    pub(super) served: Served,
}

/// Where the sessions of a socket group go.
pub(super) enum Served {
    Opaque {
        name: ListenerName,
        settings: Arc<ClientSettings>,
        route: Option<ObjectKey>,
    },
    /// The most specific first.
    Tls(Vec<TlsDraft>),
}

/// A listener of protocol TLS.
pub(super) struct TlsDraft {
    pub(super) name: ListenerName,
    pub(super) hostname: HostPattern,
    pub(super) settings: Arc<ClientSettings>,
    pub(super) handling: TlsHandling,
    /// The most specific first.
    pub(super) routes: Vec<(HostPattern, ObjectKey)>,
}

impl Served {
    pub(super) fn routes(&self) -> Vec<&ObjectKey> {
        match self {
            Served::Opaque { route, .. } => route.iter().collect(),
            Served::Tls(listeners) => {
                let routes = listeners.iter().flat_map(|listener| &listener.routes);
                routes.map(|(_, route)| route).collect()
            }
        }
    }
}

impl Drafts {
    /// What `state` serves. Certificates of the same version are taken over from `before`; others are opened by `sealer`.
    pub(super) fn of(
        state: &State,
        before: Option<&OrdMap<Name, Arc<Certificate>>>,
        sealer: Option<&dyn Sealer>,
    ) -> Drafts {
        let mut drawing = Drawing {
            state,
            before,
            sealer,
            holders: BTreeMap::new(),
            certificates: OrdMap::new(),
            unset: Arc::default(),
        };
        let mut sockets: BTreeMap<SocketKey, Vec<&Claim>> = BTreeMap::new();
        for (socket, claim) in state.index().claims.iter() {
            sockets.entry(*socket).or_default().push(claim);
        }
        let mut listeners = Vec::new();
        for (socket, claims) in sockets {
            let winners = claims.into_iter().filter(|claim| drawing.holds_all(claim));
            let winners: Vec<&Claim> = winners.collect();
            let served = drawing.serve(&socket, &winners);
            listeners.extend(served.map(|served| Draft { socket, served }));
        }
        Drafts {
            listeners,
            certificates: drawing.certificates,
        }
    }
}

struct Drawing<'a> {
    state: &'a State,
    before: Option<&'a OrdMap<Name, Arc<Certificate>>>,
    sealer: Option<&'a dyn Sealer>,
    holders: BTreeMap<SocketKey, Option<Holder>>,
    certificates: OrdMap<Name, Arc<Certificate>>,
    /// Shared by the listeners without a policy.
    unset: Arc<ClientSettings>,
}

impl Drawing<'_> {
    /// Whether a listener holds all that it claims: one that lost any of it is not accepted, and serves nothing.
    fn holds_all(&mut self, claim: &Claim) -> bool {
        let index = self.state.index();
        let claims = index.claims_of(&claim.rank.owner);
        let mut own = claims.iter().filter(|(_, other)| other.listener == claim.listener);
        own.all(|(socket, claim)| {
            let holder = self.holders.entry(*socket).or_insert_with(|| index.holder(socket));
            index.conflict(socket, claim, holder.as_ref()).is_none()
        })
    }

    fn serve(&mut self, socket: &SocketKey, winners: &[&Claim]) -> Option<Served> {
        let by_name = self.holders.get(socket).and_then(|holder| holder.as_ref())?.by_name;
        let mut listeners = Vec::new();
        for claim in winners {
            let owner = Owner::of(self.state, &claim.rank.owner)?;
            let Some(listener) = owner.listeners.iter().find(|listener| listener.name == claim.listener) else {
                continue;
            };
            if !by_name {
                let point = (claim.point(), HostKey::any());
                let carrier = self.state.index().carried.first(&point);
                return Some(Served::Opaque {
                    name: listener_name(claim),
                    settings: self.settings(&owner, listener),
                    route: carrier.map(|carrier| carrier.key.clone()),
                });
            }
            listeners.push(self.tls(claim, &owner, listener));
        }
        listeners.sort_by(|one, other| one.hostname.specificity().cmp(&other.hostname.specificity()));
        (!listeners.is_empty()).then_some(Served::Tls(listeners))
    }

    fn tls(&mut self, claim: &Claim, owner: &Owner<'_>, listener: &Listener) -> TlsDraft {
        let mut routes = self.routes(&claim.point());
        let mut handling = TlsHandling::Passthrough;
        if terminates(listener) {
            let found = certificates(self.state, owner, listener);
            let chains: Vec<_> = found
                .valid
                .iter()
                .filter_map(|secret| self.certificate(secret))
                .collect();
            if chains.is_empty() {
                // Its host names stay its own: a connection for one of them finds no route and is refused. To leave the
                // listener out would hand them to a wildcard.
                routes.clear();
            } else {
                handling = TlsHandling::Terminate {
                    certificates: chains.into(),
                };
            }
        }
        TlsDraft {
            name: listener_name(claim),
            hostname: HostKey::of(listener.hostname.as_deref()).pattern(),
            settings: self.settings(owner, listener),
            handling,
            routes,
        }
    }

    /// The carrier of each host name of a listener.
    fn routes(&self, point: &AttachPoint) -> Vec<(HostPattern, ObjectKey)> {
        let start = (point.clone(), HostKey::default());
        let carried = self.state.index().carried.from(start);
        let mut last = None;
        let mut routes = Vec::new();
        for ((_, name), route) in carried.take_while(|((other, _), _)| other == point) {
            // The first of a name carries it.
            if last.replace(name) != Some(name) {
                routes.push((name.pattern(), route.key.clone()));
            }
        }
        routes.sort_by(|(one, _), (other, _)| one.specificity().cmp(&other.specificity()));
        routes
    }

    fn settings(&self, owner: &Owner<'_>, listener: &Listener) -> Arc<ClientSettings> {
        let settings = client_traffic::settings(self.state, owner, &listener.name);
        if settings == *self.unset {
            Arc::clone(&self.unset)
        } else {
            Arc::new(settings)
        }
    }

    fn certificate(&mut self, secret: &Secret) -> Option<Arc<Certificate>> {
        let name = Name::of(&secret.metadata);
        if let Some(certificate) = self.certificates.get(&name) {
            return Some(Arc::clone(certificate));
        }
        let version = format!("{}/{}", secret.metadata.uid.0, secret.metadata.resource_version);
        let before = self.before.and_then(|before| before.get(&name));
        let certificate = match before.filter(|before| before.version == version) {
            Some(before) => Arc::clone(before),
            None => {
                let (chain, key) = self.material(secret)?;
                Arc::new(Certificate {
                    origin: name.to_string(),
                    version,
                    chain,
                    key,
                })
            }
        };
        self.certificates.insert(name, Arc::clone(&certificate));
        Some(certificate)
    }
}

impl Drawing<'_> {
    /// Chain and key. Without a sealer those of a sealed Secret are empty: the plan is not one to serve by.
    fn material(&self, secret: &Secret) -> Option<(Vec<Vec<u8>>, Vec<u8>)> {
        let read = match self.sealer {
            None if secret.sealed.is_some() => return Some(Default::default()),
            None => certificate::of_secret(secret),
            Some(sealer) => certificate::of_secret(&sealing::open(secret, sealer).ok()?),
        };
        read.ok().map(|read| (read.chain, read.key))
    }
}

fn listener_name(claim: &Claim) -> ListenerName {
    let owner = &claim.rank.owner;
    let gateway = match owner.kind {
        Kind::ListenerSet => format!("ListenerSet:{}", owner.name),
        _ => owner.name.clone(),
    };
    ListenerName {
        namespace: owner.namespace.clone(),
        gateway,
        listener: claim.listener.clone(),
    }
}
