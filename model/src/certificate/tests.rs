use proptest::prelude::*;

use rustls_pki_types::PrivateKeyDer;

use super::*;

/// A file that `testdata/certificates/make.sh` has made.
macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!("../../testdata/certificates/", $name)).as_slice()
    };
}

fn secret(chain: &[u8], key: &[u8]) -> Secret {
    let mut secret = Secret {
        secret_type: Secret::TLS.to_owned(),
        ..Secret::default()
    };
    for (name, bytes) in [(Secret::TLS_CERTIFICATE, chain), (Secret::TLS_PRIVATE_KEY, key)] {
        secret.data.insert(name.to_owned(), Blob(bytes.to_vec()));
    }
    secret
}

#[track_caller]
fn refused(secret: &Secret, sentence: &str) {
    let fault = of_secret(secret).expect_err("a fault").to_string();
    assert_eq!(fault, sentence);
}

#[test]
fn keys_of_every_kind_and_form_are_read() {
    for (chain, key, name) in [
        (pem!("p256.crt"), pem!("p256.sec1.key"), "p256"),
        (pem!("p256.crt"), pem!("p256.pkcs8.key"), "p256"),
        (pem!("p384.crt"), pem!("p384.key"), "p384"),
        (pem!("ed25519.crt"), pem!("ed25519.key"), "ed25519"),
        (pem!("rsa.crt"), pem!("rsa.pkcs1.key"), "rsa"),
        (pem!("rsa.crt"), pem!("rsa.pkcs8.key"), "rsa"),
    ] {
        let read = of_secret(&secret(chain, key)).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert_eq!(
            read.dns_names,
            [format!("{name}.example.com"), format!("*.{name}.example.com")]
        );
        assert_eq!(read.chain.len(), 1);
        assert_eq!(read.key, key);
    }
}

#[test]
fn a_chain_is_kept_in_its_order() {
    let chain = [pem!("p256.crt"), b"in between\n", pem!("rsa.crt")].concat();
    let read = of_secret(&secret(&chain, pem!("p256.sec1.key"))).expect("in order");
    let single = |pem| read_blocks(Some(pem), 1).expect("one certificate");
    assert_eq!(read.chain, [single(pem!("p256.crt")), single(pem!("rsa.crt"))].concat());
    assert_eq!(read.dns_names[0], "p256.example.com");
}

#[test]
fn a_key_of_another_certificate_is_noticed() {
    for (chain, key) in [
        (pem!("p256.crt"), pem!("other.key")),
        (pem!("p256.crt"), pem!("p384.key")),
        (pem!("p256.crt"), pem!("rsa.pkcs1.key")),
        (pem!("rsa.crt"), pem!("ed25519.key")),
        (pem!("ed25519.crt"), pem!("p256.pkcs8.key")),
    ] {
        assert_eq!(of_secret(&secret(chain, key)), Err(CertificateFault::KeyOfAnother));
    }
}

