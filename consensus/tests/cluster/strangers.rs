//! Who is no member gets in nowhere and learns nothing; who was one gets in no longer.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use guideway_consensus::{JoinError, Tuning};
use guideway_identity::{Authority, Digest, JoinToken, Joiner, Key, NodeSubject, Validity, certificates};
use guideway_model::outcome::TokenFault;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{AlertDescription, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::fixture::{Cluster, PATIENCE, eventually, facts, free_port, joining};

/// Takes any server: what is tried here is the server.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

type Shown = Option<(Vec<CertificateDer<'static>>, Key)>;

/// What a caller gets: how many bytes inside TLS, and how it ended.
async fn knock(address: &str, name: &str, shown: Shown) -> (usize, io::Error) {
    match enter(address, name, shown).await {
        Ok(stream) => stay(stream).await,
        Err(error) => (0, error),
    }
}

/// Shakes hands and waits for the first byte.
async fn enter(address: &str, name: &str, shown: Shown) -> io::Result<TlsStream<TcpStream>> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone));
    let mut config = match shown {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key.der()).expect("a key"),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"guideway-peer/1".to_vec()];
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let stream = TcpStream::connect(address).await.expect("it listens");
    let talk = async {
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        stream.read_u8().await?;
        Ok(stream)
    };
    tokio::time::timeout(PATIENCE, talk).await.expect("it ends by itself")
}

/// Speaks HTTP/2 a little and then reads to the end, which comes when nothing more is said.
async fn stay(mut stream: TlsStream<TcpStream>) -> (usize, io::Error) {
    let talk = async {
        let mut bytes = Vec::new();
        // The server may have gone before it reads this.
        drop(
            stream
                .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
                .await,
        );
        let error = stream.read_to_end(&mut bytes).await;
        (
            bytes.len() + 1,
            error.err().unwrap_or(io::ErrorKind::UnexpectedEof.into()),
        )
    };
    tokio::time::timeout(PATIENCE, talk).await.expect("it ends by itself")
}

