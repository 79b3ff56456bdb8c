//! Components of a document: the model's schemas, list types, and how strategic merge treats their arrays.

use guideway_model::schema;
use serde_json::{Map, Value, json};

use super::computed;
use crate::patch::{Field, Merging, fields_of};
use crate::resource::{Resource, Source};

const REFERENCE: &str = "#/components/schemas/";

/// Name of the component that describes a resource's objects.
pub(super) fn component_name(resource: &Resource, version: &str) -> String {
    match resource.source {
        Source::Stored(kind) => schema::component_name(kind, version),
        Source::Computed(_) => computed::component_name(resource),
    }
}

/// Adds the components of one resource.
pub(super) fn add(resource: &Resource, version: &str, schemas: &mut Map<String, Value>) {
    match resource.source {
        Source::Stored(kind) => {
            if let Value::Object(own) = schema::openapi_as(kind, version) {
                schemas.extend(own);
            }
        }
        Source::Computed(source) => schemas.extend(computed::schemas(resource, source)),
    }
    let name = component_name(resource, version);
    if resource.takes_strategic_merge() {
        mark_merging(schemas, &name, fields_of(resource));
    }
    schemas.insert(
        format!("{name}List"),
        json!({
            "description": format!("A list of {}.", resource.plural),
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": { "type": "string" },
                "kind": { "type": "string" },
                "metadata": {
                    "type": "object",
                    "properties": {
                        "resourceVersion": { "type": "string" },
                        "continue": { "type": "string" },
                    },
                },
                "items": { "type": "array", "items": { "$ref": format!("{REFERENCE}{name}") } },
            },
            "x-kubernetes-group-version-kind": [{
                "group": resource.group,
                "version": version,
                "kind": format!("{}List", resource.name),
            }],
        }),
    );
}

/// Writes `x-kubernetes-patch-strategy` and `x-kubernetes-patch-merge-key` to the arrays that have them.
fn mark_merging(schemas: &mut Map<String, Value>, component: &str, fields: &[Field]) {
    for field in fields {
        let Some(property) = schemas
            .get_mut(component)
            .and_then(|schema| schema.get_mut("properties")?.get_mut(field.name))
        else {
            continue;
        };
        match field.merging {
            Merging::Plain => {}
            Merging::AsSet => property["x-kubernetes-patch-strategy"] = Value::from("merge"),
            Merging::ByKey(key) => {
                property["x-kubernetes-patch-strategy"] = Value::from("merge");
                property["x-kubernetes-patch-merge-key"] = Value::from(key);
            }
        }
        if let Some(inner) = referenced(property) {
            mark_merging(schemas, &inner, field.fields);
        }
    }
}

/// The component that a property refers to, directly or as the only part of `allOf`.
fn referenced(property: &Value) -> Option<String> {
    let reference = property
        .get("$ref")
        .or_else(|| property.get("allOf")?.get(0)?.get("$ref"))?;
    Some(reference.as_str()?.strip_prefix(REFERENCE)?.to_owned())
}
