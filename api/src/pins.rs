//! `Pin` of `guideway.dev/v1alpha1`: the pins of the replicated state, by the order of their keys.

mod name;

use std::net::SocketAddr;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use guideway_model::State;
use guideway_model::flow::FlowParts;
use guideway_model::object::ObjectKey;
use guideway_model::pin::{Hold, PinKey, PoolNumber};
use serde_json::{Value, json};

use crate::answer;
use crate::blocking::blocking;
use crate::list::list_metadata;
use crate::query::Parameters;
use crate::resource::api_version;
use crate::selection::Selection;
use crate::server::Server;
use crate::status::Status;
use crate::target::Target;
use crate::words::{node_name, protocol_name};

use name::PinName;

/// Fields that pins can be selected by.
const FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "spec.route",
    "spec.protocol",
    "spec.client",
    "spec.endpoint",
    "spec.node",
];

/// Begins a `continue` token.
const FORMAT: &str = "pin.";

/// A pin with what the state says of its pool.
struct Pin {
    name: PinName,
    holds: Vec<Hold>,
    endpoint: SocketAddr,
    route: ObjectKey,
    rule: u16,
}

/// Answers `GET` on one pin.
pub(crate) async fn get(server: &Server, target: &Target, parameters: &Parameters) -> Result<Response<Body>, Status> {
    let state = server.state(parameters.freshness()?).await?;
    let not_found = || Status::not_found(&target.resource, target.name());
    let key = PinName::parse(target.name()).ok_or_else(not_found)?.key;
    let pin = Routes::new(&state).pin(key, state.pins().holds_of(&key));
    let pin = pin.filter(|pin| target.namespace.as_ref() == Some(&pin.route.namespace));
    let object = pin.ok_or_else(not_found)?.encode(&state, target);
    Ok(answer::json(StatusCode::OK, &target.view.one(target, object)))
}

/// Answers `GET` on a collection: one page, by the order of keys.
pub(crate) async fn list(server: &Server, target: &Target, parameters: &Parameters) -> Result<Response<Body>, Status> {
    let selection = Selection::read(parameters, FIELDS, server.limits.list_page)?;
    let after = selection.continue_token.as_deref().map(decode_token).transpose()?;
    let state = server.state(selection.freshness).await?;
    let target = target.clone();
    let list = blocking(move || {
        let (pins, more) = page(&state, &target, &selection, after);
        let token = pins.last().filter(|_| more).map(|pin| encode_token(&pin.name));
        let items = pins.iter().map(|pin| pin.encode(&state, &target)).collect();
        let metadata = list_metadata(state.revision(), token.as_deref());
        target.view.list(&target, metadata, items).to_string()
    });
    Ok(answer::stream(Body::from(list.await?)))
}

/// What is selected after a key, and whether there is more.
fn page(state: &State, target: &Target, selection: &Selection, after: Option<PinKey>) -> (Vec<Pin>, bool) {
    let mut routes = Routes::new(state);
    let pins = state.pins().iter_after(after);
    let mut pins: Vec<Pin> = pins
        .filter_map(|(key, holds)| routes.pin(key, holds))
        .filter(|pin| {
            target
                .namespace
                .as_ref()
                .is_none_or(|wanted| *wanted == pin.route.namespace)
        })
        .filter(|pin| selection.matches(|field| pin.values(state, field)))
        .take(selection.limit.saturating_add(1))
        .collect();
    let more = pins.len() > selection.limit;
    pins.truncate(selection.limit);
    (pins, more)
}

/// What the pin of a key is called; `None` only for bytes that are no flow key.
pub(crate) fn pin_name(key: PinKey) -> Option<String> {
    PinName::of(key).map(|name| name.to_string())
}

/// The `continue` token: the key of the last pin of the page before.
fn encode_token(last: &PinName) -> String {
    format!("{FORMAT}{last}")
}

