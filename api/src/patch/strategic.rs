//! Strategic merge patches: objects field by field, arrays by merge key or as sets, steered by `$` directives.
//!
//! | directive | where | effect |
//! |---|---|---|
//! | `$patch: replace` | object | the patch takes the object's place |
//! | `$patch: delete` | object, or array item with its key | it goes |
//! | `$patch: replace` | array item | the other items take the array's place |
//! | `$retainKeys` | object | other fields go |
//! | `$deleteFromPrimitiveList/x` | beside set `x` | these go |
//! | `$setElementOrder/x` | beside array `x` | the order of the items it names |

mod lists;

use serde_json::{Map, Value};

use super::{Field, Merging};
use lists::ListPatch;

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ORDER: &str = "$setElementOrder/";
const DELETE_FROM_SET: &str = "$deleteFromPrimitiveList/";

/// A patch that contradicts itself or the kind.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StrategicMergeError {
    /// A `$` field that means nothing here.
    #[error("{path}: unknown directive {directive:?}")]
    UnknownDirective {
        /// Where.
        path: String,
        /// The field, with its value if that is what is unknown.
        directive: String,
    },
    /// A directive with a value of the wrong type.
    #[error("{path}: {directive} must be {expected}")]
    BadDirective {
        /// Where.
        path: String,
        /// The field.
        directive: String,
        /// What it must be.
        expected: &'static str,
    },
    /// An item that cannot be matched.
    #[error("{path}: an item has no {key:?}, by which this array is merged")]
    NoMergeKey {
        /// The array.
        path: String,
        /// The merge key.
        key: &'static str,
    },
    /// `$setElementOrder` must name every item of the patch.
    #[error("{path}: $setElementOrder does not name the item {item} that the patch sets")]
    NotInOrder {
        /// The array.
        path: String,
        /// Key of the item.
        item: String,
    },
    /// `$retainKeys` must name every field of the patch.
    #[error("{path}: $retainKeys does not name the field {field:?} that the patch sets")]
    NotRetained {
        /// The object.
        path: String,
        /// The field.
        field: String,
    },
}

/// Merges `patch` into `document`. After an error the document is of no use.
pub(super) fn merge(document: &mut Value, patch: &Value, fields: &[Field]) -> Result<(), StrategicMergeError> {
    match (document, patch) {
        (Value::Object(document), Value::Object(patch)) => merge_object(document, patch, fields, ""),
        (document, patch) => {
            *document = patch.clone();
            Ok(())
        }
    }
}

fn merge_object(
    original: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    fields: &[Field],
    path: &str,
) -> Result<(), StrategicMergeError> {
    match marker(patch, path)? {
        Marker::None => {}
        Marker::Delete => {
            original.clear();
            return Ok(());
        }
        Marker::Replace => {
            *original = stripped_object(patch);
            return Ok(());
        }
    }
    retain_keys(original, patch, path)?;
    for (name, value) in patch {
        if let Some(list) = name
            .strip_prefix(SET_ORDER)
            .or_else(|| name.strip_prefix(DELETE_FROM_SET))
        {
            // Directives beside the array itself are read together with it.
            if !patch.contains_key(list) {
                merge_list(original, patch, list, fields, path)?;
            }
        } else if name.starts_with('$') {
            if ![PATCH, RETAIN_KEYS].contains(&name.as_str()) {
                return Err(StrategicMergeError::UnknownDirective {
                    path: path.to_owned(),
                    directive: name.clone(),
                });
            }
        } else {
            match value {
                Value::Null => {
                    original.shift_remove(name);
                }
                Value::Array(_) => merge_list(original, patch, name, fields, path)?,
                Value::Object(inner) => {
                    merge_field(original, name, inner, fields, path)?;
                }
                scalar => {
                    original.insert(name.clone(), scalar.clone());
                }
            }
        }
    }
    Ok(())
}

