//! JSON Schemas for editors: one that stands alone for each kind and version, in draft 7, which editors know best.

use serde_json::{Map, Value, json};

use super::{component_name, component_prefix, openapi_as};
use crate::kind::{Kind, KindInfo};

/// Dialect of the schemas.
const DRAFT: &str = "http://json-schema.org/draft-07/schema#";

/// Formats that draft 7 knows; others are left out.
const FORMATS: [&str; 1] = ["date-time"];

/// JSON Schema (draft 7) of manifests of `kind` at one of its served versions, without references to other documents.
/// Fields that the kind does not have are faults, as they are for the server.
pub fn json_schema(kind: Kind, version: &str) -> Value {
    let info = kind.info();
    let prefix = component_prefix(info, version);
    let root_name = component_name(kind, version);
    let mut root = Map::new();
    let mut definitions = Map::new();
    if let Value::Object(components) = openapi_as(kind, version) {
        for (name, mut schema) in components {
            simplify(&mut schema, &prefix);
            match (schema, name == root_name) {
                (Value::Object(fields), true) => root = fields,
                (schema, _) => {
                    definitions.insert(name.strip_prefix(&prefix).unwrap_or(&name).to_owned(), schema);
                }
            }
        }
    }
    label(&mut root, info, version);
    if !definitions.is_empty() {
        root.insert("definitions".to_owned(), Value::Object(definitions));
    }
    Value::Object(root)
}

/// Where the schema of a kind is kept, as schema catalogues name files: `GROUP/KIND_VERSION.json`, in lower case.
pub fn json_schema_path(kind: Kind, version: &str) -> String {
    let info = kind.info();
    let group = if info.group.is_empty() { "core" } else { info.group };
    format!("{group}/{}_{version}.json", info.singular)
}

fn label(root: &mut Map<String, Value>, info: &KindInfo, version: &str) {
    root.shift_insert(0, "$schema".to_owned(), Value::from(DRAFT));
    root.shift_insert(1, "title".to_owned(), Value::from(format!("{} {version}", info.name)));
    if let Some(Value::Object(properties)) = root.get_mut("properties") {
        for (name, word) in [
            ("apiVersion", info.api_version_as(version)),
            ("kind", info.name.to_owned()),
        ] {
            properties.insert(name.to_owned(), json!({ "type": "string", "const": word }));
        }
    }
    let required = root.entry("required").or_insert_with(|| json!([]));
    if let Value::Array(required) = required {
        required.extend(["apiVersion", "kind", "metadata"].map(Value::from));
    }
}

/// Takes out what only Kubernetes' tools understand, and closes objects.
fn simplify(schema: &mut Value, prefix: &str) {
    match schema {
        Value::Object(fields) => {
            // A property can have any of these names; its value is a schema, and no text.
            fields.retain(|key, value| match key.as_str() {
                "format" => value.as_str().is_none_or(|format| FORMATS.contains(&format)),
                other => !other.starts_with("x-kubernetes-"),
            });
            if fields.contains_key("properties") {
                fields.insert("additionalProperties".to_owned(), Value::from(false));
            }
            for (key, value) in fields.iter_mut() {
                match value {
                    Value::String(target) if key == "$ref" => {
                        let name = target.strip_prefix("#/components/schemas/").unwrap_or(target);
                        let name = name.strip_prefix(prefix).unwrap_or(name);
                        *target = format!("#/definitions/{name}");
                    }
                    other => simplify(other, prefix),
                }
            }
        }
        Value::Array(entries) => entries.iter_mut().for_each(|entry| simplify(entry, prefix)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
