//! TLS: whose certificates are known, what becomes of others, and how the node's own is replaced.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use guideway_api::{AuditLog, Limits, ServerTls, Transport};
use guideway_identity::{Authority, Key, NodeSubject, UserSubject, Validity};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::http::response::Parts;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::client::DEADLINE;
use crate::cluster::{MemoryCluster, ROOT, Server};

const HOUR: Duration = Duration::from_secs(3600);

fn now() -> UnixTime {
    UnixTime::since_unix_epoch(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970"))
}

fn authority() -> Authority {
    Authority::create("cluster", now()).expect("an authority")
}

/// The certificate of a node, with its key.
fn node(authority: &Authority) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let subject = NodeSubject {
        cluster: "cluster".to_owned(),
        number: 1,
        name: "one".to_owned(),
        dns: Vec::new(),
        ips: vec![Ipv4Addr::LOCALHOST.into()],
    };
    let key = Key::generate().expect("a key");
    let chain = authority.issue_node(&subject, &key.public(), Validity::starting(now(), HOUR));
    let chain = CertificateDer::pem_slice_iter(chain.expect("a certificate").as_bytes()).collect::<Result<_, _>>();
    (chain.expect("PEM"), key.der())
}

fn certified(authority: &Authority) -> Arc<CertifiedKey> {
    let (chain, key) = node(authority);
    let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
    Arc::new(certified.expect("they go together"))
}

fn tls(authority: &Authority) -> ServerTls {
    ServerTls::new(authority.certificate_pem(), certified(authority)).expect("usable")
}

async fn serve(tls: ServerTls, limits: Limits) -> Server {
    let cluster = Arc::new(MemoryCluster::new());
    Server::with(cluster, limits, Transport::Tls(tls), AuditLog::off()).await
}

/// A client that trusts `authority`, with a certificate that `issuer` gave it.
fn client(
    authority: &Authority,
    issued: Option<(&Authority, &str, &[&str], Validity)>,
    version: &'static SupportedProtocolVersion,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone()).expect("an authority");
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots);
    let Some((issuer, user, groups, validity)) = issued else {
        return builder.with_no_client_auth();
    };
    let subject = UserSubject {
        user: user.to_owned(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    };
    let (chain, key) = issuer.issue_user(&subject, validity).expect("a certificate");
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes())
        .collect::<Result<_, _>>()
        .expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
    builder.with_client_auth_cert(chain, key).expect("they go together")
}

/// Who the server says one is; `Err` where there is no connection.
async fn whoami(address: SocketAddr, config: ClientConfig) -> Result<(u16, Value), String> {
    let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}).to_string();
    let request = Request::post("/apis/authentication.k8s.io/v1/selfsubjectreviews")
        .header("host", "one")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))
        .expect("a request");
    let (head, text) = ask(address, config, request).await?;
    Ok((head.status.as_u16(), serde_json::from_str(&text).expect("JSON")))
}

/// The answer to one request on a connection of its own.
async fn ask(
    address: SocketAddr,
    config: ClientConfig,
    request: Request<Full<Bytes>>,
) -> Result<(Parts, String), String> {
    let asked = async {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        let name = ServerName::from(address.ip());
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        let stream = stream.map_err(|error| error.to_string())?;
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?;
        Ok((head, String::from_utf8(body.to_bytes().to_vec()).expect("UTF-8")))
    };
    timeout(DEADLINE, asked).await.expect("in time")
}

fn good() -> Validity {
    Validity::starting(now(), HOUR)
}

#[tokio::test]
async fn a_certificate_of_the_cluster_says_who_one_is() {
    let authority = authority();
    let server = serve(tls(&authority), Limits::default()).await;
    for version in [&TLS12, &TLS13] {
        let jane = client(
            &authority,
            Some((&authority, "jane", &["team", "ops"], good())),
            version,
        );
        let (code, review) = whoami(server.address, jane).await.expect("answered");
        assert_eq!(code, 201);
        let user = &review["status"]["userInfo"];
        assert_eq!(user["username"], "jane");
        assert_eq!(user["groups"], json!(["team", "ops", "system:authenticated"]));
        let (code, _) = whoami(server.address, client(&authority, None, version))
            .await
            .expect("answered");
        assert_eq!(code, 401);
    }
}

#[tokio::test]
async fn a_certificate_of_another_cluster_or_time_is_refused() {
    let (authority, other) = (authority(), authority());
    let server = serve(tls(&authority), Limits::default()).await;
    let ended = Validity::starting(UnixTime::since_unix_epoch(Duration::from_secs(1_600_000_000)), HOUR);
    for issued in [
        (&other, "root", &["system:masters"][..], good()),
        (&authority, "root", &["system:masters"][..], ended),
    ] {
        let error = whoami(server.address, client(&authority, Some(issued), &TLS13)).await;
        assert!(error.is_err(), "{error:?}");
    }
}

