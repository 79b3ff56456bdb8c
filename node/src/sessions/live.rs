//! A session as the API shows it, and pages of them.

use serde_json::Value;

use super::filter::Filter;
use super::{SessionsError, size, warn};
use crate::client::Client;
use crate::columns;

const GROUP: &str = "/apis/guideway.dev/v1alpha1";

/// Sessions in one page at most; the API takes no more.
pub(super) const PAGE: usize = 10_000;

/// What is shown of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) name: String,
    pub(super) namespace: String,
    node: String,
    protocol: String,
    listener: String,
    route: String,
    client: String,
    endpoint: String,
    sni: String,
    why: String,
    state: String,
    pub(super) age_seconds: u64,
    idle_seconds: u64,
    /// From the client, from the endpoint.
    pub(super) bytes: [u64; 2],
}

/// Sessions of a list.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// As the API sent them.
    pub(super) items: Vec<Value>,
    /// Whether there are more.
    pub(super) more: bool,
}

/// The collection of a namespace, or of all.
pub(super) fn collection(namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) => format!("{GROUP}/namespaces/{}/sessions", super::filter::encoded(namespace)),
        None => format!("{GROUP}/sessions"),
    }
}

/// At most `most` sessions in the order of `sort`, in as many pages as it takes.
pub(super) async fn fetch(client: &Client, filter: &Filter, sort: &str, most: usize) -> Result<Listed, SessionsError> {
    let collection = collection(filter.namespace.as_deref());
    let mut listed = Listed::default();
    let mut token = String::new();
    loop {
        let limit = (most - listed.items.len()).min(PAGE).to_string();
        let mut page = vec![("sortBy", sort), ("limit", limit.as_str())];
        if !token.is_empty() {
            page.push(("continue", token.as_str()));
        }
        let (mut answer, warnings) = client.get_warned(&filter.query(&collection, &page)).await?;
        warn(&warnings);
        if let Value::Array(items) = answer["items"].take() {
            listed.items.extend(items);
        }
        token = text(&answer["metadata"]["continue"]);
        listed.more = !token.is_empty();
        if !listed.more || listed.items.len() >= most {
            return Ok(listed);
        }
    }
}

impl Session {
    /// Reads what the API sent.
    pub(super) fn of(object: &Value) -> Session {
        let (metadata, spec, status) = (&object["metadata"], &object["spec"], &object["status"]);
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let listener = &spec["listener"];
        Session {
            name: text(&metadata["name"]),
            namespace: text(&metadata["namespace"]),
            node: text(&spec["node"]),
            protocol: text(&spec["protocol"]),
            listener: format!("{}/{}", text(&listener["gateway"]), text(&listener["name"])),
            route: text(&spec["route"]),
            client: text(&spec["client"]),
            endpoint: text(&spec["endpoint"]),
            sni: text(&spec["sni"]),
            why: text(&status["choice"]["reason"]),
            state: text(&status["state"]),
            age_seconds: number(&status["ageSeconds"]),
            idle_seconds: number(&status["idleSeconds"]),
            bytes: [&status["bytesFromClient"], &status["bytesFromEndpoint"]].map(number),
        }
    }

    /// Bytes both ways.
    pub(super) fn total(&self) -> u64 {
        self.bytes[0].saturating_add(self.bytes[1])
    }

    fn cells(&self) -> [String; 8] {
        [
            self.name.clone(),
            self.client.clone(),
            or_dash(&self.endpoint),
            self.state.clone(),
            size::seconds(self.age_seconds),
            size::seconds(self.idle_seconds),
            size::bytes(self.bytes[0]),
            size::bytes(self.bytes[1]),
        ]
    }

    fn wide_cells(&self) -> [String; 14] {
        let [name, client, endpoint, state, age, idle, from_client, from_endpoint] = self.cells();
        [
            name,
            self.node.clone(),
            self.protocol.clone(),
            client,
            self.listener.clone(),
            or_dash(&self.route),
            endpoint,
            or_dash(&self.why),
            or_dash(&self.sni),
            state,
            age,
            idle,
            from_client,
            from_endpoint,
        ]
    }

    /// What `top` shows, with the bytes in a second each way.
    pub(super) fn busy_cells(&self, rates: Option<[u64; 2]>) -> [String; 8] {
        let rate = |side: usize| rates.map_or_else(|| "-".to_owned(), |rates| size::bytes(rates[side]));
        [
            rate(0),
            rate(1),
            size::bytes(self.bytes[0]),
            size::bytes(self.bytes[1]),
            size::seconds(self.age_seconds),
            self.name.clone(),
            self.client.clone(),
            or_dash(&self.endpoint),
        ]
    }
}

/// The sessions for people.
pub(super) fn table(sessions: &[Session], wide: bool) -> String {
    if wide {
        let head = [
            "NAME", "NODE", "PROTO", "CLIENT", "LISTENER", "ROUTE", "ENDPOINT", "WHY", "SNI", "STATE", "AGE", "IDLE",
            "IN", "OUT",
        ];
        let mut rows = vec![head.map(str::to_owned)];
        rows.extend(sessions.iter().map(Session::wide_cells));
        return columns::aligned(&rows, "");
    }
    let head = ["NAME", "CLIENT", "ENDPOINT", "STATE", "AGE", "IDLE", "IN", "OUT"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(sessions.iter().map(Session::cells));
    columns::aligned(&rows, "")
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn or_dash(text: &str) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    /// A session with the longest values that are usual.
    pub(in super::super) fn session(name: &str, bytes: [u64; 2]) -> Session {
        Session::of(&json!({
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {
                "node": "node-1", "protocol": "TCP", "client": "192.168.100.200:54321",
                "listener": {"gateway": "front", "name": "postgres"}, "route": "shop/db", "endpoint": "192.168.101.201:15432"
            },
            "status": {
                "state": "Established", "ageSeconds": 599, "idleSeconds": 599,
                "bytesFromClient": bytes[0], "bytesFromEndpoint": bytes[1], "choice": {"reason": "table"}
            }
        }))
    }

    #[test]
    fn a_list_fits_into_120_columns_and_a_wide_one_says_more() {
        let sessions = [session("12-5be8a1c05be8a1c0-t1f-1a2b-1a", [1536, 20_000_000])];
        let list = table(&sessions, false);
        assert!(list.lines().all(|line| line.len() <= 120), "{list}");
        assert!(list.contains("9m59s  1.5Ki  19Mi"), "{list}");
        let wide = table(&sessions, true);
        for word in ["node-1", "shop/db", "front/postgres", "table"] {
            assert!(wide.contains(word) && (!list.contains(word)), "{word}\n{wide}");
        }
    }
}
