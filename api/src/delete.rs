//! `DELETE` on an object and on a collection.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use futures_util::{StreamExt, TryStreamExt, stream};
use guideway_model::meta::{ObjectMeta, Uid};
use guideway_model::object::{FieldValidation, ObjectKey};
use guideway_model::{Command, Kind, Object};
use serde_json::{Value, json};

use crate::answer;
use crate::body::Payload;
use crate::candidate::{Preconditions, check_preconditions, parse_version};
use crate::list::list_metadata;
use crate::query::{Freshness, Parameters};
use crate::rehearsal::Rehearsal;
use crate::server::Server;
use crate::status::Status;
use crate::target::Target;
use crate::write::{answer_written, submit};

/// Deletes of one collection on their way at once.
const CONCURRENT_DELETES: usize = 32;

/// `DeleteOptions`, from body and query.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct DeleteOptions {
    /// What the client believes to be there.
    pub(crate) preconditions: Preconditions,
    /// Everything but the delete itself.
    pub(crate) dry_run: bool,
}

impl DeleteOptions {
    /// Reads them. Nothing here has finalizers or dependents to wait for, so every `propagationPolicy` means the same.
    pub(crate) fn read(parameters: &Parameters, payload: &Payload) -> Result<DeleteOptions, Status> {
        let mut options = DeleteOptions {
            dry_run: parameters.dry_run()?,
            ..DeleteOptions::default()
        };
        check_policy(parameters.get("propagationPolicy"))?;
        if payload.is_empty() {
            return Ok(options);
        }
        let body = payload.object(FieldValidation::Ignore, &mut Vec::new())?;
        if let Some(kind) = body["kind"]
            .as_str()
            .filter(|kind| !["", "DeleteOptions"].contains(kind))
        {
            return Err(Status::bad_request(format!(
                "the body of a delete is a DeleteOptions, not a {kind}"
            )));
        }
        check_policy(body["propagationPolicy"].as_str())?;
        for entry in body["dryRun"].as_array().into_iter().flatten() {
            if entry != "All" {
                return Err(Status::bad_request(format!("dryRun: {entry}: supported is only All")));
            }
            options.dry_run = true;
        }
        let preconditions = &body["preconditions"];
        if let Some(version) = preconditions["resourceVersion"].as_str() {
            options.preconditions.version = Some(parse_version("preconditions.resourceVersion", version)?);
        }
        options.preconditions.uid = preconditions["uid"].as_str().map(|uid| Uid(uid.to_owned()));
        Ok(options)
    }

    /// Refuses to delete an object of a computed resource, which has no versions, if another one is meant.
    pub(crate) fn check_computed(&self, target: &Target, uid: &str) -> Result<(), Status> {
        let meta = ObjectMeta {
            uid: Uid(uid.to_owned()),
            ..ObjectMeta::default()
        };
        check_preconditions(target, &self.preconditions, &meta)
    }
}

fn check_policy(policy: Option<&str>) -> Result<(), Status> {
    match policy {
        None | Some("" | "Orphan" | "Background" | "Foreground") => Ok(()),
        Some(other) => Err(Status::bad_request(format!(
            "propagationPolicy: {other:?}: supported are Orphan, Background and Foreground"
        ))),
    }
}

/// Answers `DELETE` on an object.
pub(crate) async fn delete(
    server: &Server,
    target: &Target,
    kind: Kind,
    options: DeleteOptions,
) -> Result<Response<Body>, Status> {
    let command = Command::Delete {
        key: target.key(kind),
        expected: options.preconditions.version,
        uid: options.preconditions.uid,
    };
    let deleted = submit(server, target, command, options.dry_run).await?;
    if target.resource.answers_delete_with_object() {
        return Ok(answer_written(target, StatusCode::OK, &deleted, Vec::new()));
    }
    let mut response = answer::json(StatusCode::OK, &success(target, &deleted.object));
    answer::warn(&mut response, &deleted.warnings);
    Ok(response)
}

/// Answers `DELETE` on a collection: every selected object, each deleted unless it has been replaced meanwhile.
pub(crate) async fn delete_collection(
    server: &Server,
    target: &Target,
    kind: Kind,
    parameters: &Parameters,
    options: DeleteOptions,
) -> Result<Response<Body>, Status> {
    let selector = parameters.selector()?;
    let state = server.state(Freshness::Linearizable).await?;
    let selected: Vec<(ObjectKey, Uid)> = state
        .list(kind, target.namespace.as_deref(), None)
        .filter(|object| selector.matches(object.meta()))
        .map(|object| (object.key(), object.meta().uid.clone()))
        .collect();
    let mut warnings = Vec::new();
    let mut gone: Vec<Object> = if options.dry_run {
        target.caller.set_audited();
        let mut rehearsal = Rehearsal::begin(Arc::clone(&state));
        let commands = selected.into_iter().map(|(key, uid)| delete_command(key, uid));
        let gone = commands
            .map(|command| Ok(server.opened_last(rehearsal.apply(command)?)))
            .collect::<Result<_, Status>>()?;
        warnings = rehearsal.warnings(server).await?;
        gone
    } else {
        stream::iter(selected.into_iter().map(|(key, uid)| async move {
            match submit(server, target, delete_command(key, uid), false).await {
                Ok(written) => Ok(Some(written.object)),
                Err(status) if status.is_conflict() || status.code() == StatusCode::NOT_FOUND => Ok(None),
                Err(status) => Err(status),
            }
        }))
        .buffer_unordered(CONCURRENT_DELETES)
        .try_filter_map(|gone| async move { Ok(gone) })
        .try_collect()
        .await?
    };
    gone.sort_by_key(Object::key);
    let items = gone.iter().map(|object| object.encode(target.version)).collect();
    let version = server.state(Freshness::Local).await?.revision();
    let list = target.view.list(target, list_metadata(version, None), items);
    let mut response = answer::json(StatusCode::OK, &list);
    answer::warn(&mut response, &warnings);
    Ok(response)
}

fn delete_command(key: ObjectKey, uid: Uid) -> Command {
    Command::Delete {
        key,
        expected: None,
        uid: Some(uid),
    }
}

fn success(target: &Target, deleted: &Object) -> Value {
    let mut details = json!({
        "name": deleted.meta().name,
        "kind": target.resource.plural,
        "uid": deleted.meta().uid.0,
    });
    if !target.resource.group.is_empty() {
        details["group"] = Value::from(target.resource.group);
    }
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
        "code": 200,
    })
}
