//! `PATCH` of type `application/apply-patch+yaml`: server-side apply. The client sends the fields that it wants and owns.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use guideway_model::command::Part;
use guideway_model::meta::Uid;
use guideway_model::object::{FieldValidation, ObjectKey};
use guideway_model::{Command, Kind, Object, State};
use serde_json::Value;
use uuid::Uuid;

use crate::attribution::{layout, now, set, take_sent, too_large};
use crate::body::Payload;
use crate::candidate::{self, Preconditions};
use crate::ownership::{self, Apply, Config, Manager, Managers};
use crate::patch::{TRIES, without_status};
use crate::permission;
use crate::query::{Freshness, WriteParameters};
use crate::resource::{Verb, api_version};
use crate::server::Server;
use crate::status::Status;
use crate::target::Target;
use crate::write::{answer_object, answer_written, stored, submit};

/// What is applied, read and checked.
struct Request<'a> {
    target: &'a Target,
    kind: Kind,
    part: Part,
    manager: &'a str,
    parameters: &'a WriteParameters,
    config: Value,
    preconditions: Preconditions,
    warnings: Vec<String>,
}

/// The write that an apply means.
struct Planned {
    command: Command,
    code: StatusCode,
    warnings: Vec<String>,
}

/// Answers an apply to an object, which is created if it is not there, or to the status of one.
pub(crate) async fn apply(
    server: &Server,
    target: &Target,
    kind: Kind,
    parameters: &WriteParameters,
    payload: &Payload,
) -> Result<Response<Body>, Status> {
    let request = Request::read(target, kind, parameters, payload)?;
    let key = target.key(kind);
    let _turn = server.turn(&key).await;
    for _ in 0..TRIES {
        let state = server.state(Freshness::Linearizable).await?;
        let planned = match state.get(&key) {
            None => {
                permission::check_verb(server, target, Verb::Create.as_str(), "")?;
                request.creation(&state, &key)?
            }
            Some(before) => {
                let before = server.opened(before)?;
                match request.change(&before)? {
                    Some(planned) => planned,
                    None => return Ok(answer_object(target, StatusCode::OK, &before, &request.warnings)),
                }
            }
        };
        match submit(server, target, planned.command, parameters.dry_run).await {
            Err(status) if status.is_conflict() || status.is_already_exists() => {}
            result => return Ok(answer_written(target, planned.code, &result?, planned.warnings)),
        }
    }
    Err(Status::too_many_requests(format!(
        "{} {:?} was changed by others {TRIES} times while this was applied; nothing was written, try again",
        target.resource.qualified(),
        key.name
    )))
}

