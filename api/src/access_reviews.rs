//! `authorization.k8s.io/v1` and `authentication.k8s.io/v1`: who someone is and what they may do. Only ever created, and
//! never kept; `kubectl auth can-i` and `kubectl auth whoami` ask them.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use guideway_model::State;
use guideway_model::authority::{Attributes, ResourceAttributes, User, authorize, held};
use guideway_model::outcome::{Cause, CauseReason};
use serde_json::{Value, json};

use crate::answer;
use crate::body::Payload;
use crate::candidate;
use crate::query::WriteParameters;
use crate::resource::AccessReview;
use crate::server::Server;
use crate::status::Status;
use crate::target::Target;

/// Answers `POST`: the review with its status.
pub(crate) fn create(
    server: &Server,
    target: &Target,
    review: AccessReview,
    parameters: &WriteParameters,
    payload: &Payload,
) -> Result<Response<Body>, Status> {
    let mut warnings = Vec::new();
    let mut body = payload.object(parameters.fields, &mut warnings)?;
    if body["metadata"].is_null() {
        body["metadata"] = json!({});
    }
    candidate::place(target, &mut body)?;
    let state = server.cluster.watch().borrow().state.clone();
    let invalid = |cause: Cause| Status::invalid(&target.resource, "", vec![cause]);
    let user = &target.caller.user;
    let status = match review {
        AccessReview::SelfSubject => json!({ "userInfo": { "username": user.name, "groups": user.groups } }),
        AccessReview::SelfSubjectRules => rules(&state, user, &body).map_err(invalid)?,
        AccessReview::SelfSubjectAccess => decision(&state, user, &body).map_err(invalid)?,
        AccessReview::SubjectAccess => {
            let asked = subject(&body).map_err(invalid)?;
            decision(&state, &asked, &body).map_err(invalid)?
        }
        AccessReview::LocalSubjectAccess => {
            let asked = subject(&body).map_err(invalid)?;
            let namespace = &body["spec"]["resourceAttributes"]["namespace"];
            if namespace.as_str() != target.namespace.as_deref() {
                return Err(invalid(fault(
                    "spec.resourceAttributes.namespace",
                    format!("{namespace}: must be the namespace of the review"),
                )));
            }
            decision(&state, &asked, &body).map_err(invalid)?
        }
    };
    body["status"] = status;
    let mut response = answer::json(StatusCode::CREATED, &target.view.one(target, body));
    answer::warn(&mut response, &warnings);
    Ok(response)
}

/// Whom a review asks about.
fn subject(body: &Value) -> Result<User, Cause> {
    let spec = &body["spec"];
    let groups = spec["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
    let groups: Vec<String> = groups.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let name = spec["user"].as_str().unwrap_or_default();
    if name.is_empty() && groups.is_empty() {
        return Err(fault("spec.user", "must be set, or spec.groups must".to_owned()));
    }
    // Whoever is asked about as not signed in is in no group of those who have.
    Ok(User {
        name: name.to_owned(),
        groups,
    })
}

fn decision(state: &State, user: &User, body: &Value) -> Result<Value, Cause> {
    let spec = &body["spec"];
    let text = |part: &'static str, field: &str| spec[part][field].as_str().unwrap_or_default();
    let attributes = match (
        spec["resourceAttributes"].is_object(),
        spec["nonResourceAttributes"].is_object(),
    ) {
        (true, false) => {
            let of = |field| text("resourceAttributes", field);
            Attributes::resource(
                of("verb"),
                ResourceAttributes {
                    group: of("group"),
                    resource: of("resource"),
                    subresource: of("subresource"),
                    namespace: of("namespace"),
                    name: of("name"),
                },
            )
        }
        (false, true) => Attributes::path(
            text("nonResourceAttributes", "verb"),
            text("nonResourceAttributes", "path"),
        ),
        (true, true) | (false, false) => {
            return Err(fault(
                "spec",
                "must have exactly one of resourceAttributes and nonResourceAttributes".to_owned(),
            ));
        }
    };
    let decision = authorize(state, user, &attributes);
    let mut status = json!({ "allowed": decision.allowed });
    if !decision.reason.is_empty() {
        status["reason"] = Value::from(decision.reason);
    }
    Ok(status)
}

fn rules(state: &State, user: &User, body: &Value) -> Result<Value, Cause> {
    let namespace = body["spec"]["namespace"].as_str().unwrap_or_default();
    if namespace.is_empty() {
        return Err(fault("spec.namespace", "must be set".to_owned()));
    }
    let (mut resources, mut paths) = (Vec::new(), Vec::new());
    for grant in held(state, user, namespace) {
        for rule in grant.rules.iter() {
            if rule.non_resource_urls.is_empty() {
                resources.push(json!({
                    "verbs": rule.verbs,
                    "apiGroups": rule.api_groups,
                    "resources": rule.resources,
                    "resourceNames": rule.resource_names,
                }));
            } else {
                paths.push(json!({ "verbs": rule.verbs, "nonResourceURLs": rule.non_resource_urls }));
            }
        }
    }
    Ok(json!({ "resourceRules": resources, "nonResourceRules": paths, "incomplete": false }))
}

fn fault(field: &str, message: String) -> Cause {
    Cause {
        field: field.to_owned(),
        reason: CauseReason::FieldValueInvalid,
        message: format!("Invalid value: {message}"),
    }
}
