//! ClientHellos as rustls' own client writes them, cut in every way.

use std::sync::Arc;

use proptest::prelude::*;
use rustls::client::ClientConnection;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

use super::*;

/// The ClientHello of a client that asks for `name`, in records of `record` bytes; the default offers X25519MLKEM768.
fn written(
    name: &str,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&str],
    record: Option<usize>,
) -> Vec<u8> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider
        .cipher_suites
        .retain(|suite| versions.contains(&suite.version()));
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    config.max_fragment_size = record;
    let name = ServerName::try_from(name.to_owned()).expect("name");
    let mut client = ClientConnection::new(Arc::new(config), name).expect("client");
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).expect("memory");
    }
    bytes
}

fn both() -> [&'static SupportedProtocolVersion; 2] {
    [&TLS13, &TLS12]
}

/// Gives `bytes` in pieces that end at `cuts`.
fn read(bytes: &[u8], cuts: &[usize]) -> Result<Option<Greeting>, BadHello> {
    let mut reader = HelloReader::default();
    let mut start = 0;
    for cut in cuts.iter().copied().chain([bytes.len()]) {
        if let Some(greeting) = reader.read(&bytes[start..cut])? {
            assert_eq!(greeting.bytes, bytes[..cut]);
            return Ok(Some(greeting));
        }
        start = cut;
    }
    Ok(None)
}

fn name(outcome: Result<Option<Greeting>, BadHello>) -> Option<Arc<str>> {
    outcome.expect("a good hello").expect("a whole hello").hello.name
}

#[test]
fn a_post_quantum_hello_cut_anywhere() {
    let bytes = written("Shop.Test", &both(), &["h2", "http/1.1"], None);
    assert!(bytes.len() > 1200, "{} bytes hold no key share of ML-KEM", bytes.len());
    for cut in 1..bytes.len() {
        let greeting = read(&bytes, &[cut]).expect("good").expect("whole");
        assert_eq!(greeting.hello.name.as_deref(), Some("shop.test"));
        assert_eq!(greeting.hello.protocols.as_deref(), Some("h2,http/1.1"));
        assert_eq!(greeting.hello.version, Version::Tls13);
        assert_eq!(greeting.unread, 0);
        assert!(read(&bytes[..cut], &[]).expect("good so far").is_none());
    }
}

#[test]
fn byte_by_byte_and_over_several_records() {
    for record in [None, Some(32), Some(100), Some(700)] {
        let bytes = written("a.test", &both(), &[], record);
        let cuts: Vec<usize> = (1..bytes.len()).collect();
        assert_eq!(name(read(&bytes, &cuts)).as_deref(), Some("a.test"), "{record:?}");
        for cut in 1..bytes.len() {
            assert_eq!(
                name(read(&bytes, &[cut])).as_deref(),
                Some("a.test"),
                "{record:?} at {cut}"
            );
        }
    }
}

#[test]
fn an_older_client_without_a_name() {
    let greeting = read(&written("192.0.2.1", &[&TLS12], &[], None), &[])
        .expect("good")
        .expect("whole");
    let expected = Hello {
        name: None,
        protocols: None,
        version: Version::Tls12,
    };
    assert_eq!(greeting.hello, expected);
}

#[test]
fn what_follows_the_hello_is_kept_and_told_apart() {
    let mut bytes = written("a.test", &both(), &[], None);
    let hello = bytes.len();
    bytes.extend_from_slice(&[7; 9000]);
    let greeting = read(&bytes, &[]).expect("good").expect("whole");
    assert_eq!(greeting.bytes, bytes);
    assert!(greeting.unread > 0 && greeting.unread <= bytes.len() - hello);
}

#[test]
fn garbage_is_refused_at_once() {
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.9\r\n",
        &[0; 64],
        &[22, 3, 1, 0, 0, 0],
    ] {
        assert!(read(garbage, &[]).is_err(), "{garbage:?}");
    }
    // An alert where the ClientHello should be.
    assert!(read(&[21, 3, 3, 0, 2, 2, 40], &[]).is_err());
}

/// A handshake message of type ClientHello and this length, in full records.
fn long(length: usize) -> Vec<u8> {
    let mut message = vec![1, 0, 0, 0];
    message[1..].copy_from_slice(&u32::try_from(length).expect("small").to_be_bytes()[1..]);
    message.resize(4 + length, 0);
    let records = message.chunks(16 << 10).flat_map(|chunk| {
        let [high, low] = u16::try_from(chunk.len()).expect("small").to_be_bytes();
        [&[22, 3, 1, high, low], chunk].concat()
    });
    records.collect()
}

#[test]
fn a_hello_of_more_than_64_kib_is_refused_before_it_is_whole() {
    for length in [HELLO_BYTES, HELLO_BYTES * 2, (1 << 24) - 1] {
        let bytes = long(length);
        let mut reader = HelloReader::default();
        let refused = bytes.chunks(1000).position(|piece| reader.read(piece).is_err());
        assert!(
            refused.is_some_and(|place| place <= HELLO_BYTES / 1000),
            "{length}: {refused:?}"
        );
    }
    // Small records cost the sender their headers.
    let bytes = written("a.test", &both(), &[], Some(32));
    let tiny: Vec<u8> = bytes
        .iter()
        .flat_map(|_| [22, 3, 1, 0, 1, 1])
        .cycle()
        .take(HELLO_BYTES * 2)
        .collect();
    let mut reader = HelloReader::default();
    let refused = tiny.chunks(100).position(|piece| reader.read(piece).is_err());
    assert!(refused.is_some_and(|place| place <= HELLO_BYTES / 100), "{refused:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes, however it is cut: no panic, no more than the bound is held, and what is kept is what came.
    #[test]
    fn any_bytes_in_any_pieces(
        hello in prop::sample::select(vec![None, Some(40), Some(300)]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        more in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut bytes = written("shop.test", &both(), &["h2"], hello);
        bytes.extend_from_slice(&more);
        for (place, value) in &changes {
            let place = place.index(bytes.len());
            bytes[place] = *value;
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.sort_unstable();
        let outcome = read(&bytes, &cuts);
        if changes.is_empty() {
            let name = name(outcome);
            prop_assert_eq!(name.as_deref(), Some("shop.test"));
        }
    }

    #[test]
    fn noise(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let mut reader = HelloReader::default();
        for piece in bytes.chunks(97) {
            if !matches!(reader.read(piece), Ok(None)) {
                break;
            }
            prop_assert!(reader.taken() <= HELLO_BYTES);
        }
    }
}
