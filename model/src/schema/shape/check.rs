//! Checks JSON against its shape. Every fault is reported, not only the first.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;

use serde_json::{Map, Value};

use super::{Field, List, Shape, Text, TextFormat};
use crate::faults::Faults;
use crate::format;
use crate::resource::Blob;

/// Paths of fields that the type does not have; those beyond [`UNKNOWN_MOST`] are not listed.
pub(crate) type Unknown = Vec<String>;

/// Unknown fields that are listed; each becomes a cause or a `Warning:` header.
const UNKNOWN_MOST: usize = 100;

impl Shape {
    /// Checks `value`, found at `path`, and drops its `null` fields and the fields that the shape does not have.
    pub(crate) fn check(&self, value: &mut Value, path: &mut String, faults: &mut Faults, unknown: &mut Unknown) {
        match (self, value) {
            (Shape::Object(fields), Value::Object(map)) => check_object(fields, map, path, faults, unknown),
            (Shape::Map { values, most }, Value::Object(map)) => {
                if map.len() > *most {
                    faults.too_many(path.as_str(), map.len(), *most);
                }
                for (key, value) in map {
                    if value.is_null() && matches!(**values, Shape::Text(_)) {
                        *value = Value::from("");
                    }
                    within(path, |path| {
                        join(path, key);
                        values.check(value, path, faults, unknown);
                    });
                }
            }
            (Shape::List(list), Value::Array(entries)) => check_list(list, entries, path, faults, unknown),
            (Shape::Text(text), Value::String(found)) => text.check(found, path, faults),
            (Shape::Integer { least, most }, value @ Value::Number(_)) => {
                check_integer(*least, *most, value, path, faults);
            }
            (Shape::Boolean, Value::Bool(_)) | (Shape::IntegerOrText, Value::String(_)) | (Shape::Any, _) => {}
            (Shape::IntegerOrText, value @ Value::Number(_)) => {
                check_integer(i64::from(i32::MIN), i64::from(i32::MAX), value, path, faults);
            }
            (Shape::Text(text), value) if text.is_hidden() => faults.wrong_type_hidden(path.as_str(), "string", value),
            (shape, value) => faults.wrong_type(path.as_str(), shape.type_name(), value),
        }
    }

    fn type_name(&self) -> &'static str {
        match self {
            Shape::Object(_) | Shape::Map { .. } => "object",
            Shape::List(_) => "array",
            Shape::Text(_) => "string",
            Shape::Integer { .. } => "integer",
            Shape::Boolean => "boolean",
            Shape::IntegerOrText => "integer or string",
            Shape::Any => "anything",
        }
    }
}

fn check_object(
    fields: &BTreeMap<String, Field>,
    map: &mut Map<String, Value>,
    path: &mut String,
    faults: &mut Faults,
    unknown: &mut Unknown,
) {
    map.retain(|name, value| {
        if !fields.contains_key(name) {
            if unknown.len() < UNKNOWN_MOST {
                within(path, |path| {
                    join(path, name);
                    unknown.push(path.clone());
                });
            }
            return false;
        }
        !value.is_null()
    });
    for (name, field) in fields {
        within(path, |path| {
            join(path, name);
            match map.get_mut(name) {
                Some(value) => field.shape.check(value, path, faults, unknown),
                None if field.required => faults.required(path.as_str(), "must be set"),
                None => {}
            }
        });
    }
}

fn check_list(list: &List, entries: &mut [Value], path: &mut String, faults: &mut Faults, unknown: &mut Unknown) {
    if entries.len() < list.least {
        faults.required(
            path.as_str(),
            format_args!("{} entries: must be at least {}", entries.len(), list.least),
        );
    }
    if entries.len() > list.most {
        // What is beyond the bound is not looked at, so that a hostile list costs no more than a full one.
        faults.too_many(path.as_str(), entries.len(), list.most);
    }
    for (index, entry) in entries.iter_mut().take(list.most).enumerate() {
        within(path, |path| {
            join_index(path, index);
            list.entries.check(entry, path, faults, unknown);
        });
    }
    if !list.keys.is_empty() {
        check_keys(list, entries, path, faults);
    }
}

