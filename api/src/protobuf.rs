//! Kubernetes protobuf, as typed clients send the kinds that Kubernetes compiles in: kubectl 1.32 and newer for `create
//! service`, `create secret` and the like, and client-go. Only read, and only for the messages in [`tables`]; answers stay
//! JSON, which these clients take too.

mod access;
mod tables;
mod wire;

use guideway_model::meta::Timestamp;
use guideway_model::resource::Blob;
use serde_json::{Map, Value, json};

use tables::{Field, Kind, Message};
use wire::{Reader, Scalar, WireError};

/// Content type of such bodies.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// First bytes of every body.
const MAGIC: &[u8] = b"k8s\0";

/// A body that is not such an object.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtobufError {
    /// The first bytes are others.
    #[error("the protobuf body does not begin with the bytes \"k8s\" and 0")]
    NoMagic,
    /// The bytes are not protobuf.
    #[error("the protobuf body is malformed: {0}")]
    Malformed(#[from] WireError),
    /// A field holds another type.
    #[error("the protobuf body is malformed: field {field} is not {expected}")]
    Type {
        /// Name of the field in JSON.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// There is no table for this kind.
    #[error(
        "protobuf is read only for core, discovery and rbac kinds, reviews of access and DeleteOptions, not for {kind:?}; send application/json"
    )]
    UnknownKind {
        /// The kind in the envelope.
        kind: String,
    },
}

/// Reads one object into the JSON that a client would have sent.
pub(crate) fn decode(body: &[u8]) -> Result<Value, ProtobufError> {
    let body = body.strip_prefix(MAGIC).ok_or(ProtobufError::NoMagic)?;
    let envelope = message(body, &tables::ENVELOPE)?;
    let type_meta = &envelope["typeMeta"];
    let kind = type_meta["kind"].as_str().unwrap_or_default();
    let table = match kind {
        "Namespace" => &tables::NAMESPACE,
        "Service" => &tables::SERVICE,
        "Secret" => &tables::SECRET,
        "ConfigMap" => &tables::CONFIG_MAP,
        "EndpointSlice" => &tables::ENDPOINT_SLICE,
        "DeleteOptions" => &tables::DELETE_OPTIONS,
        "Role" | "ClusterRole" => &access::ROLE,
        "RoleBinding" | "ClusterRoleBinding" => &access::BINDING,
        "SelfSubjectAccessReview" => &access::SELF_SUBJECT_ACCESS_REVIEW,
        "SubjectAccessReview" | "LocalSubjectAccessReview" => &access::SUBJECT_ACCESS_REVIEW,
        "SelfSubjectRulesReview" => &access::SELF_SUBJECT_RULES_REVIEW,
        "SelfSubjectReview" => &access::SELF_SUBJECT_REVIEW,
        _ => return Err(ProtobufError::UnknownKind { kind: kind.to_owned() }),
    };
    let mut object = message(bytes_of(body, tables::ENVELOPE_RAW)?, table)?;
    object["apiVersion"] = type_meta["apiVersion"].clone();
    object["kind"] = type_meta["kind"].clone();
    Ok(object)
}

/// The bytes in a field of a message; none if it is absent.
fn bytes_of(message: &[u8], wanted: u64) -> Result<&[u8], ProtobufError> {
    let mut reader = Reader::new(message);
    while let Some((number, scalar)) = reader.next()? {
        if let Scalar::Bytes(bytes) = scalar
            && number == wanted
        {
            return Ok(bytes);
        }
    }
    Ok(&[])
}

/// Reads a message by its table. Fields without a row are passed over, as protobuf wants it.
fn message(bytes: &[u8], table: &Message) -> Result<Value, ProtobufError> {
    let mut fields = Map::new();
    let mut reader = Reader::new(bytes);
    while let Some((number, scalar)) = reader.next()? {
        let Some(field) = table.0.iter().find(|field| field.number == number) else {
            continue;
        };
        let Some(value) = value(field, scalar)? else { continue };
        match (field.repeated, &field.kind, value) {
            (false, Kind::TextMap | Kind::BytesMap, Value::Object(entry)) => {
                if let Value::Object(present) = fields.entry(field.name).or_insert_with(|| json!({})) {
                    present.extend(entry);
                }
            }
            (true, _, value) => {
                if let Value::Array(present) = fields.entry(field.name).or_insert_with(|| json!([])) {
                    present.push(value);
                }
            }
            (false, _, value) => {
                fields.insert(field.name.to_owned(), value);
            }
        }
    }
    Ok(Value::Object(fields))
}

/// One value of a field; `None` where Kubernetes writes a zero for what is absent.
fn value(field: &Field, scalar: Scalar<'_>) -> Result<Option<Value>, ProtobufError> {
    let expects = |expected| ProtobufError::Type {
        field: field.name,
        expected,
    };
    let keep_zero = field.optional || field.repeated;
    Ok(match (&field.kind, scalar) {
        (Kind::Text, Scalar::Bytes(bytes)) => {
            let text = std::str::from_utf8(bytes).map_err(|_| expects("UTF-8 text"))?;
            Some(Value::from(text)).filter(|_| keep_zero || !text.is_empty())
        }
        (Kind::Integer, Scalar::Varint(number)) => {
            // Negative numbers are written as the 64 bits of their two's complement.
            let number = number.cast_signed();
            Some(Value::from(number)).filter(|_| keep_zero || number != 0)
        }
        (Kind::Boolean, Scalar::Varint(number)) => Some(Value::from(number != 0)).filter(|_| keep_zero || number != 0),
        (Kind::Message(table), Scalar::Bytes(bytes)) => Some(message(bytes, table)?)
            .filter(|inner| keep_zero || inner.as_object().is_some_and(|fields| !fields.is_empty())),
        (Kind::TextMap, Scalar::Bytes(bytes)) => {
            let entry = message(bytes, &tables::MAP_ENTRY)?;
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            Some(json!({ text("key"): text("value") }))
        }
        (Kind::BytesMap, Scalar::Bytes(bytes)) => {
            let entry = message(bytes, &tables::BYTES_MAP_ENTRY)?;
            let value = Blob(bytes_of(bytes, tables::BYTES_MAP_VALUE)?.to_vec());
            let key = entry["key"].as_str().unwrap_or_default();
            Some(json!({ key: serde_json::to_value(value).unwrap_or_default() }))
        }
        (Kind::Time, Scalar::Bytes(bytes)) => {
            let unix_seconds = message(bytes, &tables::TIME)?["seconds"].as_i64().unwrap_or_default();
            Some(Value::from(Timestamp { unix_seconds }.to_string()))
        }
        (Kind::IntOrString, Scalar::Bytes(bytes)) => {
            let parts = message(bytes, &tables::INT_OR_STRING)?;
            let is_text = parts["type"].as_i64() == Some(1);
            let number = parts["intVal"].as_i64().unwrap_or_default();
            let text = parts["strVal"].as_str().unwrap_or_default();
            if is_text {
                Some(Value::from(text)).filter(|_| !text.is_empty())
            } else {
                Some(Value::from(number)).filter(|_| number != 0)
            }
        }
        (
            Kind::Text | Kind::Message(_) | Kind::TextMap | Kind::BytesMap | Kind::Time | Kind::IntOrString,
            Scalar::Varint(_) | Scalar::Fixed,
        ) => return Err(expects("a run of bytes")),
        (Kind::Integer | Kind::Boolean, Scalar::Bytes(_) | Scalar::Fixed) => return Err(expects("a number")),
    })
}

#[cfg(test)]
mod tests;