impl<'a> Request<'a> {
    fn read(
        target: &'a Target,
        kind: Kind,
        parameters: &'a WriteParameters,
        payload: &Payload,
    ) -> Result<Request<'a>, Status> {
        let Some(manager) = parameters.field_manager.as_deref() else {
            return Err(Status::invalid_patch_options(
                "fieldManager",
                "Required value: is required for apply patch",
            ));
        };
        let mut warnings = Vec::new();
        let mut body = payload.applied(parameters.fields, &mut warnings)?;
        candidate::place(target, &mut body)?;
        let sent = take_sent(&mut body);
        if sent.is_some_and(|sent| sent.as_array().is_some_and(|entries| !entries.is_empty())) {
            return Err(Status::bad_request(
                "metadata.managedFields must be nil in what is applied",
            ));
        }
        let preconditions = candidate::preconditions(&body)?;
        let part = target.part();
        if let Some(Value::Object(metadata)) = body.get_mut("metadata") {
            for set_by_server in ["resourceVersion", "uid", "creationTimestamp", "generation", "selfLink"] {
                metadata.shift_remove(set_by_server);
            }
        }
        let config = Config::read(body, layout(kind), part).map_err(|fault| {
            Status::bad_request(format!(
                "what is applied to {} {:?} cannot be merged: {fault}",
                target.resource.qualified(),
                target.name()
            ))
        })?;
        judge(target, config.unknown, parameters.fields, &mut warnings)?;
        Ok(Request {
            target,
            kind,
            part,
            manager,
            parameters,
            config: config.value,
            preconditions,
            warnings,
        })
    }

    fn creation(&self, state: &State, key: &ObjectKey) -> Result<Planned, Status> {
        if self.part == Part::Status || self.preconditions.version.is_some() {
            // Says which object is missing.
            stored(state, self.target, key)?;
        }
        if self.preconditions.uid.is_some() {
            return Err(Status::conflict(
                &self.target.resource,
                self.target.name(),
                "Precondition failed: the uid of an object was given that is not there",
            ));
        }
        let mut warnings = self.warnings.clone();
        let nothing = Value::Object(serde_json::Map::new());
        let (value, managers) = self.merge(&nothing, Managers::default())?;
        let mut object = self.decode(value, &mut warnings)?;
        set(&mut object, &managers);
        let command = Command::Create {
            object,
            uid: Uid(Uuid::new_v4().to_string()),
        };
        Ok(Planned {
            command,
            code: StatusCode::CREATED,
            warnings,
        })
    }

    /// The write for an object that is there; `None` if it changes nothing.
    fn change(&self, before: &Object) -> Result<Option<Planned>, Status> {
        let meta = before.meta();
        candidate::check_preconditions(self.target, &self.preconditions, meta)?;
        let mut warnings = self.warnings.clone();
        let live = before.encode(self.target.version);
        let earlier = Managers::decode(&meta.managed_fields).unwrap_or_default();
        let (value, managers) = self.merge(&live, earlier.clone())?;
        let mut object = match self.part {
            Part::Main => self.decode(value, &mut warnings)?,
            Part::Status => {
                let fields = FieldValidation::Ignore;
                candidate::decode_status(self.target, before, value, fields, &mut warnings)?
            }
        };
        // When it is the same in all but the time, nothing is written.
        if managers.own_the_same(&earlier) {
            object.meta_mut().managed_fields.clone_from(&meta.managed_fields);
        } else {
            set(&mut object, &managers);
        }
        let written = object.encode(self.target.version);
        let unchanged = match self.part {
            Part::Main => without_status(written) == without_status(live),
            Part::Status => written == live,
        };
        if unchanged {
            return Ok(None);
        }
        set(&mut object, &managers);
        let command = Command::Replace {
            object,
            part: self.part,
            expected: Some(meta.resource_version),
            uid: Some(meta.uid.clone()),
        };
        Ok(Some(Planned {
            command,
            code: StatusCode::OK,
            warnings,
        }))
    }

    fn merge(&self, live: &Value, managers: Managers) -> Result<(Value, Managers), Status> {
        let apply = Apply {
            manager: Manager::applier(self.manager, self.part),
            api_version: &api_version(self.target.resource.group, self.target.version),
            part: self.part,
            force: self.parameters.force,
            now: now(),
        };
        let applied = ownership::apply(live, &self.config, managers, layout(self.kind), &apply)
            .map_err(|conflicts| Status::apply_conflict(&conflicts))?;
        let managers = applied.managers.bounded().map_err(too_large)?;
        Ok((applied.object, managers))
    }

    fn decode(&self, value: Value, warnings: &mut Vec<String>) -> Result<Object, Status> {
        // Unknown fields have been judged; the live object has none.
        candidate::decode(self.target, self.kind, value, FieldValidation::Ignore, warnings)
    }
}

fn judge(
    target: &Target,
    unknown: Vec<String>,
    fields: FieldValidation,
    warnings: &mut Vec<String>,
) -> Result<(), Status> {
    if unknown.is_empty() {
        return Ok(());
    }
    match fields {
        FieldValidation::Ignore => {}
        FieldValidation::Warn => {
            warnings.extend(unknown.iter().map(|path| format!("unknown field {path:?}")));
        }
        FieldValidation::Strict => return Err(candidate::unknown_fields(target, &unknown)),
    }
    Ok(())
}
