//! Listeners of protocol TLS whose names overlap those of others of the port (`OverlappingTLSConfig`).

use std::collections::BTreeSet;

use super::condition::{Derived, OVERLAPPING_TLS_CONFIG, enumerate};
use super::owner::Owner;
use super::view::Judged;
use crate::state::State;
use crate::state::index::Takes;

/// The condition of a listener; `None` where there is nothing to say. Of both reasons the standard prefers that of
/// certificates.
pub(crate) fn overlapping(state: &State, owner: &Owner<'_>, judged: &Judged<'_>) -> Option<Derived> {
    if !judged.accepted.is_true() {
        return None;
    }
    let certificates = certificates(state, owner, judged);
    let reason = match certificates {
        Some(_) => "OverlappingCertificates",
        None => "OverlappingHostnames",
    };
    let messages: Vec<String> = certificates.into_iter().chain(host_names(state, judged)).collect();
    (!messages.is_empty()).then(|| Derived::holds(OVERLAPPING_TLS_CONFIG, reason, messages.join("; ")))
}

/// Says which other listeners of the port serve a part of its host names, or all of them.
fn host_names(state: &State, judged: &Judged<'_>) -> Option<String> {
    let mut others = BTreeSet::new();
    for (socket, claim) in judged.claims() {
        if let Takes::Name(name) = &claim.takes {
            for other in state.index().overlapping(socket, name) {
                if let Takes::Name(name) = &other.takes {
                    others.insert(format!("{:?} of {} ({name})", other.listener, other.rank.owner));
                }
            }
        }
    }
    let others: Vec<String> = others.into_iter().collect();
    (!others.is_empty()).then(|| {
        format!(
            "its host names overlap those of listener {}; each name goes to the most specific listener alone",
            enumerate(&others, ", ")
        )
    })
}

/// Says for each name of its certificates one other listener of the port that shows a certificate for it too. What names
/// that one has is not told: it may be another team's.
fn certificates(state: &State, owner: &Owner<'_>, judged: &Judged<'_>) -> Option<String> {
    let index = state.index();
    let certified = index.certified_of(&owner.key);
    let mut shared = BTreeSet::new();
    for (_, claim) in judged.claims() {
        for name in certified.get(claim).into_iter().flatten() {
            if let Some(other) = index.certified_too(name, claim) {
                shared.insert(format!("{} ({:?} of {})", name.1, other.listener, other.rank.owner));
            }
        }
    }
    let shared: Vec<String> = shared.into_iter().collect();
    (!shared.is_empty()).then(|| {
        format!(
            "other listeners of the port show certificates for names of its own: {}; a client that sends requests for \
             several names over one connection reaches the routes of the name that it connected with",
            enumerate(&shared, ", ")
        )
    })
}
