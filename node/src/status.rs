//! `guideway status`: the nodes of a cluster and what is wrong with its listeners, read through the
//! public API.

use std::time::Duration;

use guideway_dataplane::Driver;
use guideway_model::node::DriverFacts;
use serde::Serialize;
use serde_json::Value;

use crate::client::{Access, Client, RequestError};
use crate::columns;

const NODES: &str = "/apis/guideway.dev/v1alpha1/nodes";
const GATEWAYS: &str = "/apis/gateway.networking.k8s.io/v1/gateways";

/// Longer than the API waits for a quorum.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Listener conditions that are bad news when they are not `True`.
const WANTED_CONDITIONS: [&str; 3] = ["Accepted", "ResolvedRefs", "Programmed"];

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
#[error("{source}\nName the API of a running node with --server URL, or its configuration with --config FILE.")]
pub(crate) struct StatusError {
    #[from]
    source: RequestError,
}

/// What one node's API says of the cluster.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    server: String,
    nodes: Vec<NodeRow>,
    problems: Vec<Problem>,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NodeRow {
    /// Name.
    pub(crate) name: String,
    id: Option<u64>,
    /// `leader`, `follower` or `learner`.
    pub(crate) role: String,
    live: Option<bool>,
    /// Where listeners without an address of their own are bound, or `all`.
    address: String,
    version: Option<String>,
    /// `None` if the node did not answer.
    applied_index: Option<u64>,
    /// `None` if the node did not answer.
    sessions: Option<u64>,
    /// What carries its sessions, and why that one; `None` if the node did not answer.
    driver: Option<DriverFacts>,
}

/// A condition of a listener that should not be so.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Problem {
    gateway: String,
    listener: String,
    condition: String,
    status: String,
    reason: String,
    message: String,
}

/// Asks the API that `access` leads to.
pub(crate) async fn fetch(access: Access) -> Result<Report, StatusError> {
    let client = Client::new(access, REQUEST_TIMEOUT);
    let nodes = nodes(&client).await?;
    // Local state is enough, and it is there also without a quorum, when the status is wanted most.
    let gateways = client.get(&format!("{GATEWAYS}?resourceVersion=0")).await?;
    Ok(Report {
        server: client.server().to_owned(),
        nodes,
        problems: items(&gateways).flat_map(problems).collect(),
    })
}

/// Every member, as the node that is asked sees it.
pub(crate) async fn nodes(client: &Client) -> Result<Vec<NodeRow>, RequestError> {
    let list = client.get(&format!("{NODES}?resourceVersion=0")).await?;
    Ok(items(&list).map(NodeRow::of).collect())
}

impl NodeRow {
    fn of(object: &Value) -> NodeRow {
        let status = &object["status"];
        let text = |field: &str| status[field].as_str().map(str::to_owned);
        NodeRow {
            name: object["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
            id: status["id"].as_u64(),
            role: text("role").unwrap_or_default(),
            live: status["live"].as_bool(),
            address: text("dataAddress").unwrap_or_else(|| "all".to_owned()),
            version: text("version"),
            applied_index: status["appliedIndex"].as_u64(),
            sessions: status["sessions"].as_u64(),
            driver: serde_json::from_value(status["driver"].clone()).ok(),
        }
    }

    /// Whether it leads.
    pub(crate) fn leads(&self) -> bool {
        self.role == "leader"
    }

    /// Whether it votes.
    pub(crate) fn votes(&self) -> bool {
        self.leads() || self.role == "follower"
    }

    fn cells(&self) -> [String; 9] {
        let number = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let live = match self.live {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "-",
        };
        [
            self.name.clone(),
            number(self.id),
            self.role.clone(),
            live.to_owned(),
            self.address.clone(),
            text(&self.version),
            number(self.applied_index),
            number(self.sessions),
            text(&self.driver.as_ref().map(|driver| driver.name.clone())),
        ]
    }
}

impl Report {
    /// For people.
    pub(crate) fn table(&self) -> String {
        let head = [
            "NAME", "ID", "ROLE", "LIVE", "ADDRESS", "VERSION", "APPLIED", "SESSIONS", "DRIVER",
        ];
        let mut rows = vec![head.map(str::to_owned)];
        rows.extend(self.nodes.iter().map(NodeRow::cells));
        let mut text = columns::aligned(&rows, "");
        for node in &self.nodes {
            // The better one needs no explanation.
            if let Some(driver) = node
                .driver
                .as_ref()
                .filter(|driver| driver.name != Driver::IoUring.name())
            {
                text += &format!("{} runs on {}: {}.\n", node.name, driver.name, driver.reason);
            }
        }
        if self.problems.is_empty() {
            return text + "\nNo listener has a problem.\n";
        }
        text += "\nListeners with problems:\n";
        for problem in &self.problems {
            text += &format!(
                "  {} {}: {}={} ({}): {}\n",
                problem.gateway, problem.listener, problem.condition, problem.status, problem.reason, problem.message
            );
        }
        text
    }

