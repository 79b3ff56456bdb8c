//! `Event` of the core group: what has happened that no object shows, newest last, as this node has it.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use guideway_model::State;
use guideway_model::meta::Timestamp;
use guideway_model::state::{DEFAULT_NAMESPACE, Event, Happening};
use serde_json::{Value, json};

use crate::answer;
use crate::list::list_metadata;
use crate::query::Parameters;
use crate::selection::Selection;
use crate::server::Server;
use crate::status::Status;
use crate::target::Target;

/// Fields that events can be selected by: those that kubectl asks for.
const FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "involvedObject.apiVersion",
    "involvedObject.kind",
    "involvedObject.name",
    "involvedObject.namespace",
    "involvedObject.uid",
    "reason",
    "type",
];

/// Answers `GET` on one event.
pub(crate) async fn get(server: &Server, target: &Target, parameters: &Parameters) -> Result<Response<Body>, Status> {
    let state = server.state(parameters.freshness()?).await?;
    let found = objects(&state, target).find(|object| object["metadata"]["name"] == target.name());
    let object = found.ok_or_else(|| Status::not_found(&target.resource, target.name()))?;
    Ok(answer::json(StatusCode::OK, &target.view.one(target, object)))
}

/// Answers `GET` on a collection. There are few, so the list comes whole, whatever the limit.
pub(crate) async fn list(server: &Server, target: &Target, parameters: &Parameters) -> Result<Response<Body>, Status> {
    let selection = Selection::read(parameters, FIELDS, State::EVENTS_KEPT)?;
    let state = server.state(selection.freshness).await?;
    let selected = |object: &Value| selection.matches(|field| values(object, field));
    let items = objects(&state, target).filter(selected).collect();
    let list = target.view.list(target, list_metadata(state.revision(), None), items);
    Ok(answer::json(StatusCode::OK, &list))
}

/// The events of the target's namespace.
fn objects<'a>(state: &'a State, target: &'a Target) -> impl Iterator<Item = Value> + 'a {
    // Those about what has no namespace are in the default one, as in Kubernetes.
    let here = target
        .namespace
        .as_deref()
        .is_none_or(|wanted| wanted == DEFAULT_NAMESPACE);
    let events = state.events().filter(move |_| here);
    events.map(encode)
}

fn values(object: &Value, field: &str) -> Vec<String> {
    let pointer = format!("/{}", field.replace('.', "/"));
    let value = object.pointer(&pointer).and_then(Value::as_str);
    vec![value.unwrap_or_default().to_owned()]
}

fn encode(event: &Event) -> Value {
    let time = Timestamp::from(event.time).to_string();
    let Happening::PassedOver { node, name, generation } = &event.what;
    let message = format!(
        "generation {generation} of the tables became active without this node, which made no progress: sessions through it that \
         the change moves, and that it has not pinned, may change their endpoint if it is lost; \
         guideway_node_sessions_unpinned_total counts them there"
    );
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": format!("{name}.passed-over-{generation}"),
            "namespace": DEFAULT_NAMESPACE,
            "uid": format!("event-passed-over-{node}-{generation}"),
            "creationTimestamp": time,
        },
        "involvedObject": {
            "apiVersion": "guideway.dev/v1alpha1",
            "kind": "Node",
            "name": name,
            "uid": format!("node-{node}"),
        },
        "type": "Warning",
        "reason": "PassedOver",
        "message": message,
        "source": { "component": "guideway" },
        "reportingComponent": "guideway.dev/guideway",
        "reportingInstance": "",
        "count": 1,
        "firstTimestamp": time,
        "lastTimestamp": time,
    })
}
