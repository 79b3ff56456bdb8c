use serde_json::json;

use super::*;
use crate::command::{Command, Part};
use crate::fixture::{World, condition, gateway, key, object, secret as tls_secret, stored, terminate};
use crate::kind::Kind;
use crate::object::Object;
use crate::outcome::{Outcome, Refusal};
use crate::plan::{TlsHandling, compile, compile_opened};
use crate::state::State;

/// Turns bytes over and puts a number and the place before them; another number each time, as a nonce is.
#[derive(Default)]
struct Turner(std::sync::atomic::AtomicU32);

impl Sealer for Turner {
    fn seal(&self, plain: &[u8], place: &[u8]) -> Result<Vec<u8>, SealerFault> {
        let number = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let length = u32::try_from(place.len()).expect("short").to_be_bytes();
        let turned: Vec<u8> = plain.iter().map(|byte| !byte).collect();
        Ok([&number.to_be_bytes(), length.as_slice(), place, &turned].concat())
    }

    fn open(&self, envelope: &[u8], place: &[u8]) -> Result<Vec<u8>, SealerFault> {
        let length = u32::try_from(place.len()).expect("short").to_be_bytes();
        let head = [length.as_slice(), place].concat();
        let turned = envelope.get(4..).and_then(|rest| rest.strip_prefix(head.as_slice()));
        let turned = turned.ok_or_else(|| SealerFault("sealed elsewhere".to_owned()))?;
        Ok(turned.iter().map(|byte| !byte).collect())
    }
}

fn inner(object: Object) -> Secret {
    match object {
        Object::Secret(secret) => Secret::clone(&secret),
        other => panic!("{other:?}"),
    }
}

fn plain(name: &str, text: &str, note: &str) -> Secret {
    let mut secret = inner(object(json!({
        "kind": "Secret",
        "metadata": {"name": name, "labels": {"app": "shop"}, "annotations": {"note": note}},
        "stringData": {"password": text},
    })));
    secret.fill_defaults();
    secret
}

fn create(world: &mut World, secret: Secret, sealer: &Turner) -> Secret {
    let uid = Uid(format!("uid-of-{}", secret.metadata.name));
    let secret = seal(secret, &uid, None, sealer).expect("sealed");
    let object = Object::Secret(secret.into());
    inner(stored(world.apply(Command::Create { object, uid })))
}

fn replace(world: &mut World, secret: Secret, sealer: &Turner) -> Outcome {
    let key = key(Kind::Secret, "default", &secret.metadata.name);
    let before = inner(world.state.get(&key).expect("stored").clone());
    let uid = before.metadata.uid.clone();
    let secret = seal(secret, &uid, Some(&before), sealer).expect("sealed");
    world.apply(Command::Replace {
        object: Object::Secret(secret.into()),
        part: Part::Main,
        expected: Some(before.metadata.resource_version),
        uid: Some(uid),
    })
}

#[test]
fn what_is_stored_says_nothing_and_opens_to_what_was_written() {
    let (mut world, sealer) = (World::new(), Turner::default());
    let written = plain("s", "hunter2", "hunter2 too");
    let kept = create(&mut world, written.clone(), &sealer);
    let records: Vec<Vec<u8>> = world.state.snapshot_records().collect();
    // "hunter2" in base64, at each of the three places where it can begin.
    for text in ["hunter2", "aHVudGVyM", "h1bnRlcj", "odW50ZXIy"] {
        let says = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!records.iter().any(|record| says(record)), "{text}");
    }
    assert_eq!(kept.metadata.labels, written.metadata.labels, "selectors need them");
    let opened = open(&kept, &sealer).expect("opened");
    assert_eq!(
        (&opened.data, &opened.metadata.annotations),
        (&written.data, &written.metadata.annotations)
    );
    assert!(opened.sealed.is_none());
    let back = State::from_snapshot_records(records.iter().map(Vec::as_slice)).expect("read");
    assert_eq!(
        back.get(&key(Kind::Secret, "default", "s")),
        Some(&Object::Secret(kept.into()))
    );
}

#[test]
fn an_envelope_opens_for_its_object_alone() {
    let (mut world, sealer) = (World::new(), Turner::default());
    let one = create(&mut world, plain("one", "1", ""), &sealer);
    let two = create(&mut world, plain("two", "2", ""), &sealer);
    let moved = Secret {
        sealed: one.sealed.clone(),
        ..two.clone()
    };
    let error = open(&moved, &sealer).expect_err("another's").to_string();
    assert_eq!(error, "Secret default/two cannot be opened: sealed elsewhere");
    let mut later = one;
    later.metadata.uid = Uid("a later one of the name".to_owned());
    assert!(open(&later, &sealer).is_err());
}

