//! Secret and ConfigMap.

use guideway_model::Kind;
use guideway_model::object::{FieldValidation, Object, validate_update};
use serde_json::json;

use crate::{accept, decode, object, reject};

fn data(object: &Object) -> Vec<(&str, &[u8])> {
    match object {
        Object::Secret(secret) => {
            let entries = secret.data.iter();
            entries.map(|(key, value)| (key.as_str(), value.0.as_slice())).collect()
        }
        _ => panic!("a Secret"),
    }
}

#[test]
fn string_data_goes_over_to_data_and_is_never_shown() {
    let body = "data: {a: QQ==, b: Qg==}\nstringData: {b: text, c: ''}";
    let secret = accept(Kind::Secret, body);
    assert_eq!(data(&secret), [("a", &b"A"[..]), ("b", &b"text"[..]), ("c", &b""[..])]);
    let json = secret.encode("v1");
    assert_eq!(json["data"], json!({ "a": "QQ==", "b": "dGV4dA==", "c": "" }));
    assert_eq!(json["type"], "Opaque");
    assert!(json.get("stringData").is_none() && json.get("immutable").is_none());
    // Line breaks, as tools wrap base64.
    let wrapped = accept(Kind::Secret, "data: {a: \"QUFB\\nQUFB\\n\"}");
    assert_eq!(data(&wrapped), [("a", &b"AAAAAA"[..])]);
}

#[test]
fn nothing_of_a_secret_is_printed() {
    let mut json = object(Kind::Secret, "data: {key: aHVudGVyMg==}\nstringData: {other: hunter3}");
    let annotations = json!({ "kubectl.kubernetes.io/last-applied-configuration": "hunter4" });
    json["metadata"]["annotations"] = annotations;
    let shown = format!("{:?}", decode(Kind::Secret, json).expect("a Secret"));
    assert!(shown.contains("\"key\": 7 bytes"), "{shown}");
    assert!(
        !shown.contains("hunter") && !shown.contains("aHVudGVy") && !shown.contains("104, 117"),
        "{shown}"
    );
    // Nor in what is said of one that is refused.
    for body in [
        "data: {key: 'hunter2!'}",
        "data: {key: 1234}",
        "stringData: {key: 1234}",
        "stringData: {key: [hunter2]}",
        "type: kubernetes.io/tls\nstringData: {tls.crt: hunter2}",
    ] {
        let causes = decode(Kind::Secret, object(Kind::Secret, body)).expect_err(body);
        let told = format!("{causes:?}");
        assert!(!told.contains("hunter") && !told.contains("1234"), "{told}");
    }
}

#[test]
fn secrets_that_are_refused() {
    let large = format!(
        "stringData: {{a: {}, b: {}}}",
        "x".repeat(1 << 19),
        "x".repeat((1 << 19) + 1)
    );
    let long = format!("stringData: {{{}: x}}", "k".repeat(254));
    for (body, expected) in [
        (
            "data: {a: x}",
            vec![("data.a", "must be base64 with padding (RFC 4648)")],
        ),
        (
            "data: {a: QQ}",
            vec![("data.a", "must be base64 with padding (RFC 4648)")],
        ),
        ("data: {a: 7}", vec![("data.a", "expected string, found number")]),
        ("data: [a]", vec![("data", "expected object, found array")]),
        (
            "stringData: {'a b': x}",
            vec![("data[a b]", "key must be letters, digits, '-', '_' and '.'")],
        ),
        ("stringData: {..: x}", vec![("data[..]", "must not start with '..'")]),
        ("stringData: {'': x}", vec![("data[]", "key must be letters")]),
        (
            long.as_str(),
            vec![(
                &*format!("data[{}]", "k".repeat(254)),
                "254 characters: must be at most 253",
            )],
        ),
        (
            large.as_str(),
            vec![("data", "1048577 bytes: must be at most 1048576 bytes")],
        ),
        (
            "type: kubernetes.io/tls",
            vec![
                ("data[tls.crt]", "must be set when type is kubernetes.io/tls"),
                ("data[tls.key]", "must be set when type is kubernetes.io/tls"),
            ],
        ),
        (
            "type: kubernetes.io/tls\nstringData: {tls.crt: x}",
            vec![("data[tls.key]", "must be set when type is kubernetes.io/tls")],
        ),
        (
            "stringdata: {a: x}",
            vec![("stringdata", "unknown field \"stringdata\"")],
        ),
        ("status: {}", vec![("status", "unknown field \"status\"")]),
    ] {
        reject(Kind::Secret, body, &expected);
    }
    for body in [
        "",
        "type: kubernetes.io/tls\nstringData: {tls.crt: '', tls.key: ''}",
        "type: example.com/anything\nstringData: {.dot: x, a_b-C.9: x}",
        "type: ''\nimmutable: false",
    ] {
        accept(Kind::Secret, body);
    }
}