fn alert(error: &io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref::<Error>()? {
        Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

fn authority(data_dir: &Path) -> Authority {
    guideway_consensus::authority(data_dir).expect("it is there")
}

/// The name by which members ask for a cluster.
fn cluster_name(authority: Digest) -> String {
    format!("{}.guideway.internal", &authority.to_string()[..32])
}

fn issue(authority: &Authority, cluster: &str, number: u64, validity: Validity) -> Shown {
    let key = Key::generate().expect("a key");
    let subject = NodeSubject {
        cluster: cluster.to_owned(),
        number,
        name: "mallory".to_owned(),
        dns: Vec::new(),
        ips: Vec::new(),
    };
    let chain = authority.issue_node(&subject, &key.public(), validity).expect("issued");
    Some((certificates(&chain).expect("PEM"), key))
}

fn own(data_dir: &Path) -> Shown {
    let read = |name: &str| std::fs::read_to_string(data_dir.join("identity").join(name)).expect("it is there");
    let key = Key::from_pem(&read("node.key")).expect("a key");
    Some((certificates(&read("node.crt")).expect("PEM"), key))
}

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_gets_an_alert_and_no_byte() {
    let cluster = Cluster::start(2, Tuning::default()).await;
    let member = &cluster.members[0];
    let address = member.facts.peer_address.as_str();
    let authority = authority(&member.data_dir);
    let name = cluster_name(authority.fingerprint());
    let id = member.state().cluster().expect("initialised").0.clone();
    let now = UnixTime::now();
    let good = || Validity::starting(now, DAY);
    let ended = Validity {
        not_before: UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs() - 7200)),
        not_after: UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs() - 3600)),
    };
    let other = Authority::create(&id, now).expect("another authority of the same name");
    let token = JoinToken::create(authority.fingerprint(), Vec::new(), now).expect("a token");
    let key = Key::generate().expect("a key");
    let made_up = Joiner::certificate(&token, &key, now).expect("a certificate");
    let refused = AlertDescription::AccessDenied;
    let cases: Vec<(&str, &str, Shown, AlertDescription)> = vec![
        ("no certificate", &name, None, AlertDescription::CertificateRequired),
        (
            "one of another authority",
            &name,
            issue(&other, &id, 1, good()),
            refused,
        ),
        (
            "one of another cluster",
            &name,
            issue(&authority, "other", 1, good()),
            refused,
        ),
        (
            "one that has ended",
            &name,
            issue(&authority, &id, 1, ended),
            AlertDescription::CertificateExpired,
        ),
        (
            "a number that never was",
            &name,
            issue(&authority, &id, 9, good()),
            refused,
        ),
        (
            "a member's number with another key",
            &name,
            issue(&authority, &id, 1, good()),
            refused,
        ),
        ("a token that is made up", &name, Some((vec![made_up], key)), refused),
        (
            "a member that asks for no cluster",
            "example.org",
            own(&member.data_dir),
            refused,
        ),
    ];
    for (what, name, shown, wanted) in cases {
        let (bytes, error) = knock(address, name, shown).await;
        assert_eq!((bytes, alert(&error)), (0, Some(wanted)), "{what}: {error}");
    }
    let (bytes, _) = knock(address, &name, own(&member.data_dir)).await;
    assert!(
        bytes > 0,
        "a member's own certificate opens: the cases above are refused for what they are"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_tls_is_answered_by_no_http() {
    let cluster = Cluster::start(1, Tuning::default()).await;
    for hello in [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        b"POST /v1/join HTTP/1.1\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(&cluster.members[0].facts.peer_address)
            .await
            .expect("it listens");
        stream.write_all(hello).await.expect("sent");
        let mut bytes = Vec::new();
        // A connection that is closed with bytes unread may be reset.
        drop(
            tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes))
                .await
                .expect("it ends by itself"),
        );
        // Nothing, or a TLS alert.
        assert!(bytes.is_empty() || bytes[0] == 21 && bytes.len() == 7, "{bytes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_once() {
    let mut cluster = Cluster::start(1, Tuning::default()).await;
    let token = cluster.members[0].token().await;
    let ip = "127.0.0.1".parse().expect("an address");
    let folders = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
    let ask = |folder: &Path, name: &str, token: &JoinToken| {
        let wanted = joining(token.clone(), facts(name, (ip, free_port(ip)).into()));
        let folder = folder.to_owned();
        async move { guideway_consensus::join(&folder, wanted).await }
    };
    ask(folders[0].path(), "first", &token).await.expect("a place");
    let replayed = ask(folders[1].path(), "second", &token).await.expect_err("it was used");
    assert!(
        matches!(
            replayed,
            JoinError::Token {
                fault: TokenFault::Used,
                ..
            }
        ),
        "{replayed}"
    );
    assert!(!folders[1].path().join("identity.json").exists());

    let short = cluster.members[0].node();
    let short = short
        .invite(&cluster.members[0].facts.peer_address, Duration::from_secs(1))
        .await
        .expect("a token");
    eventually("the token has expired", || {
        let (short, folder) = (short.clone(), folders[1].path().to_owned());
        let asked = ask(&folder, "second", &short);
        async move {
            // Until then it opens: for the same node, again and again.
            match asked.await {
                Err(JoinError::Token {
                    fault: TokenFault::Expired,
                    ..
                }) => true,
                Ok(_) => false,
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await;

    let other = Authority::create("other", UnixTime::now()).expect("an authority");
    let asked = cluster.members[0].facts.peer_address.clone();
    let foreign = JoinToken::create(other.fingerprint(), vec![asked], token.expires()).expect("a token");
    let refused = ask(folders[2].path(), "third", &foreign)
        .await
        .expect_err("of another cluster");
    assert!(
        matches!(refused, JoinError::Unreachable { .. } | JoinError::Token { .. }),
        "{refused}"
    );
    cluster.members[0].crash();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_member_is_out_at_once() {
    let mut cluster = Cluster::start(3, Tuning::default()).await;
    let leader = cluster.leader().await;
    let (gone, stays) = ((leader + 1) % 3, (leader + 2) % 3);
    let name = cluster_name(authority(&cluster.members[stays].data_dir).fingerprint());
    let id = cluster.members[gone].id;
    let address = cluster.members[stays].facts.peer_address.clone();
    let certificate = own(&cluster.members[gone].data_dir);
    let open = enter(&address, &name, own(&cluster.members[gone].data_dir)).await;
    let open = open.expect("it is a member still");
    cluster.members[leader].node().remove_node(id).await.expect("removed");
    stay(open).await;
    eventually("every member has heard", || async {
        [leader, stays]
            .iter()
            .all(|member| cluster.members[*member].state().node(id).is_none())
    })
    .await;
    let (bytes, error) = knock(&address, &name, certificate).await;
    assert_eq!(
        (bytes, alert(&error)),
        (0, Some(AlertDescription::CertificateRevoked)),
        "{error}"
    );
    cluster.members[gone].crash();
    cluster.voters(2).await;
}

/// It has heard of neither the member that joined nor the keys that are in use now; one member it knows is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_away_hears_of_the_others() {
    let mut cluster = Cluster::start(3, Tuning::default()).await;
    let away = 2;
    cluster.members[away].crash();
    cluster.join().await;
    let mut keys = BTreeMap::new();
    for member in [0, 3] {
        let before = cluster.members[member].node().credentials().current().key;
        let after = cluster.members[member].node().rotate().await.expect("another key");
        assert_ne!(before, after);
        keys.insert(member, after);
    }
    let leads = |status: guideway_consensus::Status, id| status.leader == Some(id);
    // It is led by one whose key it has not heard of.
    eventually("another leads", || async {
        let leader = cluster.members[0].node().status().leader;
        if leader == Some(cluster.members[1].id) {
            drop(cluster.members[1].node().transfer_leadership().await);
        }
        [0, 3]
            .iter()
            .any(|member| leads(cluster.members[0].node().status(), cluster.members[*member].id))
    })
    .await;
    cluster.members[away].start().await;
    eventually("it has caught up", || async {
        let state = cluster.members[away].state();
        keys.iter().all(|(member, key)| {
            let record = state.node(cluster.members[*member].id);
            record.is_some_and(|record| record.keys.iter().map(|key| Digest(key.0)).eq([*key]))
        })
    })
    .await;
    cluster.equal_states().await;
}

/// The long form of certificates that end is in `chaos-tests`; this one sees each certificate with its own eyes.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_renewed_and_nobody_is_turned_away() {
    let tuning = Tuning {
        certificate_life: Duration::from_secs(3),
        ..Tuning::default()
    };
    let cluster = Cluster::start(3, tuning).await;
    let leader = cluster.leader().await;
    let term = cluster.members[leader].node().status().term;
    let mut seen = cluster.members[leader].node().credentials().watch();
    let key = seen.borrow_and_update().key;
    for number in 0..4 {
        let ended = seen.borrow_and_update().not_after;
        tokio::time::timeout(PATIENCE, seen.changed())
            .await
            .expect("renewed")
            .expect("it runs");
        assert_eq!(seen.borrow().key, key, "the key stays");
        assert!(seen.borrow().not_after > ended);
        let member = &cluster.members[number % 3];
        let write = crate::fixture::write(&format!("key-{number}"), 1);
        member.node().propose(write).await.expect("committed");
        // New connections, with whatever certificate is in use.
        let address: SocketAddr = member.facts.peer_address.parse().expect("an address");
        let name = cluster_name(authority(&member.data_dir).fingerprint());
        let (bytes, error) = knock(&address.to_string(), &name, own(&cluster.members[leader].data_dir)).await;
        assert!(bytes > 0, "{error}");
    }
    assert_eq!(cluster.members[leader].node().status().term, term, "no leader was lost");
}
