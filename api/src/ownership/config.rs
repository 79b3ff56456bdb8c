//! Reads what a client applies: a part of an object, with each item of its lists at most once.

use std::collections::BTreeSet;
use std::fmt::Write;

use guideway_model::command::Part;
use serde_json::{Map, Value};

use super::complete::complete;
use super::layout::{Layout, Named, Whole};
use super::prune::without_null;

/// Unknown fields that are listed; each becomes a fault or a warning.
const UNKNOWN_MOST: usize = 100;

/// What is applied: no `null`, no unknown field, only the part of the object that the path is about; what is owned as one
/// has its defaults.
#[derive(Debug, PartialEq)]
pub(crate) struct Config {
    /// The fields that the client wants.
    pub(crate) value: Value,
    /// Paths of fields that the kind does not have; they were dropped.
    pub(crate) unknown: Vec<String>,
}

/// A configuration that cannot be merged.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigFault {
    /// A value of another type.
    #[error("{path}: expected {expected}, got {found}")]
    Type {
        /// Where.
        path: String,
        /// What the kind has there.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// Nothing says which item of the list it is.
    #[error("{path}: an item of this list must have {keys}")]
    NoKey {
        /// The item.
        path: String,
        /// What names an item.
        keys: String,
    },
    /// One item of a list is there twice.
    #[error("{path}: duplicate entry for {key}")]
    Duplicate {
        /// The second of them.
        path: String,
        /// What names the item.
        key: String,
    },
}

impl Config {
    /// Reads a body. Fields of the other part of the object are dropped: they have a path of their own.
    pub(crate) fn read(body: Value, layout: &Layout, part: Part) -> Result<Config, ConfigFault> {
        let mut value = part_of(without_null(body), part);
        let mut reader = Reader { unknown: Vec::new() };
        reader.check(&mut value, layout, &mut String::new())?;
        complete(&mut value, layout);
        Ok(Config {
            value,
            unknown: reader.unknown,
        })
    }
}

/// The part of an object that a path is about, with what says which object it is. `managedFields` are never in it.
pub(super) fn part_of(mut object: Value, part: Part) -> Value {
    if let Value::Object(fields) = &mut object {
        match part {
            Part::Main => {
                fields.shift_remove("status");
                if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
                    metadata.shift_remove("managedFields");
                }
            }
            Part::Status => {
                fields.retain(|name, _| ["apiVersion", "kind", "metadata", "status"].contains(&name.as_str()));
                if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
                    metadata.retain(|name, _| ["name", "namespace"].contains(&name.as_str()));
                }
            }
        }
    }
    object
}

struct Reader {
    unknown: Vec<String>,
}

impl Reader {
    fn check(&mut self, value: &mut Value, layout: &Layout, path: &mut String) -> Result<(), ConfigFault> {
        match (layout, value) {
            (Layout::Struct(fields) | Layout::Whole(Whole::Struct(fields)), Value::Object(found)) => {
                self.check_struct(found, fields, path)
            }
            (Layout::Map(values), Value::Object(entries)) => entries
                .iter_mut()
                .try_for_each(|(key, value)| within(path, &format!("[{key}]"), |path| self.check(value, values, path))),
            (Layout::Keyed(_, items), Value::Array(found)) => {
                unique(found, layout, path)?;
                self.check_items(found, items, path)
            }
            (Layout::Set, Value::Array(found)) => unique(found, layout, path),
            (Layout::Whole(Whole::List(items)), Value::Array(found)) => self.check_items(found, items, path),
            // Wrong scalars are found when the merged object is read.
            (Layout::Whole(Whole::Any | Whole::Scalar), _) => Ok(()),
            (layout, value) => Err(ConfigFault::Type {
                path: path.clone(),
                expected: match layout {
                    Layout::Keyed(..) | Layout::Set | Layout::Whole(Whole::List(_)) => "array",
                    _ => "object",
                },
                found: type_name(value),
            }),
        }
    }

    fn check_struct(
        &mut self,
        found: &mut Map<String, Value>,
        fields: &Named,
        path: &mut String,
    ) -> Result<(), ConfigFault> {
        found.retain(|name, _| {
            let known = fields.contains_key(name);
            if !known && self.unknown.len() < UNKNOWN_MOST {
                self.unknown.push(joined(path, name));
            }
            known
        });
        for (name, value) in found {
            if let Some(field) = fields.get(name) {
                let step = if path.is_empty() {
                    name.clone()
                } else {
                    format!(".{name}")
                };
                within(path, &step, |path| self.check(value, &field.layout, path))?;
            }
        }
        Ok(())
    }

    fn check_items(&mut self, items: &mut [Value], layout: &Layout, path: &mut String) -> Result<(), ConfigFault> {
        items
            .iter_mut()
            .enumerate()
            .try_for_each(|(index, item)| within(path, &format!("[{index}]"), |path| self.check(item, layout, path)))
    }
}

fn unique(items: &[Value], layout: &Layout, path: &str) -> Result<(), ConfigFault> {
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let path = || format!("{path}[{index}]");
        let Some(step) = layout.step_to(item) else {
            return Err(ConfigFault::NoKey {
                path: path(),
                keys: match layout {
                    Layout::Keyed(keys, _) => {
                        let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
                        names.join(" or ")
                    }
                    _ => "a scalar value".to_owned(),
                },
            });
        };
        let key = step.to_string();
        if !seen.insert(step) {
            return Err(ConfigFault::Duplicate { path: path(), key });
        }
    }
    Ok(())
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn within<T>(path: &mut String, step: &str, inside: impl FnOnce(&mut String) -> T) -> T {
    let length = path.len();
    // Writing to a String does not fail.
    write!(path, "{step}").unwrap_or_default();
    let result = inside(path);
    path.truncate(length);
    result
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
