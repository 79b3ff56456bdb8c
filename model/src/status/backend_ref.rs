//! What a backendRef leads to, or why it leads nowhere.

use super::grants::{not_permitted, permits};
use crate::kind::Kind;
use crate::object::{Object, ObjectKey};
use crate::resource::{Backend, BackendRef, IpProtocol, Service, ServicePort, ServiceType};
use crate::state::State;
use crate::state::index::Name;

/// The referent of a valid backendRef.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Referent<'a> {
    /// A port of a Service.
    Service(&'a Service, &'a ServicePort),
    /// A Backend; with a port, only its endpoints at that port.
    Backend(&'a Backend, Option<u16>),
}

/// Why a backendRef leads nowhere: its share of the traffic is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefFault {
    pub(crate) reason: RefReason,
    /// Which ref and what is wrong with it.
    pub(crate) message: String,
}

/// Reasons of `ResolvedRefs=False`. The Gateway API gives no order for several at once; the least is reported, since
/// permission and kind must be put right before the rest can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RefReason {
    RefNotPermitted,
    InvalidKind,
    BackendNotFound,
    UnsupportedProtocol,
}

impl RefReason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            RefReason::RefNotPermitted => "RefNotPermitted",
            RefReason::InvalidKind => "InvalidKind",
            RefReason::BackendNotFound => "BackendNotFound",
            RefReason::UnsupportedProtocol => "UnsupportedProtocol",
        }
    }
}

/// The transport protocol of the endpoints of a kind of route.
pub(crate) fn protocol_of(route: Kind) -> IpProtocol {
    match route {
        Kind::UdpRoute => IpProtocol::Udp,
        _ => IpProtocol::Tcp,
    }
}

/// Finds what `backend` of `route` leads to.
pub(crate) fn resolve<'a>(state: &'a State, route: &ObjectKey, backend: &BackendRef) -> Result<Referent<'a>, RefFault> {
    let name = Name::new(backend.namespace_or(&route.namespace), &backend.name);
    let fault = |reason, problem: String| RefFault {
        reason,
        message: format!("{} {name}: {problem}", backend.kind),
    };
    // Before anything is looked up: the answer must not tell whether an object exists in a namespace out of reach.
    if !permits(state, route, (&backend.group, &backend.kind), &name) {
        return Err(fault(RefReason::RefNotPermitted, not_permitted(route, &name)));
    }
    if backend.is_service() {
        let Some(Object::Service(service)) = state.get(&name.key(Kind::Service)) else {
            return Err(fault(RefReason::BackendNotFound, "there is no such Service".to_owned()));
        };
        service_port(service, backend.port, protocol_of(route.kind))
            .map(|port| Referent::Service(service, port))
            .map_err(|(reason, problem)| fault(reason, problem))
    } else if backend.is_backend() {
        let Some(Object::Backend(found)) = state.get(&name.key(Kind::Backend)) else {
            return Err(fault(RefReason::BackendNotFound, "there is no such Backend".to_owned()));
        };
        if let Some(port) = backend.port
            && !found.spec.endpoints.iter().any(|endpoint| endpoint.port == port)
        {
            let problem = format!("it has no endpoint at port {port}; leave out the port to use all its endpoints");
            return Err(fault(RefReason::BackendNotFound, problem));
        }
        Ok(Referent::Backend(found, backend.port))
    } else {
        let problem = format!(
            "kind {:?} of group {:?} cannot be a backend; use a Service or a Backend of group \"guideway.dev\"",
            backend.kind, backend.group
        );
        Err(fault(RefReason::InvalidKind, problem))
    }
}

fn service_port(
    service: &Service,
    port: Option<u16>,
    protocol: IpProtocol,
) -> Result<&ServicePort, (RefReason, String)> {
    if service.spec.service_type == ServiceType::ExternalName {
        let problem = "it is of type ExternalName, which has no endpoints; use a Backend with the DNS name";
        return Err((RefReason::BackendNotFound, problem.to_owned()));
    }
    let Some(port) = port else {
        return Err((RefReason::BackendNotFound, "the reference names no port".to_owned()));
    };
    let mut with_number = service
        .spec
        .ports
        .iter()
        .filter(|candidate| candidate.port == port)
        .peekable();
    if with_number.peek().is_none() {
        return Err((RefReason::BackendNotFound, format!("it has no port {port}")));
    }
    with_number
        .find(|candidate| candidate.protocol == protocol)
        .ok_or_else(|| {
            let wanted = match protocol {
                IpProtocol::Udp => "UDP",
                _ => "TCP",
            };
            (
                RefReason::UnsupportedProtocol,
                format!("its port {port} is not {wanted}"),
            )
        })
}
