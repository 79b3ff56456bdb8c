//! Certificates and trust of one plan, as rustls takes them.
//!
//! Made by the control thread when it gives a plan, never by a relay thread: parsing keys and reading the machine's
//! authorities take their time. What the plan before had is taken over, so a change costs what has changed, and a
//! session keeps what it began with for as long as it lives.
//!
//! Sessions are resumed with stateless tickets. Their key is this process's own and changes every 6 hours; a ticket of
//! one node means nothing to another, whose client makes a full handshake there.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use guideway_model::Plan;
use guideway_model::plan::{BackendTls, Certificate, Entry, ListenerService, Roots, Route, TlsHandling, TlsListener};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::tls::resolver::{Resolver, Served};
use crate::tls::verifier::Verifier;

const VERSIONS: [&rustls::SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
/// Names of endpoints whose sessions may be resumed, for each BackendTLSPolicy; beyond them the oldest is forgotten.
const RESUMED: usize = 256;

/// Origin and version of a certificate.
type CertificateKey = (String, String);

/// Certificates and trust of one plan.
pub(crate) struct Credentials {
    provider: Arc<CryptoProvider>,
    tickets: Option<Arc<dyn ProducesTickets>>,
    certificates: BTreeMap<CertificateKey, Option<Arc<Served>>>,
    servers: BTreeMap<Vec<CertificateKey>, Option<Arc<ServerConfig>>>,
    clients: BTreeMap<BackendTls, Option<Trust>>,
    /// The machine's authorities, read when a plan first asks for them.
    system: Option<Arc<RootCertStore>>,
}

/// How endpoints under one BackendTLSPolicy are spoken to.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    /// SNI.
    pub(crate) name: ServerName<'static>,
    /// Roots and names.
    pub(crate) config: Arc<ClientConfig>,
}

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("the chain is empty")]
    NoChain,
    #[error("the private key is not PEM of a PKCS#8, PKCS#1 or SEC1 key: {0}")]
    NoKey(rustls::pki_types::pem::Error),
    #[error("the private key cannot be used: {0}")]
    Key(rustls::Error),
    #[error("the private key does not belong to the certificate: {0}")]
    Mismatch(rustls::Error),
    #[error("the certificate cannot be read: {0}")]
    Certificate(webpki::Error),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("certificates", &self.certificates.keys())
            .field("clients", &self.clients.keys())
            .finish_non_exhaustive()
    }
}

impl Default for Credentials {
    /// Those of a plan without TLS.
    fn default() -> Credentials {
        let tickets = rustls::crypto::aws_lc_rs::Ticketer::new();
        if let Err(error) = &tickets {
            tracing::error!(%error, "no key for session tickets; TLS sessions are not resumed");
        }
        Credentials {
            provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
            tickets: tickets.ok(),
            certificates: BTreeMap::new(),
            servers: BTreeMap::new(),
            clients: BTreeMap::new(),
            system: None,
        }
    }
}

impl Credentials {
    /// Those of `plan`; what `self` already has is taken over.
    pub(crate) fn renewed(&self, plan: &Plan) -> Credentials {
        let mut next = Credentials {
            provider: Arc::clone(&self.provider),
            tickets: self.tickets.clone(),
            certificates: BTreeMap::new(),
            servers: BTreeMap::new(),
            clients: BTreeMap::new(),
            system: self.system.clone(),
        };
        let ports = plan.listeners.iter().filter_map(|listener| match &listener.service {
            ListenerService::Tls(port) => Some(port),
            ListenerService::Opaque(_) => None,
        });
        for listener in ports.flat_map(|port| &port.listeners) {
            if let TlsHandling::Terminate { certificates } = &listener.handling {
                next.serve(certificates, self);
                for (_, route) in &listener.routes {
                    next.trust_endpoints(route, self);
                }
            }
        }
        next
    }

    /// What a listener whose TLS ends here serves; `None` if none of its certificates is fit for use.
    pub(crate) fn server(&self, listener: &TlsListener) -> Option<Arc<ServerConfig>> {
        match &listener.handling {
            TlsHandling::Terminate { certificates } => self.servers.get(&keys(certificates))?.clone(),
            TlsHandling::Passthrough => None,
        }
    }

    /// How endpoints under a BackendTLSPolicy are spoken to; `None` if its names or authorities are of no use.
    pub(crate) fn trust(&self, tls: &BackendTls) -> Option<Trust> {
        self.clients.get(tls)?.clone()
    }

