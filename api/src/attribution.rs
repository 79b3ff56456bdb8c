//! Joins [`ownership`](crate::ownership), which knows values, with objects: who writes, and how the kinds merge.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use guideway_model::command::Part;
use guideway_model::meta::Timestamp;
use guideway_model::{Kind, Object, schema};
use serde_json::{Map, Value};

use crate::metrics;
use crate::ownership::{Layout, Manager, Managers, TooLarge};
use crate::query::Parameters;
use crate::resource::api_version;
use crate::status::Status;
use crate::target::Target;

/// Longest name of a manager, in characters.
const MANAGER_MOST: usize = 128;
/// Name of a writer that gives none.
const UNNAMED: &str = "unknown";

static LAYOUTS: LazyLock<BTreeMap<Kind, Layout>> = LazyLock::new(|| {
    let compile = |kind: Kind| {
        let root = schema::component_name(kind, kind.info().version);
        (kind, Layout::compile(&schema::openapi(kind), &root))
    };
    Kind::all().map(compile).collect()
});

static NO_FIELDS: LazyLock<Layout> = LazyLock::new(|| Layout::compile(&Value::Null, ""));

/// How objects of a kind merge; the same in each of its versions.
pub(crate) fn layout(kind: Kind) -> &'static Layout {
    LAYOUTS.get(&kind).unwrap_or(&NO_FIELDS)
}

/// The wall clock. It is only shown: which write was later is told by versions.
pub(crate) fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp {
        unix_seconds: i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX),
    }
}

/// `fieldManager`, if it was given and is fit to be shown.
pub(crate) fn field_manager(parameters: &Parameters) -> Result<Option<String>, Status> {
    let Some(name) = parameters.get("fieldManager") else {
        return Ok(None);
    };
    if name.chars().count() > MANAGER_MOST || name.chars().any(char::is_control) {
        return Err(Status::bad_request(format!(
            "fieldManager: must have at most {MANAGER_MOST} characters and no control characters"
        )));
    }
    Ok(Some(name.to_owned()))
}

/// `fieldManager`, or the program in `User-Agent`.
pub(crate) fn writer(parameters: &Parameters, headers: &HeaderMap) -> Result<String, Status> {
    if let Some(name) = field_manager(parameters)? {
        return Ok(name);
    }
    let agent = headers
        .get(USER_AGENT)
        .map(|agent| String::from_utf8_lossy(agent.as_bytes()));
    let agent = agent.unwrap_or_default();
    let program = agent.split('/').next().unwrap_or_default().chars();
    let name: String = program
        .filter(|character| !character.is_control())
        .take(MANAGER_MOST)
        .collect();
    Ok(if name.is_empty() { UNNAMED.to_owned() } else { name })
}

/// Takes `metadata.managedFields` off a body: what the client says of them, if it says anything.
pub(crate) fn take_sent(body: &mut Value) -> Option<Value> {
    body.get_mut("metadata")?.as_object_mut()?.shift_remove("managedFields")
}

/// Notes in `object`, which a client other than an applier writes, who owns what after it.
pub(crate) fn attribute(
    target: &Target,
    before: Option<&Object>,
    object: &mut Object,
    sent: Option<Value>,
    (writer, part): (&str, Part),
) -> Result<(), Status> {
    // The sub-resource is no way to write them.
    let sent = sent.filter(|_| part == Part::Main);
    let stored = before.map_or(&[][..], |before| before.meta().managed_fields.as_slice());
    let managers = Managers::before(stored, sent);
    let earlier = before.map_or(Value::Object(Map::new()), |before| before.encode(target.version));
    let later = object.encode(target.version);
    let api_version = api_version(target.resource.group, target.version);
    let manager = Manager::updater(writer, part, &api_version);
    let managers = managers
        .updated(earlier, later, layout(object.kind()), (manager, part), now())
        .map_err(too_large)?;
    set(object, &managers);
    Ok(())
}

/// Writes the entries into an object.
pub(crate) fn set(object: &mut Object, managers: &Managers) {
    object.meta_mut().managed_fields = managers.encode();
}

/// A bound of the entries was met.
pub(crate) fn too_large(fault: TooLarge) -> Status {
    metrics::refused(metrics::Bound::Managers);
    Status::object_too_large(fault.to_string())
}
