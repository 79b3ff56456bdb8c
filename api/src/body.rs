//! Request bodies: bounded, of a known content type, read into documents.

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::{Bytes, BytesMut};
use guideway_model::object::FieldValidation;
use http_body_util::BodyExt;
use serde_json::Value;

use crate::document::{self, Document, Malformed};
use crate::metrics;
use crate::protobuf::{self, ProtobufError};
use crate::status::Status;

/// A body with the content type it was sent with.
pub(crate) struct Payload {
    bytes: Bytes,
    content_type: String,
}

/// Bytes beyond the limit that are read and dropped before the connection is given up.
const DISCARDED_BYTES: usize = 64 * 1024 * 1024;

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";

impl Payload {
    /// Reads a body of at most `limit` bytes.
    pub(crate) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Payload, Status> {
        let too_large = || {
            metrics::refused(metrics::Bound::Body);
            Status::body_too_large(limit)
        };
        let bytes = match bounded(body, limit).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(too_large()),
            Err(error) => return Err(Status::bad_request(format!("the body was cut off: {error}"))),
        };
        let content_type = headers
            .get(CONTENT_TYPE)
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        Ok(Payload {
            bytes,
            content_type: media_type.to_ascii_lowercase(),
        })
    }

    /// Media type in lower case, without parameters; empty if none was sent.
    pub(crate) fn media_type(&self) -> &str {
        &self.content_type
    }

    /// Whether there is no body.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The object in the body. Fields that are there twice are refused, warned about or ignored.
    pub(crate) fn object(&self, fields: FieldValidation, warnings: &mut Vec<String>) -> Result<Value, Status> {
        let document = match self.media_type() {
            protobuf::MEDIA_TYPE => return self.protobuf(),
            JSON | "" => document::from_json(&self.bytes),
            YAML | "application/x-yaml" | "text/yaml" => document::from_yaml(&self.bytes),
            other => {
                return Err(Status::unsupported_media_type(
                    other,
                    &[JSON, YAML, protobuf::MEDIA_TYPE],
                    "",
                ));
            }
        };
        let value = single(document, fields, warnings)?;
        if value.is_object() {
            Ok(value)
        } else {
            Err(Status::bad_request("the body is not an object"))
        }
    }

    fn protobuf(&self) -> Result<Value, Status> {
        protobuf::decode(&self.bytes).map_err(|error| match &error {
            ProtobufError::UnknownKind { .. } => {
                Status::unsupported_media_type(protobuf::MEDIA_TYPE, &[JSON, YAML], &error.to_string())
            }
            _ => Status::bad_request(error.to_string()),
        })
    }

    /// What a server-side apply sends: YAML, of which JSON is a part.
    pub(crate) fn applied(&self, fields: FieldValidation, warnings: &mut Vec<String>) -> Result<Value, Status> {
        let is_object = self.bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        let json = is_object
            .then(|| document::from_json(&self.bytes))
            .filter(Result::is_ok);
        let value = single(
            json.unwrap_or_else(|| document::from_yaml(&self.bytes)),
            fields,
            warnings,
        )?;
        if value.is_object() {
            Ok(value)
        } else {
            Err(Status::bad_request("what is applied is not an object"))
        }
    }

    /// The patch in the body, whatever its content type says.
    pub(crate) fn patch(&self, fields: FieldValidation, warnings: &mut Vec<String>) -> Result<Value, Status> {
        single(document::from_json(&self.bytes), fields, warnings)
    }
}

/// The whole body, or `None` if it is over the limit. What is over is read and dropped, within bounds, because a client
/// that still writes when its connection closes never sees the answer.
async fn bounded(mut body: Body, limit: usize) -> Result<Option<Bytes>, axum::Error> {
    let mut kept = BytesMut::new();
    let mut total = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        total += data.len();
        if total <= limit {
            kept.extend_from_slice(&data);
        } else if total > limit + DISCARDED_BYTES {
            break;
        } else {
            kept.clear();
        }
    }
    Ok((total <= limit).then(|| kept.freeze()))
}

fn single(
    document: Result<Document, Malformed>,
    fields: FieldValidation,
    warnings: &mut Vec<String>,
) -> Result<Value, Status> {
    let Document { value, duplicates } = document.map_err(|malformed| Status::bad_request(malformed.to_string()))?;
    let named = duplicates.into_iter().map(|path| format!("duplicate field {path:?}"));
    match fields {
        FieldValidation::Ignore => {}
        FieldValidation::Warn => warnings.extend(named),
        FieldValidation::Strict => {
            let named: Vec<String> = named.collect();
            if !named.is_empty() {
                return Err(Status::bad_request(format!(
                    "strict decoding error: {}",
                    named.join(", ")
                )));
            }
        }
    }
    Ok(value)
}
