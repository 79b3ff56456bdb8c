//! TLS of the API: the node's certificate, and the authority whose clients are known.

use std::sync::{Arc, PoisonError, RwLock};

use guideway_identity::{UserIdentity, certificates, parse_user};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Application protocols, the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What new connections are accepted with; it can be replaced while connections are open. Clones share it.
#[derive(Clone, Debug)]
pub struct ServerTls(Arc<RwLock<Arc<ServerConfig>>>);

/// Certificates or a key that a server cannot use.
#[derive(Debug, thiserror::Error)]
pub enum ServerTlsError {
    /// The PEM is damaged, or holds none.
    #[error("{what} holds no certificate in PEM that can be read: {problem}")]
    Certificate {
        /// Which file's content.
        what: &'static str,
        /// Why not.
        problem: String,
    },
    /// The PEM is damaged, or holds none.
    #[error("the node's key cannot be read: {0}")]
    Key(String),
    /// They do not go together.
    #[error("the node's certificate, its key and the cluster's authority cannot be used: {0}")]
    Config(String),
}

impl ServerTls {
    /// Serves with `chain` and `key`, and knows clients whose certificates `authority` issued; all are PEM.
    ///
    /// # Errors
    /// Something cannot be read, or does not go together.
    pub fn new(authority: &str, chain: &str, key: &str) -> Result<ServerTls, ServerTlsError> {
        let config = config(authority, chain, key)?;
        Ok(ServerTls(Arc::new(RwLock::new(Arc::new(config)))))
    }

    /// Serves new connections with these instead; open ones stay as they are.
    ///
    /// # Errors
    /// Something cannot be read, or does not go together: then all stays as it was.
    pub fn replace(&self, authority: &str, chain: &str, key: &str) -> Result<(), ServerTlsError> {
        let config = Arc::new(config(authority, chain, key)?);
        // Nothing under the lock panics.
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Shakes hands. The client's certificate, if it sent one, was issued by the authority and is good now.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> std::io::Result<(TlsStream<TcpStream>, Option<UserIdentity>)> {
        let config = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        let certificates = stream.get_ref().1.peer_certificates();
        let user = match certificates.and_then(|chain| chain.first()) {
            Some(certificate) => Some(parse_user(certificate).map_err(std::io::Error::other)?),
            None => None,
        };
        Ok((stream, user))
    }
}

fn config(authority: &str, chain: &str, key: &str) -> Result<ServerConfig, ServerTlsError> {
    let read = |what: &'static str, pem: &str| {
        let found = certificates(pem).map_err(|error| ServerTlsError::Certificate {
            what,
            problem: error.to_string(),
        })?;
        match found.is_empty() {
            true => Err(ServerTlsError::Certificate {
                what,
                problem: "there is no CERTIFICATE block".to_owned(),
            }),
            false => Ok(found),
        }
    };
    let unusable = |error: &dyn std::error::Error| ServerTlsError::Config(error.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in read("the cluster's authority", authority)? {
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    let chain = read("the node's certificate", chain)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| ServerTlsError::Key(error.to_string()))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .map_err(|error| unusable(&error))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| unusable(&error))?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(|error| unusable(&error))?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

/// Whether a failed handshake failed for the client's certificate.
pub(crate) fn is_about_certificate(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}
