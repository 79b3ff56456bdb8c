//! Paths and operations of a document.

use serde_json::{Map, Value, json};

use crate::openapi::schemas::component_name;
use crate::patch;
use crate::resource::{Computed, Resource, STATUS_VERBS, Source, Verb};

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
    let object = format!("{collection}/{{name}}");
    add(object.clone(), &on_object, resource.namespaced, true);
    if resource.has_status {
        add(
            format!("{collection}/{{name}}/status"),
            STATUS_VERBS,
            resource.namespaced,
            true,
        );
    }
    if on_object.is_empty() {
        paths.insert(object, operations.refused_patch());
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

    /// The path of an object that is only ever created. kubectl creates nothing of a kind for which it finds no `PATCH`
    /// operation that says who validates, so the one that is refused is described too.
    fn refused_patch(&self) -> Value {
        let mut item = self.path_item(&[Verb::Patch], self.resource.namespaced, true);
        item["patch"]["responses"] = json!({
            "405": { "description": "Objects of this kind are only created; nothing is kept that could be changed." },
        });
        item
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
            "parameters": self.parameters(verb),
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

    fn parameters(&self, verb: Verb) -> Vec<Value> {
        let selects = matches!(verb, Verb::List | Verb::DeleteCollection);
        let own: &[Parameter] = match self.resource.source {
            Source::Computed(Computed::Session) if selects => SESSION,
            Source::Computed(_) | Source::Stored(_) => &[],
        };
        let own = own.iter().map(described);
        parameters(verb).into_iter().chain(own).collect()
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

/// Name, type and description of a parameter of the query.
type Parameter = (&'static str, &'static str, &'static str);

const STRING: &str = "string";
const INTEGER: &str = "integer";
const BOOLEAN: &str = "boolean";

/// What selects and sorts sessions besides their fields.
const SESSION: &[Parameter] = &[
    ("clientCIDR", STRING, "Only sessions of clients in this network."),
    (
        "minAge",
        STRING,
        "Only sessions accepted longer ago than this, such as 5m.",
    ),
    ("maxAge", STRING, "Only sessions accepted less long ago than this."),
    ("minIdle", STRING, "Only sessions silent for longer than this."),
    ("maxIdle", STRING, "Only sessions silent for less than this."),
    (
        "minBytes",
        STRING,
        "Only sessions with more bytes than this both ways, such as 4Mi.",
    ),
    (
        "sortBy",
        STRING,
        "name, age, idle, bytes, rate, client or endpoint; with - before it the greatest come first.",
    ),
];

fn described((name, kind, text): &Parameter) -> Value {
    json!({ "name": name, "in": "query", "description": text, "schema": { "type": kind, "uniqueItems": true } })
}

fn parameters(verb: Verb) -> Vec<Value> {
    const WRITE: &[Parameter] = &[
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
    const FORCE: &[Parameter] = &[("force", BOOLEAN, "An apply takes fields from other managers.")];
    const SELECT: &[Parameter] = &[
        ("labelSelector", STRING, "Only objects with these labels."),
        (
            "fieldSelector",
            STRING,
            "Only objects with these fields: metadata.name, metadata.namespace, and those that docs/api.md names.",
        ),
    ];
    const LIST: &[Parameter] = &[
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
    const READ: &[Parameter] = &[(
        "resourceVersion",
        STRING,
        "Unset: linearizable; 0: what this node has; else at least this version.",
    )];
    const DELETE: &[Parameter] = &[
        (
            "dryRun",
            STRING,
            "All: try the delete on the present state and keep nothing.",
        ),
        ("propagationPolicy", STRING, "Accepted; nothing here has dependents."),
        ("gracePeriodSeconds", INTEGER, "Accepted; deletes are immediate."),
    ];
    let tables: &[&[Parameter]] = match verb {
        Verb::Get => &[READ],
        Verb::List | Verb::Watch => &[SELECT, LIST],
        Verb::Create | Verb::Update => &[WRITE],
        Verb::Patch => &[WRITE, FORCE],
        Verb::Delete => &[DELETE],
        Verb::DeleteCollection => &[SELECT, DELETE],
    };
    tables.iter().flat_map(|table| table.iter()).map(described).collect()
}
