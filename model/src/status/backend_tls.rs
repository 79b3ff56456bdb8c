//! Status of a BackendTLSPolicy, and which one a port of a Service has.
//!
//! Ancestors are the Gateways that send traffic to the Service by a TLSRoute; without any, the Service itself, so that a
//! policy is never without an answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::certificates::authorities;
use super::condition::{ACCEPTED, Derived, Moment, RESOLVED_REFS, enumerate};
use super::owner::Owner;
use super::policy::{as_ancestor, conflicted, rival, status, winner};
use crate::kind::Kind;
use crate::object::{Object, ObjectKey};
use crate::plan::{BackendTls, Roots};
use crate::resource::{
    AnyPolicy, BackendTlsPolicy, BackendTlsValidation, GATEWAY_GROUP, LocalObjectReference, ParentReference,
    PolicyStatus, PolicyTarget, Service, ServicePort,
};
use crate::sealing::Sealer;
use crate::state::State;
use crate::state::index::{Name, target_key};
use crate::status::backend_traffic::has_section;

/// What the references of a policy lead to.
struct Authorities {
    /// None of them can be used.
    roots: Option<Roots>,
    faults: Vec<(&'static str, String)>,
}

/// TLS toward the endpoints at a port of a Service; `None` without a policy. Authorities in Secrets are there if `sealer`
/// opens them. A policy that cannot be followed is an
/// error: its endpoints must not be talked to in another way.
///
/// # Errors
/// What is wrong with the policy.
pub(crate) fn tls(
    state: &State,
    service: &Service,
    port: &ServicePort,
    sealer: Option<&dyn Sealer>,
) -> Result<Option<BackendTls>, String> {
    let key = Name::of(&service.metadata).key(Kind::Service);
    let find = |section| winner(state, Kind::BackendTlsPolicy, &key, section);
    let found = find(Some(&port.name)).or_else(|| find(None));
    let Some(Object::BackendTlsPolicy(policy)) = found else {
        return Ok(None);
    };
    let refused = |problem: String| {
        let name = Name::of(&policy.metadata);
        format!("{key}: BackendTLSPolicy {name} cannot be followed: {problem}")
    };
    let validation = &policy.spec.validation;
    if let Some(problem) = unsupported(validation) {
        return Err(refused(problem));
    }
    let found = look_up(state, policy, sealer);
    let roots = found.roots.ok_or_else(|| refused(messages(&found.faults)))?;
    let names = validation.subject_alt_names.iter();
    Ok(Some(BackendTls {
        hostname: validation.hostname.clone(),
        alternative_names: names
            .filter_map(|name| name.hostname.clone().or_else(|| name.uri.clone()))
            .collect(),
        roots,
    }))
}

/// The status of a policy.
pub(crate) fn derive(state: &State, policy: &BackendTlsPolicy, moment: Moment) -> PolicyStatus {
    let any = AnyPolicy {
        kind: Kind::BackendTlsPolicy,
        metadata: &policy.metadata,
        targets: &policy.spec.target_refs,
        status: &policy.status,
    };
    let found = look_up(state, policy, None);
    let resolved = resolved(&found);
    let mut entries = Vec::new();
    for target in &policy.spec.target_refs {
        let accepted = accepted(state, policy, &any, target, &found);
        for ancestor in ancestors(state, target, &policy.metadata.namespace) {
            entries.push((ancestor, vec![accepted.clone(), resolved.clone()]));
        }
    }
    status(&any, entries, moment)
}

fn accepted(
    state: &State,
    policy: &BackendTlsPolicy,
    any: &AnyPolicy<'_>,
    target: &PolicyTarget,
    found: &Authorities,
) -> Derived {
    let key = target_key(target, &policy.metadata.namespace).filter(|key| key.kind == Kind::Service);
    let Some(key) = key else {
        let message = format!("a {} cannot be the target; use a Service", target.kind);
        return Derived::fails(ACCEPTED, "Invalid", message);
    };
    let Some(service) = state.get(&key) else {
        return Derived::fails(ACCEPTED, "TargetNotFound", format!("there is no {key}"));
    };
    if let Some(section) = &target.section_name
        && !has_section(service, section)
    {
        let message = format!("{key} has no port named {section:?}");
        return Derived::fails(ACCEPTED, "TargetNotFound", message);
    }
    if let Some(rival) = rival(state, any, target) {
        return conflicted(&rival);
    }
    if let Some(problem) = unsupported(&policy.spec.validation) {
        return Derived::fails(ACCEPTED, "Invalid", problem);
    }
    if found.roots.is_none() {
        let message = format!(
            "no authority can be trusted, so connections to the endpoints are refused: {}",
            messages(&found.faults)
        );
        return Derived::fails(ACCEPTED, "NoValidCACertificate", message);
    }
    let message = "endpoints are talked to by TLS where the TLS of clients ends here";
    Derived::holds(ACCEPTED, "Accepted", message)
}

fn resolved(found: &Authorities) -> Derived {
    match found.faults.first() {
        None => Derived::holds(RESOLVED_REFS, "ResolvedRefs", "every authority is there"),
        Some((reason, _)) => Derived::fails(RESOLVED_REFS, reason, messages(&found.faults)),
    }
}

fn messages(faults: &[(&'static str, String)]) -> String {
    let messages: Vec<&str> = faults.iter().map(|(_, message)| message.as_str()).collect();
    enumerate(&messages, "; ")
}

/// A way of validation that is not known.
fn unsupported(validation: &BackendTlsValidation) -> Option<String> {
    let named = validation.well_known_ca_certificates.as_deref()?;
    (named != BackendTlsValidation::SYSTEM).then(|| {
        format!("validation.wellKnownCACertificates is {named:?}, and only \"System\" is known: use that, or caCertificateRefs")
    })
}

/// The authorities of all references that lead to some.
fn look_up(state: &State, policy: &BackendTlsPolicy, sealer: Option<&dyn Sealer>) -> Authorities {
    let validation = &policy.spec.validation;
    if validation.well_known_ca_certificates.is_some() {
        return Authorities {
            roots: Some(Roots::System),
            faults: Vec::new(),
        };
    }
    let mut certificates = Vec::new();
    let mut some = false;
    let mut faults = Vec::new();
    for reference in &validation.ca_certificate_refs {
        match bundle(state, &policy.metadata.namespace, reference, sealer) {
            Ok(found) => {
                some = true;
                certificates.extend(found);
            }
            Err(fault) => faults.push(fault),
        }
    }
    if validation.ca_certificate_refs.is_empty() {
        let message = "neither validation.caCertificateRefs nor wellKnownCACertificates is set".to_owned();
        faults.push(("InvalidCACertificateRef", message));
    }
    Authorities {
        roots: some.then(|| Roots::Given(Arc::from(certificates))),
        faults,
    }
}

fn bundle(
    state: &State,
    namespace: &str,
    reference: &LocalObjectReference,
    sealer: Option<&dyn Sealer>,
) -> Result<Vec<Vec<u8>>, (&'static str, String)> {
    let name = Name::new(namespace, &reference.name);
    let kind = Kind::by_name(&reference.group, &reference.kind);
    let Some(kind) = kind.filter(|kind| matches!(kind, Kind::ConfigMap | Kind::Secret)) else {
        let message = format!(
            "kind {:?} of group {:?} holds no authorities; use a ConfigMap or a Secret with the key \"ca.crt\"",
            reference.kind, reference.group
        );
        return Err(("InvalidKind", message));
    };
    let key = name.key(kind);
    let invalid = |problem: String| ("InvalidCACertificateRef", format!("{key}: {problem}"));
    let object = state.get(&key).ok_or_else(|| invalid("it is not there".to_owned()))?;
    authorities(object, sealer).map_err(invalid)
}

/// Who sends traffic to the target.
fn ancestors(state: &State, target: &PolicyTarget, namespace: &str) -> Vec<ParentReference> {
    let mut gateways = BTreeSet::new();
    if let Some(service) = target_key(target, namespace) {
        let routes = state.index().routes_of_backend.of(&service);
        for route in routes.filter(|route| route.kind == Kind::TlsRoute) {
            gateways.extend(gateways_of(state, route));
        }
    }
    if gateways.is_empty() {
        return vec![as_ancestor(target, namespace)];
    }
    let gateways = gateways.into_iter().map(|gateway| ParentReference {
        group: GATEWAY_GROUP.to_owned(),
        kind: "Gateway".to_owned(),
        namespace: Some(gateway.namespace),
        name: gateway.name,
        section_name: None,
        port: None,
    });
    gateways.collect()
}

fn gateways_of(state: &State, route: &ObjectKey) -> BTreeSet<Name> {
    let points = state.index().attachments_of(route);
    let owners: BTreeSet<&ObjectKey> = points.iter().map(|(point, _)| &point.owner).collect();
    let owners = owners.into_iter().filter_map(|owner| Owner::of(state, owner));
    owners.map(|owner| Name::of(&owner.gateway.metadata)).collect()
}