#[test]
fn versions_rise_with_what_is_written_and_not_with_the_sealing() {
    let (mut world, sealer) = (World::new(), Turner::default());
    let first = create(&mut world, plain("s", "a", "n"), &sealer);
    let version = |outcome| {
        let meta = inner(stored(outcome)).metadata;
        (meta.resource_version - first.metadata.resource_version, meta.generation)
    };
    assert_eq!(
        version(replace(&mut world, plain("s", "a", "n"), &sealer)),
        (0, 1),
        "the same"
    );
    assert_eq!(
        version(replace(&mut world, plain("s", "a", "m"), &sealer)),
        (1, 1),
        "a note"
    );
    assert_eq!(
        version(replace(&mut world, plain("s", "b", "m"), &sealer)),
        (2, 2),
        "the data"
    );
    assert_eq!(
        version(replace(&mut world, plain("s", "b", "m"), &sealer)),
        (2, 2),
        "the same again"
    );
}

#[test]
fn immutable_data_cannot_change_and_notes_can() {
    let (mut world, sealer) = (World::new(), Turner::default());
    let fixed = |text, note| Secret {
        immutable: Some(true),
        ..plain("s", text, note)
    };
    create(&mut world, fixed("a", "n"), &sealer);
    assert!(matches!(
        replace(&mut world, fixed("a", "m"), &sealer),
        Outcome::Object(_)
    ));
    let refused = replace(&mut world, fixed("b", "m"), &sealer);
    assert!(matches!(&refused, Outcome::Refused(Refusal::Invalid { causes, .. }) if causes[0].field == "data"));
}

#[test]
fn status_needs_no_key_and_a_plan_to_serve_by_does() {
    let (mut world, sealer) = (World::new(), Turner::default());
    world.create(gateway("g", json!([terminate("end", 443, "a.test", "cert")])));
    let written = inner(object(tls_secret("cert")));
    let kept = create(&mut world, written.clone(), &sealer);
    let conditions = world.listener("g", "end").conditions;
    assert_eq!(condition(&conditions, "ResolvedRefs").reason, "ResolvedRefs");
    let facts = kept.sealed.expect("sealed").facts;
    let certificate = facts.certificate.expect("in order");
    assert_eq!(certificate.dns_names, ["p256.example.com", "*.p256.example.com"]);
    // As `openssl x509 -enddate` says of the file.
    assert_eq!(certificate.not_after.expect("an end").to_string(), NOT_AFTER);
    assert_eq!(facts.keys, ["tls.crt", "tls.key"]);

    let served = |plan: &crate::Plan| match &plan.listeners[0].service {
        crate::plan::ListenerService::Tls(port) => match &port.listeners[0].handling {
            TlsHandling::Terminate { certificates } => (certificates[0].chain.len(), certificates[0].key.clone()),
            TlsHandling::Passthrough => panic!("TLS ends here"),
        },
        other => panic!("{other:?}"),
    };
    let shut = compile(&world.state, None);
    assert_eq!(served(&shut), (0, Vec::new()));
    let opened = compile_opened(&world.state, None, std::num::NonZeroUsize::MIN, &sealer);
    assert_eq!(served(&opened), (1, written.data["tls.key"].0.clone()));
    assert_eq!(served(&compile(&world.state, Some(&opened))).0, 1, "taken over");

    let mut broken = written;
    broken.data.insert("tls.key".to_owned(), Blob(b"no key".to_vec()));
    assert!(matches!(replace(&mut world, broken, &sealer), Outcome::Object(_)));
    let found = world.listener("g", "end").conditions;
    let found = condition(&found, "ResolvedRefs");
    assert_eq!(found.reason, "InvalidCertificateRef");
    assert!(
        found.message.contains("data[tls.key] has no PEM block"),
        "{}",
        found.message
    );
}

#[test]
fn authorities_in_a_secret_are_counted_unopened() {
    let mut secret = plain("ca", "x", "");
    let bundle = include_bytes!("../../testdata/certificates/p256.crt").to_vec();
    assert_eq!(SecretFacts::of(&secret).authorities, Err("is not set".to_owned()));
    secret.data.insert("ca.crt".to_owned(), Blob(bundle));
    assert_eq!(SecretFacts::of(&secret).authorities, Ok(1));
}

const NOT_AFTER: &str = "2126-10-30T12:20:28Z";

#[test]
fn a_node_that_knows_no_sealing_keeps_sealed_secrets_out() {
    let (mut world, sealer) = (World::at_level(State::IDENTITIES), Turner::default());
    let uid = Uid("u".to_owned());
    let secret = seal(plain("s", "a", ""), &uid, None, &sealer).expect("sealed");
    let object = Object::Secret(secret.into());
    let refused = world.apply(Command::Create { object, uid });
    let expected = Refusal::LevelTooLow { needed: 4, level: 3 };
    assert_eq!(refused, Outcome::Refused(expected));
}

#[test]
fn certificates_that_are_sealed_are_compared_with_others() {
    let (mut world, sealer) = (World::new(), Turner::default());
    create(&mut world, inner(object(tls_secret("k"))), &sealer);
    let listeners = json!([terminate("a", 443, "a.test", "k"), terminate("b", 443, "b.test", "k"),]);
    world.create(gateway("g", listeners));
    for listener in ["a", "b"] {
        let conditions = world.listener("g", listener).conditions;
        let found = conditions
            .iter()
            .find(|found| found.condition_type == "OverlappingTLSConfig");
        assert_eq!(
            found.map(|found| found.reason.as_str()),
            Some("OverlappingCertificates")
        );
    }
}