fn decode_token(text: &str) -> Result<PinKey, Status> {
    let name = text.strip_prefix(FORMAT).and_then(PinName::parse);
    name.map(|name| name.key).ok_or_else(|| {
        Status::bad_request("continue key is not valid: it was not given out by a list of pins; start again without it")
    })
}

/// Finds the routes of pools. Pins of one pool follow each other, so one is remembered.
struct Routes<'a> {
    state: &'a State,
    last: Option<(PoolNumber, Option<(ObjectKey, u16)>)>,
}

impl<'a> Routes<'a> {
    fn new(state: &'a State) -> Routes<'a> {
        Routes { state, last: None }
    }

    /// A pin that is there, with the route of its pool.
    fn pin(&mut self, key: PinKey, holds: Vec<Hold>) -> Option<Pin> {
        let known = self.last.as_ref().is_some_and(|(pool, _)| *pool == key.pool);
        if !known {
            self.last = Some((key.pool, self.state.pool_route(key.pool)));
        }
        let (route, rule) = self.last.as_ref()?.1.clone()?;
        let endpoint = holds.first()?.endpoint;
        Some(Pin {
            name: PinName::of(key)?,
            holds,
            endpoint,
            route,
            rule,
        })
    }
}

impl Pin {
    /// The values of a field that can be selected by.
    fn values(&self, state: &State, field: &str) -> Vec<String> {
        let parts = &self.name.parts;
        match field {
            "metadata.name" => vec![self.name.to_string()],
            "metadata.namespace" => vec![self.route.namespace.clone()],
            "spec.route" => vec![self.route.name.clone(), self.route_name()],
            "spec.protocol" => vec![protocol_name(parts.protocol).to_owned()],
            "spec.client" => vec![parts.client.to_string(), client(parts)],
            "spec.endpoint" => vec![self.endpoint.to_string()],
            "spec.node" => {
                let holds = self.holds.iter();
                holds.map(|hold| node_name(state, hold.holder.node)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn route_name(&self) -> String {
        format!("{}/{}", self.route.namespace, self.route.name)
    }

    fn encode(&self, state: &State, target: &Target) -> Value {
        let name = self.name.to_string();
        let parts = &self.name.parts;
        let protocol = protocol_name(parts.protocol);
        let message = match parts.client_port {
            Some(_) => format!(
                "the {protocol} flow from {} to port {} goes",
                client(parts),
                parts.listener_port
            ),
            None => format!(
                "new {protocol} sessions to port {} from the clients whose address is {} under the prefix of the \
                 route's client-IP affinity go",
                parts.listener_port, parts.client
            ),
        };
        json!({
            "apiVersion": api_version(target.resource.group, target.version),
            "kind": target.resource.name,
            "metadata": {
                "name": name,
                "namespace": self.route.namespace,
                "uid": format!("pin-{name}"),
            },
            "spec": {
                "route": self.route_name(),
                "routeKind": self.route.kind.info().name,
                "rule": self.rule,
                "protocol": protocol,
                "port": parts.listener_port,
                "client": client(parts),
                "endpoint": self.endpoint.to_string(),
                "message": format!("{message} to {}, whatever the table says", self.endpoint),
                "holders": self.holds.iter().map(|hold| holder(state, hold)).collect::<Vec<_>>(),
            },
        })
    }
}

/// The client's address, with its port if only one is meant.
fn client(parts: &FlowParts) -> String {
    match parts.client_port {
        Some(port) => SocketAddr::new(parts.client, port).to_string(),
        None => parts.client.to_string(),
    }
}

/// Who needs a pin, and whether that start of the node is still there.
fn holder(state: &State, hold: &Hold) -> Value {
    let record = state.node(hold.holder.node);
    let current = record.is_some_and(|record| record.live && record.incarnation == Some(hold.holder.incarnation));
    json!({
        "node": node_name(state, hold.holder.node),
        "incarnation": format!("{:x}", hold.holder.incarnation.0),
        "endpoint": hold.endpoint.to_string(),
        "live": current,
    })
}
