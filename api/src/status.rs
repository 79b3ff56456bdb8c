//! `Status`, the answer of a request that failed, exactly as client-go reads it.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use guideway_model::outcome::{Cause, CauseReason};
use serde_json::{Map, Value, json};

use crate::ownership::Conflict;
use crate::resource::Resource;

/// A failed request. Boxed inside, so that results stay small.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Status(Box<Fields>);

#[derive(Clone, Debug, PartialEq)]
struct Fields {
    code: StatusCode,
    reason: &'static str,
    message: String,
    details: Details,
    continue_token: Option<String>,
    allow: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Details {
    name: String,
    group: &'static str,
    kind: &'static str,
    causes: Vec<StatusCause>,
    retry_after: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq)]
struct StatusCause {
    reason: &'static str,
    message: String,
    field: String,
}

impl Status {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Status {
        Status(Box::new(Fields {
            code,
            reason,
            message: message.into(),
            details: Details::default(),
            continue_token: None,
            allow: None,
        }))
    }

    /// 400: the request cannot be understood.
    pub(crate) fn bad_request(message: impl Into<String>) -> Status {
        Status::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// 401: nobody is known to ask. What is wrong with a credential is not told.
    pub(crate) fn unauthorized() -> Status {
        Status::new(
            StatusCode::UNAUTHORIZED,
            "Unauthorized",
            "Unauthorized: sign in with a client certificate of this cluster or with a token that is valid",
        )
    }

    /// 403: the request is understood and not allowed.
    pub(crate) fn forbidden(message: impl Into<String>) -> Status {
        Status::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    /// 404: no such object.
    pub(crate) fn not_found(resource: &Resource, name: &str) -> Status {
        Status::new(
            StatusCode::NOT_FOUND,
            "NotFound",
            format!("{} {name:?} not found", resource.qualified()),
        )
        .about(resource.group, resource.plural, name)
    }

    /// 404: nothing is served at this path.
    pub(crate) fn no_such_path(message: impl Into<String>) -> Status {
        Status::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// 405, with the methods that work as the `Allow` header.
    pub(crate) fn method_not_allowed(method: &str, path: &str, allowed: &[&str]) -> Status {
        let allowed = allowed.join(", ");
        let mut status = Status::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            format!("{method} is not allowed on {path}; it takes {allowed}"),
        );
        status.0.allow = Some(allowed);
        status
    }

    /// 405: objects of this resource come and go without a version, so there is nothing to follow them by.
    pub(crate) fn not_watched(resource: &Resource) -> Status {
        Status::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            format!(
                "{} cannot be watched: they are computed when they are asked for; list them again instead",
                resource.qualified()
            ),
        )
        .about(resource.group, resource.plural, "")
    }

    /// 406: the client takes nothing that is made here.
    pub(crate) fn not_acceptable(accept: &str) -> Status {
        Status::new(
            StatusCode::NOT_ACCEPTABLE,
            "NotAcceptable",
            format!("none of the media types in \"Accept: {accept}\" is served; ask for application/json"),
        )
    }

    /// 409: the name is taken.
    pub(crate) fn already_exists(resource: &Resource, name: &str) -> Status {
        Status::new(
            StatusCode::CONFLICT,
            "AlreadyExists",
            format!("{} {name:?} already exists", resource.qualified()),
        )
        .about(resource.group, resource.plural, name)
    }

    /// 409: the object is not the one, or not at the version, that the writer saw.
    pub(crate) fn conflict(resource: &Resource, name: &str, why: &str) -> Status {
        Status::new(
            StatusCode::CONFLICT,
            "Conflict",
            format!(
                "Operation cannot be fulfilled on {} {name:?}: {why}",
                resource.qualified()
            ),
        )
        .about(resource.group, resource.plural, name)
    }

    /// 409: an apply would change fields of other managers; each is a cause, as kubectl prints them.
    pub(crate) fn apply_conflict(conflicts: &[Conflict]) -> Status {
        let message = match conflicts {
            [one] => format!(
                "Apply failed with 1 conflict: conflict with {}: {}",
                one.manager, one.field
            ),
            many => {
                let mut lines = Vec::new();
                let mut last = "";
                for conflict in many {
                    if conflict.manager != last {
                        lines.push(format!("conflicts with {}:", conflict.manager));
                        last = &conflict.manager;
                    }
                    lines.push(format!("- {}", conflict.field));
                }
                format!("Apply failed with {} conflicts: {}", many.len(), lines.join("\n"))
            }
        };
        let mut status = Status::new(StatusCode::CONFLICT, "Conflict", message);
        status.0.details.causes = conflicts
            .iter()
            .map(|conflict| StatusCause {
                reason: "FieldManagerConflict",
                message: format!("conflict with {}", conflict.manager),
                field: conflict.field.clone(),
            })
            .collect();
        status
    }

    /// 410: what was asked for is no longer kept. `continue_token` goes on with the list as it is now.
    pub(crate) fn expired(message: impl Into<String>, continue_token: Option<String>) -> Status {
        let mut status = Status::new(StatusCode::GONE, "Expired", message);
        status.0.continue_token = continue_token;
        status
    }

    /// 413: the body is over the limit.
    pub(crate) fn body_too_large(limit: usize) -> Status {
        Status::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            format!("the request body is larger than the limit of {limit} bytes"),
        )
    }

