//! Reads objects from JSON.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::faults::{Faults, ShownText};
use crate::kind::{Kind, KindInfo};
use crate::object::{Decoded, FieldValidation, Object, for_each_type};
use crate::outcome::{Cause, CauseReason};
use crate::schema::shape::{Shape, Unknown};

/// See [`Object::decode`].
pub(crate) fn decode(kind: Kind, json: Value, fields: FieldValidation) -> Result<Decoded, Vec<Cause>> {
    let mut faults = Faults::default();
    let Some((version, mut map)) = open(kind, json, &mut faults) else {
        return Err(faults.into_causes());
    };
    if kind.info().has_status {
        map.shift_remove("status");
    }
    let mut json = Value::Object(map);
    let mut unknown = Unknown::new();
    Shape::of(kind).check(&mut json, &mut String::new(), &mut faults, &mut unknown);
    let mut warnings = judge(unknown, fields, &mut faults);
    let object = read(kind, json, &mut faults).map(|mut object| {
        let meta = object.meta_mut();
        // Only a server that holds a deletion back sets these.
        meta.deletion_timestamp = None;
        meta.deletion_grace_period_seconds = None;
        // The API says who set what; it takes what the client says of it off the object first.
        meta.managed_fields = Vec::new();
        object.fill_defaults();
        object.check(version, &mut faults);
        warnings.extend(object.warnings());
        object
    });
    finish(object, warnings, faults)
}

/// See [`Object::decode_status`].
pub(crate) fn decode_status(object: &Object, json: Value, fields: FieldValidation) -> Result<Decoded, Vec<Cause>> {
    let kind = object.kind();
    let mut faults = Faults::default();
    let Some((_, mut map)) = open(kind, json, &mut faults) else {
        return Err(faults.into_causes());
    };
    let Some(shape) = Shape::of(kind).field("status") else {
        faults.forbidden("status", format_args!("{} has no status", kind.info().name));
        return Err(faults.into_causes());
    };
    let mut status = map.shift_remove("status").unwrap_or_default();
    let mut unknown = Unknown::new();
    if !status.is_null() {
        shape.check(&mut status, &mut "status".to_owned(), &mut faults, &mut unknown);
    }
    let warnings = judge(unknown, fields, &mut faults);
    let mut whole = object.encode(kind.info().version);
    if let Value::Object(fields) = &mut whole {
        fields.shift_remove("status");
        if !status.is_null() {
            fields.insert("status".to_owned(), status);
        }
    }
    let object = read(kind, whole, &mut faults);
    if let Some(object) = &object {
        object.check_status(&mut faults);
    }
    finish(object, warnings, faults)
}

fn finish(object: Option<Object>, warnings: Vec<String>, faults: Faults) -> Result<Decoded, Vec<Cause>> {
    match object {
        Some(object) if faults.is_empty() => Ok(Decoded { object, warnings }),
        _ => Err(faults.into_causes()),
    }
}

/// Takes `apiVersion` and `kind` off the object. The version is the stored one if the object's cannot be used.
fn open(kind: Kind, json: Value, faults: &mut Faults) -> Option<(&'static str, Map<String, Value>)> {
    let Value::Object(mut map) = json else {
        faults.wrong_type("", "object", &json);
        return None;
    };
    let info = kind.info();
    let version = match map.shift_remove("apiVersion") {
        Some(Value::String(found)) => {
            let version = versions(info).find(|version| info.api_version_as(version) == found);
            if version.is_none() {
                let options: Vec<String> = versions(info).map(|version| info.api_version_as(version)).collect();
                faults.not_supported("apiVersion", &found, &options);
            }
            version
        }
        None | Some(Value::Null) => {
            faults.required("apiVersion", format_args!("must be set: {}", info.api_version()));
            None
        }
        Some(other) => {
            faults.wrong_type("apiVersion", "string", &other);
            None
        }
    };
    match map.shift_remove("kind") {
        Some(Value::String(found)) if found == info.name => {}
        Some(Value::String(found)) => {
            faults.invalid_text("kind", &found, format_args!("must be {}", ShownText(info.name)));
        }
        None | Some(Value::Null) => faults.required("kind", format_args!("must be set: {}", info.name)),
        Some(other) => faults.wrong_type("kind", "string", &other),
    }
    Some((version.unwrap_or(info.version), map))
}

fn versions(info: &'static KindInfo) -> impl Iterator<Item = &'static str> {
    std::iter::once(info.version).chain(info.accepted_versions.iter().copied())
}

/// Makes faults or warnings of the fields that the type does not have.
fn judge(unknown: Unknown, fields: FieldValidation, faults: &mut Faults) -> Vec<String> {
    let told = unknown
        .into_iter()
        .map(|path| (format!("unknown field \"{path}\""), path));
    match fields {
        FieldValidation::Strict => {
            for (message, path) in told {
                faults.add(path, CauseReason::UnexpectedField, message);
            }
            Vec::new()
        }
        FieldValidation::Warn => told.map(|(message, _)| message).collect(),
        FieldValidation::Ignore => Vec::new(),
    }
}

/// Reads the typed object. What its shape lets through and its type does not is a fault with the field's path.
fn read(kind: Kind, json: Value, faults: &mut Faults) -> Option<Object> {
    fn typed<T: DeserializeOwned>(json: Value, faults: &mut Faults) -> Option<Arc<T>> {
        match serde_path_to_error::deserialize::<_, T>(json) {
            Ok(object) => Some(Arc::new(object)),
            Err(error) => {
                // Faults of the shape say it better.
                if faults.is_empty() {
                    let path = error.path().to_string();
                    faults.add(path, CauseReason::FieldValueInvalid, error.inner());
                }
                None
            }
        }
    }
    for_each_type!(kind, T => typed::<T>(json, faults).map(Object::from))
}
