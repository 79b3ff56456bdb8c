use std::time::Duration;

use super::*;
use crate::join_token::JoinToken;
use crate::joiner::{Joiner, parse_joiner};
use crate::peer::parse_peer;
use crate::user::parse_user;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn at(days: u32) -> UnixTime {
    UnixTime::since_unix_epoch(DAY * (20_000 + days))
}

fn authority() -> Authority {
    Authority::create("c-1", at(0)).expect("an authority")
}

fn node(number: u64) -> NodeSubject {
    NodeSubject {
        cluster: "c-1".to_owned(),
        number,
        name: format!("n{number}"),
        dns: vec!["lb.example".to_owned()],
        ips: vec!["10.0.0.1".parse().expect("an address"), "0.0.0.0".parse().expect("one")],
    }
}

fn issue(authority: &Authority, key: &Key) -> Vec<CertificateDer<'static>> {
    let chain = authority.issue_node(&node(7), &key.public(), Validity::starting(at(1), 10 * DAY));
    read::certificates(&chain.expect("issued")).expect("PEM")
}

#[test]
fn an_authority_comes_back_from_its_files_and_takes_no_other_key() {
    let authority = authority();
    let (certificate, key) = (authority.certificate_pem(), authority.key_pem());
    let read = Authority::from_pem(certificate, &key).expect("both belong together");
    assert_eq!(read.fingerprint(), authority.fingerprint());
    assert_eq!(read::fingerprint(read.certificate()), Ok(authority.fingerprint()));
    let other = Key::generate().expect("a key");
    let mixed = Authority::from_pem(certificate, &other.pem());
    assert_eq!(mixed.err(), Some(AuthorityError::KeyOfAnother));
    assert!(Authority::from_pem("", &key).is_err());
    assert!(Authority::from_pem(certificate, "").is_err());
}

#[test]
fn the_certificate_of_a_node_names_it_and_serves_both_ends() {
    let authority = authority();
    let key = Key::generate().expect("a key");
    let chain = issue(&authority, &key);
    assert_eq!(chain.len(), 2, "the authority's follows the node's");
    let peer = parse_peer(&chain[0]).expect("a node's");
    assert_eq!(
        (peer.cluster.as_str(), peer.number, peer.key),
        ("c-1", 7, key.fingerprint())
    );
    for server in [true, false] {
        assert_eq!(verify_issued(&chain, authority.certificate(), at(5), server), Ok(()));
    }
    let leaf = EndEntityCert::try_from(&chain[0]).expect("X.509");
    for name in ["n7", "localhost", "lb.example", "127.0.0.1", "::1", "10.0.0.1"] {
        let wanted = name.try_into().expect("a name");
        assert!(leaf.verify_is_valid_for_subject_name(&wanted).is_ok(), "{name}");
    }
    let unspecified = "0.0.0.0".try_into().expect("a name");
    assert!(leaf.verify_is_valid_for_subject_name(&unspecified).is_err());
}

#[test]
fn certificates_of_another_time_use_or_authority_are_told_apart() {
    let authority = authority();
    let chain = issue(&authority, &Key::generate().expect("a key"));
    let verify = |chain: &[CertificateDer<'_>], now, server| verify_issued(chain, authority.certificate(), now, server);
    assert!(matches!(
        verify(&chain, at(12), true),
        Err(webpki::Error::CertExpired { .. })
    ));
    assert!(matches!(
        verify(&chain, at(0), true),
        Err(webpki::Error::CertNotValidYet { .. })
    ));
    let foreign = issue(
        &Authority::create("c-1", at(0)).expect("one of the same name"),
        &Key::generate().expect("a key"),
    );
    assert!(verify(&foreign, at(5), true).is_err());
    let user = UserSubject {
        user: "admin".to_owned(),
        groups: Vec::new(),
    };
    let (user, _) = authority
        .issue_user(&user, Validity::starting(at(0), 10 * DAY))
        .expect("issued");
    let user = read::certificates(&user).expect("PEM");
    assert_eq!(verify(&user, at(5), false), Ok(()));
    assert!(verify(&user, at(5), true).is_err(), "no server");
    assert!(parse_peer(&user[0]).is_err(), "no node");
    assert!(verify(&[], at(5), true).is_err());
}

#[test]
fn the_certificate_of_a_user_has_every_group() {
    let authority = authority();
    let subject = UserSubject {
        user: "zoë".to_owned(),
        groups: vec!["system:masters".to_owned(), "team-a".to_owned(), "team-b".to_owned()],
    };
    let (certificate, key) = authority
        .issue_user(&subject, Validity::starting(at(0), DAY))
        .expect("issued");
    let chain = read::certificates(&certificate).expect("PEM");
    let user = parse_user(&chain[0]).expect("a user's");
    assert_eq!((user.user, user.groups), (subject.user, subject.groups));
    assert_eq!(user.not_after, at(1));
    assert_eq!(verify_issued(&chain, authority.certificate(), at(0), false), Ok(()));
    let key = Key::from_pem(&key).expect("a key");
    assert_eq!(read::fingerprint(&chain[0]), Ok(key.fingerprint()));
    let mut bent = chain[0].to_vec();
    let place = bent
        .windows(6)
        .position(|bytes| bytes == b"team-a")
        .expect("the group is in it");
    bent[place + 5] = b'c';
    assert!(
        verify_issued(&[bent.into()], authority.certificate(), at(0), false).is_err(),
        "signed"
    );
}

#[test]
fn a_node_that_joins_shows_its_token_and_its_key() {
    let authority = authority();
    let token = JoinToken::create(authority.fingerprint(), Vec::new(), at(1)).expect("random bytes");
    let key = Key::generate().expect("a key");
    let certificate = Joiner::certificate(&token, &key, at(0)).expect("signed");
    let joiner = parse_joiner(&certificate).expect("a joiner's");
    assert_eq!((joiner.token.as_str(), joiner.key), (token.id(), key.fingerprint()));
    assert!(joiner.secret.matches(&token.digest()));
    assert!(
        verify_issued(
            std::slice::from_ref(&certificate),
            authority.certificate(),
            at(0),
            false
        )
        .is_err()
    );
    assert!(parse_peer(&certificate).is_err());
    let issued = authority.issue_node(&node(2), &joiner.public_key, Validity::starting(at(0), DAY));
    let issued = read::certificates(&issued.expect("issued")).expect("PEM");
    assert_eq!(parse_peer(&issued[0]).expect("a node's").key, key.fingerprint());
    assert!(parse_joiner(&issued[0]).is_err());
}
