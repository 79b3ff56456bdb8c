//! How the values of a kind merge, compiled from its published schema: `x-kubernetes-list-type`,
//! `x-kubernetes-list-map-keys`, `x-kubernetes-map-type` and `default`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::path::Step;

/// How one value merges.
#[derive(Debug)]
pub(crate) enum Layout {
    /// Named fields, each by itself.
    Struct(Named),
    /// Keys that clients choose, each by itself.
    Map(Box<Layout>),
    /// Items named by key fields, each by itself.
    Keyed(Vec<Key>, Box<Layout>),
    /// Scalars, each by itself.
    Set,
    /// Set and owned as one.
    Whole(Whole),
}

/// Fields that a type names.
pub(crate) type Named = BTreeMap<String, Field>;

/// A field that a type names.
#[derive(Debug)]
pub(crate) struct Field {
    pub(super) layout: Layout,
    /// What it is when it is absent.
    pub(super) default: Option<Value>,
}

/// A key field of a list's items.
#[derive(Debug)]
pub(crate) struct Key {
    pub(super) name: String,
    /// What it is when it is absent.
    pub(super) default: Option<Value>,
}

/// What a value that is owned as one looks like, as far as a client's input is checked for it.
#[derive(Debug)]
pub(crate) enum Whole {
    /// A scalar.
    Scalar,
    /// An array; its items are looked into for unknown fields.
    List(Box<Layout>),
    /// An object; its fields are looked into for unknown ones.
    Struct(Named),
    /// Not looked into.
    Any,
}

static WHOLE: Layout = Layout::Whole(Whole::Any);

/// Levels of a schema that are followed; schemas of the kinds are far shallower and do not refer to themselves.
const MAX_DEPTH: usize = 64;

impl Layout {
    /// Compiles component `root` of OpenAPI components.
    pub(crate) fn compile(components: &Value, root: &str) -> Layout {
        Compiler { components }.layout(&components[root], MAX_DEPTH)
    }

    /// The layout of what is below a step; things that are not known merge as one.
    pub(super) fn below(&self, step: &Step) -> &Layout {
        match (self, step) {
            (Layout::Struct(fields), Step::Field(name)) => fields.get(name).map_or(&WHOLE, |field| &field.layout),
            (Layout::Map(values), Step::Field(_)) => values,
            (Layout::Keyed(_, items), Step::Key(_)) => items,
            _ => &WHOLE,
        }
    }

    /// Whether the step is a field that the type itself names.
    pub(super) fn names(&self, step: &Step) -> bool {
        match (self, step) {
            (Layout::Struct(fields), Step::Field(name)) => fields.contains_key(name),
            _ => false,
        }
    }

    /// The step to an item of a list that merges item by item; `None` if the item has no key field, or is not a scalar
    /// where a set wants one.
    pub(super) fn step_to(&self, item: &Value) -> Option<Step> {
        match self {
            Layout::Keyed(keys, _) => {
                let item = item.as_object()?;
                let found: Map<String, Value> = keys
                    .iter()
                    .filter_map(|key| Some((key.name.clone(), item.get(&key.name).or(key.default.as_ref())?.clone())))
                    .collect();
                (!found.is_empty()).then(|| Step::key(found))
            }
            Layout::Set => (!item.is_object() && !item.is_array() && !item.is_null()).then(|| Step::item(item)),
            Layout::Struct(_) | Layout::Map(_) | Layout::Whole(_) => None,
        }
    }

    /// Whether an empty value of this layout is the same as none: the API leaves such values out.
    pub(super) fn leaves_out_empty(&self) -> bool {
        match self {
            Layout::Map(_) | Layout::Keyed(..) | Layout::Set | Layout::Whole(Whole::List(_)) => true,
            Layout::Struct(_) | Layout::Whole(Whole::Scalar | Whole::Struct(_) | Whole::Any) => false,
        }
    }

    /// Whether a value of this layout is set and owned as one. So is every empty one.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self, Layout::Whole(_))
    }
}

/// Whether a value is an array or object without anything in it.
pub(super) fn is_hollow(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

struct Compiler<'a> {
    components: &'a Value,
}

impl Compiler<'_> {
    fn layout(&self, schema: &Value, depth: usize) -> Layout {
        let Some(depth) = depth.checked_sub(1) else {
            return Layout::Whole(Whole::Any);
        };
        let referred = self.resolve(schema);
        let mark = |name: &str| schema.get(name).or_else(|| referred.get(name)).and_then(Value::as_str);
        match referred.get("type").and_then(Value::as_str) {
            Some("object") => {
                let atomic = mark("x-kubernetes-map-type") == Some("atomic");
                match (self.fields(referred, depth), referred.get("additionalProperties")) {
                    (Some(fields), _) if atomic => Layout::Whole(Whole::Struct(fields)),
                    (Some(fields), _) => Layout::Struct(fields),
                    (None, Some(values @ Value::Object(_))) if !atomic => {
                        Layout::Map(Box::new(self.layout(values, depth)))
                    }
                    (None, _) => Layout::Whole(Whole::Any),
                }
            }
            Some("array") => {
                let items = Box::new(self.layout(&referred["items"], depth));
                match mark("x-kubernetes-list-type") {
                    Some("map") => Layout::Keyed(self.keys(schema, referred), items),
                    Some("set") => Layout::Set,
                    _ => Layout::Whole(Whole::List(items)),
                }
            }
            Some(_) => Layout::Whole(Whole::Scalar),
            None => Layout::Whole(Whole::Any),
        }
    }

    fn fields(&self, schema: &Value, depth: usize) -> Option<Named> {
        let properties = schema.get("properties")?.as_object()?;
        let field = |(name, schema): (&String, &Value)| {
            let field = Field {
                layout: self.layout(schema, depth),
                default: schema.get("default").filter(|default| !default.is_null()).cloned(),
            };
            (name.clone(), field)
        };
        Some(properties.iter().map(field).collect())
    }

    fn keys(&self, schema: &Value, referred: &Value) -> Vec<Key> {
        let names = schema
            .get("x-kubernetes-list-map-keys")
            .or_else(|| referred.get("x-kubernetes-list-map-keys"));
        let item = self.resolve(&referred["items"]);
        let names = names.and_then(Value::as_array).into_iter().flatten();
        names
            .filter_map(Value::as_str)
            .map(|name| Key {
                name: name.to_owned(),
                default: item["properties"][name].get("default").cloned(),
            })
            .collect()
    }

    /// Follows `$ref`, alone or as the only part of `allOf`.
    fn resolve<'b>(&'b self, schema: &'b Value) -> &'b Value {
        let mut schema = schema;
        for _ in 0..MAX_DEPTH {
            let reference = schema
                .get("$ref")
                .or_else(|| schema.get("allOf")?.get(0)?.get("$ref"))
                .and_then(Value::as_str)
                .and_then(|target| target.rsplit('/').next());
            match reference {
                Some(name) => schema = &self.components[name],
                None => break,
            }
        }
        schema
    }
}
