//! Status of a GatewayClass.

use super::condition::{ACCEPTED, Derived, Moment, SUPPORTED_VERSION, merge};
use crate::resource::{GatewayClass, GatewayClassStatus, SupportedFeature};
use crate::state::CONTROLLER_NAME;

/// Types that are ours in a GatewayClass that is ours.
pub(crate) const OWN: [&str; 2] = [ACCEPTED, SUPPORTED_VERSION];

/// Features of the Gateway API that are served, by the names of its conformance suite, sorted.
const FEATURES: [&str; 12] = [
    "BackendTLSPolicy",
    "BackendTLSPolicySANValidation",
    "Gateway",
    "GatewayAddressEmpty",
    "GatewayStaticAddresses",
    "ListenerSet",
    "ReferenceGrant",
    "TCPRoute",
    "TLSRoute",
    "TLSRouteModeMixed",
    "TLSRouteModeTerminate",
    "UDPRoute",
];

/// Whether this controller serves the class.
pub(crate) fn is_ours(class: &GatewayClass) -> bool {
    class.spec.controller_name == CONTROLLER_NAME
}

/// Why a class of ours cannot be used.
pub(crate) fn fault(class: &GatewayClass) -> Option<String> {
    let parameters = class.spec.parameters_ref.as_ref()?;
    Some(format!(
        "GatewayClass {:?} has spec.parametersRef {} {:?}, and no kind of parameters is known: remove it",
        class.metadata.name, parameters.kind, parameters.name
    ))
}

/// The status of a class of ours.
pub(crate) fn derive(class: &GatewayClass, moment: Moment) -> GatewayClassStatus {
    let accepted = match fault(class) {
        None => Derived::holds(
            ACCEPTED,
            "Accepted",
            "Gateways of this class are served by this cluster",
        ),
        Some(message) => Derived::fails(ACCEPTED, "InvalidParameters", message),
    };
    let version = Derived::holds(
        SUPPORTED_VERSION,
        "SupportedVersion",
        "gateway.networking.k8s.io/v1 is served as of Gateway API v1.6",
    );
    GatewayClassStatus {
        conditions: merge(&class.status.conditions, &OWN, vec![accepted, version], moment),
        supported_features: FEATURES
            .iter()
            .map(|name| SupportedFeature {
                name: (*name).to_owned(),
            })
            .collect(),
    }
}