#[tokio::test]
async fn the_certificate_of_a_node_gives_it_nothing_here() {
    let authority = authority();
    let server = serve(tls(&authority), Limits::default()).await;
    let (chain, key) = node(&authority);
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone()).expect("an authority");
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .expect("they go together");
    let (_, review) = whoami(server.address, config).await.expect("answered");
    assert_eq!(review["status"]["userInfo"]["username"], "system:node:one");
    assert_eq!(
        review["status"]["userInfo"]["groups"],
        json!(["system:nodes", "system:authenticated"])
    );
}

#[tokio::test]
async fn new_connections_get_the_new_certificate() {
    let (authority, other) = (authority(), authority());
    let tls = tls(&authority);
    let server = serve(tls.clone(), Limits::default()).await;
    let trusts = |trusted: &Authority| client(trusted, Some((&authority, "jane", &[], good())), &TLS13);
    assert!(whoami(server.address, trusts(&authority)).await.is_ok());
    tls.show(certified(&other));
    assert!(whoami(server.address, trusts(&authority)).await.is_err());
    assert!(
        whoami(server.address, trusts(&other)).await.is_ok(),
        "clients are those of the same authority"
    );
}

#[tokio::test]
async fn by_tls_the_cookie_of_the_dashboard_is_for_tls_alone() {
    let authority = authority();
    let server = serve(tls(&authority), Limits::default()).await;
    let request = |method: Method, headers: &[(&str, &str)]| {
        let mut request = Request::builder().method(method).uri("/sign-in").header("host", "one");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Full::default()).expect("a request")
    };
    let nobody = || client(&authority, None, &TLS13);
    let token = format!("Bearer {}", ROOT.text());
    let shown = request(Method::POST, &[("authorization", &token)]);
    let (head, text) = ask(server.address, nobody(), shown).await.expect("answered");
    assert_eq!(head.status, 200, "{text}");
    let set = head.headers["set-cookie"].to_str().expect("text");
    let ends = "; Path=/; Max-Age=900; HttpOnly; SameSite=Strict; Secure";
    assert!(set.starts_with("__Host-guideway=") && set.ends_with(ends), "{set}");
    let cookie = set.split(';').next().expect("a part");
    let plain = cookie.replace("__Host-", "");
    for (cookie, code) in [(cookie, 200), (&*plain, 401)] {
        let sent = request(Method::GET, &[("cookie", cookie)]);
        let (head, text) = ask(server.address, nobody(), sent).await.expect("answered");
        assert_eq!(head.status, code, "{text}");
    }
}

#[tokio::test]
async fn another_page_does_not_use_the_certificate_of_a_browser() {
    let authority = authority();
    let server = serve(tls(&authority), Limits::default()).await;
    for (name, value, code) in [
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-origin", 200),
        ("origin", "https://another", 403),
        ("origin", "https://one", 200),
        ("user-agent", "kubectl", 200),
    ] {
        let issued = Some((&authority, "jane", &["system:masters"][..], good()));
        let path = "/api/v1/namespaces/default/services";
        let request = Request::get(path).header("host", "one").header(name, value);
        let request = request.body(Full::default()).expect("a request");
        let jane = client(&authority, issued, &TLS13);
        let (head, text) = ask(server.address, jane, request).await.expect("answered");
        assert_eq!(head.status, code, "{name}: {value}: {text}");
    }
}

#[tokio::test]
async fn a_watch_ends_with_the_certificate_by_which_it_began() {
    let authority = authority();
    let server = serve(tls(&authority), Limits::default()).await;
    // On a machine that takes longer than that to begin, the next certificate gets more time.
    for seconds in [2, 10, 20] {
        let soon = Validity::starting(now(), Duration::from_secs(seconds));
        let issued = Some((&authority, "jane", &["system:masters"][..], soon));
        let path = "/api/v1/namespaces/default/services?watch=true";
        let request = Request::get(path).header("host", "one").body(Full::default());
        let jane = client(&authority, issued, &TLS13);
        match ask(server.address, jane, request.expect("a request")).await {
            Ok((head, text)) if head.status == 200 => {
                let last: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
                assert_eq!(
                    (&last["type"], &last["object"]["code"]),
                    (&json!("ERROR"), &json!(401)),
                    "{text}"
                );
                return;
            }
            Ok((head, text)) => assert_eq!(head.status, 401, "{text}"),
            Err(_too_late_to_shake_hands) => {}
        }
    }
    panic!("no watch began within 20 seconds");
}

#[tokio::test]
async fn who_never_shakes_hands_is_cut_off() {
    let limits = Limits {
        handshake_timeout: Duration::from_millis(50),
        handshakes: 1,
        ..Limits::default()
    };
    let authority = authority();
    let server = serve(tls(&authority), limits).await;
    let mut silent = TcpStream::connect(server.address).await.expect("connected");
    let mut bytes = Vec::new();
    let ended = timeout(DEADLINE, silent.read_to_end(&mut bytes))
        .await
        .expect("cut off");
    assert!(ended.is_err() || bytes.is_empty());
}