fn merge_field(
    original: &mut Map<String, Value>,
    name: &str,
    patch: &Map<String, Value>,
    fields: &[Field],
    path: &str,
) -> Result<(), StrategicMergeError> {
    match original.get_mut(name) {
        Some(Value::Object(present)) => merge_object(present, patch, inner_fields(fields, name), &below(path, name)),
        _ => {
            if marker(patch, path)? != Marker::Delete {
                original.insert(name.to_owned(), Value::Object(stripped_object(patch)));
            }
            Ok(())
        }
    }
}

fn merge_list(
    original: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    name: &str,
    fields: &[Field],
    path: &str,
) -> Result<(), StrategicMergeError> {
    let field = fields.iter().find(|field| field.name == name);
    let path = below(path, name);
    let array = |directive: &str| match patch.get(directive) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items.as_slice())),
        Some(_) => Err(StrategicMergeError::BadDirective {
            path: path.clone(),
            directive: directive.to_owned(),
            expected: "an array",
        }),
    };
    let list = ListPatch {
        path: &path,
        items: array(name)?,
        deleted: array(&format!("{DELETE_FROM_SET}{name}"))?.unwrap_or_default(),
        order: array(&format!("{SET_ORDER}{name}"))?,
    };
    let present = match original.get_mut(name) {
        Some(Value::Array(items)) => std::mem::take(items),
        _ => Vec::new(),
    };
    let merged = match field.map_or(Merging::Plain, |field| field.merging) {
        Merging::Plain => list.replace(present),
        Merging::AsSet => list.merge_set(present)?,
        Merging::ByKey(key) => list.merge_by_key(present, key, inner_fields(fields, name))?,
    };
    if merged.is_empty() && list.items.is_none() && !original.contains_key(name) {
        return Ok(());
    }
    original.insert(name.to_owned(), Value::Array(merged));
    Ok(())
}

fn retain_keys(
    original: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    path: &str,
) -> Result<(), StrategicMergeError> {
    let Some(retained) = patch.get(RETAIN_KEYS) else {
        return Ok(());
    };
    let Value::Array(retained) = retained else {
        return Err(StrategicMergeError::BadDirective {
            path: path.to_owned(),
            directive: RETAIN_KEYS.to_owned(),
            expected: "an array of field names",
        });
    };
    let keeps = |name: &String| retained.iter().any(|kept| kept == name);
    if let Some((field, _)) = patch
        .iter()
        .find(|(name, value)| !name.starts_with('$') && !value.is_null() && !keeps(name))
    {
        return Err(StrategicMergeError::NotRetained {
            path: path.to_owned(),
            field: field.clone(),
        });
    }
    original.retain(|name, _| keeps(name));
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    None,
    Replace,
    Delete,
}

/// The `$patch` directive of an object or item.
fn marker(patch: &Map<String, Value>, path: &str) -> Result<Marker, StrategicMergeError> {
    match patch.get(PATCH) {
        None => Ok(Marker::None),
        Some(Value::String(text)) if text == "merge" => Ok(Marker::None),
        Some(Value::String(text)) if text == "replace" => Ok(Marker::Replace),
        Some(Value::String(text)) if text == "delete" => Ok(Marker::Delete),
        Some(other) => Err(StrategicMergeError::UnknownDirective {
            path: path.to_owned(),
            directive: format!("{PATCH}: {other}"),
        }),
    }
}

/// A new value from a patch: directives, nulls and what is marked as deleted are left out.
fn stripped(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(stripped_object(fields)),
        Value::Array(items) => items.iter().filter(|item| !is_deletion(item)).map(stripped).collect(),
        scalar => scalar.clone(),
    }
}

fn stripped_object(fields: &Map<String, Value>) -> Map<String, Value> {
    fields
        .iter()
        .filter(|(name, value)| !name.starts_with('$') && !value.is_null() && !is_deletion(value))
        .map(|(name, value)| (name.clone(), stripped(value)))
        .collect()
}

fn is_deletion(value: &Value) -> bool {
    value.get(PATCH).is_some_and(|marker| marker == "delete")
}

fn inner_fields<'a>(fields: &'a [Field], name: &str) -> &'a [Field] {
    fields
        .iter()
        .find(|field| field.name == name)
        .map_or(&[], |field| field.fields)
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

#[cfg(test)]
mod tests;
