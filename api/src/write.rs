//! Create and update, and how every write reaches the cluster.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use guideway_model::command::Part;
use guideway_model::meta::Uid;
use guideway_model::object::ObjectKey;
use guideway_model::{Command, Kind, Object, Outcome, State};
use serde_json::Value;
use uuid::Uuid;

use crate::answer;
use crate::attribution;
use crate::audit::{Event, Record};
use crate::body::Payload;
use crate::candidate::{self, Preconditions, metadata_text};
use crate::deeds;
use crate::failure::{not_committed, refused};
use crate::patch::TRIES;
use crate::permission;
use crate::query::{Freshness, WriteParameters};
use crate::rehearsal::Rehearsal;
use crate::resource::Verb;
use crate::server::Server;
use crate::status::Status;
use crate::target::Target;

/// Random characters behind `generateName`.
const SUFFIX_LENGTH: usize = 5;
/// Longest prefix taken from `generateName`, so that the name stays a DNS label.
const PREFIX_LENGTH: usize = 63 - SUFFIX_LENGTH;
/// Without vowels and look-alikes, so that no words come out.
const SUFFIX_ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// Names tried before `generateName` gives up.
const NAME_TRIES: usize = 8;

/// Answers `POST` on a collection.
pub(crate) async fn create(
    server: &Server,
    target: &Target,
    kind: Kind,
    parameters: &WriteParameters,
    payload: &Payload,
) -> Result<Response<Body>, Status> {
    let mut warnings = Vec::new();
    let (mut body, sent) = candidate::received(target, parameters, payload, &mut warnings)?;
    let prefix = generate_prefix(&body);
    if let Some(prefix) = &prefix {
        body["metadata"]["name"] = Value::from(generated_name(prefix));
    }
    let mut object = candidate::decode(target, kind, body, parameters.fields, &mut warnings)?;
    if object.meta().resource_version != 0 {
        return Err(Status::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let writer = (parameters.writer.as_str(), Part::Main);
    attribution::attribute(target, None, &mut object, sent, writer)?;
    let mut tries = 1;
    let created = loop {
        let command = Command::Create {
            object: object.clone(),
            uid: Uid(Uuid::new_v4().to_string()),
        };
        match (submit(server, target, command, parameters.dry_run).await, &prefix) {
            (Err(status), Some(prefix)) if status.is_already_exists() && tries < NAME_TRIES => {
                tries += 1;
                object.meta_mut().name = generated_name(prefix);
            }
            (result, _) => break result?,
        }
    };
    Ok(answer_written(target, StatusCode::CREATED, &created, warnings))
}

/// Answers `PUT` on an object or its status.
pub(crate) async fn update(
    server: &Server,
    target: &Target,
    kind: Kind,
    parameters: &WriteParameters,
    payload: &Payload,
) -> Result<Response<Body>, Status> {
    let mut body_warnings = Vec::new();
    let (body, sent) = candidate::received(target, parameters, payload, &mut body_warnings)?;
    let preconditions = candidate::preconditions(&body)?;
    let part = target.part();
    let key = target.key(kind);
    let _turn = server.turn(&key).await;
    for _ in 0..TRIES {
        let mut warnings = body_warnings.clone();
        let (body, sent) = (body.clone(), sent.clone());
        let state = seen_state(server, &key, &preconditions).await?;
        let stored = &*server.opened(stored(&state, target, &key)?)?;
        let mut object = match part {
            Part::Status => candidate::decode_status(target, stored, body, parameters.fields, &mut warnings)?,
            Part::Main => candidate::decode(target, kind, body, parameters.fields, &mut warnings)?,
        };
        candidate::check_preconditions(target, &preconditions, stored.meta())?;
        attribution::attribute(target, Some(stored), &mut object, sent, (&parameters.writer, part))?;
        let command = Command::Replace {
            object,
            part,
            expected: Some(stored.meta().resource_version),
            uid: Some(stored.meta().uid.clone()),
        };
        match submit(server, target, command, parameters.dry_run).await {
            // Who owns what was worked out from a version that is no longer there.
            Err(status) if status.is_conflict() && preconditions.version.is_none() => {}
            result => return Ok(answer_written(target, StatusCode::OK, &result?, warnings)),
        }
    }
    Err(Status::too_many_requests(format!(
        "{} {:?} was changed by others {TRIES} times while this update was worked out; nothing was written, try again",
        target.resource.qualified(),
        key.name
    )))
}

/// A state with the object as the writer saw it, if this node has it; else one that holds every acknowledged write.
async fn seen_state(server: &Server, key: &ObjectKey, seen: &Preconditions) -> Result<Arc<State>, Status> {
    if let Some(version) = seen.version {
        let local = server.state(Freshness::Local).await?;
        let has = |object: &Object| object.meta().resource_version == version;
        if local.get(key).is_some_and(has) {
            return Ok(local);
        }
    }
    server.state(Freshness::Linearizable).await
}

/// What a write gave.
pub(crate) struct Written {
    /// The object as it then is.
    pub(crate) object: Object,
    /// Of a write that was only tried: what it would do to the traffic.
    pub(crate) warnings: Vec<String>,
}

/// Has the cluster carry a command out, or tries it on a copy of the present state. What comes of it is in the audit log
/// when this returns.
pub(crate) async fn submit(
    server: &Server,
    target: &Target,
    command: Command,
    dry_run: bool,
) -> Result<Written, Status> {
    if let Command::Create { object, .. }
    | Command::Replace {
        object,
        part: Part::Main,
        ..
    } = &command
    {
        let state = server.state(Freshness::Local).await?;
        permission::check_grant(&state, target, object)?;
    }
    let command = {
        let state = server.state(Freshness::Local).await?;
        server.sealed(command, &state)?
    };
    if dry_run {
        target.caller.set_audited();
        let mut rehearsal = Rehearsal::begin(server.state(Freshness::Linearizable).await?);
        let deletes = matches!(command, Command::Delete { .. });
        let object = rehearsal.apply(command)?;
        return Ok(Written {
            object: if deletes {
                server.opened_last(object)
            } else {
                server.opened(&object)?.into_owned()
            },
            warnings: rehearsal.warnings(server).await?,
        });
    }
    let slot = server.audit.admit().await?;
    let planned = Planned::of(&command, &server.cluster.watch().borrow().state);
    let record = Record::of(Event::Write, &target.caller).on_target(planned.verb, target);
    let record = record.named(&planned.name);
    let committed = server.cluster.propose(command).await;
    let result = match committed {
        Ok(committed) => object_of(committed.outcome).map(|object| (object, committed.index)),
        Err(failure) => Err(not_committed(&failure)),
    };
    let record = match &result {
        Ok((object, index)) => {
            // Of what is gone, the version at which it went.
            let after = Some(object.meta().resource_version);
            if planned.before != after {
                let state = server.cluster.watch().borrow().state.clone();
                deeds::note_drain(server, &state, &target.caller, (planned.verb, object));
            }
            let code = match planned.verb {
                Verb::Create => StatusCode::CREATED,
                _ => StatusCode::OK,
            };
            record.versions(planned.before, after).at(*index).done(code)
        }
        Err(status) => record.versions(planned.before, None).answered(status),
    };
    // One that is tried again with a newer version has not failed.
    if !matches!(&result, Err(status) if status.is_conflict()) {
        slot.write(record);
        target.caller.set_audited();
    }
    Ok(Written {
        object: match planned.verb {
            Verb::Delete => server.opened_last(result?.0),
            _ => server.opened(&result?.0)?.into_owned(),
        },
        warnings: Vec::new(),
    })
}

/// What a command is about to do, for the audit log.
struct Planned {
    verb: Verb,
    name: String,
    /// Version of the object that it is done to, as this node has it.
    before: Option<u64>,
}

impl Planned {
    fn of(command: &Command, state: &State) -> Planned {
        let (verb, key, expected) = match command {
            Command::Create { object, .. } => (Verb::Create, object.key(), None),
            Command::Delete { key, expected, .. } => (Verb::Delete, key.clone(), *expected),
            Command::Replace { object, expected, .. } => (Verb::Update, object.key(), *expected),
            // Nothing else is about an object.
            _ => return Planned::of_nothing(),
        };
        let stored = || Some(state.get(&key)?.meta().resource_version);
        let before = match verb {
            Verb::Create => None,
            _ => expected.or_else(stored),
        };
        Planned {
            verb,
            name: key.name,
            before,
        }
    }

    fn of_nothing() -> Planned {
        Planned {
            verb: Verb::Update,
            name: String::new(),
            before: None,
        }
    }
}

/// The object in an outcome, or the refusal as a `Status`.
pub(crate) fn object_of(outcome: Outcome) -> Result<Object, Status> {
    match outcome {
        Outcome::Object(object) => Ok(*object),
        Outcome::Refused(refusal) => Err(refused(refusal)),
        other @ (Outcome::Done | Outcome::NodeId(_)) => Err(Status::internal(format!(
            "a write of an object ended with {other:?}; read the object to see what it did"
        ))),
    }
}

/// A stored object, or 404.
pub(crate) fn stored<'a>(state: &'a State, target: &Target, key: &ObjectKey) -> Result<&'a Object, Status> {
    state
        .get(key)
        .ok_or_else(|| Status::not_found(&target.resource, &key.name))
}

