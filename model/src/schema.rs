//! Schemas of the kinds, derived from their types: published as OpenAPI v3 and for editors, and enforced when objects are
//! read.

mod dialect;
mod editor;
pub(crate) mod shape;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use self::dialect::Dialect;
use crate::kind::{Kind, KindInfo};
use crate::object::for_each_type;
use crate::resource::{RouteSpec, TlsRouteSpec};

pub use editor::{json_schema, json_schema_path};

/// OpenAPI v3 components of `kind` at its stored version: schemas by name, complete in themselves.
///
/// References are of the form `#/components/schemas/NAME`. Kinds of one group and version share names only for equal
/// schemas, so their components can be merged into one document.
pub fn openapi(kind: Kind) -> Value {
    openapi_as(kind, kind.info().version)
}

/// Like [`openapi`], for one of the served versions.
pub fn openapi_as(kind: Kind, version: &str) -> Value {
    let mut generator = settings(false).into_generator();
    for_each_type!(kind, T => generator.subschema_for::<T>());
    let definitions = generator.take_definitions(true);
    let info = kind.info();
    let prefix = component_prefix(info, version);
    let root = component_name(kind, version);
    let mut components = Map::new();
    for (name, mut schema) in definitions {
        rename_references(&mut schema, &prefix);
        let mut name = format!("{prefix}{name}");
        if name.eq_ignore_ascii_case(&root) {
            name.clone_from(&root);
            label_root(&mut schema, info, version);
        }
        if name.ends_with("RouteSpec") {
            bound_route(&mut schema, version);
        }
        components.insert(name, schema);
    }
    Value::Object(components)
}

/// Name of the component that describes `kind` itself.
pub fn component_name(kind: Kind, version: &str) -> String {
    format!("{}{}", component_prefix(kind.info(), version), kind.info().name)
}

/// Schema of `kind` without references, for [`shape`].
fn inlined(kind: Kind) -> Value {
    let mut generator = settings(true).into_generator();
    let schema = for_each_type!(kind, T => generator.root_schema_for::<T>());
    schema.into()
}

fn settings(inline: bool) -> SchemaSettings {
    let mut settings = SchemaSettings::openapi3();
    settings.meta_schema = None;
    settings.inline_subschemas = inline;
    settings.transforms = vec![Box::new(Dialect)];
    settings
}

/// `io.k8s.api.core.v1.` and the like: the group's parts in reverse order, then the version.
fn component_prefix(info: &KindInfo, version: &str) -> String {
    let group = match info.group {
        "" => "core.api.k8s.io",
        group => group,
    };
    let mut parts: Vec<&str> = group.split('.').rev().collect();
    parts.push(version);
    format!("{}.", parts.join("."))
}

fn rename_references(schema: &mut Value, prefix: &str) {
    match schema {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(target) if key == "$ref" => {
                        if let Some(name) = target.strip_prefix("#/components/schemas/") {
                            *target = format!("#/components/schemas/{prefix}{name}");
                        }
                    }
                    other => rename_references(other, prefix),
                }
            }
        }
        Value::Array(entries) => entries.iter_mut().for_each(|entry| rename_references(entry, prefix)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What later versions of routes demand beyond what their types do.
fn bound_route(schema: &mut Value, version: &str) {
    if let Some(most) = RouteSpec::rules_most(version) {
        schema["properties"]["rules"]["maxItems"] = Value::from(most);
    }
    if schema["properties"].get("hostnames").is_some() && TlsRouteSpec::needs_hostnames(version) {
        schema["properties"]["hostnames"]["minItems"] = Value::from(1);
        if let Some(Value::Array(required)) = schema.get_mut("required") {
            required.push(Value::from("hostnames"));
        }
    }
}

fn label_root(schema: &mut Value, info: &KindInfo, version: &str) {
    let Value::Object(fields) = schema else { return };
    fields.insert(
        "x-kubernetes-group-version-kind".to_owned(),
        json!([{ "group": info.group, "version": version, "kind": info.name }]),
    );
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        for (name, text) in [
            ("kind", "Kind of the object."),
            ("apiVersion", "Group and version of the object's schema."),
        ] {
            properties.shift_insert(0, name.to_owned(), json!({ "description": text, "type": "string" }));
        }
    }
}

#[cfg(test)]
mod tests;
