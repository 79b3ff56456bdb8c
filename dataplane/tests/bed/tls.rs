//! TLS for the tests: an authority and its certificates, clients, endpoints, and plans of TLS ports.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use guideway_dataplane::Config;
use guideway_model::node::SocketKey;
use guideway_model::plan::{
    BackendSettings, BackendTls, Certificate, ClientSettings, Entry, HostPattern, Listener, ListenerName,
    ListenerService, Pool, Roots, Route, TlsHandling, TlsListener, TlsPort, Upstream,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    SupportedProtocolVersion,
};

use super::endpoint::Endpoint;
use super::{Bed, Port, plans, with_deadline};

/// Both versions.
pub(crate) static VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];

pub(crate) type Client = StreamOwned<ClientConnection, TcpStream>;
pub(crate) type Server = StreamOwned<ServerConnection, TcpStream>;

/// Signs certificates, and may be trusted.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// A certificate with its key.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let key = KeyPair::generate().expect("key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "authority of the tests");
        let certificate = params.self_signed(&key).expect("signed").der().clone();
        Authority {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// A certificate for names and URIs.
    pub(crate) fn identity(&self, names: &[&str]) -> Identity {
        let key = KeyPair::generate().expect("key");
        let (uris, names): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| name.contains("://"));
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let mut params = CertificateParams::new(names).expect("names");
        for uri in uris {
            params
                .subject_alt_names
                .push(SanType::URI(uri.try_into().expect("URI")));
        }
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        Identity {
            chain: vec![certificate.der().clone()],
            key: key.serialize_der(),
            pem: key.serialize_pem(),
        }
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("root");
        roots
    }

    /// What a BackendTLSPolicy that trusts this authority says.
    pub(crate) fn policy(&self, hostname: &str, alternative_names: &[&str]) -> BackendTls {
        BackendTls {
            hostname: hostname.into(),
            alternative_names: alternative_names.iter().map(|name| (*name).to_owned()).collect(),
            roots: Roots::Given(vec![self.certificate.to_vec()].into()),
        }
    }

    /// Clients that trust this authority and speak these versions.
    pub(crate) fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(self.roots()), Arc::clone(&provider));
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions")
            .with_webpki_verifier(verifier.build().expect("verifier"))
            .with_no_client_auth();
        Arc::new(config)
    }
}

impl Identity {
    /// As a Secret holds it.
    pub(crate) fn secret(&self, origin: &str, version: &str) -> Arc<Certificate> {
        Arc::new(Certificate {
            origin: origin.into(),
            version: version.into(),
            chain: self.chain.iter().map(|one| one.to_vec()).collect(),
            key: self.pem.clone().into_bytes(),
        })
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::try_from(self.key.clone()).expect("DER");
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&VERSIONS)
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), key);
        Arc::new(config.expect("certificate"))
    }

    /// An endpoint that makes the handshake with this certificate and hands the stream over.
    pub(crate) fn endpoint(&self, behaviour: impl Fn(Server) + Send + Sync + 'static) -> Endpoint {
        let config = self.server();
        Endpoint::serve(move |socket| {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("connection");
            behaviour(StreamOwned::new(connection, socket));
        })
    }

    /// An endpoint that sends a word when the handshake is done, then echoes.
    pub(crate) fn echo(&self, word: &'static str) -> Endpoint {
        self.endpoint(move |mut stream| {
            if stream.write_all(word.as_bytes()).is_ok() {
                echo(stream);
            }
        })
    }
}

/// Sends back what comes, and answers the end with the end.
fn echo(mut stream: Server) {
    let mut chunk = vec![0; 64 << 10];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => {
                if stream.write_all(&chunk[..count]).is_err() {
                    return;
                }
            }
            Err(_) => return,
        }
    }
    say_goodbye(&mut stream.conn, &mut stream.sock);
}

/// Sends close_notify and nothing else.
pub(crate) fn say_goodbye<S>(connection: &mut rustls::ConnectionCommon<S>, socket: &mut TcpStream) {
    connection.send_close_notify();
    while connection.wants_write() {
        if connection.write_tls(socket).is_err() {
            return;
        }
    }
}