/// What was written as the answer, with the warnings that came before.
pub(crate) fn answer_written(
    target: &Target,
    code: StatusCode,
    written: &Written,
    mut warnings: Vec<String>,
) -> Response<Body> {
    warnings.extend_from_slice(&written.warnings);
    answer_object(target, code, &written.object, &warnings)
}

/// An object as the answer, with warnings.
pub(crate) fn answer_object(target: &Target, code: StatusCode, object: &Object, warnings: &[String]) -> Response<Body> {
    let mut response = answer::json(code, &target.view.one(target, object.encode(target.version)));
    answer::warn(&mut response, warnings);
    response
}

/// The prefix for a name that the server makes; `None` if the body has a name, or no prefix either.
fn generate_prefix(body: &Value) -> Option<String> {
    let prefix = metadata_text(body, "generateName");
    let wanted = metadata_text(body, "name").is_empty() && !prefix.is_empty();
    wanted.then(|| prefix.chars().take(PREFIX_LENGTH).collect())
}

fn generated_name(prefix: &str) -> String {
    let random = Uuid::new_v4().into_bytes();
    let suffix = random
        .iter()
        .take(SUFFIX_LENGTH)
        .map(|byte| char::from(SUFFIX_ALPHABET[usize::from(*byte) % SUFFIX_ALPHABET.len()]));
    prefix.chars().chain(suffix).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_prefix_and_suffix() {
        let one = generated_name("web-");
        assert_eq!(one.len(), "web-".len() + SUFFIX_LENGTH);
        assert!(one.starts_with("web-"));
        assert_ne!(one, generated_name("web-"));
        let body = serde_json::json!({"metadata": {"generateName": "x".repeat(200)}});
        let prefix = generate_prefix(&body).expect("wanted");
        assert_eq!(generated_name(&prefix).len(), 63);
        let named = serde_json::json!({"metadata": {"generateName": "x", "name": "y"}});
        assert_eq!(generate_prefix(&named), None);
    }
}