/// Entries of a keyed list must differ in their keys; an absent key counts with its default.
fn check_keys(list: &List, entries: &[Value], path: &mut String, faults: &mut Faults) {
    let Shape::Object(fields) = &*list.entries else { return };
    let mut seen = BTreeMap::new();
    for (index, entry) in entries.iter().take(list.most).enumerate() {
        let key: Vec<String> = list
            .keys
            .iter()
            .map(|key| {
                let value = entry
                    .get(key)
                    .or_else(|| fields.get(key).and_then(|field| field.default.as_ref()));
                format!("{key} {}", value.unwrap_or(&Value::Null))
            })
            .collect();
        let key = key.join(", ");
        if let Some(first) = seen.get(&key) {
            within(path, |path| {
                let text = format!("{key} is that of {path}[{first}] too");
                join_index(path, index);
                faults.duplicate(path.as_str(), text);
            });
        } else {
            seen.insert(key, index);
        }
    }
}

fn check_integer(least: i64, most: i64, value: &Value, path: &str, faults: &mut Faults) {
    match value.as_i64() {
        Some(number) if (least..=most).contains(&number) => {}
        None if value.is_f64() => faults.wrong_type(path, "integer", value),
        // Beyond i64, or out of bounds.
        Some(_) | None if least == i64::MIN => faults.invalid(path, value, format_args!("must be at most {most}")),
        Some(_) | None if most == i64::MAX => faults.invalid(path, value, format_args!("must be at least {least}")),
        Some(_) | None => faults.invalid(path, value, format_args!("must be between {least} and {most}")),
    }
}

impl Text {
    fn check(&self, found: &str, path: &str, faults: &mut Faults) {
        if !self.words.is_empty() {
            if !self.words.iter().any(|word| word == found) {
                faults.not_supported(path, found, &self.words);
            }
            return;
        }
        let length = found.chars().count();
        if length > self.most {
            faults.too_long(path, length, self.most, "characters");
        } else if length < self.least {
            // An empty text breaks most patterns too; once is enough.
            faults.invalid_text(
                path,
                found,
                format_args!("must have at least {} characters", self.least),
            );
        } else if let Some(pattern) = self.pattern {
            format::check(pattern, found, path, faults);
        } else {
            self.check_format(found, path, faults);
        }
    }

    fn check_format(&self, found: &str, path: &str, faults: &mut Faults) {
        match self.format {
            Some(TextFormat::Time) if found.parse::<jiff::Timestamp>().is_err() => {
                faults.invalid_text(path, found, "must be an RFC 3339 time such as 2026-01-31T12:00:00Z");
            }
            Some(TextFormat::Ip) if found.parse::<IpAddr>().is_err() => faults.invalid_text(
                path,
                found,
                "must be an IPv4 or IPv6 address without port or prefix length",
            ),
            Some(TextFormat::Bytes) if Blob::from_base64(found).is_none() => {
                faults.invalid_hidden(path, "must be base64 with padding (RFC 4648)");
            }
            Some(TextFormat::Time | TextFormat::Ip | TextFormat::Bytes | TextFormat::Hidden) | None => {}
        }
    }

    fn is_hidden(&self) -> bool {
        matches!(self.format, Some(TextFormat::Bytes | TextFormat::Hidden))
    }
}

/// Runs `step`, then takes off the path what it added.
fn within(path: &mut String, step: impl FnOnce(&mut String)) {
    let length = path.len();
    step(path);
    path.truncate(length);
}

/// Adds a field to a path; a name that is not a plain word goes in brackets, as a key of a map.
fn join(path: &mut String, name: &str) {
    if name.is_empty() || name.contains(['.', '[', ']', '/', ' ']) {
        path.push('[');
        path.push_str(name);
        path.push(']');
    } else {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(name);
    }
}

fn join_index(path: &mut String, index: usize) {
    // Writing to a String does not fail.
    write!(path, "[{index}]").unwrap_or_default();
}
