//! What is taken over from plan to plan, and what is not fit to be served.

use std::sync::Arc;

use guideway_model::node::{BindAddress, Protocol, SocketKey};
use guideway_model::plan::{HostPattern, Listener, ListenerName, TlsPort};
use rcgen::{CertificateParams, KeyPair};

use super::*;

fn certificate(version: &str, names: &[&str]) -> Arc<Certificate> {
    let key = KeyPair::generate().expect("key");
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let signed = CertificateParams::new(names)
        .expect("names")
        .self_signed(&key)
        .expect("signed");
    Arc::new(Certificate {
        origin: "default/shop".into(),
        version: version.into(),
        chain: vec![signed.der().to_vec()],
        key: key.serialize_pem().into_bytes(),
    })
}

fn listener(certificates: &[Arc<Certificate>]) -> TlsListener {
    TlsListener {
        name: ListenerName {
            namespace: "default".into(),
            gateway: "edge".into(),
            listener: "tls".into(),
        },
        hostname: HostPattern::Any,
        settings: Arc::default(),
        handling: TlsHandling::Terminate {
            certificates: certificates.into(),
        },
        routes: Vec::new(),
    }
}

fn plan(listener: &TlsListener) -> Plan {
    let service = ListenerService::Tls(Arc::new(TlsPort {
        listeners: vec![listener.clone()],
    }));
    let socket = SocketKey {
        protocol: Protocol::Tcp,
        address: BindAddress::NodeDefault,
        port: 443,
    };
    Plan::new(1, guideway_maglev::Seed([1; 16]), vec![Listener { socket, service }])
}

#[test]
fn the_same_certificates_give_the_same_configuration() {
    let one = listener(&[certificate("1", &["shop.test"])]);
    let first = Credentials::default().renewed(&plan(&one));
    let second = first.renewed(&plan(&one));
    let config = first.server(&one).expect("configuration");
    assert!(Arc::ptr_eq(&config, &second.server(&one).expect("configuration")));

    let rotated = listener(&[certificate("2", &["shop.test"])]);
    let third = second.renewed(&plan(&rotated));
    assert!(!Arc::ptr_eq(&config, &third.server(&rotated).expect("configuration")));
    assert!(third.server(&one).is_none(), "what no plan has any more is forgotten");
    // One key for tickets: what was resumable stays so.
    let rotated = third.server(&rotated).expect("configuration");
    assert!(Arc::ptr_eq(&config.ticketer, &rotated.ticketer));
}

#[test]
fn certificates_that_are_not_fit_are_left_out() {
    let good = certificate("1", &["shop.test"]);
    let other = certificate("2", &["shop.test"]);
    let broken = |change: fn(&mut Certificate)| {
        let mut certificate = Certificate::clone(&good);
        change(&mut certificate);
        certificate.version = "broken".into();
        certificate
    };
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let unfit = |certificate: &Certificate| parse(certificate, &provider).expect_err("unfit");
    assert!(matches!(unfit(&broken(|one| one.chain.clear())), Unfit::NoChain));
    assert!(matches!(
        unfit(&broken(|one| one.chain[0].truncate(40))),
        Unfit::Certificate(_)
    ));
    assert!(matches!(
        unfit(&broken(|one| one.key = b"nothing".to_vec())),
        Unfit::NoKey(_)
    ));
    let mut mixed = broken(|_| {});
    mixed.key.clone_from(&other.key);
    assert!(matches!(unfit(&mixed), Unfit::Mismatch(_)));

    let alone = listener(&[Arc::new(mixed.clone())]);
    assert!(Credentials::default().renewed(&plan(&alone)).server(&alone).is_none());
    let beside = listener(&[Arc::new(mixed), good]);
    assert!(Credentials::default().renewed(&plan(&beside)).server(&beside).is_some());
}