    /// For programs.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

fn problems(gateway: &Value) -> Vec<Problem> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &gateway["metadata"];
    let name = format!("{}/{}", text(&metadata["namespace"]), text(&metadata["name"]));
    let listeners = gateway["status"]["listeners"].as_array().into_iter().flatten();
    listeners
        .flat_map(|listener| {
            let conditions = listener["conditions"].as_array().into_iter().flatten();
            conditions.map(move |condition| (listener, condition))
        })
        .filter(|(_, condition)| is_bad(condition))
        .map(|(listener, condition)| Problem {
            gateway: name.clone(),
            listener: text(&listener["name"]),
            condition: text(&condition["type"]),
            status: text(&condition["status"]),
            reason: text(&condition["reason"]),
            message: text(&condition["message"]),
        })
        .collect()
}

fn is_bad(condition: &Value) -> bool {
    let holds = condition["status"] == "True";
    match condition["type"].as_str() {
        Some("Conflicted") => holds,
        Some(wanted) => !holds && WANTED_CONDITIONS.contains(&wanted),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_that_does_not_answer_shows_dashes() {
        let row = NodeRow::of(&json!({
            "metadata": {"name": "node-2"},
            "status": {"id": 2, "role": "follower", "live": false, "dataAddress": "127.0.0.2", "version": "0.1.0"}
        }));
        assert!(row.votes() && !row.leads());
        assert_eq!(
            row.cells(),
            ["node-2", "2", "follower", "NO", "127.0.0.2", "0.1.0", "-", "-", "-"]
        );
    }

    #[test]
    fn a_node_without_io_uring_says_why() {
        let node = |name: &str, driver: &str, reason: &str| {
            NodeRow::of(&json!({
                "metadata": {"name": name},
                "status": {"driver": {"name": driver, "reason": reason}}
            }))
        };
        let report = Report {
            server: String::new(),
            nodes: vec![
                node("node-1", "io_uring", "the kernel has all it needs"),
                node("node-2", "epoll", "io_uring cannot be had: Operation not permitted"),
            ],
            problems: Vec::new(),
        };
        let table = report.table();
        assert!(
            table.contains("node-2 runs on epoll: io_uring cannot be had: Operation not permitted.\n"),
            "{table}"
        );
        assert!(!table.contains("node-1 runs"), "{table}");
    }

    #[test]
    fn only_bad_conditions_are_problems() {
        let condition =
            |kind: &str, status: &str| json!({"type": kind, "status": status, "reason": "R", "message": "M"});
        let gateway = json!({
            "metadata": {"namespace": "shop", "name": "front"},
            "status": {"listeners": [
                {"name": "good", "conditions": [
                    condition("Accepted", "True"), condition("Conflicted", "False"), condition("Programmed", "True")
                ]},
                {"name": "bad", "conditions": [condition("Conflicted", "True"), condition("Programmed", "False")]},
            ]}
        });
        let found: Vec<_> = problems(&gateway)
            .into_iter()
            .map(|problem| (problem.gateway, problem.listener, problem.condition))
            .collect();
        let expected = [("shop/front", "bad", "Conflicted"), ("shop/front", "bad", "Programmed")];
        assert_eq!(
            found,
            expected.map(|(gateway, listener, condition)| {
                (gateway.to_owned(), listener.to_owned(), condition.to_owned())
            })
        );
    }
}
