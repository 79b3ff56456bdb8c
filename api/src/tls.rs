//! TLS of the API: the node's certificate, and the authority whose clients are known.

use std::sync::{Arc, PoisonError, RwLock};

use guideway_identity::{UserIdentity, certificates, parse_user};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Application protocols, the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What new connections are accepted with; the certificate can be replaced while connections are open. Clones share it.
#[derive(Clone, Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    shown: Arc<Shown>,
}

/// The certificate that is shown, whatever name is asked for: the node has one.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Nothing under the lock panics.
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// An authority that a server cannot use.
#[derive(Debug, thiserror::Error)]
pub enum ServerTlsError {
    /// The PEM is damaged, or holds none.
    #[error("the cluster's authority is no certificate in PEM that can be read: {0}")]
    Authority(String),
    /// Clients cannot be verified by it.
    #[error("clients cannot be verified by the cluster's authority: {0}")]
    Clients(String),
}

impl ServerTls {
    /// Shows `certified`, and knows clients whose certificates `authority`, in PEM, issued.
    ///
    /// # Errors
    /// The authority cannot be read or used.
    pub fn new(authority: &str, certified: Arc<CertifiedKey>) -> Result<ServerTls, ServerTlsError> {
        let shown = Arc::new(Shown(RwLock::new(certified)));
        let config = Arc::new(config(authority, Arc::clone(&shown))?);
        Ok(ServerTls { config, shown })
    }

    /// Shows this certificate to new connections; open ones stay as they are.
    pub fn show(&self, certified: Arc<CertifiedKey>) {
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = certified;
    }

    /// Shakes hands. The client's certificate, if it sent one, was issued by the authority and is good now.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> std::io::Result<(TlsStream<TcpStream>, Option<UserIdentity>)> {
        let stream = TlsAcceptor::from(Arc::clone(&self.config)).accept(stream).await?;
        let certificates = stream.get_ref().1.peer_certificates();
        let user = match certificates.and_then(|chain| chain.first()) {
            Some(certificate) => Some(parse_user(certificate).map_err(std::io::Error::other)?),
            None => None,
        };
        Ok((stream, user))
    }
}

fn config(authority: &str, shown: Arc<Shown>) -> Result<ServerConfig, ServerTlsError> {
    let unreadable = |error: &dyn std::error::Error| ServerTlsError::Authority(error.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority).map_err(|error| unreadable(&error))? {
        roots.add(certificate).map_err(|error| unreadable(&error))?;
    }
    let unusable = |error: &dyn std::error::Error| ServerTlsError::Clients(error.to_string());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .map_err(|error| unusable(&error))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| unusable(&error))?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(shown);
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

/// Whether a failed handshake failed for the client's certificate.
pub(crate) fn is_about_certificate(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}