    fn serve(&mut self, certificates: &[Arc<Certificate>], previous: &Credentials) {
        let keys = keys(certificates);
        let mut served = Vec::new();
        for (key, certificate) in keys.iter().zip(certificates) {
            let known = self.certificates.get(key).or_else(|| previous.certificates.get(key));
            let known = known.cloned().unwrap_or_else(|| self.parsed(certificate));
            served.extend(known.clone());
            self.certificates.insert(key.clone(), known);
        }
        let config = match previous.servers.get(&keys) {
            Some(config) => config.clone(),
            None => self.server_config(&served),
        };
        self.servers.insert(keys, config);
    }

    fn parsed(&self, certificate: &Certificate) -> Option<Arc<Served>> {
        match parse(certificate, &self.provider) {
            Ok(served) => Some(Arc::new(served)),
            Err(error) => {
                tracing::warn!(secret = certificate.origin, %error, "a certificate cannot be served");
                None
            }
        }
    }

    fn server_config(&self, served: &[Arc<Served>]) -> Option<Arc<ServerConfig>> {
        let resolver = Arc::new(Resolver::new(served)?);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider));
        // Fails only if the provider lacks suites for a version, and this one has them.
        let builder = builder.with_protocol_versions(&VERSIONS).ok()?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
        config.session_storage = Arc::new(NoServerSessionStorage {});
        match &self.tickets {
            Some(tickets) => config.ticketer = Arc::clone(tickets),
            None => config.send_tls13_tickets = 0,
        }
        Some(Arc::new(config))
    }

    fn trust_endpoints(&mut self, route: &Route, previous: &Credentials) {
        for entry in &route.pool.entries {
            let Entry::Endpoint { upstream, .. } = entry else {
                continue;
            };
            let Some(tls) = &upstream.tls else { continue };
            if self.clients.contains_key(tls) {
                continue;
            }
            let trust = match previous.clients.get(tls) {
                Some(trust) => trust.clone(),
                None => self.client_config(tls),
            };
            self.clients.insert(tls.clone(), trust);
        }
    }

    fn client_config(&mut self, tls: &BackendTls) -> Option<Trust> {
        let Ok(name) = ServerName::try_from(tls.hostname.clone()) else {
            tracing::warn!(
                hostname = tls.hostname,
                "the host name of a BackendTLSPolicy is no DNS name"
            );
            return None;
        };
        let roots = match &tls.roots {
            Roots::System => Arc::clone(self.system.get_or_insert_with(|| Arc::new(system_roots()))),
            Roots::Given(given) => Arc::new(given_roots(given, &tls.hostname)),
        };
        if roots.is_empty() {
            tracing::warn!(
                hostname = tls.hostname,
                "no authority is trusted; every handshake with its endpoints will fail"
            );
        }
        let verifier = Arc::new(Verifier {
            provider: Arc::clone(&self.provider),
            roots,
            alternative_names: tls.alternative_names.clone(),
        });
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider));
        let builder = builder.with_protocol_versions(&VERSIONS).ok()?;
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = builder.with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(RESUMED);
        Some(Trust {
            name,
            config: Arc::new(config),
        })
    }
}

fn keys(certificates: &[Arc<Certificate>]) -> Vec<CertificateKey> {
    let key = |certificate: &Arc<Certificate>| (certificate.origin.clone(), certificate.version.clone());
    certificates.iter().map(key).collect()
}

fn parse(certificate: &Certificate, provider: &CryptoProvider) -> Result<Served, Unfit> {
    let chain: Vec<CertificateDer<'static>> = certificate.chain.iter().cloned().map(CertificateDer::from).collect();
    let leaf = chain.first().ok_or(Unfit::NoChain)?;
    let parsed = webpki::EndEntityCert::try_from(leaf).map_err(Unfit::Certificate)?;
    let names = parsed.valid_dns_names().map(str::to_ascii_lowercase).collect();
    let key = PrivateKeyDer::from_pem_slice(&certificate.key).map_err(Unfit::NoKey)?;
    let key = provider.key_provider.load_private_key(key).map_err(Unfit::Key)?;
    let key = CertifiedKey::new(chain, key);
    key.keys_match().map_err(Unfit::Mismatch)?;
    Ok(Served {
        key: Arc::new(key),
        names,
    })
}

fn given_roots(given: &[Vec<u8>], hostname: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let (_, refused) = roots.add_parsable_certificates(given.iter().cloned().map(CertificateDer::from));
    if refused > 0 {
        tracing::warn!(
            hostname,
            refused,
            "certificates of authorities that cannot be read are left out"
        );
    }
    roots
}

fn system_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "the machine's certificate authorities cannot all be read");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    roots
}

#[cfg(test)]
mod tests;
