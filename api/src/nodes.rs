//! `Node` of `guideway.dev/v1alpha1`: members as they are when they are asked.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use guideway_model::NodeId;
use guideway_model::meta::{ObjectMeta, Timestamp, Uid};
use guideway_model::node::NodeView;
use serde_json::{Map, Value, json};

use crate::answer;
use crate::list::list_metadata;
use crate::query::{Freshness, Parameters};
use crate::server::Server;
use crate::status::Status;
use crate::target::Target;

/// Answers `GET` on one node.
pub(crate) async fn get(server: &Server, target: &Target) -> Result<Response<Body>, Status> {
    let nodes = server.cluster.nodes().await;
    let found = nodes.iter().find(|node| node.record.facts.name == target.name());
    found
        .map(|node| answer::json(StatusCode::OK, &target.view.one(target, encode(node, target))))
        .ok_or_else(|| Status::not_found(&target.resource, target.name()))
}

/// Answers `GET` on all nodes. There are few, so the list comes whole, whatever the limit.
pub(crate) async fn list(server: &Server, target: &Target, parameters: &Parameters) -> Result<Response<Body>, Status> {
    let selector = parameters.selector()?;
    let version = server.state(Freshness::Local).await?.revision();
    let mut nodes = server.cluster.nodes().await;
    nodes.sort_by(|one, other| one.record.facts.name.cmp(&other.record.facts.name));
    let items = nodes
        .iter()
        .filter(|node| selector.matches(&metadata(node)))
        .map(|node| encode(node, target))
        .collect();
    let list = target.view.list(target, list_metadata(version, None), items);
    Ok(answer::json(StatusCode::OK, &list))
}

/// Identity of the `Node` of a member: its number is never given twice.
pub(crate) fn uid(id: NodeId) -> Uid {
    Uid(format!("node-{id}"))
}

fn metadata(node: &NodeView) -> ObjectMeta {
    ObjectMeta {
        name: node.record.facts.name.clone(),
        uid: uid(node.id),
        creation_timestamp: Some(Timestamp::from(node.record.joined)),
        ..ObjectMeta::default()
    }
}

fn encode(node: &NodeView, target: &Target) -> Value {
    json!({
        "apiVersion": format!("{}/{}", target.resource.group, target.version),
        "kind": target.resource.name,
        "metadata": serde_json::to_value(metadata(node)).unwrap_or_default(),
        "status": status(node),
    })
}

fn status(node: &NodeView) -> Value {
    let facts = &node.record.facts;
    let mut status = Map::new();
    let mut set = |field: &str, value: Value| {
        status.insert(field.to_owned(), value);
    };
    set("id", Value::from(node.id.0));
    set("role", serde_json::to_value(node.role).unwrap_or_default());
    set("live", Value::from(node.record.live));
    set("version", Value::from(facts.version.as_str()));
    set("peerAddress", Value::from(facts.peer_address.as_str()));
    set("apiURL", Value::from(facts.api_url.as_str()));
    set("metricsURL", Value::from(facts.metrics_url.as_str()));
    if let Some(address) = facts.data_address {
        set("dataAddress", Value::from(address.to_string()));
        set("addresses", json!([{ "type": "Data", "address": address.to_string() }]));
    }
    if let Some(figures) = &node.figures {
        set("appliedIndex", Value::from(figures.applied_index));
        set("sessions", Value::from(figures.sessions));
        set("planGeneration", Value::from(figures.plan_generation));
        set("activeGeneration", Value::from(figures.active_generation));
        if let Some(prepared) = figures.prepared_generation {
            set("preparedGeneration", Value::from(prepared));
        }
        set("sourceAddresses", json!(figures.source_addresses));
        if let Some(driver) = &figures.driver {
            set("driver", json!({ "name": driver.name, "reason": driver.reason }));
        }
    }
    set("conditions", json!([ready(node)]));
    Value::Object(status)
}

fn ready(node: &NodeView) -> Value {
    let since = Timestamp::from(node.record.since).to_string();
    let (status, reason, message) = match (node.record.live, &node.record.incarnation, &node.figures) {
        (false, None, _) => ("False", "NeverStarted", "the node has joined and was never started"),
        (false, Some(_), _) => ("False", "NotLive", "the leader does not hear from this node"),
        (true, _, None) => (
            "Unknown",
            "NoAnswer",
            "the node is live, but did not give its figures in time",
        ),
        (true, _, Some(_)) => ("True", "Live", "the node is live and answers"),
    };
    json!({
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since,
    })
}
