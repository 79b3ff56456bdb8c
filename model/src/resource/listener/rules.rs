//! Rules of listeners, in the words of the standard's CEL messages.

use super::{Listener, TlsMode};
use crate::faults::Faults;
use crate::resource::rules::repeated;

/// Checks `spec.listeners` of a Gateway or a ListenerSet; the words of the standard are the same for both.
pub(in crate::resource) fn check_listeners(listeners: &[Listener], faults: &mut Faults) {
    const PATH: &str = "spec.listeners";
    for (index, listener) in listeners.iter().enumerate() {
        let protocol = listener.protocol.as_str();
        let named = format!("listener {:?} has protocol {protocol}", listener.name);
        if matches!(protocol, "HTTP" | "TCP" | "UDP") && listener.tls.is_some() {
            let message = "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']";
            faults.broken_rule(PATH, message, &named);
        }
        let mode = listener.tls.as_ref().map(|tls| tls.mode);
        if protocol == "HTTPS" && mode == Some(TlsMode::Passthrough) {
            faults.broken_rule(PATH, "tls mode must be Terminate for protocol HTTPS", &named);
        }
        if protocol == "TLS" && mode.is_none() {
            faults.broken_rule(PATH, "tls mode must be set for protocol TLS", &named);
        }
        if matches!(protocol, "TCP" | "UDP") && listener.hostname.as_ref().is_some_and(|name| !name.is_empty()) {
            let message = "hostname must not be specified for protocols ['TCP', 'UDP']";
            faults.broken_rule(PATH, message, &named);
        }
        check_listener(listener, &format!("{PATH}[{index}]"), faults);
    }
    if let Some((_, first)) = repeated(listeners.iter().map(|listener| &listener.name)).first() {
        faults.broken_rule(
            PATH,
            "Listener name must be unique within the Gateway",
            format_args!("{:?} is there more than once", listeners[*first].name),
        );
    }
    let distinct = |listener: &Listener| (listener.port, listener.protocol.clone(), listener.hostname.clone());
    if let Some((second, first)) = repeated(listeners.iter().map(distinct)).first() {
        faults.broken_rule(
            PATH,
            "Combination of port, protocol and hostname must be unique for each listener",
            format_args!(
                "listeners {:?} and {:?} are both {} port {}",
                listeners[*first].name, listeners[*second].name, listeners[*first].protocol, listeners[*first].port
            ),
        );
    }
}

fn check_listener(listener: &Listener, path: &str, faults: &mut Faults) {
    if let Some(tls) = &listener.tls
        && tls.mode == TlsMode::Terminate
        && tls.certificate_refs.is_empty()
        && tls.options.is_empty()
    {
        faults.broken_rule(
            format!("{path}.tls"),
            "certificateRefs or options must be specified when mode is Terminate",
            format_args!("listener {:?} has neither", listener.name),
        );
    }
    if let Some(selector) = &listener.allowed_routes.namespaces.selector {
        selector.check(&format!("{path}.allowedRoutes.namespaces.selector"), faults);
    }
}
