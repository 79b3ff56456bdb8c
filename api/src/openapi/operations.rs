//! Paths and operations of a document.

use serde_json::{Map, Value, json};

use crate::openapi::schemas::component_name;
use crate::patch;
use crate::resource::{Resource, STATUS_VERBS, Verb};

/// Adds the paths of one resource, `prefix` being such as `apis/discovery.k8s.io/v1`.
pub(super) fn add(resource: &Resource, version: &str, prefix: &str, paths: &mut Map<String, Value>) {
    let place = if resource.namespaced {
        "namespaces/{namespace}/"
    } else {
        ""
    };
    let collection = format!("/{prefix}/{place}{}", resource.plural);
    let operations = Operations { resource, version };
    let verbs = resource.verbs();
    let mut add = |path: String, verbs: &[Verb], in_namespace: bool, named: bool| {
        paths.insert(path, operations.path_item(verbs, in_namespace, named));
    };
    if resource.namespaced {
        let across: Vec<Verb> = only(verbs, &[Verb::List]);
        add(format!("/{prefix}/{}", resource.plural), &across, false, false);
    }
    let on_collection = only(verbs, &[Verb::List, Verb::Create, Verb::DeleteCollection]);
    add(collection.clone(), &on_collection, resource.namespaced, false);
    let on_object = only(verbs, &[Verb::Get, Verb::Update, Verb::Patch, Verb::Delete]);
    add(format!("{collection}/{{name}}"), &on_object, resource.namespaced, true);
    if resource.has_status {
        add(
            format!("{collection}/{{name}}/status"),
            STATUS_VERBS,
            resource.namespaced,
            true,
        );
    }
}

fn only(verbs: &[Verb], wanted: &[Verb]) -> Vec<Verb> {
    wanted.iter().copied().filter(|verb| verbs.contains(verb)).collect()
}

struct Operations<'a> {
    resource: &'a Resource,
    version: &'a str,
}

impl Operations<'_> {
    fn path_item(&self, verbs: &[Verb], in_namespace: bool, named: bool) -> Value {
        let mut item = Map::new();
        for verb in verbs {
            item.insert(method(*verb).to_owned(), self.operation(*verb));
        }
        let parameters: Vec<Value> = [("namespace", in_namespace), ("name", named)]
            .into_iter()
            .filter(|(_, present)| *present)
            .map(|(name, _)| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
            .collect();
        item.insert("parameters".to_owned(), Value::Array(parameters));
        Value::Object(item)
    }

    fn operation(&self, verb: Verb) -> Value {
        let name = component_name(self.resource, self.version);
        let object = json!({ "$ref": format!("#/components/schemas/{name}") });
        let answer = match verb {
            Verb::List | Verb::DeleteCollection => json!({ "$ref": format!("#/components/schemas/{name}List") }),
            Verb::Delete if !self.resource.answers_delete_with_object() => json!({ "type": "object" }),
            _ => object.clone(),
        };
        let code = if verb == Verb::Create { "201" } else { "200" };
        let mut operation = json!({
            "tags": [self.resource.plural],
            "parameters": parameters(verb),
            "responses": {
                code: { "description": "Done", "content": { "application/json": { "schema": answer } } },
            },
            "x-kubernetes-action": action(verb),
            "x-kubernetes-group-version-kind": {
                "group": self.resource.group,
                "version": self.version,
                "kind": self.resource.name,
            },
        });
        if let Some(content) = self.request_content(verb, &object) {
            operation["requestBody"] = json!({ "required": verb != Verb::Delete, "content": content });
        }
        operation
    }

    fn request_content(&self, verb: Verb, object: &Value) -> Option<Map<String, Value>> {
        let content = |types: &[&str], schema: &Value| {
            types
                .iter()
                .map(|media_type| ((*media_type).to_owned(), json!({ "schema": schema })))
                .collect()
        };
        match verb {
            Verb::Create | Verb::Update => Some(content(&["application/json", "application/yaml"], object)),
            Verb::Patch => Some(content(patch::content_types(self.resource), &json!({}))),
            Verb::Delete | Verb::DeleteCollection => Some(content(&["application/json"], &json!({ "type": "object" }))),
            Verb::Get | Verb::List | Verb::Watch => None,
        }
    }
}

fn method(verb: Verb) -> &'static str {
    match verb {
        Verb::Get | Verb::List | Verb::Watch => "get",
        Verb::Create => "post",
        Verb::Update => "put",
        Verb::Patch => "patch",
        Verb::Delete | Verb::DeleteCollection => "delete",
    }
}

/// Kubernetes' names of actions, which are not those of verbs.
fn action(verb: Verb) -> &'static str {
    match verb {
        Verb::Create => "post",
        Verb::Update => "put",
        other => other.as_str(),
    }
}

fn parameters(verb: Verb) -> Vec<Value> {
    const STRING: &str = "string";
    const INTEGER: &str = "integer";
    const BOOLEAN: &str = "boolean";
    const WRITE: &[(&str, &str, &str)] = &[
        (
            "dryRun",
            STRING,
            "All: try the write on the present state and keep nothing.",
        ),
        (
            "fieldManager",
            STRING,
            "Who writes, for metadata.managedFields; an apply needs it. The program in User-Agent if absent.",
        ),
        (
            "fieldValidation",
            STRING,
            "What happens to unknown and duplicate fields: Strict refuses, Warn (default) warns, Ignore drops them.",
        ),
    ];
    const FORCE: &[(&str, &str, &str)] = &[("force", BOOLEAN, "An apply takes fields from other managers.")];
    const SELECT: &[(&str, &str, &str)] = &[
        ("labelSelector", STRING, "Only objects with these labels."),
        ("fieldSelector", STRING, "metadata.name and metadata.namespace."),
    ];
    const LIST: &[(&str, &str, &str)] = &[
        ("limit", INTEGER, "Most objects in one answer."),
        ("continue", STRING, "Token of the answer before."),
        (
            "resourceVersion",
            STRING,
            "Unset: linearizable; 0: what this node has; else at least this version.",
        ),
        ("resourceVersionMatch", STRING, "NotOlderThan or Exact."),
        ("watch", BOOLEAN, "Follow changes instead of listing."),
        ("allowWatchBookmarks", BOOLEAN, "Send bookmarks on a watch."),
        ("sendInitialEvents", BOOLEAN, "Begin a watch with every object."),
        ("timeoutSeconds", INTEGER, "Longest life of a watch."),
    ];
    const READ: &[(&str, &str, &str)] = &[(
        "resourceVersion",
        STRING,
        "Unset: linearizable; 0: what this node has; else at least this version.",
    )];
    const DELETE: &[(&str, &str, &str)] = &[
        (
            "dryRun",
            STRING,
            "All: try the delete on the present state and keep nothing.",
        ),
        ("propagationPolicy", STRING, "Accepted; nothing here has dependents."),
        ("gracePeriodSeconds", INTEGER, "Accepted; deletes are immediate."),
    ];
    let tables: &[&[(&str, &str, &str)]] = match verb {
        Verb::Get => &[READ],
        Verb::List | Verb::Watch => &[SELECT, LIST],
        Verb::Create | Verb::Update => &[WRITE],
        Verb::Patch => &[WRITE, FORCE],
        Verb::Delete => &[DELETE],
        Verb::DeleteCollection => &[SELECT, DELETE],
    };
    tables
        .iter()
        .flat_map(|table| table.iter())
        .map(|(name, kind, text)| {
            json!({ "name": name, "in": "query", "description": text, "schema": { "type": kind, "uniqueItems": true } })
        })
        .collect()
}
