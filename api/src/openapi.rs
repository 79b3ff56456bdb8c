//! `/openapi/v3`: an index and one document for each group and version.
//!
//! kubectl looks into the `PATCH` operations for `fieldValidation` before it trusts this server to validate, into their
//! content types before it sends a strategic merge patch, and into the schemas for `explain`.

mod computed;
mod operations;
mod schemas;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::answer;
use crate::discovery;
use crate::status::Status;

/// One document, written out once.
struct Document {
    bytes: Bytes,
    hash: String,
}

/// By path below `/openapi/v3/`.
static DOCUMENTS: LazyLock<BTreeMap<String, Document>> = LazyLock::new(|| {
    let mut documents = BTreeMap::new();
    for group in discovery::groups() {
        for version in discovery::versions(group) {
            let bytes = Bytes::from(build(group, version).to_string());
            let hash = format!("{:08X}{:08X}", crc32fast::hash(&bytes), bytes.len());
            documents.insert(path_of(group, version), Document { bytes, hash });
        }
    }
    documents
});

/// `GET /openapi/v3`
pub(crate) fn index() -> Value {
    let paths: Map<String, Value> = DOCUMENTS
        .iter()
        .map(|(path, document)| {
            let url = format!("/openapi/v3/{path}?hash={}", document.hash);
            (path.clone(), json!({ "serverRelativeURL": url }))
        })
        .collect();
    json!({ "paths": paths })
}

/// `GET /openapi/v3/{path}`
pub(crate) fn document(path: &str, headers: &HeaderMap) -> Result<Response<Body>, Status> {
    let document = DOCUMENTS
        .get(path)
        .ok_or_else(|| Status::no_such_path(format!("there is no OpenAPI document for {path:?}; see /openapi/v3")))?;
    let tag = format!("\"{}\"", document.hash);
    let known = headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if known {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        answer::stream(Body::from(document.bytes.clone()))
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    Ok(response)
}

fn path_of(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("api/{version}")
    } else {
        format!("apis/{group}/{version}")
    }
}

fn build(group: &str, version: &str) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for resource in discovery::resources(group, version) {
        operations::add(&resource, version, &path_of(group, version), &mut paths);
        schemas::add(&resource, version, &mut schemas);
    }
    json!({
        "openapi": "3.0.0",
        "info": { "title": "Guideway", "version": version },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

#[cfg(test)]
mod tests;
