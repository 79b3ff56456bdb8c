//! An object on its way in: what the path says is filled in, the rest is decoded, and preconditions are read out.

use guideway_model::Kind;
use guideway_model::Object;
use guideway_model::meta::{ObjectMeta, Uid};
use guideway_model::object::FieldValidation;
use guideway_model::outcome::{Cause, CauseReason};
use serde_json::{Map, Value};

use crate::attribution::take_sent;
use crate::body::Payload;
use crate::query::WriteParameters;
use crate::resource::{Resource, api_version};
use crate::status::{Status, located};
use crate::target::Target;

/// What the writer believes is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preconditions {
    /// Version it saw; `None` for any.
    pub(crate) version: Option<u64>,
    /// Identity it saw; `None` for any.
    pub(crate) uid: Option<Uid>,
}

/// Reads a body that is to be written, or looked at, where the path says; and what it says of managed fields, which is not
/// part of the object.
pub(crate) fn received(
    target: &Target,
    parameters: &WriteParameters,
    payload: &Payload,
    warnings: &mut Vec<String>,
) -> Result<(Value, Option<Value>), Status> {
    let mut body = payload.object(parameters.fields, warnings)?;
    place(target, &mut body)?;
    let sent = take_sent(&mut body);
    Ok((body, sent))
}

/// Fills in `apiVersion`, `kind`, namespace and name from the path; refuses a body that says otherwise.
pub(crate) fn place(target: &Target, body: &mut Value) -> Result<(), Status> {
    let Value::Object(fields) = body else {
        return Err(Status::bad_request("the body is not an object"));
    };
    let expected = api_version(target.resource.group, target.version);
    fill(fields, "apiVersion", &expected).map_err(|found| {
        Status::bad_request(format!(
            "the API version in the data ({found}) does not match the expected API version ({expected})"
        ))
    })?;
    let kind = target.resource.name;
    fill(fields, "kind", kind).map_err(|found| {
        Status::bad_request(format!(
            "the kind in the data ({found}) does not match the expected kind ({kind})"
        ))
    })?;
    let metadata = fields.entry("metadata").or_insert(Value::Null);
    if metadata.is_null() {
        *metadata = Value::Object(Map::new());
    }
    let Value::Object(metadata) = metadata else {
        return Ok(());
    };
    let namespace = target.namespace.as_deref().unwrap_or_default();
    fill(metadata, "namespace", namespace).map_err(|found| {
        Status::bad_request(format!(
            "the namespace of the provided object ({found}) does not match the namespace sent on the request \
             ({namespace:?})"
        ))
    })?;
    if let Some(name) = &target.name {
        fill(metadata, "name", name).map_err(|found| {
            Status::bad_request(format!(
                "the name of the object ({found}) does not match the name on the URL ({name})"
            ))
        })?;
    }
    Ok(())
}

/// Sets an absent or empty field; `Err` with what is there if it differs. Wrong types are left for decoding to name.
fn fill(fields: &mut Map<String, Value>, name: &str, expected: &str) -> Result<(), String> {
    match fields.get(name) {
        None | Some(Value::Null) => {}
        Some(Value::String(found)) if found.is_empty() => {}
        Some(Value::String(found)) if found == expected => return Ok(()),
        Some(Value::String(found)) => return Err(found.clone()),
        Some(_) => return Ok(()),
    }
    if expected.is_empty() {
        fields.remove(name);
    } else {
        fields.insert(name.to_owned(), Value::from(expected));
    }
    Ok(())
}

/// Decodes, defaults and validates everything but status.
pub(crate) fn decode(
    target: &Target,
    kind: Kind,
    body: Value,
    fields: FieldValidation,
    warnings: &mut Vec<String>,
) -> Result<Object, Status> {
    let name = metadata_text(&body, "name").to_owned();
    let decoded = Object::decode(kind, body, fields).map_err(|causes| undecodable(target, &name, causes))?;
    warnings.extend(decoded.warnings);
    Ok(decoded.object)
}

/// `stored` with the status of `body`.
pub(crate) fn decode_status(
    target: &Target,
    stored: &Object,
    body: Value,
    fields: FieldValidation,
    warnings: &mut Vec<String>,
) -> Result<Object, Status> {
    let decoded = stored
        .decode_status(body, fields)
        .map_err(|causes| undecodable(target, target.name(), causes))?;
    warnings.extend(decoded.warnings);
    Ok(decoded.object)
}

/// `metadata.resourceVersion` and `metadata.uid` of a body.
pub(crate) fn preconditions(body: &Value) -> Result<Preconditions, Status> {
    let version = match metadata_text(body, "resourceVersion") {
        "" => None,
        text => Some(parse_version("metadata.resourceVersion", text)?).filter(|version| *version > 0),
    };
    let uid = Some(metadata_text(body, "uid")).filter(|uid| !uid.is_empty());
    Ok(Preconditions {
        version,
        uid: uid.map(|uid| Uid(uid.to_owned())),
    })
}

/// Refuses a write that believes another version or another object to be stored.
pub(crate) fn check_preconditions(target: &Target, seen: &Preconditions, meta: &ObjectMeta) -> Result<(), Status> {
    if seen.version.is_some_and(|version| version != meta.resource_version) {
        return Err(Status::conflict(
            &target.resource,
            target.name(),
            "the object has been modified; please apply your changes to the latest version and try again",
        ));
    }
    if seen.uid.as_ref().is_some_and(|uid| *uid != meta.uid) {
        return Err(Status::conflict(
            &target.resource,
            target.name(),
            "Precondition failed: the uid in the request is that of another object",
        ));
    }
    Ok(())
}

/// A version as clients write it.
pub(crate) fn parse_version(field: &str, text: &str) -> Result<u64, Status> {
    text.parse()
        .map_err(|_| Status::bad_request(format!("{field}: {text:?} is not a version that this server gave out")))
}

/// A text field of `metadata`; empty if absent.
pub(crate) fn metadata_text<'a>(body: &'a Value, field: &str) -> &'a str {
    body["metadata"][field].as_str().unwrap_or_default()
}

/// The refusal of fields that the kind does not have.
pub(crate) fn unknown_fields(target: &Target, paths: &[String]) -> Status {
    let causes = paths.iter().map(|path| Cause {
        field: path.clone(),
        reason: CauseReason::UnexpectedField,
        message: format!("unknown field {path:?}"),
    });
    undecodable(target, target.name(), causes.collect())
}

/// Unknown fields are a malformed request, as Kubernetes sees it; broken rules make an invalid object.
fn undecodable(target: &Target, name: &str, causes: Vec<Cause>) -> Status {
    let Resource { name: kind, .. } = target.resource;
    if !causes.iter().any(|cause| cause.reason == CauseReason::UnexpectedField) {
        return Status::invalid(&target.resource, name, causes);
    }
    let faults: Vec<String> = causes
        .iter()
        .map(|cause| match cause.reason {
            CauseReason::UnexpectedField => format!("unknown field {:?}", cause.field),
            _ => located(cause),
        })
        .collect();
    Status::bad_request(format!(
        "{kind} in version {:?} cannot be handled as a {kind}: strict decoding error: {}",
        target.version,
        faults.join(", ")
    ))
    .about(target.resource.group, kind, name)
    .with_causes(causes)
}
