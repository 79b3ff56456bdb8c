//! `Event` of the core group: what has happened, or was done by a user, that no object shows. What has happened is as this
//! node has applied it; what was done is asked of every node.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use guideway_model::State;
use guideway_model::deed::{About, Act, Deed, Deeds};
use guideway_model::meta::{Timestamp, UnixMillis};
use guideway_model::state::{DEFAULT_NAMESPACE, Event, Happening};
use serde_json::{Value, json};

use crate::answer;
use crate::list::list_metadata;
use crate::nodes;
use crate::query::Parameters;
use crate::selection::Selection;
use crate::server::Server;
use crate::sessions::not_answered;
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
    let (all, _) = objects(server, &state, target).await;
    let found = all
        .into_iter()
        .find(|object| object["metadata"]["name"] == target.name());
    let object = found.ok_or_else(|| Status::not_found(&target.resource, target.name()))?;
    Ok(answer::json(StatusCode::OK, &target.view.one(target, object)))
}

/// Answers `GET` on a collection. There are few, so the list comes whole, whatever the limit.
pub(crate) async fn list(server: &Server, target: &Target, parameters: &Parameters) -> Result<Response<Body>, Status> {
    let selection = Selection::read(parameters, FIELDS, State::EVENTS_KEPT + Deeds::KEPT)?;
    let state = server.state(selection.freshness).await?;
    let selected = |object: &Value| selection.matches(|field| values(object, field));
    let (all, silent) = objects(server, &state, target).await;
    let items = all.into_iter().filter(selected).collect();
    let list = target.view.list(target, list_metadata(state.revision(), None), items);
    let mut response = answer::json(StatusCode::OK, &list);
    answer::warn(&mut response, silent.as_slice());
    Ok(response)
}

/// The events of the target's namespace, the newest last, and what is to be said of nodes that did not answer.
async fn objects(server: &Server, state: &State, target: &Target) -> (Vec<Value>, Option<String>) {
    let found = server.cluster.deeds().await;
    let happened = state.events().map(|event| (event.time, happening(event)));
    let done = found.deeds.iter().map(|deed| (deed.last, done(deed)));
    let mut all: Vec<(UnixMillis, Value)> = happened.chain(done).collect();
    if let Some(wanted) = &target.namespace {
        all.retain(|(_, object)| object["metadata"]["namespace"] == wanted.as_str());
    }
    all.sort_by_key(|(time, _)| *time);
    let silent = not_answered(state, &found.silent, "what was done through them is missing");
    (all.into_iter().map(|(_, object)| object).collect(), silent)
}

fn values(object: &Value, field: &str) -> Vec<String> {
    let pointer = format!("/{}", field.replace('.', "/"));
    let value = object.pointer(&pointer).and_then(Value::as_str);
    vec![value.unwrap_or_default().to_owned()]
}

fn happening(event: &Event) -> Value {
    let Happening::PassedOver { node, name, generation } = &event.what;
    let about = About {
        api_version: "guideway.dev/v1alpha1".to_owned(),
        kind: "Node".to_owned(),
        namespace: String::new(),
        name: name.clone(),
        uid: nodes::uid(*node),
    };
    let message = format!(
        "generation {generation} of the tables became active without this node, which made no progress: sessions through it that \
         the change moves, and that it has not pinned, may change their endpoint if it is lost; \
         guideway_node_sessions_unpinned_total counts them there"
    );
    let id = format!("passed-over-{generation}");
    let uid = format!("event-passed-over-{node}-{generation}");
    encode(
        (&id, &uid),
        &about,
        ("Warning", "PassedOver", &message),
        (1, [event.time; 2]),
    )
}

fn done(deed: &Deed) -> Value {
    let by = &deed.by;
    let (reason, message) = match &deed.act {
        Act::ClosedSessions(1) => ("SessionsClosed", format!("{by} closed 1 session")),
        Act::ClosedSessions(count) => ("SessionsClosed", format!("{by} closed {count} sessions")),
        Act::BeganDrain(drain) => ("DrainBegan", format!("{by} began the drain {drain:?}")),
        Act::ChangedDrain(drain) => ("DrainChanged", format!("{by} changed the drain {drain:?}")),
        Act::EndedDrain(drain) => ("DrainEnded", format!("{by} ended the drain {drain:?}")),
    };
    encode(
        (&deed.id, &format!("event-{}", deed.id)),
        &deed.about,
        ("Normal", reason, &message),
        (deed.count, [deed.first, deed.last]),
    )
}

fn encode(
    (id, uid): (&str, &str),
    about: &About,
    (kind, reason, message): (&str, &str, &str),
    (count, [first, last]): (u64, [UnixMillis; 2]),
) -> Value {
    // Events about what has no namespace are in the default one, as in Kubernetes.
    let namespace = match about.namespace.as_str() {
        "" => DEFAULT_NAMESPACE,
        namespace => namespace,
    };
    let [first, last] = [first, last].map(|time| Timestamp::from(time).to_string());
    let mut involved = json!({
        "apiVersion": about.api_version,
        "kind": about.kind,
        "name": about.name,
        "uid": about.uid.0,
    });
    if !about.namespace.is_empty() {
        involved["namespace"] = Value::from(about.namespace.as_str());
    }
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": format!("{}.{id}", about.name),
            "namespace": namespace,
            "uid": uid,
            "creationTimestamp": first,
        },
        "involvedObject": involved,
        "type": kind,
        "reason": reason,
        "message": message,
        "source": { "component": "guideway" },
        "reportingComponent": "guideway.dev/guideway",
        "reportingInstance": "",
        "count": count,
        "firstTimestamp": first,
        "lastTimestamp": last,
    })
}
