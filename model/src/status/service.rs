//! Status of a Service: what people and other controllers have written, and one condition of ours.

use super::condition::{Derived, Moment, NO_ENDPOINT_SLICES, merge};
use crate::resource::{Service, ServiceStatus};
use crate::state::State;
use crate::state::index::Name;

/// Types that are ours in a Service.
pub(crate) const OWN: [&str; 1] = [NO_ENDPOINT_SLICES];

/// The status of a Service.
pub(crate) fn derive(state: &State, service: &Service, moment: Moment) -> ServiceStatus {
    let name = Name::of(&service.metadata);
    let has_slices = state.index().slices_of_service.first(&name).is_some();
    let leads_nowhere = !service.spec.selector.is_empty() && !has_slices;
    let derived = leads_nowhere.then(|| {
        let message = format!(
            "spec.selector selects nothing here, since there are no pods; create an EndpointSlice with the label \
             kubernetes.io/service-name: {}, or use a Backend",
            name.name
        );
        Derived::holds(NO_ENDPOINT_SLICES, "SelectorWithoutSlices", message)
    });
    let conditions = merge(&service.status.conditions, &OWN, derived.into_iter().collect(), moment);
    ServiceStatus {
        conditions,
        ..service.status.clone()
    }
}
