//! What JSON of a kind must look like: types, fields and the bounds of single values, compiled from its schema.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::inlined;
use crate::format;
use crate::kind::Kind;

mod check;

pub(crate) use check::Unknown;

/// Shape of one value.
#[derive(Debug)]
pub(crate) enum Shape {
    Object(BTreeMap<String, Field>),
    Map {
        values: Box<Shape>,
        most: usize,
    },
    List(List),
    Text(Text),
    Integer {
        least: i64,
        most: i64,
    },
    Boolean,
    IntegerOrText,
    /// Not looked into.
    Any,
}

/// One field of an object.
#[derive(Debug)]
pub(crate) struct Field {
    shape: Shape,
    required: bool,
    default: Option<Value>,
}

/// A list of values that are alike.
#[derive(Debug)]
pub(crate) struct List {
    entries: Box<Shape>,
    least: usize,
    most: usize,
    /// Fields that together name an entry; empty if entries may be equal.
    keys: Vec<String>,
}

/// A text.
#[derive(Debug)]
pub(crate) struct Text {
    least: usize,
    most: usize,
    pattern: Option<&'static str>,
    format: Option<TextFormat>,
    /// The words it may be; empty for free text.
    words: Vec<String>,
}

/// What a text stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextFormat {
    /// RFC 3339.
    Time,
    /// Address without port.
    Ip,
    /// Base64; never shown.
    Bytes,
    /// Anything; never shown.
    Hidden,
}

static SHAPES: LazyLock<BTreeMap<Kind, Shape>> =
    LazyLock::new(|| Kind::all().map(|kind| (kind, Shape::compile(&inlined(kind)))).collect());

impl Shape {
    /// Shape of an object of `kind`, without `apiVersion` and `kind`.
    pub(crate) fn of(kind: Kind) -> &'static Shape {
        SHAPES.get(&kind).unwrap_or(&Shape::Any)
    }

    /// Shape of a field of an object.
    pub(crate) fn field(&self, name: &str) -> Option<&Shape> {
        match self {
            Shape::Object(fields) => fields.get(name).map(|field| &field.shape),
            _ => None,
        }
    }

    fn compile(schema: &Value) -> Shape {
        if schema.get("format").is_some_and(|format| format == "int-or-string") {
            return Shape::IntegerOrText;
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("object") => Shape::compile_object(schema),
            Some("array") => Shape::List(List {
                entries: Box::new(schema.get("items").map_or(Shape::Any, Shape::compile)),
                least: bound(schema, "minItems", 0),
                most: bound(schema, "maxItems", usize::MAX),
                keys: words(schema, "x-kubernetes-list-map-keys"),
            }),
            Some("string") => Shape::Text(Text {
                least: bound(schema, "minLength", 0),
                most: bound(schema, "maxLength", usize::MAX),
                pattern: schema.get("pattern").and_then(Value::as_str).and_then(format::known),
                format: schema.get("format").and_then(Value::as_str).and_then(TextFormat::known),
                words: words(schema, "enum"),
            }),
            Some("integer") => Shape::Integer {
                least: schema.get("minimum").and_then(Value::as_i64).unwrap_or(i64::MIN),
                most: schema
                    .get("maximum")
                    .and_then(Value::as_i64)
                    .unwrap_or(match schema.get("format") {
                        Some(format) if format == "int32" => i64::from(i32::MAX),
                        _ => i64::MAX,
                    }),
            },
            Some("boolean") => Shape::Boolean,
            _ => Shape::Any,
        }
    }

    fn compile_object(schema: &Value) -> Shape {
        if let Some(Value::Object(properties)) = schema.get("properties") {
            let required = words(schema, "required");
            let fields = properties.iter().map(|(name, schema)| {
                let field = Field {
                    shape: Shape::compile(schema),
                    required: required.contains(name),
                    default: schema.get("default").cloned(),
                };
                (name.clone(), field)
            });
            return Shape::Object(fields.collect());
        }
        match schema.get("additionalProperties") {
            Some(values @ Value::Object(_)) => Shape::Map {
                values: Box::new(Shape::compile(values)),
                most: bound(schema, "maxProperties", usize::MAX),
            },
            _ => Shape::Any,
        }
    }
}

impl TextFormat {
    fn known(name: &str) -> Option<TextFormat> {
        match name {
            "date-time" => Some(TextFormat::Time),
            "ip" => Some(TextFormat::Ip),
            "byte" => Some(TextFormat::Bytes),
            "password" => Some(TextFormat::Hidden),
            _ => None,
        }
    }
}

fn bound(schema: &Value, key: &str, otherwise: usize) -> usize {
    schema
        .get(key)
        .and_then(Value::as_u64)
        .and_then(|bound| usize::try_from(bound).ok())
        .unwrap_or(otherwise)
}

fn words(schema: &Value, key: &str) -> Vec<String> {
    schema
        .get(key)
        .and_then(Value::as_array)
        .map_or_else(Vec::new, |entries| {
            entries.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths of what is not looked into, and of patterns that no rule in words exists for.
    fn gaps(shape: &Shape, schema: &Value, path: &str, found: &mut Vec<String>) {
        match shape {
            Shape::Object(fields) => {
                for (name, field) in fields {
                    gaps(
                        &field.shape,
                        &schema["properties"][name],
                        &format!("{path}.{name}"),
                        found,
                    );
                }
            }
            Shape::Map { values, .. } => gaps(values, &schema["additionalProperties"], &format!("{path}[*]"), found),
            Shape::List(list) => gaps(&list.entries, &schema["items"], &format!("{path}[]"), found),
            Shape::Text(text) if text.pattern.is_none() && schema.get("pattern").is_some() => {
                found.push(format!("{path} pattern"));
            }
            Shape::Any => found.push(path.to_owned()),
            Shape::Text(_) | Shape::Integer { .. } | Shape::Boolean | Shape::IntegerOrText => {}
        }
    }

    #[test]
    fn everything_but_sets_of_fields_is_looked_into() {
        for kind in Kind::all() {
            let mut found = Vec::new();
            gaps(Shape::of(kind), &inlined(kind), "", &mut found);
            assert_eq!(found, [".metadata.managedFields[].fieldsV1"], "{kind:?}");
        }
    }
}
