//! How objects are read: what is accepted, what is refused, and in which words.

mod backend;
mod decoding;
mod drain;
mod endpoint_slice;
mod gateway;
mod listener_set;
mod metadata;
mod oracle;
mod policies;
mod round_trip;
mod routes;
mod secret;
mod service;
mod update;

use guideway_model::Kind;
use guideway_model::object::{FieldValidation, Object};
use guideway_model::outcome::Cause;
use serde_json::Value;

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// JSON of an object of `kind` at its stored version, named `it`, with `body` (YAML) beside its metadata.
fn object(kind: Kind, body: &str) -> Value {
    let info = kind.info();
    yaml(&format!(
        "apiVersion: {}\nkind: {}\nmetadata: {{name: it}}\n{body}",
        info.api_version(),
        info.name
    ))
}

fn decode(kind: Kind, json: Value) -> Result<Object, Vec<Cause>> {
    Object::decode(kind, json, FieldValidation::Strict).map(|decoded| decoded.object)
}

#[track_caller]
fn accept(kind: Kind, body: &str) -> Object {
    decode(kind, object(kind, body)).unwrap_or_else(|causes| panic!("{body}\nis refused: {causes:#?}"))
}

/// Asserts that exactly these faults are found: each a field path and a part of its message.
#[track_caller]
fn reject(kind: Kind, body: &str, expected: &[(&str, &str)]) {
    expect_causes(body, decode(kind, object(kind, body)), expected);
}

#[track_caller]
fn expect_causes(what: &str, result: Result<Object, Vec<Cause>>, expected: &[(&str, &str)]) {
    let causes = result.err().unwrap_or_else(|| panic!("{what}\nis accepted"));
    let same = causes.len() == expected.len()
        && causes
            .iter()
            .zip(expected)
            .all(|(cause, (field, message))| cause.field == *field && cause.message.contains(message));
    assert!(same, "{what}\nexpected {expected:#?}\nfound {causes:#?}");
}