    /// 413: the object does not fit into one log entry.
    pub(crate) fn object_too_large(message: impl Into<String>) -> Status {
        Status::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    }

    /// 415, naming what is accepted.
    pub(crate) fn unsupported_media_type(found: &str, accepted: &[&str], hint: &str) -> Status {
        let mut message = format!(
            "the body has content type {found:?}; accepted are {}",
            accepted.join(", ")
        );
        if !hint.is_empty() {
            message.push_str("; ");
            message.push_str(hint);
        }
        Status::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// 422: the object breaks rules; every one is a cause.
    pub(crate) fn invalid(resource: &Resource, name: &str, causes: Vec<Cause>) -> Status {
        let faults: Vec<String> = causes.iter().map(located).collect();
        let faults = match faults.as_slice() {
            [] => "the object breaks a rule that was not named".to_owned(),
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let kind = if resource.group.is_empty() {
            resource.name.to_owned()
        } else {
            format!("{}.{}", resource.name, resource.group)
        };
        Status::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Invalid",
            format!("{kind} {name:?} is invalid: {faults}"),
        )
        .about(resource.group, resource.name, name)
        .with_causes(causes)
    }

    /// 422: a patch that is well formed does not apply to this object.
    pub(crate) fn patch_does_not_apply(resource: &Resource, name: &str, why: &str) -> Status {
        Status::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Invalid",
            format!("the patch does not apply to {} {name:?}: {why}", resource.qualified()),
        )
        .about(resource.group, resource.plural, name)
    }

