//! Which certificate a client is shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// A certificate that is fit for use, and the names in it.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) key: Arc<CertifiedKey>,
    /// Lower case; a wildcard begins with `*.`.
    pub(super) names: Vec<String>,
}

/// The certificates of a listener: exact name before wildcard before the first of the list, which is the default. Of several
/// with the same name (RSA beside ECDSA) the first whose key the client can verify.
#[derive(Debug)]
pub(super) struct Resolver {
    default: Arc<CertifiedKey>,
    named: BTreeMap<String, Vec<Arc<CertifiedKey>>>,
}

impl Resolver {
    /// `None` without certificates.
    pub(super) fn new(certificates: &[Arc<Served>]) -> Option<Resolver> {
        let default = Arc::clone(&certificates.first()?.key);
        let mut named: BTreeMap<String, Vec<Arc<CertifiedKey>>> = BTreeMap::new();
        for certificate in certificates {
            for name in &certificate.names {
                named
                    .entry(name.clone())
                    .or_default()
                    .push(Arc::clone(&certificate.key));
            }
        }
        Some(Resolver { default, named })
    }

    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Arc<CertifiedKey> {
        let exact = name.map(str::to_ascii_lowercase);
        // A wildcard stands for one label (RFC 9525, 6.3).
        let wildcard = exact
            .as_ref()
            .and_then(|name| name.split_once('.'))
            .map(|(_, parent)| format!("*.{parent}"));
        let candidates: Vec<&Arc<CertifiedKey>> = [exact, wildcard]
            .into_iter()
            .flatten()
            .filter_map(|name| self.named.get(&name))
            .flatten()
            .collect();
        let verifiable = candidates
            .iter()
            .find(|candidate| candidate.key.choose_scheme(schemes).is_some());
        verifiable
            .or(candidates.first())
            .map_or_else(|| Arc::clone(&self.default), |chosen| Arc::clone(chosen))
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.choose(hello.server_name(), hello.signature_schemes()))
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
    use rustls::pki_types::PrivateKeyDer;

    use super::*;

    fn served(algorithm: &'static rcgen::SignatureAlgorithm, names: &[&str]) -> Arc<Served> {
        let key = rcgen::KeyPair::generate_for(algorithm).expect("key");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("DER");
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).expect("kind");
        Arc::new(Served {
            key: Arc::new(CertifiedKey::new(Vec::new(), key)),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        })
    }

    #[test]
    fn exact_before_wildcard_before_the_first() {
        let all: Vec<Arc<Served>> = [
            served(&PKCS_ECDSA_P256_SHA256, &["first.test"]),
            served(&PKCS_ECDSA_P256_SHA256, &["*.shop.test"]),
            served(&PKCS_ECDSA_P256_SHA256, &["pay.shop.test"]),
            served(&PKCS_ED25519, &["pay.shop.test"]),
        ]
        .into();
        let resolver = Resolver::new(&all).expect("certificates");
        let nistp = &[SignatureScheme::ECDSA_NISTP256_SHA256][..];
        let edwards = &[SignatureScheme::ED25519][..];
        let cases: [(Option<&str>, &[SignatureScheme], usize); 8] = [
            (None, nistp, 0),
            (Some("other.test"), nistp, 0),
            (Some("first.test"), nistp, 0),
            (Some("WWW.shop.test"), nistp, 1),
            (Some("a.b.shop.test"), nistp, 0),
            (Some("shop.test"), nistp, 0),
            (Some("pay.shop.test"), nistp, 2),
            (Some("pay.shop.test"), edwards, 3),
        ];
        for (name, schemes, place) in cases {
            let chosen = resolver.choose(name, schemes);
            assert!(Arc::ptr_eq(&chosen, &all[place].key), "{name:?}");
        }
        assert!(Resolver::new(&[]).is_none());
    }
}
