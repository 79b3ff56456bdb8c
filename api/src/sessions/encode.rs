//! A session as JSON.

use std::net::SocketAddr;

use guideway_model::meta::Timestamp;
use guideway_model::node::Protocol;
use guideway_model::plan::Why;
use guideway_model::session::{SessionDetail, SessionId, SessionRow, TcpFacts};
use guideway_model::{Plan, State};
use serde_json::{Map, Value, json};

use super::choice;
use crate::attribution::now;
use crate::resource::api_version;
use crate::target::Target;
use crate::words::{node_name, protocol_name};

/// A session as lists show it.
pub(super) fn row(state: &State, target: &Target, id: SessionId, row: &SessionRow) -> Value {
    let age = i64::try_from(row.age.as_secs()).unwrap_or(i64::MAX);
    let accepted = Timestamp {
        unix_seconds: now().unix_seconds.saturating_sub(age),
    };
    json!({
        "apiVersion": api_version(target.resource.group, target.version),
        "kind": target.resource.name,
        "metadata": {
            "name": id.to_string(),
            "namespace": row.namespace(),
            "uid": uid(id),
            "creationTimestamp": accepted.to_string(),
        },
        "spec": spec(state, id, row),
        "status": status(row),
    })
}

/// A session with what is only looked up for one at a time.
pub(super) fn detail(
    (state, plan): (&State, Option<&Plan>),
    target: &Target,
    id: SessionId,
    detail: &SessionDetail,
) -> Value {
    let mut object = row(state, target, id, &detail.row);
    let status = &mut object["status"];
    if let Some(why) = detail.row.why {
        for (field, value) in choice::facts(state, plan, detail, why) {
            status["choice"][field] = value;
        }
    }
    if let Some(rates) = &detail.rates {
        status["rates"] = json!({
            "bytesFromClient": rates.bytes[0],
            "bytesFromEndpoint": rates.bytes[1],
            "measuredMilliseconds": u64::try_from(rates.over.as_millis()).unwrap_or(u64::MAX),
        });
        if detail.row.id.protocol == Protocol::Udp {
            status["rates"]["packetsFromClient"] = Value::from(rates.packets[0]);
            status["rates"]["packetsFromEndpoint"] = Value::from(rates.packets[1]);
        }
    }
    for (field, address) in [("dialledAddress", detail.local), ("sourceAddress", detail.source)] {
        if let Some(address) = address {
            status[field] = Value::from(address.to_string());
        }
    }
    let sides = [("client", &detail.tcp[0]), ("endpoint", &detail.tcp[1])].into_iter();
    let sides = sides.filter_map(|(side, facts)| Some((side.to_owned(), tcp(facts.as_ref()?))));
    let sides: Map<String, Value> = sides.collect();
    if !sides.is_empty() {
        status["tcp"] = Value::Object(sides);
    }
    object
}

/// `metadata.uid` of a session: it is never given twice, as its name is not.
pub(super) fn uid(id: SessionId) -> String {
    format!("session-{id}")
}

/// Reads the name of a session; a session has one name only.
pub(super) fn parse_name(name: &str) -> Option<SessionId> {
    let id: SessionId = name.parse().ok()?;
    (id.to_string() == name).then_some(id)
}

fn spec(state: &State, id: SessionId, row: &SessionRow) -> Value {
    let mut spec = json!({
        "node": node_name(state, id.node),
        "protocol": protocol_name(id.local.protocol),
        "listener": {
            "namespace": row.listener.namespace,
            "gateway": row.listener.gateway,
            "name": row.listener.listener,
        },
        "client": row.client.to_string(),
    });
    let texts = [
        ("route", Some(row.route.to_string()).filter(|route| !route.is_empty())),
        ("endpoint", row.endpoint.as_ref().map(SocketAddr::to_string)),
        ("sni", row.sni.as_deref().map(str::to_owned)),
        ("alpn", row.alpn.as_deref().map(str::to_owned)),
    ];
    for (field, text) in texts {
        if let Some(text) = text {
            spec[field] = Value::from(text);
        }
    }
    spec
}

fn status(row: &SessionRow) -> Value {
    let seconds = row.age.as_secs().max(1);
    let mut status = json!({
        "state": row.state,
        "bytesFromClient": row.bytes[0],
        "bytesFromEndpoint": row.bytes[1],
        "bytesPerSecond": row.total_bytes() / seconds,
        "ageSeconds": row.age.as_secs(),
        "idleSeconds": row.idle.as_secs(),
    });
    if row.id.protocol == Protocol::Udp {
        status["packetsFromClient"] = Value::from(row.packets[0]);
        status["packetsFromEndpoint"] = Value::from(row.packets[1]);
    }
    if let Some(why) = row.why {
        status["choice"] = json!({ "reason": why, "message": in_words(why) });
    }
    status
}

fn tcp(facts: &TcpFacts) -> Value {
    serde_json::to_value(facts).unwrap_or_default()
}

/// Why a session is at its endpoint, for people.
pub(crate) fn in_words(why: Why) -> &'static str {
    match why {
        Why::Table => "the table of its pool sends this client there",
        Why::Leaving => "the endpoint that the table names takes nothing new; this one follows it",
        Why::Pin => "a pin keeps this client there, whatever the table says",
        Why::Affinity => "the client has been there before, and the route keeps clients to their endpoint",
        Why::Grace => "a node was lost a short while ago, and the table it had sends this client there",
        Why::Redispatch => "the endpoint that was chosen could not be reached; this one is the next along the table",
    }
}
