//! A port of protocol TLS: which listener and which route a ClientHello belongs to.

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use super::{ClientSettings, ListenerName, Route};

/// The TLS listeners that share a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPort {
    /// Each host name once, the most specific first: ordered by [`HostPattern::specificity`].
    pub listeners: Vec<TlsListener>,
}

/// A listener of protocol TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsListener {
    /// Who asked for it.
    pub name: ListenerName,
    /// Which names it serves.
    pub hostname: HostPattern,
    /// What a ClientTrafficPolicy sets.
    pub settings: Arc<ClientSettings>,
    /// Where TLS ends.
    pub handling: TlsHandling,
    /// Routes by intersected host name, each name once (the oldest route has it), ordered as listeners are.
    pub routes: Vec<(HostPattern, Route)>,
}

/// Where TLS ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsHandling {
    /// At the endpoint: the bytes are passed on untouched.
    Passthrough,
    /// Here. The first certificate is the default; others are chosen by name.
    Terminate {
        /// At least one.
        certificates: Arc<[Arc<Certificate>]>,
    },
}

/// Which names of a ClientHello are meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// This name, lower case.
    Exact(String),
    /// One or more labels before this suffix, which has no `*.` and is lower case.
    Wildcard(String),
    /// Every name, and none.
    Any,
}

/// Why no route takes a ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmatched {
    /// No listener of the port has the name.
    Listener,
    /// The listener with this place in `listeners` has it, and none of its routes has. Less specific listeners are not asked.
    Route(usize),
}

/// A certificate chain with its key. Equal by origin and version alone.
#[derive(Clone)]
pub struct Certificate {
    /// The Secret, such as `default/shop-tls`.
    pub origin: String,
    /// uid and resourceVersion of the Secret: differs whenever the contents may.
    pub version: String,
    /// DER of the chain, the leaf first.
    pub chain: Vec<Vec<u8>>,
    /// PEM of the private key.
    pub key: Vec<u8>,
}

/// TLS toward an endpoint (BackendTLSPolicy).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BackendTls {
    /// SNI toward the endpoint, and, without `alternative_names`, the name its certificate must carry.
    pub hostname: String,
    /// DNS names and URIs of which the certificate must carry one.
    pub alternative_names: Vec<String>,
    /// Who may have signed it.
    pub roots: Roots,
}

/// Certificate authorities that are trusted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Roots {
    /// Those of the machine.
    System,
    /// These, in DER.
    Given(Arc<[Vec<u8>]>),
}

/// Up to this many patterns are compared one by one, which is quicker than to search.
const COMPARED: usize = 16;

impl TlsPort {
    /// The listener and route for a name, which may be in upper case; `None` for a ClientHello without one. Costs the
    /// logarithm of the names of the port, for each label of the name.
    ///
    /// # Errors
    /// No listener of the port has the name, or the most specific one that has it has no route for it.
    pub fn find(&self, name: Option<&str>) -> Result<(&TlsListener, &Route), Unmatched> {
        let name = name.map(str::to_ascii_lowercase);
        let name = name.as_deref();
        let place = most_specific(&self.listeners, |listener| &listener.hostname, name).ok_or(Unmatched::Listener)?;
        let listener = self.listeners.get(place).ok_or(Unmatched::Listener)?;
        let found = most_specific(&listener.routes, |(pattern, _)| pattern, name);
        let route = found.and_then(|route| listener.routes.get(route));
        route.map(|(_, route)| (listener, route)).ok_or(Unmatched::Route(place))
    }
}

/// Place of the most specific pattern that means `name`; `sorted` is ordered by specificity.
fn most_specific<T>(sorted: &[T], pattern: impl Fn(&T) -> &HostPattern, name: Option<&str>) -> Option<usize> {
    if sorted.len() <= COMPARED {
        return sorted.iter().position(|item| pattern(item).matches(name));
    }
    let search = |wanted: Specificity<'_>| {
        let found = sorted.binary_search_by(|item| pattern(item).specificity().cmp(&wanted));
        found.ok()
    };
    if let Some(name) = name {
        let dots = name.match_indices('.').map(|(dot, _)| dot);
        let mut suffixes = dots.filter(|dot| *dot > 0).map(|dot| &name[dot + 1..]);
        let named = search(Specificity::exact(name))
            .or_else(|| suffixes.find_map(|suffix| search(Specificity::wildcard(suffix))));
        if named.is_some() {
            return named;
        }
    }
    let last = sorted.len() - 1;
    matches!(pattern(&sorted[last]), HostPattern::Any).then_some(last)
}

/// The order in which patterns take a name: exact names, then wildcards with most labels, then any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Specificity<'a> {
    class: u8,
    labels: Reverse<usize>,
    text: &'a str,
}

impl<'a> Specificity<'a> {
    fn exact(name: &'a str) -> Specificity<'a> {
        Specificity {
            class: 0,
            labels: Reverse(0),
            text: name,
        }
    }

    fn wildcard(suffix: &'a str) -> Specificity<'a> {
        Specificity {
            class: 1,
            labels: Reverse(suffix.split('.').count()),
            text: suffix,
        }
    }
}

impl HostPattern {
    /// Ascending from the most specific.
    pub fn specificity(&self) -> Specificity<'_> {
        match self {
            HostPattern::Exact(name) => Specificity::exact(name),
            HostPattern::Wildcard(suffix) => Specificity::wildcard(suffix),
            HostPattern::Any => Specificity {
                class: 2,
                labels: Reverse(0),
                text: "",
            },
        }
    }

    /// Whether a name, in lower case, is meant.
    pub fn matches(&self, name: Option<&str>) -> bool {
        match (self, name) {
            (HostPattern::Any, _) => true,
            (HostPattern::Exact(own), Some(name)) => own == name,
            (HostPattern::Wildcard(suffix), Some(name)) => name
                .strip_suffix(suffix.as_str())
                .is_some_and(|labels| labels.len() > 1 && labels.ends_with('.')),
            (HostPattern::Exact(_) | HostPattern::Wildcard(_), None) => false,
        }
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Certificate) -> bool {
        self.origin == other.origin && self.version == other.version
    }
}

impl Eq for Certificate {}

/// Without the key.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("origin", &self.origin)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
