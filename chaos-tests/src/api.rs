//! A node's REST API, as a program without a Kubernetes library uses it.

use std::io;

use serde_json::Value;

use crate::http::{self, Response};
use crate::wait;

/// One node's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    base: String,
}

/// One entry of `status.conditions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// `Node` as the API lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// `metadata.name`
    pub name: String,
    /// `leader`, `follower` or `learner`.
    pub role: String,
    /// Log index it has applied; `None` if it did not answer.
    pub applied_index: Option<u64>,
    /// Live sessions; `None` if it did not answer.
    pub sessions: Option<u64>,
    /// The whole object.
    pub object: Value,
}

impl Api {
    /// The API at a base URL such as `https://127.0.0.1:7070`.
    pub fn new(base: &str) -> Api {
        Api {
            base: base.trim_end_matches('/').to_owned(),
        }
    }

    /// Full URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Gets a path.
    pub fn get(&self, path: &str) -> io::Result<Response> {
        http::get(&self.url(path))
    }

    /// Sends JSON.
    pub fn send(&self, method: &str, path: &str, body: &Value) -> io::Result<Response> {
        self.send_as(method, path, "application/json", body.to_string().as_bytes())
    }

    /// Sends bytes with a content type.
    pub fn send_as(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> io::Result<Response> {
        http::send(method, &self.url(path), &[("content-type", content_type)], body)
    }

    /// Creates an object.
    pub fn create(&self, object: &Value) -> io::Result<Response> {
        self.send("POST", &collection_of(object), object)
    }

    /// Creates an object or replaces the one of its name, and returns it as stored. Panics if the API refuses it.
    pub fn apply(&self, object: &Value) -> Value {
        let path = path_of(object);
        wait::until(&format!("{path} is applied"), || {
            let created = self.create(object).map_err(|error| error.to_string())?;
            if created.status != 409 {
                return accepted(created);
            }
            let current = self.get(&path).map_err(|error| error.to_string())?;
            let mut next = object.clone();
            next["metadata"]["resourceVersion"] = current.json()["metadata"]["resourceVersion"].clone();
            accepted(self.send("PUT", &path, &next).map_err(|error| error.to_string())?)
        })
    }

    /// Applies each object in order.
    pub fn apply_all(&self, objects: &[Value]) {
        for object in objects {
            self.apply(object);
        }
    }

    /// Deletes an object; one that is gone already is no error.
    pub fn delete(&self, object: &Value) {
        let path = path_of(object);
        wait::until(&format!("{path} is deleted"), || {
            let answer = http::send("DELETE", &self.url(&path), &[], &[]).map_err(|error| error.to_string())?;
            if answer.is_success() || answer.status == 404 {
                return Ok(());
            }
            Err(format!("{}: {}", answer.status, answer.text()))
        });
    }

    /// The object as stored. Panics if it is not there.
    pub fn read(&self, object: &Value) -> Value {
        let path = path_of(object);
        wait::until(&format!("{path} is read"), || {
            accepted(self.get(&path).map_err(|error| error.to_string())?)
        })
    }

    /// Every item of a list, page by page.
    pub fn list(&self, path: &str, page: usize) -> Result<Vec<Value>, String> {
        let mut items = Vec::new();
        let mut next = String::new();
        loop {
            let query = if next.is_empty() {
                String::new()
            } else {
                format!("&continue={next}")
            };
            let answer = self
                .get(&format!("{path}?limit={page}{query}"))
                .map_err(|error| error.to_string())?;
            if answer.status != 200 {
                return Err(format!("{}: {}", answer.status, answer.text()));
            }
            let mut list = answer.json();
            let Value::Array(more) = list["items"].take() else {
                return Err(format!("{path} answered without items: {list}"));
            };
            items.extend(more);
            match list["metadata"]["continue"].as_str() {
                Some(token) if !token.is_empty() => next = token.to_owned(),
                _ => return Ok(items),
            }
        }
    }

    /// The members, as this node sees them.
    pub fn nodes(&self) -> Result<Vec<NodeStatus>, String> {
        let items = self.list("/apis/guideway.dev/v1alpha1/nodes", 100)?;
        Ok(items.into_iter().map(NodeStatus::from_object).collect())
    }

    /// Whether so many nodes vote, and there are no others.
    pub fn voters(&self, wanted: usize) -> Result<(), String> {
        let nodes = self.nodes()?;
        let votes = nodes
            .iter()
            .filter(|node| ["leader", "follower"].contains(&node.role.as_str()));
        if votes.count() == wanted && nodes.len() == wanted {
            Ok(())
        } else {
            Err(format!("{nodes:?}"))
        }
    }

    /// Waits until the object's condition of this type has `status` for its newest generation; returns the condition.
    pub fn wait_condition(&self, object: &Value, condition: &str, status: &str) -> Condition {
        let path = path_of(object);
        wait::until(&format!("{condition}={status} on {path}"), || {
            let now = accepted(self.get(&path).map_err(|error| error.to_string())?)?;
            let found = condition_of(&now["status"]["conditions"], condition, &now["metadata"]["generation"]);
            match found {
                Some(found) if found.status == status => Ok(found),
                _ => Err(format!("status {}", now["status"])),
            }
        })
    }

    /// Waits for a condition on a route's first parent.
    pub fn wait_parent_condition(&self, route: &Value, condition: &str, status: &str, reason: &str) -> Condition {
        let path = path_of(route);
        wait::until(&format!("{condition}={status}/{reason} on {path}"), || {
            let now = accepted(self.get(&path).map_err(|error| error.to_string())?)?;
            let conditions = &now["status"]["parents"][0]["conditions"];
            match condition_of(conditions, condition, &now["metadata"]["generation"]) {
                Some(found) if found.status == status && found.reason == reason => Ok(found),
                _ => Err(format!("status {}", now["status"])),
            }
        })
    }
}

impl NodeStatus {
    fn from_object(object: Value) -> NodeStatus {
        let status = &object["status"];
        NodeStatus {
            name: object["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
            role: status["role"].as_str().unwrap_or_default().to_owned(),
            applied_index: status["appliedIndex"].as_u64(),
            sessions: status["sessions"].as_u64(),
            object,
        }
    }
}

/// A condition of this type that has looked at this generation.
pub fn condition_of(conditions: &Value, condition: &str, generation: &Value) -> Option<Condition> {
    let found = conditions
        .as_array()?
        .iter()
        .find(|entry| entry["type"] == condition && entry["observedGeneration"] == *generation)?;
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    Some(Condition {
        status: text("status"),
        reason: text("reason"),
        message: text("message"),
    })
}

/// Path of an object, from its `apiVersion`, `kind` and names.
pub fn path_of(object: &Value) -> String {
    let name = object["metadata"]["name"].as_str().expect("a manifest has a name");
    format!("{}/{name}", collection_of(object))
}

/// Path of the collection an object belongs to.
pub fn collection_of(object: &Value) -> String {
    let version = object["apiVersion"].as_str().expect("a manifest has an apiVersion");
    let kind = object["kind"].as_str().expect("a manifest has a kind");
    let root = if version.contains('/') { "apis" } else { "api" };
    let plural = plural(kind);
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("/{root}/{version}/namespaces/{namespace}/{plural}"),
        None => format!("/{root}/{version}/{plural}"),
    }
}

/// As Kubernetes forms it: policies, classes, gateways.
fn plural(kind: &str) -> String {
    let name = kind.to_ascii_lowercase();
    match name.strip_suffix("cy") {
        Some(stem) => format!("{stem}cies"),
        None if name.ends_with('s') => format!("{name}es"),
        None => format!("{name}s"),
    }
}

fn accepted(answer: Response) -> Result<Value, String> {
    // A refusal for what was sent will not go away by waiting.
    assert!(
        !matches!(answer.status, 400 | 403 | 405 | 413 | 415 | 422),
        "refused with {}: {}",
        answer.status,
        answer.text()
    );
    if answer.is_success() {
        Ok(answer.json())
    } else {
        Err(format!("{}: {}", answer.status, answer.text()))
    }
}
