//! The names on the certificates of listeners where TLS ends, by socket group: which listeners of a port show
//! certificates for the same name.
//!
//! A listener's status tells of one other listener for each name, so what it says hangs on the first two claims of a name
//! alone, however many listeners share a certificate.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Claim, Index};
use crate::node::SocketKey;
use crate::object::ObjectKey;
use crate::state::host::HostKey;

/// The listeners of one Gateway or ListenerSet, each with the names of its certificates on the sockets that it claims.
pub(crate) type Certified = BTreeMap<Claim, BTreeSet<CertifiedName>>;

/// A name on a socket group.
pub(crate) type CertifiedName = (SocketKey, HostKey);

/// The first two claims of a name.
type Leading = [Option<Claim>; 2];

impl Index {
    /// The names of the certificates that a Gateway or ListenerSet shows.
    pub(crate) fn certified_of(&self, owner: &ObjectKey) -> Arc<Certified> {
        self.certified_of.get(owner).cloned().unwrap_or_default()
    }

    /// Replaces them. Returns the other claims that may have to tell of another listener now.
    pub(in crate::state) fn set_certified(&mut self, owner: &ObjectKey, certified: Certified) -> BTreeSet<ObjectKey> {
        let pairs = |certified: &Certified| -> BTreeSet<(CertifiedName, Claim)> {
            let listeners = certified.iter();
            let pairs = listeners.flat_map(|(claim, names)| names.iter().map(|name| (name.clone(), claim.clone())));
            pairs.collect()
        };
        let (before, now) = (pairs(&self.certified_of(owner)), pairs(&certified));
        let moved = before.symmetric_difference(&now);
        let moved: BTreeSet<CertifiedName> = moved.map(|(name, _)| name.clone()).collect();
        let leading: Vec<(CertifiedName, Leading)> = moved
            .into_iter()
            .map(|name| (name.clone(), self.leading(&name)))
            .collect();
        for (name, claim) in before.difference(&now) {
            self.certified.remove(name.clone(), claim.clone());
        }
        for (name, claim) in now.difference(&before) {
            self.certified.insert(name.clone(), claim.clone());
        }
        if certified.is_empty() {
            self.certified_of.remove(owner);
        } else {
            self.certified_of.insert(owner.clone(), Arc::new(certified));
        }
        let led = leading
            .into_iter()
            .filter(|(name, before)| self.leading(name) != *before);
        let mut concerned = BTreeSet::new();
        for (name, _) in led {
            let claims = self.certified_alike(&name).map(|claim| claim.rank.owner.clone());
            concerned.extend(claims);
        }
        concerned
    }

    /// Another listener that shows a certificate on the socket for the same name, or for one of which one covers the other.
    pub(crate) fn certified_too(&self, name: &CertifiedName, claim: &Claim) -> Option<&Claim> {
        self.certified_alike(name).find(|other| *other != claim)
    }

    /// Claims of a name, of the wildcard that covers it, and of the names that it covers. That of a certificate stands for
    /// exactly one label (RFC 9525, section 6.3), unlike that of a listener.
    fn certified_alike(&self, name: &CertifiedName) -> impl Iterator<Item = &Claim> {
        let (socket, key) = name;
        let wider = key.beside().filter(|wider| wider != key);
        let wider = wider
            .into_iter()
            .flat_map(move |wider| self.certified.iter_of(&(*socket, wider)));
        let below = key.prefix().map(|prefix| {
            let (socket, prefix) = (*socket, prefix.to_owned());
            let start = (socket, HostKey::starting_with(&prefix));
            let own = key.clone();
            self.certified
                .from(start)
                .take_while(move |((other, name), _)| *other == socket && name.has_prefix(&prefix))
                .filter(move |((_, name), _)| *name != own && name.beside().as_ref() == Some(&own))
                .map(|(_, claim)| claim)
        });
        self.certified
            .iter_of(name)
            .chain(wider)
            .chain(below.into_iter().flatten())
    }

    fn leading(&self, name: &CertifiedName) -> Leading {
        let mut claims = self.certified.of(name).cloned();
        [claims.next(), claims.next()]
    }
}