    /// 422: a parameter of a patch.
    pub(crate) fn invalid_patch_options(field: &'static str, problem: &str) -> Status {
        let mut status = Status::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Invalid",
            format!("PatchOptions.meta.k8s.io \"\" is invalid: {field}: {problem}"),
        )
        .about("meta.k8s.io", "PatchOptions", "");
        let reason = match problem.starts_with("Required") {
            true => CauseReason::FieldValueRequired,
            false => CauseReason::FieldValueForbidden,
        };
        status.0.details.causes.push(StatusCause {
            reason: reason_text(reason),
            message: problem.to_owned(),
            field: field.to_owned(),
        });
        status
    }

    /// 429 with `Retry-After`; client-go waits and asks again.
    pub(crate) fn too_many_requests(message: impl Into<String>) -> Status {
        Status::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message).retry_after(Duration::from_secs(1))
    }

    /// 500: the server contradicts itself.
    pub(crate) fn internal(message: impl Into<String>) -> Status {
        Status::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }

    /// 503: not now.
    pub(crate) fn unavailable(message: impl Into<String>) -> Status {
        Status::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
    }

    /// 504: no answer in time; the message says what may have happened.
    pub(crate) fn timeout(message: impl Into<String>) -> Status {
        Status::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message)
    }

    /// 504 `ResourceVersionTooLarge`: this node has not applied that version yet.
    pub(crate) fn version_too_large(asked: u64, applied: u64) -> Status {
        let mut status = Status::new(
            StatusCode::GATEWAY_TIMEOUT,
            "Timeout",
            format!("Too large resource version: {asked}, current: {applied}"),
        )
        .retry_after(Duration::from_secs(1));
        status.0.details.causes.push(StatusCause {
            reason: "ResourceVersionTooLarge",
            message: "Too large resource version".to_owned(),
            field: String::new(),
        });
        status
    }

    /// 507: a disk is full; the message names node and path.
    pub(crate) fn disk_full(message: impl Into<String>) -> Status {
        Status::new(StatusCode::INSUFFICIENT_STORAGE, "InsufficientStorage", message)
    }

    /// Names what the request was about.
    pub(crate) fn about(mut self, group: &'static str, kind: &'static str, name: &str) -> Status {
        self.0.details.group = group;
        self.0.details.kind = kind;
        name.clone_into(&mut self.0.details.name);
        self
    }

    /// Adds the single faults.
    pub(crate) fn with_causes(mut self, causes: Vec<Cause>) -> Status {
        self.0
            .details
            .causes
            .extend(causes.into_iter().map(|cause| StatusCause {
                reason: reason_text(cause.reason),
                message: cause.message,
                field: cause.field,
            }));
        self
    }

    /// Tells clients when to try again.
    pub(crate) fn retry_after(mut self, wait: Duration) -> Status {
        self.0.details.retry_after = Some(wait);
        self
    }

    /// HTTP status code.
    pub(crate) fn code(&self) -> StatusCode {
        self.0.code
    }

    /// What went wrong, for people.
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether another write came between.
    pub(crate) fn is_conflict(&self) -> bool {
        self.0.reason == "Conflict"
    }

    /// Whether the name was taken.
    pub(crate) fn is_already_exists(&self) -> bool {
        self.0.reason == "AlreadyExists"
    }

    /// The `Status` object.
    pub(crate) fn to_json(&self) -> Value {
        let fields = &self.0;
        let mut metadata = Map::new();
        if let Some(token) = &fields.continue_token {
            metadata.insert("continue".to_owned(), Value::from(token.as_str()));
        }
        let mut json = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": "Failure",
            "message": fields.message,
            "reason": fields.reason,
        });
        let details = fields.details.to_json();
        if !details.is_empty() {
            json["details"] = Value::Object(details);
        }
        json["code"] = Value::from(fields.code.as_u16());
        json
    }
}

impl Details {
    fn to_json(&self) -> Map<String, Value> {
        let mut json = Map::new();
        for (field, text) in [("name", self.name.as_str()), ("group", self.group), ("kind", self.kind)] {
            if !text.is_empty() {
                json.insert(field.to_owned(), Value::from(text));
            }
        }
        if !self.causes.is_empty() {
            json.insert(
                "causes".to_owned(),
                self.causes.iter().map(StatusCause::to_json).collect(),
            );
        }
        if let Some(wait) = self.retry_after {
            json.insert("retryAfterSeconds".to_owned(), Value::from(wait.as_secs()));
        }
        json
    }
}

impl StatusCause {
    fn to_json(&self) -> Value {
        let mut json = json!({ "reason": self.reason, "message": self.message });
        if !self.field.is_empty() {
            json["field"] = Value::from(self.field.as_str());
        }
        json
    }
}

impl IntoResponse for Status {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.to_json().to_string()));
        *response.status_mut() = self.0.code;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.0.code == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"guideway\""));
        }
        if let Some(wait) = self.0.details.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        if let Some(allow) = self
            .0
            .allow
            .as_deref()
            .and_then(|text| HeaderValue::from_str(text).ok())
        {
            headers.insert(ALLOW, allow);
        }
        response
    }
}

/// A cause as one phrase of a message.
pub(crate) fn located(cause: &Cause) -> String {
    if cause.field.is_empty() {
        cause.message.clone()
    } else {
        format!("{}: {}", cause.field, cause.message)
    }
}

fn reason_text(reason: CauseReason) -> &'static str {
    match reason {
        CauseReason::FieldValueRequired => "FieldValueRequired",
        CauseReason::FieldValueInvalid => "FieldValueInvalid",
        CauseReason::FieldValueNotSupported => "FieldValueNotSupported",
        CauseReason::FieldValueDuplicate => "FieldValueDuplicate",
        CauseReason::FieldValueForbidden => "FieldValueForbidden",
        CauseReason::FieldValueTooMany => "FieldValueTooMany",
        CauseReason::FieldValueTooLong => "FieldValueTooLong",
        CauseReason::FieldValueTypeInvalid => "FieldValueTypeInvalid",
        CauseReason::UnexpectedField => "UnexpectedField",
    }
}
