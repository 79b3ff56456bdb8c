//! Schemas of the resources that are computed, which no stored type describes.

mod access;
mod event;
mod node;
mod pin;
mod review;
mod session;

use serde_json::{Map, Value, json};

use crate::resource::{Computed, Resource};

/// Begins the name of every component here.
const PREFIX: &str = "dev.guideway.v1alpha1.";

const OWN_GROUP: &str = "guideway.dev";

/// Name of the component that describes a resource's objects.
pub(super) fn component_name(resource: &Resource) -> String {
    match resource.group {
        OWN_GROUP => format!("{PREFIX}{}", resource.name),
        group => {
            let parts: Vec<&str> = group.split('.').rev().collect();
            format!("{}.{}.{}", parts.join("."), resource.version, resource.name)
        }
    }
}

/// The components of a resource.
pub(super) fn schemas(resource: &Resource, source: Computed) -> Map<String, Value> {
    let (description, parts) = match source {
        Computed::Event => event::parts_of(),
        Computed::Node => node::parts_of(),
        Computed::Session => session::parts_of(),
        Computed::Pin => pin::parts_of(),
        Computed::RouteReview => review::parts_of(),
        Computed::Access(review) => access::parts_of(review),
    };
    let description_of_metadata = "Name and identity.";
    let metadata = match resource.group {
        OWN_GROUP => json!({
            "description": description_of_metadata,
            "allOf": [{ "$ref": format!("#/components/schemas/{PREFIX}ObjectMeta") }],
        }),
        // Its document has no stored kind, whose metadata could be referred to.
        _ => json!({ "description": description_of_metadata, "type": "object" }),
    };
    let mut properties = Map::from_iter([
        (
            "apiVersion".to_owned(),
            text("Group and version of the object's schema."),
        ),
        ("kind".to_owned(), text("Kind of the object.")),
        ("metadata".to_owned(), metadata),
    ]);
    properties.extend(parts);
    let root = json!({
        "description": description,
        "type": "object",
        "properties": properties,
        "x-kubernetes-group-version-kind": [{
            "group": resource.group,
            "version": resource.version,
            "kind": resource.name,
        }],
    });
    Map::from_iter([(component_name(resource), root)])
}

/// What a schema of this module is: a description of the object, and its parts below `metadata`.
type Parts = (&'static str, Map<String, Value>);

fn parts<const COUNT: usize>(fields: [(&str, Value); COUNT]) -> Map<String, Value> {
    fields
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect()
}

fn object<const COUNT: usize>(description: &str, fields: [(&str, Value); COUNT]) -> Value {
    json!({ "description": description, "type": "object", "properties": parts(fields) })
}

fn list(description: &str, items: Value) -> Value {
    json!({ "description": description, "type": "array", "items": items })
}

fn text(description: &str) -> Value {
    json!({ "description": description, "type": "string" })
}

fn one_of(description: &str, values: &[&str]) -> Value {
    json!({ "description": description, "type": "string", "enum": values })
}

fn time(description: &str) -> Value {
    json!({ "description": description, "type": "string", "format": "date-time" })
}

fn boolean(description: &str) -> Value {
    json!({ "description": description, "type": "boolean" })
}

fn integer(description: &str) -> Value {
    json!({ "description": description, "type": "integer", "format": "int64" })
}
