//! Turns generated schemas into the dialect of OpenAPI v3 that Kubernetes' tools read.

use schemars::Schema;
use schemars::transform::{Transform, transform_subschemas};
use serde_json::{Map, Value, json};

/// Absent fields are left out and never `null`, enums are lists of words, integers are `int32` or `int64`, and a
/// reference stands alone or in `allOf`.
#[derive(Clone, Debug)]
pub(super) struct Dialect;

impl Transform for Dialect {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(fields) = schema.as_object_mut() {
            fields.remove("title");
            drop_null(fields);
            gather_words(fields);
            name_integers(fields);
            wrap_reference(fields);
        }
        transform_subschemas(self, schema);
    }
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "null")
}

fn drop_null(fields: &mut Map<String, Value>) {
    if let Some(Value::Array(kinds)) = fields.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [kind] = kinds.as_slice() {
            let kind = kind.clone();
            fields.insert("type".to_owned(), kind);
        }
    }
    if let Some(Value::Array(words)) = fields.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if fields.get("default").is_some_and(Value::is_null) {
        fields.remove("default");
    }
    if let Some(Value::Array(mut choices)) = fields.remove("anyOf") {
        choices.retain(|choice| !is_null(choice));
        match choices.as_slice() {
            [Value::Object(only)] => {
                for (key, value) in only {
                    fields.entry(key.clone()).or_insert_with(|| value.clone());
                }
            }
            _ => {
                fields.insert("anyOf".to_owned(), Value::Array(choices));
            }
        }
    }
}

/// A choice of constants, one for each documented variant, becomes one list of words.
fn gather_words(fields: &mut Map<String, Value>) {
    let words = fields.get("oneOf").and_then(Value::as_array).and_then(|choices| {
        let mut words = Vec::new();
        for choice in choices {
            match (choice.get("const"), choice.get("enum").and_then(Value::as_array)) {
                (Some(word), _) => words.push(word.clone()),
                (None, Some(several)) => words.extend(several.iter().cloned()),
                (None, None) => return None,
            }
        }
        Some(words)
    });
    if let Some(words) = words {
        fields.remove("oneOf");
        fields.insert("type".to_owned(), json!("string"));
        fields.insert("enum".to_owned(), Value::Array(words));
    }
}

fn name_integers(fields: &mut Map<String, Value>) {
    let format = match fields.get("format").and_then(Value::as_str) {
        Some("uint8" | "uint16" | "uint32" | "int8" | "int16") => "int32",
        Some("uint64") => "int64",
        _ => return,
    };
    fields.insert("format".to_owned(), json!(format));
}

fn wrap_reference(fields: &mut Map<String, Value>) {
    if fields.len() > 1
        && let Some(target) = fields.remove("$ref")
    {
        fields.insert("allOf".to_owned(), json!([{ "$ref": target }]));
    }
}
