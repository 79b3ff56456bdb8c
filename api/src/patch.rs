//! `PATCH`: read, change, write; again if another write came between.

mod json;
mod merge_keys;
mod strategic;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use guideway_model::command::Part;
use guideway_model::{Command, Kind, Object};
use serde_json::Value;

use crate::apply::apply;
use crate::attribution;
use crate::body::Payload;
use crate::candidate;
use crate::query::{Freshness, WriteParameters};
use crate::resource::Resource;
use crate::server::Server;
use crate::status::Status;
use crate::target::Target;
use crate::write::{answer_object, answer_written, stored, submit};

pub(crate) use merge_keys::{Field, Merging, fields_of};

const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC_MERGE_PATCH: &str = "application/strategic-merge-patch+json";
const APPLY_PATCH: &str = "application/apply-patch+yaml";

/// Times a patch is applied to a newer version before the client is asked to come back. Patches through one node take
/// turns, so only writes through other nodes and the cluster's own status changes come between.
pub(crate) const TRIES: usize = 32;

/// A patch that was read.
#[derive(Debug)]
enum Patch {
    /// RFC 6902
    Json(json::JsonPatch),
    /// RFC 7386
    Merge(Value),
    /// Kubernetes' own, with the fields of the kind.
    Strategic(Value, &'static [Field]),
}

/// Content types that a resource's patches may have.
pub(crate) fn content_types(resource: &Resource) -> &'static [&'static str] {
    if resource.takes_strategic_merge() {
        &[JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY_PATCH]
    } else {
        &[JSON_PATCH, MERGE_PATCH, APPLY_PATCH]
    }
}

/// Answers `PATCH` on an object or its status.
pub(crate) async fn patch(
    server: &Server,
    target: &Target,
    kind: Kind,
    parameters: &WriteParameters,
    payload: &Payload,
) -> Result<Response<Body>, Status> {
    if payload.media_type() == APPLY_PATCH {
        return apply(server, target, kind, parameters, payload).await;
    }
    if parameters.force {
        return Err(Status::invalid_patch_options(
            "force",
            "Forbidden: may not be specified for non-apply patch",
        ));
    }
    let mut patch_warnings = Vec::new();
    let patch = Patch::read(&target.resource, payload, parameters, &mut patch_warnings)?;
    let key = target.key(kind);
    let _turn = server.turn(&key).await;
    for _ in 0..TRIES {
        let mut warnings = patch_warnings.clone();
        let state = server.state(Freshness::Linearizable).await?;
        let before = server.opened(stored(&state, target, &key)?)?;
        let Some(command) = patch.command(target, &before, parameters, &mut warnings)? else {
            return Ok(answer_object(target, StatusCode::OK, &before, &warnings));
        };
        match submit(server, target, command, parameters.dry_run).await {
            Err(status) if status.is_conflict() => {}
            result => return Ok(answer_written(target, StatusCode::OK, &result?, warnings)),
        }
    }
    Err(Status::too_many_requests(format!(
        "{} {:?} was changed by others {TRIES} times while this patch was applied; nothing was written, try again",
        target.resource.qualified(),
        key.name
    )))
}

impl Patch {
    fn read(
        resource: &Resource,
        payload: &Payload,
        parameters: &WriteParameters,
        warnings: &mut Vec<String>,
    ) -> Result<Patch, Status> {
        let media_type = payload.media_type();
        if !content_types(resource).contains(&media_type) {
            let hint = match media_type {
                STRATEGIC_MERGE_PATCH => "only core, discovery and rbac kinds have strategic merge keys",
                _ => "",
            };
            return Err(Status::unsupported_media_type(
                media_type,
                content_types(resource),
                hint,
            ));
        }
        let document = payload.patch(parameters.fields, warnings)?;
        if media_type == JSON_PATCH {
            return json::JsonPatch::read(document)
                .map(Patch::Json)
                .map_err(|error| Status::bad_request(error.to_string()));
        }
        if !document.is_object() {
            return Err(Status::bad_request("a merge patch is an object"));
        }
        Ok(if media_type == MERGE_PATCH {
            Patch::Merge(document)
        } else {
            Patch::Strategic(document, fields_of(resource))
        })
    }

    /// The write that this patch means for `before`; `None` if it changes nothing.
    fn command(
        &self,
        target: &Target,
        before: &Object,
        parameters: &WriteParameters,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Command>, Status> {
        let unpatched = before.encode(target.version);
        let mut patched = self.apply(target, unpatched.clone())?;
        if patched == unpatched {
            return Ok(None);
        }
        let seen_main = without_status(unpatched);
        candidate::place(target, &mut patched)?;
        let meta = before.meta();
        candidate::check_preconditions(target, &candidate::preconditions(&patched)?, meta)?;
        let sent = attribution::take_sent(&mut patched);
        let part = target.part();
        let mut object = match part {
            Part::Status => candidate::decode_status(target, before, patched, parameters.fields, warnings)?,
            Part::Main => candidate::decode(target, before.kind(), patched, parameters.fields, warnings)?,
        };
        attribution::attribute(target, Some(before), &mut object, sent, (&parameters.writer, part))?;
        // kubectl sends lists whole, without the defaults in them; filled in, they are often what is stored.
        if part == Part::Main && without_status(object.encode(target.version)) == seen_main {
            return Ok(None);
        }
        Ok(Some(Command::Replace {
            object,
            part,
            expected: Some(meta.resource_version),
            uid: Some(meta.uid.clone()),
        }))
    }

    fn apply(&self, target: &Target, mut document: Value) -> Result<Value, Status> {
        match self {
            Patch::Json(patch) => patch
                .apply(&mut document)
                .map_err(|error| Status::patch_does_not_apply(&target.resource, target.name(), &error.to_string()))?,
            Patch::Merge(patch) => json_patch::merge(&mut document, patch),
            Patch::Strategic(patch, fields) => strategic::merge(&mut document, patch, fields)
                .map_err(|error| Status::bad_request(error.to_string()))?,
        }
        Ok(document)
    }
}

/// An object as the writer of its main part sees it.
pub(crate) fn without_status(mut object: Value) -> Value {
    if let Value::Object(fields) = &mut object {
        fields.shift_remove("status");
    }
    object
}
