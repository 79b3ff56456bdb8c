//! The certificates that listeners refer to.

use super::grants::{not_permitted, permits};
use super::listener::terminates;
use super::owner::Owner;
use crate::certificate;
use crate::kind::Kind;
use crate::object::Object;
use crate::resource::{Listener, Secret, SecretReference};
use crate::sealing::{self, Sealer};
use crate::state::State;
use crate::state::host::HostKey;
use crate::state::index::{Name, secret_name};

/// What the certificateRefs of a listener lead to, in their order.
#[derive(Debug, Default)]
pub(crate) struct Certificates<'a> {
    /// Secrets with a chain and its key.
    pub(crate) valid: Vec<&'a Secret>,
    /// References that lead to none.
    pub(crate) faults: Vec<CertificateFault>,
}

/// A reference that leads to no certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateFault {
    pub(crate) reason: CertificateReason,
    pub(crate) message: String,
}

/// Reasons of `ResolvedRefs=False`; the least is reported, since permission must be put right before the rest can be
/// judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CertificateReason {
    RefNotPermitted,
    InvalidCertificateRef,
}

impl CertificateReason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            CertificateReason::RefNotPermitted => "RefNotPermitted",
            CertificateReason::InvalidCertificateRef => "InvalidCertificateRef",
        }
    }
}

/// Looks up the certificates of a listener where TLS ends.
pub(crate) fn certificates<'a>(state: &'a State, owner: &Owner<'_>, listener: &Listener) -> Certificates<'a> {
    let refs = listener.tls.as_ref().map_or(&[][..], |tls| &tls.certificate_refs);
    let mut found = Certificates::default();
    for reference in refs {
        match look_up(state, owner, reference) {
            Ok(secret) => found.valid.push(secret),
            Err(fault) => found.faults.push(fault),
        }
    }
    if refs.is_empty() {
        found.faults.push(CertificateFault {
            reason: CertificateReason::InvalidCertificateRef,
            message: "tls.certificateRefs is empty, and a listener of mode Terminate needs a certificate".to_owned(),
        });
    }
    found
}

/// Names that are looked at of one listener's certificates; what others share beyond them is not told.
const NAMES_COMPARED: usize = 64;

/// The names of the certificates that a listener shows, none where TLS does not end at it.
pub(crate) fn names(state: &State, owner: &Owner<'_>, listener: &Listener) -> Vec<HostKey> {
    if !terminates(listener) {
        return Vec::new();
    }
    let secrets = certificates(state, owner, listener).valid;
    let names = secrets.into_iter().flat_map(names_of);
    let names = names.map(|name| HostKey::of(Some(&name)));
    names.take(NAMES_COMPARED).collect()
}

/// The DNS names of a certificate that is valid.
fn names_of(secret: &Secret) -> Vec<String> {
    let facts = certificate::certificate_facts(secret);
    facts.map(|facts| facts.dns_names).unwrap_or_default()
}

fn look_up<'a>(
    state: &'a State,
    owner: &Owner<'_>,
    reference: &SecretReference,
) -> Result<&'a Secret, CertificateFault> {
    let name = secret_name(reference, &owner.key.namespace);
    let fault = |reason, problem: &str| CertificateFault {
        reason,
        message: format!("{} {name}: {problem}", reference.kind),
    };
    // Before anything is looked up: the answer must not tell whether an object exists in a namespace out of reach.
    if !permits(state, &owner.key, (&reference.group, &reference.kind), &name) {
        return Err(fault(
            CertificateReason::RefNotPermitted,
            &not_permitted(&owner.key, &name),
        ));
    }
    let invalid = |problem: &str| fault(CertificateReason::InvalidCertificateRef, problem);
    if Kind::by_name(&reference.group, &reference.kind) != Some(Kind::Secret) {
        let problem = format!(
            "kind {:?} of group {:?} holds no certificate; use a Secret",
            reference.kind, reference.group
        );
        return Err(invalid(&problem));
    }
    let secret = secret(state, &name).ok_or_else(|| invalid("there is no such Secret"))?;
    match certificate::certificate_facts(secret) {
        Ok(_) => Ok(secret),
        Err(problem) => Err(invalid(&problem)),
    }
}

/// The authorities (DER) in a ConfigMap or Secret. Of a sealed Secret that is not or cannot be opened it is none, and the
/// facts say whether there are some: a connection that nothing is trusted for is refused.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub(crate) fn authorities(object: &Object, sealer: Option<&dyn Sealer>) -> Result<Vec<Vec<u8>>, String> {
    let read = match object {
        Object::ConfigMap(map) => certificate::authorities_of_config_map(map),
        Object::Secret(secret) => {
            if let Some(sealed) = &secret.sealed {
                sealed.facts.authorities.clone()?;
            }
            match sealer.map(|sealer| sealing::open(secret, sealer)) {
                Some(Ok(opened)) => certificate::authorities_of_secret(&opened),
                None | Some(Err(_)) if secret.sealed.is_some() => Ok(Vec::new()),
                None | Some(Err(_)) => certificate::authorities_of_secret(secret),
            }
        }
        _ => return Err("it holds no authorities".to_owned()),
    };
    read.map_err(|fault| fault.to_string())
}

fn secret<'a>(state: &'a State, name: &Name) -> Option<&'a Secret> {
    match state.get(&name.key(Kind::Secret))? {
        Object::Secret(secret) => Some(secret),
        _ => None,
    }
}