#[test]
fn what_is_wrong_is_said_in_a_sentence() {
    let (chain, key) = (pem!("p256.crt"), pem!("p256.sec1.key"));
    let mut opaque = secret(chain, key);
    opaque.secret_type = Secret::OPAQUE.to_owned();
    refused(&opaque, "it has type \"Opaque\" and must have type kubernetes.io/tls");
    let mut half = secret(chain, key);
    half.data.remove("tls.key");
    refused(&half, "data[tls.key] is not set");
    half.data.remove("tls.crt");
    refused(&half, "data[tls.crt] is not set");
    refused(
        &secret(b"Hello world\n", b"Hello world\n"),
        "data[tls.crt] has no PEM block BEGIN CERTIFICATE",
    );
    let cut = &chain[..chain.len() - 40];
    refused(
        &secret(cut, key),
        "data[tls.crt] is damaged: a PEM block has no END line",
    );
    let wrong = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    refused(
        &secret(wrong, key),
        "data[tls.crt] has a certificate that cannot be used, number 1: it is no X.509 certificate in DER",
    );
    refused(
        &secret(&[chain, wrong].concat(), key),
        "data[tls.crt] has a certificate that cannot be used, number 2: it is no X.509 certificate in DER",
    );
    refused(
        &secret(&chain.repeat(CHAIN_MOST + 1), key),
        "data[tls.crt] has more than 16 certificates",
    );
    refused(
        &secret(chain, pem!("encrypted.key")),
        "data[tls.key] has no PEM block BEGIN PRIVATE KEY, BEGIN EC PRIVATE KEY or BEGIN RSA PRIVATE KEY; a key with a \
         passphrase cannot be used",
    );
    refused(
        &secret(chain, b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"),
        "data[tls.key] holds no private key of PKCS #8, PKCS #1 or SEC 1",
    );
    refused(
        &secret(chain, pem!("secp256k1.key")),
        "data[tls.key] holds a key of a kind that cannot be used; use ECDSA on P-256, P-384 or P-521, Ed25519, or RSA",
    );
    refused(
        &secret(chain, pem!("short.key")),
        "data[tls.key] holds an RSA key of 1024 bits; it must have 2048 to 8192",
    );
}

#[test]
fn nothing_of_a_key_is_printed() {
    let key = pem!("p256.sec1.key");
    let secret = secret(pem!("p256.crt"), key);
    let text = String::from_utf8_lossy(key).into_owned();
    let line = text.lines().nth(1).expect("base64");
    let shown = format!("{:?} {:?}", secret, of_secret(&secret));
    assert!(
        !shown.contains(line) && !shown.contains(&format!("{:?}", key[30])),
        "{shown}"
    );
}

#[test]
fn bundles_of_authorities_are_read() {
    let bundle = [pem!("p256.crt"), pem!("rsa.crt")].concat();
    let mut map = ConfigMap::default();
    assert_eq!(authorities_of_config_map(&map), Err(PemFault::Missing));
    map.data.insert(
        "ca.crt".to_owned(),
        String::from_utf8(bundle.clone()).expect("PEM is text"),
    );
    let from_text = authorities_of_config_map(&map).expect("two authorities");
    assert_eq!(from_text.len(), 2);
    let mut map = ConfigMap::default();
    map.binary_data.insert("ca.crt".to_owned(), Blob(bundle.clone()));
    assert_eq!(authorities_of_config_map(&map), Ok(from_text.clone()));
    let mut secret = Secret::default();
    secret.data.insert("ca.crt".to_owned(), Blob(bundle));
    assert_eq!(authorities_of_secret(&secret), Ok(from_text));
    for wrong in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        map.data.insert("ca.crt".to_owned(), wrong.to_owned());
        authorities_of_config_map(&map).expect_err("no authority");
    }
}

proptest! {
    /// Whatever bytes stand where a key or a certificate should be: an answer, and no panic.
    #[test]
    fn damaged_bytes_are_refused_or_read(file in 0_usize..6, place in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let files = [
            pem!("p256.sec1.key"), pem!("p256.pkcs8.key"), pem!("rsa.pkcs1.key"), pem!("ed25519.key"),
            pem!("p256.crt"), pem!("rsa.crt"),
        ];
        let mut der = match PrivateKeyDer::from_pem_slice(files[file]) {
            Ok(key) => key.secret_der().to_vec(),
            Err(_) => read_blocks(Some(files[file]), 1).map_err(|fault| TestCaseError::fail(fault.to_string()))?[0].clone(),
        };
        let place = place.index(der.len());
        der[place] = byte;
        if cut {
            der.truncate(place);
        }
        let body = Blob(der);
        let text = serde_json::to_string(&body)?;
        for label in ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "CERTIFICATE"] {
            let pem = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", text.trim_matches('"'));
            let _answer = of_secret(&secret(pem!("p256.crt"), pem.as_bytes()));
            let _answer = of_secret(&secret(pem.as_bytes(), pem!("p256.sec1.key")));
        }
    }
}
