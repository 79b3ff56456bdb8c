//! `metadata.managedFields`: which manager last set which fields.

use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::Timestamp;

/// One entry of `metadata.managedFields`: the fields that one manager set by one kind of write (Kubernetes
/// ManagedFieldsEntry).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ManagedFieldsEntry {
    /// Name of the manager, such as `kubectl`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub manager: String,
    /// How the fields were set.
    pub operation: ManagedFieldsOperation,
    /// Group and version in which the fields are named.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// When the entry last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// Always `FieldsV1`.
    pub fields_type: FieldsType,
    /// The fields.
    #[serde(rename = "fieldsV1")]
    pub fields: FieldsV1,
    /// Sub-resource that was written; empty for the object itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subresource: String,
}

/// How a manager set its fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ManagedFieldsOperation {
    /// By server-side apply.
    Apply,
    /// By any other write.
    #[default]
    Update,
}

/// Format of the fields of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FieldsType {
    /// A trie of path elements.
    #[default]
    FieldsV1,
}

/// A set of fields as a trie of path elements, kept as JSON text: every object carries some, and few are looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldsV1(Arc<str>);

impl FieldsV1 {
    /// The trie as JSON.
    pub fn to_json(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }

    /// Length of the text in bytes.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }
}

impl From<&Value> for FieldsV1 {
    fn from(trie: &Value) -> Self {
        FieldsV1(trie.to_string().into())
    }
}

impl Default for FieldsV1 {
    fn default() -> Self {
        FieldsV1("{}".into())
    }
}

impl Serialize for FieldsV1 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FieldsV1 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            trie @ Value::Object(_) => Ok(FieldsV1::from(&trie)),
            _ => Err(D::Error::custom("fieldsV1 is not an object")),
        }
    }
}

impl JsonSchema for FieldsV1 {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FieldsV1".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object" })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_are_read_as_they_were_written() {
        let json = json!({
            "manager": "kubectl",
            "operation": "Apply",
            "apiVersion": "v1",
            "time": "2026-01-31T12:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": { "f:spec": { "f:ports": { "k:{\"port\":80}": { ".": {}, "f:port": {} } } } },
            "subresource": "status",
        });
        let entry: ManagedFieldsEntry = serde_json::from_value(json.clone()).expect("an entry");
        assert_eq!(serde_json::to_value(&entry).expect("JSON"), json);
        assert_eq!(entry.fields.to_json(), json["fieldsV1"]);
        let listed = json!({ "operation": "Update", "fieldsV1": [] });
        assert!(serde_json::from_value::<ManagedFieldsEntry>(listed).is_err());
    }
}
