//! TLS 1.3 between nodes, with a certificate at both ends.
//!
//! The server shows its certificate only to who names the cluster it wants, by the fingerprint of the authority, in the
//! server name of its hello: others get an alert and learn nothing. There is no resumption, since a resumed connection
//! would not be judged anew.

use std::sync::{Arc, OnceLock};

use guideway_identity::{Digest, fingerprint, parse_peer, verify_issued};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, DnsName, ServerName, UnixTime};

use crate::credentials::Credentials;
use crate::trust::{Caller, Stranger, Trust};

/// The protocol inside, with its version.
const PROTOCOL: &[u8] = b"guideway-peer/1";

/// What a caller needs to dial members.
#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    pub(super) name: ServerName<'static>,
    pub(super) config: Arc<ClientConfig>,
}

impl Dialer {
    /// A member's: it shows its certificate, and takes members only.
    pub(crate) fn of_member(credentials: &Credentials, trust: Arc<Trust>) -> Dialer {
        let authority = credentials.authority().fingerprint();
        let resolver = Own(credentials.clone());
        Dialer::new(authority, Arc::new(Servers::Members(trust)), Arc::new(resolver))
    }

    /// That of a node which joins, or of a command beside a node: it knows the authority by its fingerprint.
    pub(crate) fn pinned(authority: Digest, shown: Arc<CertifiedKey>) -> Dialer {
        Dialer::new(authority, Arc::new(Servers::Pinned(authority)), Arc::new(Shown(shown)))
    }

    fn new(authority: Digest, verifier: Arc<dyn ServerCertVerifier>, shown: Arc<dyn ResolvesClientCert>) -> Dialer {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has suites of TLS 1.3");
        let mut config = builder
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(shown);
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        config.resumption = Resumption::disabled();
        Dialer {
            name: ServerName::DnsName(cluster_name(authority)),
            config: Arc::new(config),
        }
    }
}

/// What a member needs to be dialled.
#[derive(Clone, Debug)]
pub(crate) struct Doorway {
    credentials: Credentials,
    trust: Arc<Trust>,
}

/// What became of one caller.
pub(super) type Verdict = Arc<OnceLock<Result<Caller, Stranger>>>;

impl Doorway {
    pub(crate) fn new(credentials: Credentials, trust: Arc<Trust>) -> Doorway {
        Doorway { credentials, trust }
    }

    pub(crate) fn trust(&self) -> &Arc<Trust> {
        &self.trust
    }

    /// The configuration for one connection, and where its caller will be found.
    pub(super) fn config(&self) -> (Arc<ServerConfig>, Verdict) {
        let verdict = Verdict::default();
        let verifier = AnyCaller {
            trust: self.trust.clone(),
            verdict: verdict.clone(),
        };
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has suites of TLS 1.3");
        let mut config = builder
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::new(Own(self.credentials.clone())));
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        config.send_tls13_tickets = 0;
        (Arc::new(config), verdict)
    }
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())).clone()
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    provider().signature_verification_algorithms
}

/// The server name that stands for a cluster.
fn cluster_name(authority: Digest) -> DnsName<'static> {
    let label = &authority.to_string()[..32];
    DnsName::try_from(format!("{label}.guideway.internal")).expect("hexadecimal digits are a label")
}

/// This node's certificate, whichever is in use.
#[derive(Debug)]
struct Own(Credentials);

impl ResolvesServerCert for Own {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let wanted = cluster_name(self.0.authority().fingerprint());
        let asked = hello.server_name()?;
        (asked == wanted.as_ref()).then(|| self.0.current().certified.clone())
    }
}

impl ResolvesClientCert for Own {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.current().certified.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A certificate that stays the same.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Takes members and joining nodes as clients.
#[derive(Debug)]
struct AnyCaller {
    trust: Arc<Trust>,
    verdict: Verdict,
}

impl ClientCertVerifier for AnyCaller {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Hints would name the cluster.
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let judged = self.trust.caller(&chain(leaf, others), true, now);
        let judged = self.verdict.get_or_init(|| judged);
        match judged {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(stranger) => Err(alert_for(stranger)),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken between nodes".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

/// The error whose alert says as much as the caller may know: why a member or a token is not let in any more.
fn alert_for(stranger: &Stranger) -> Error {
    use guideway_model::outcome::TokenFault;
    Error::InvalidCertificate(match stranger {
        Stranger::Removed(_) => CertificateError::Revoked,
        Stranger::Token {
            fault: TokenFault::Used,
            ..
        } => CertificateError::Revoked,
        Stranger::Expired => CertificateError::Expired,
        Stranger::Token {
            fault: TokenFault::Expired,
            ..
        } => CertificateError::Expired,
        Stranger::NoNode(_)
        | Stranger::Authority(_)
        | Stranger::OtherCluster(_)
        | Stranger::NoMember(_)
        | Stranger::OtherKey(_)
        | Stranger::Token {
            fault: TokenFault::Unknown,
            ..
        } => CertificateError::ApplicationVerificationFailure,
    })
}

/// Whom a caller takes as a server.
#[derive(Debug)]
enum Servers {
    /// Members.
    Members(Arc<Trust>),
    /// Any node whose authority has this fingerprint: a token says it, and who joins has no state yet.
    Pinned(Digest),
}

impl Servers {
    fn judge(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Error> {
        let stranger = |problem: &dyn std::fmt::Display| Error::General(problem.to_string());
        match self {
            Servers::Members(trust) => {
                let judged = trust.caller(chain, false, now);
                judged.map(|_| ()).map_err(|error| stranger(&error))
            }
            Servers::Pinned(authority) => {
                let mut others = chain.iter().skip(1);
                let authority = others.find(|certificate| fingerprint(certificate) == Ok(*authority));
                let authority = authority.ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
                verify_issued(chain, authority, now, true).map_err(|error| stranger(&error))?;
                let leaf = chain.first().map(AsRef::as_ref).unwrap_or_default();
                parse_peer(leaf).map(|_| ()).map_err(|error| stranger(&error))
            }
        }
    }
}

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // The name in the hello is the cluster's; the one in the certificate is a number and a cluster, and judged.
        self.judge(&chain(leaf, others), now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken between nodes".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

fn chain<'a>(leaf: &CertificateDer<'a>, others: &[CertificateDer<'a>]) -> Vec<CertificateDer<'a>> {
    std::iter::once(leaf).chain(others).cloned().collect()
}
