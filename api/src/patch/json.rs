//! JSON patches (RFC 6902) with bounds: `copy` could otherwise double a document with every operation, and thousands of
//! `move`s of a large value could cost far more work than their bytes.

use json_patch::jsonptr::PointerBuf;
use json_patch::{PatchOperation, patch_unsafe};
use serde_json::Value;

use crate::document::MAX_DEPTH;

/// Operations in one patch.
const MAX_OPERATIONS: usize = 10_000;
/// Values that the copy and move operations of one patch may take together, counting each scalar, array and object.
const MAX_TAKEN_VALUES: usize = 100_000;
/// Bytes of text that the copy and move operations of one patch may take together.
const MAX_TAKEN_BYTES: usize = 3 * 1024 * 1024;

/// Operations, in order.
#[derive(Debug)]
pub(super) struct JsonPatch(Vec<PatchOperation>);

/// A body that is not a JSON patch.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReadJsonPatchError {
    /// Not an array of operations.
    #[error("the body is not a JSON patch: {problem}")]
    Malformed {
        /// What is wrong.
        problem: String,
    },
    /// Too long.
    #[error("the JSON patch has {found} operations; the limit is {MAX_OPERATIONS}")]
    TooMany {
        /// How many there are.
        found: usize,
    },
}

/// A JSON patch that does not fit the object.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ApplyJsonPatchError {
    /// An operation failed; none took effect.
    #[error("operation {index} at {path:?}: {problem}")]
    Operation {
        /// From 0.
        index: usize,
        /// Its path.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// Copies and moves take too much.
    #[error(
        "operation {index}: the copy and move operations take more than {MAX_TAKEN_VALUES} values or {MAX_TAKEN_BYTES} bytes"
    )]
    TakesTooMuch {
        /// From 0.
        index: usize,
    },
    /// The result would be too deep.
    #[error("operation {index}: the object would be nested more than {MAX_DEPTH} levels deep")]
    TooDeep {
        /// From 0.
        index: usize,
    },
}

impl JsonPatch {
    pub(super) fn read(document: Value) -> Result<JsonPatch, ReadJsonPatchError> {
        if let Some(found) = document
            .as_array()
            .map(Vec::len)
            .filter(|found| *found > MAX_OPERATIONS)
        {
            return Err(ReadJsonPatchError::TooMany { found });
        }
        serde_json::from_value(document)
            .map(JsonPatch)
            .map_err(|error| ReadJsonPatchError::Malformed {
                problem: error.to_string(),
            })
    }

    /// Applies every operation. After an error the document is of no use.
    pub(super) fn apply(&self, document: &mut Value) -> Result<(), ApplyJsonPatchError> {
        let mut budget = Budget {
            values: MAX_TAKEN_VALUES,
            bytes: MAX_TAKEN_BYTES,
        };
        for (index, operation) in self.0.iter().enumerate() {
            if let Some((value, path)) = inserted(document, operation) {
                let takes = matches!(operation, PatchOperation::Copy(_) | PatchOperation::Move(_));
                if takes && !budget.take(value) {
                    return Err(ApplyJsonPatchError::TakesTooMuch { index });
                }
                if path.count() + depth(value) > MAX_DEPTH {
                    return Err(ApplyJsonPatchError::TooDeep { index });
                }
            }
            patch_unsafe(document, std::slice::from_ref(operation)).map_err(|error| {
                ApplyJsonPatchError::Operation {
                    index,
                    path: operation.path().to_string(),
                    problem: error.kind.to_string(),
                }
            })?;
        }
        Ok(())
    }
}

