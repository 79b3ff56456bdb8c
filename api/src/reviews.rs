//! `RouteReview` of `guideway.dev/v1alpha1`: where one client would go, and why. Only ever created, and never kept.

mod spec;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use guideway_model::node::Protocol;
use guideway_model::object::FieldValidation;
use guideway_model::outcome::{Cause, CauseReason, Refusal};
use guideway_model::plan::{self, ListenerName, ListenerService, Plan};
use guideway_model::review::{Review, ReviewListener, ReviewRequest, review};
use guideway_model::{Object, State};
use serde_json::{Value, json};

use crate::answer;
use crate::attribution::{now, take_sent};
use crate::blocking::blocking;
use crate::body::Payload;
use crate::candidate;
use crate::failure::refused;
use crate::permission;
use crate::query::{Freshness, WriteParameters};
use crate::resource::{Resource, Source};
use crate::server::Server;
use crate::status::Status;
use crate::target::Target;

use spec::{Door, Spec};

/// Begins the paths of faults in the manifest.
const OBJECT: &str = "spec.withObject";

/// Answers `POST`: the review with its status.
pub(crate) async fn create(
    server: &Server,
    target: &Target,
    parameters: &WriteParameters,
    payload: &Payload,
) -> Result<Response<Body>, Status> {
    let mut warnings = Vec::new();
    let (mut body, _) = candidate::received(target, parameters, payload, &mut warnings)?;
    let unknown = spec::unknown_fields(&body);
    match parameters.fields {
        FieldValidation::Strict if !unknown.is_empty() => return Err(candidate::unknown_fields(target, &unknown)),
        FieldValidation::Warn => warnings.extend(unknown.iter().map(|path| format!("unknown field {path:?}"))),
        FieldValidation::Strict | FieldValidation::Ignore => {}
    }
    let name = candidate::metadata_text(&body, "name").to_owned();
    let invalid = |causes| Status::invalid(&target.resource, &name, causes);
    if !body["metadata"].is_object() {
        return Err(invalid(vec![wrong_type("metadata")]));
    }
    let spec = Spec::read(&body).map_err(invalid)?;
    let namespace = target.namespace.clone().unwrap_or_default();
    let object = spec.with_object.as_ref().map(|manifest| decode(manifest, &namespace));
    let object = object.transpose().map_err(invalid)?;
    if let Some(object) = &object {
        // What would come of an object tells of what is there.
        permission::check_brought(server, target, object.kind(), object)?;
    }
    let _turn = server.rehearsal_turn().await?;
    let state = server.state(Freshness::Linearizable).await?;
    let running = server.cluster.plan();
    let found = blocking(move || {
        let state = match object {
            Some(object) => Arc::new(state.foresee_object(object).map_err(not_applied)?),
            None => state,
        };
        let plan = plan::compile(&state, running.as_deref());
        let request = request(spec, namespace, &plan)?;
        Ok(status(&state, &review(&state, &plan, &request)))
    });
    let status = found.await?.map_err(|cause| invalid(vec![cause]))?;
    complete(&mut body, status);
    let mut response = answer::json(StatusCode::CREATED, &target.view.one(target, body));
    answer::warn(&mut response, &warnings);
    Ok(response)
}

fn request(spec: Spec, namespace: String, plan: &Plan) -> Result<ReviewRequest, Cause> {
    Ok(ReviewRequest {
        listener: match spec.door {
            Door::Named(listener) => ReviewListener::Named(ListenerName {
                namespace,
                gateway: spec.gateway,
                listener,
            }),
            Door::At(protocol, port) => at_port(plan, (&namespace, &spec.gateway), protocol, port)?,
        },
        client: spec.client,
        sni: spec.sni,
        without: spec.without,
    })
}

