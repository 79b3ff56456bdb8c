//! Status of a Backend.

use std::collections::BTreeSet;

use super::condition::{ACCEPTED, Derived, Moment, RESOLVED_REFS, enumerate, merge};
use crate::resource::{Backend, BackendStatus};
use crate::state::State;

/// Types that are ours in a Backend.
pub(crate) const OWN: [&str; 2] = [ACCEPTED, RESOLVED_REFS];

/// The status of a Backend.
pub(crate) fn derive(state: &State, backend: &Backend, moment: Moment) -> BackendStatus {
    let accepted = Derived::holds(ACCEPTED, "Accepted", "routes can send traffic to its endpoints");
    BackendStatus {
        conditions: merge(
            &backend.status.conditions,
            &OWN,
            vec![accepted, names(state, backend)],
            moment,
        ),
    }
}

/// Whether every DNS name has an address.
fn names(state: &State, backend: &Backend) -> Derived {
    let hostnames: BTreeSet<String> = backend
        .spec
        .endpoints
        .iter()
        .filter_map(|endpoint| endpoint.hostname.as_deref())
        .map(str::to_ascii_lowercase)
        .collect();
    let (mut resolved, mut empty, mut pending) = (Vec::new(), Vec::new(), Vec::new());
    for name in hostnames {
        match state.resolved(&name) {
            None => pending.push(name),
            Some(addresses) if addresses.is_empty() => empty.push(name),
            Some(addresses) => resolved.push(format!("{name} is {}", enumerate(addresses, ", "))),
        }
    }
    if !empty.is_empty() {
        let message = format!("no address was found for {}", enumerate(&empty, ", "));
        Derived::fails(RESOLVED_REFS, "NameNotResolved", message)
    } else if !pending.is_empty() {
        let message = format!("{} have not been looked up yet", enumerate(&pending, ", "));
        Derived::unknown(RESOLVED_REFS, "Pending", message)
    } else if resolved.is_empty() {
        Derived::holds(
            RESOLVED_REFS,
            "ResolvedRefs",
            "every endpoint has an address of its own",
        )
    } else {
        Derived::holds(RESOLVED_REFS, "ResolvedRefs", enumerate(&resolved, "; "))
    }
}