/// Dials and makes the handshake.
pub(crate) fn connect(address: SocketAddr, name: &str, config: &Arc<ClientConfig>) -> std::io::Result<Client> {
    let mut socket = with_deadline(TcpStream::connect(address)?);
    let name = ServerName::try_from(name.to_owned()).expect("name");
    let mut connection = ClientConnection::new(Arc::clone(config), name).expect("connection");
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(connection, socket))
}

/// The ClientHello that such a client would send.
pub(crate) fn client_hello(name: &str, config: &Arc<ClientConfig>) -> Vec<u8> {
    let name = ServerName::try_from(name.to_owned()).expect("name");
    let mut connection = ClientConnection::new(Arc::clone(config), name).expect("connection");
    let mut bytes = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut bytes).expect("memory");
    }
    bytes
}

/// Reads `count` bytes.
pub(crate) fn read_exactly(stream: &mut impl Read, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).expect("bytes in time");
    bytes
}

/// `*.x` is a wildcard, the empty name is any.
pub(crate) fn pattern(name: &str) -> HostPattern {
    match (name, name.strip_prefix("*.")) {
        ("", _) => HostPattern::Any,
        (_, Some(suffix)) => HostPattern::Wildcard(suffix.into()),
        (name, None) => HostPattern::Exact(name.into()),
    }
}

/// A route for a name, to be put into a listener.
pub(crate) fn route(name: &str, shares: &[plans::Share], tls: Option<BackendTls>) -> (HostPattern, Route) {
    let mut pool = Pool::clone(&plans::pool(shares, &BackendSettings::default()));
    let policy = Arc::new(Upstream {
        tls,
        ..Upstream::default()
    });
    for entry in &mut pool.entries {
        if let Entry::Endpoint { upstream, .. } = entry {
            *upstream = Arc::clone(&policy);
        }
    }
    let route = Route {
        namespace: "test".into(),
        name: format!("route-{}", name.replace('*', "any")),
        pool: Arc::new(pool),
    };
    (pattern(name), route)
}

/// A listener for a name, with its routes.
pub(crate) fn listener(name: &str, handling: TlsHandling, routes: &[(HostPattern, Route)]) -> TlsListener {
    TlsListener {
        name: ListenerName {
            namespace: "test".into(),
            gateway: "tls".into(),
            listener: format!("listener-{}", name.replace('*', "any")),
        },
        hostname: pattern(name),
        settings: Arc::new(ClientSettings::default()),
        handling,
        routes: routes.to_vec(),
    }
}

pub(crate) fn terminate(certificates: &[Arc<Certificate>]) -> TlsHandling {
    TlsHandling::Terminate {
        certificates: certificates.into(),
    }
}

pub(crate) fn port(socket: SocketKey, listeners: &[TlsListener]) -> Listener {
    Listener {
        socket,
        service: ListenerService::Tls(Arc::new(TlsPort {
            listeners: listeners.to_vec(),
        })),
    }
}

/// A data plane with one TLS port.
pub(crate) struct TlsBed {
    pub(crate) bed: Bed,
    pub(crate) port: Port,
}

impl TlsBed {
    pub(crate) fn start(config: Config, listeners: &[TlsListener]) -> TlsBed {
        let bed = TlsBed {
            bed: Bed::start(config),
            port: Port::reserve(),
        };
        bed.activate(1, listeners);
        bed.bed.wait_bound();
        bed
    }

    pub(crate) fn activate(&self, generation: u64, listeners: &[TlsListener]) {
        let plan = plans::plan(generation, &[port(self.port.loopback_key(), listeners)]);
        self.bed.activate(plan);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    pub(crate) fn dial(&self) -> TcpStream {
        super::dial(self.address())
    }

    pub(crate) fn connect(&self, name: &str, config: &Arc<ClientConfig>) -> std::io::Result<Client> {
        connect(self.address(), name, config)
    }
}