/// The listener of a Gateway that has a port. Gateways with addresses of their own may share it with others.
fn at_port(
    plan: &Plan,
    (namespace, gateway): (&str, &str),
    protocol: Protocol,
    port: u16,
) -> Result<ReviewListener, Cause> {
    let all = plan
        .listeners
        .iter()
        .filter(|listener| (listener.socket.protocol, listener.socket.port) == (protocol, port));
    let own = all.clone().flat_map(|listener| names(&listener.service));
    let mut own = own.filter(|name| name.namespace == namespace && name.gateway == gateway);
    let Some(name) = own.next() else {
        return Err(Cause {
            field: "spec.port".to_owned(),
            reason: CauseReason::FieldValueInvalid,
            message: format!("Invalid value: {port}: {namespace}/{gateway} is not served on this port and protocol"),
        });
    };
    Ok(match all.count() {
        1 => ReviewListener::Port { protocol, port },
        _ => ReviewListener::Named(name.clone()),
    })
}

fn names(service: &ListenerService) -> Vec<&ListenerName> {
    match service {
        ListenerService::Opaque(listener) => vec![&listener.name],
        ListenerService::Tls(port) => port.listeners.iter().map(|listener| &listener.name).collect(),
    }
}

fn wrong_type(field: &str) -> Cause {
    Cause {
        field: field.to_owned(),
        reason: CauseReason::FieldValueTypeInvalid,
        message: "must be an object".to_owned(),
    }
}

/// Reads the manifest that is to be thought applied; without a namespace it is of that of the review.
fn decode(manifest: &Value, namespace: &str) -> Result<Object, Vec<Cause>> {
    let text = |field: &str| manifest[field].as_str().unwrap_or_default();
    let (group, version) = match text("apiVersion").split_once('/') {
        Some((group, version)) => (group, version),
        None => ("", text("apiVersion")),
    };
    let mut resources = Resource::all();
    let found = resources.find(|resource| {
        resource.group == group && resource.name == text("kind") && resource.versions().any(|served| served == version)
    });
    let Some((resource, Source::Stored(kind))) = found.map(|resource| (resource, resource.source)) else {
        return Err(vec![Cause {
            field: format!("{OBJECT}.kind"),
            reason: CauseReason::FieldValueNotSupported,
            message: "must be the apiVersion and kind of objects that are stored here".to_owned(),
        }]);
    };
    let mut manifest = manifest.clone();
    if !manifest["metadata"].is_object() {
        return Err(vec![wrong_type(&format!("{OBJECT}.metadata"))]);
    }
    if resource.namespaced && candidate::metadata_text(&manifest, "namespace").is_empty() {
        manifest["metadata"]["namespace"] = Value::from(namespace);
    }
    take_sent(&mut manifest);
    let decoded = Object::decode(kind, manifest, FieldValidation::Strict).map_err(|causes| {
        let below = causes.into_iter().map(|cause| Cause {
            field: match cause.field.as_str() {
                "" => OBJECT.to_owned(),
                field => format!("{OBJECT}.{field}"),
            },
            ..cause
        });
        below.collect::<Vec<Cause>>()
    })?;
    if decoded.object.meta().name.is_empty() {
        return Err(vec![Cause {
            field: format!("{OBJECT}.metadata.name"),
            reason: CauseReason::FieldValueRequired,
            message: "must be there: nothing is generated for a review".to_owned(),
        }]);
    }
    Ok(decoded.object)
}

fn not_applied(refusal: Refusal) -> Cause {
    Cause {
        field: OBJECT.to_owned(),
        reason: CauseReason::FieldValueForbidden,
        message: format!("could not be applied: {}", refused(refusal).message()),
    }
}

fn status(state: &State, found: &Review) -> Value {
    let mut status = json!({ "generation": found.generation, "steps": found.steps });
    if let Some(name) = &found.listener {
        status["listener"] = json!({
            "namespace": name.namespace,
            "gateway": name.gateway,
            "name": name.listener,
        });
    }
    if let Some(route) = &found.route {
        status["route"] = Value::from(route.as_str());
    }
    if let Some(endpoint) = found.endpoint {
        status["endpoint"] = Value::from(endpoint.to_string());
    }
    if let Some(why) = found.why {
        status["reason"] = json!(why);
    }
    if let Some(row) = found.row {
        status["row"] = Value::from(row);
    }
    status["resourceVersion"] = Value::from(state.revision().to_string());
    status
}

/// What was sent, with the answer in it.
fn complete(body: &mut Value, status: Value) {
    body["metadata"]["creationTimestamp"] = Value::from(now().to_string());
    body["status"] = status;
}