#[test]
fn config_maps_that_are_refused() {
    for (body, expected) in [
        (
            "data: {a: x}\nbinaryData: {a: QQ==}",
            vec![("binaryData[a]", "\"a\" is a key of data too: must be there only once")],
        ),
        (
            "binaryData: {a: x}",
            vec![("binaryData.a", "must be base64 with padding (RFC 4648)")],
        ),
        ("data: {a/b: x}", vec![("data[a/b]", "key must be letters")]),
        (
            "data: {a: true}",
            vec![("data.a", "expected string, found boolean true")],
        ),
    ] {
        reject(Kind::ConfigMap, body, &expected);
    }
    let half = "x".repeat(1 << 19);
    accept(Kind::ConfigMap, &format!("data: {{a: {half}, b: {half}}}"));
    reject(
        Kind::ConfigMap,
        &format!("data: {{a: {half}, b: {half}, c: x}}"),
        &[("data", "1048577 bytes: must be at most 1048576 bytes")],
    );
}

#[test]
fn immutable_data_stay() {
    const RULE: &str = "field is immutable when `immutable` is set";
    let fields = |old: &Object, new: &Object| -> Vec<(String, String)> {
        let causes = validate_update(old, new).into_iter();
        causes.map(|cause| (cause.field, cause.message)).collect()
    };
    for kind in [Kind::Secret, Kind::ConfigMap] {
        let open = accept(kind, "data: {a: QQ==}");
        let closed = accept(kind, "data: {a: QQ==}\nimmutable: true");
        let other = accept(kind, "data: {a: Qg==}");
        assert_eq!(fields(&open, &closed), []);
        assert_eq!(fields(&open, &other), []);
        assert_eq!(fields(&closed, &closed), []);
        assert_eq!(fields(&closed, &open), [("immutable".to_owned(), RULE.to_owned())]);
        assert_eq!(
            fields(&closed, &other),
            [
                ("immutable".to_owned(), RULE.to_owned()),
                ("data".to_owned(), RULE.to_owned())
            ]
        );
    }
    let typed = |secret_type: &str| accept(Kind::Secret, &format!("type: {secret_type}"));
    let changed = fields(&typed("a.example/b"), &typed("a.example/c"));
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].0, "type");
    let map = |bytes: &str| accept(Kind::ConfigMap, &format!("binaryData: {{a: {bytes}}}\nimmutable: true"));
    assert_eq!(
        fields(&map("QQ=="), &map("Qg==")),
        [("binaryData".to_owned(), RULE.to_owned())]
    );
}

#[test]
fn neither_has_a_status() {
    for kind in [Kind::Secret, Kind::ConfigMap, Kind::ReferenceGrant] {
        assert!(!kind.info().has_status);
    }
    let secret = accept(Kind::Secret, "");
    let causes = secret
        .decode_status(secret.encode("v1"), FieldValidation::Strict)
        .expect_err("no status");
    assert_eq!(causes[0].message, "Secret has no status");
}