/// What an operation puts where; `None` if nothing, or if it will fail.
fn inserted<'a>(document: &'a Value, operation: &'a PatchOperation) -> Option<(&'a Value, &'a PointerBuf)> {
    match operation {
        PatchOperation::Add(add) => Some((&add.value, &add.path)),
        PatchOperation::Replace(replace) => Some((&replace.value, &replace.path)),
        PatchOperation::Move(moved) => Some((document.pointer(moved.from.as_str())?, &moved.path)),
        PatchOperation::Copy(copied) => Some((document.pointer(copied.from.as_str())?, &copied.path)),
        PatchOperation::Remove(_) | PatchOperation::Test(_) => None,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

struct Budget {
    values: usize,
    bytes: usize,
}

impl Budget {
    /// Takes the cost of a value; false if the budget does not hold it.
    fn take(&mut self, value: &Value) -> bool {
        let bytes = match value {
            Value::String(text) => text.len(),
            Value::Object(fields) => fields.keys().map(String::len).sum(),
            _ => 0,
        };
        let (Some(values), Some(bytes)) = (self.values.checked_sub(1), self.bytes.checked_sub(bytes)) else {
            return false;
        };
        *self = Budget { values, bytes };
        match value {
            Value::Array(items) => items.iter().all(|item| self.take(item)),
            Value::Object(fields) => fields.values().all(|field| self.take(field)),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn apply(document: Value, patch: Value) -> Result<Value, String> {
        let patch = JsonPatch::read(patch).map_err(|error| error.to_string())?;
        let mut document = document;
        patch.apply(&mut document).map_err(|error| error.to_string())?;
        Ok(document)
    }

    #[test]
    fn operations() {
        let table = [
            (
                json!([{"op": "add", "path": "/b", "value": 2}]),
                json!({"a": [1, 2], "b": 2}),
            ),
            (
                json!([{"op": "add", "path": "/a/-", "value": 3}]),
                json!({"a": [1, 2, 3]}),
            ),
            (
                json!([{"op": "add", "path": "/a/0", "value": 0}]),
                json!({"a": [0, 1, 2]}),
            ),
            (json!([{"op": "remove", "path": "/a/0"}]), json!({"a": [2]})),
            (
                json!([{"op": "replace", "path": "/a", "value": "x"}]),
                json!({"a": "x"}),
            ),
            (
                json!([{"op": "move", "from": "/a", "path": "/b"}]),
                json!({"b": [1, 2]}),
            ),
            (
                json!([{"op": "copy", "from": "/a", "path": "/b"}]),
                json!({"a": [1, 2], "b": [1, 2]}),
            ),
            (
                json!([{"op": "test", "path": "/a/1", "value": 2}]),
                json!({"a": [1, 2]}),
            ),
            (
                json!([{"op": "add", "path": "/x~1y~0z", "value": 1}]),
                json!({"a": [1, 2], "x/y~z": 1}),
            ),
            (json!([]), json!({"a": [1, 2]})),
        ];
        for (patch, expected) in table {
            assert_eq!(apply(json!({"a": [1, 2]}), patch.clone()), Ok(expected), "{patch}");
        }
    }

    #[test]
    fn refusals_name_the_operation() {
        let table = [
            (json!([{"op": "remove", "path": "/b"}]), "operation 0 at \"/b\""),
            (
                json!([{"op": "add", "path": "/b", "value": 1}, {"op": "test", "path": "/a", "value": 1}]),
                "operation 1 at \"/a\"",
            ),
            (json!([{"op": "add", "path": "/a/9", "value": 1}]), "operation 0"),
            (json!([{"op": "copy", "from": "/z", "path": "/b"}]), "operation 0"),
            (json!([{"op": "swap", "path": "/a"}]), "not a JSON patch"),
            (json!([{"op": "add", "path": "a", "value": 1}]), "not a JSON patch"),
            (json!({"op": "add"}), "not a JSON patch"),
        ];
        for (patch, part) in table {
            let error = apply(json!({"a": [1, 2]}), patch.clone()).expect_err("refused");
            assert!(error.contains(part), "{patch}: {error}");
        }
    }

    #[test]
    fn copies_cannot_double_the_document_for_ever() {
        let double = json!({"op": "copy", "from": "/a", "path": "/a/-"});
        let error = apply(json!({"a": ["x"]}), Value::Array(vec![double; 60])).expect_err("too much");
        assert!(error.contains("take more than 100000 values"), "{error}");
        let wide = json!({"op": "copy", "from": "/a", "path": "/b/-"});
        let error = apply(
            json!({"a": "x".repeat(1024 * 1024), "b": []}),
            Value::Array(vec![wide; 10]),
        )
        .expect_err("too much");
        assert!(
            error.contains("operation 3: the copy and move operations take more"),
            "{error}"
        );
    }

    #[test]
    fn moves_of_large_values_are_bounded_together() {
        let moves = (0..1000).map(|round| match round % 2 {
            0 => json!({"op": "move", "from": "/a", "path": "/b"}),
            _ => json!({"op": "move", "from": "/b", "path": "/a"}),
        });
        let error = apply(json!({"a": vec![1; 1000]}), moves.collect()).expect_err("too much");
        assert!(
            error.contains("operation 99: the copy and move operations take more"),
            "{error}"
        );
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let deeper = json!([{"op": "copy", "from": "/a", "path": "/a/b"}]);
        let mut document = json!({"a": {"c": 1}});
        let patch = JsonPatch::read(deeper).expect("valid");
        let error = (0..2 * MAX_DEPTH).find_map(|_| patch.apply(&mut document).err());
        assert_eq!(error, Some(ApplyJsonPatchError::TooDeep { index: 0 }));
        let test = json!({"op": "test", "path": "", "value": {}});
        let error = apply(json!({}), Value::Array(vec![test; MAX_OPERATIONS + 1])).expect_err("too long");
        assert!(error.contains("10001 operations"), "{error}");
    }
}
