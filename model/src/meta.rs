//! What every object carries: names, labels, versions, times and conditions.

mod condition;
mod managed_fields;
pub(crate) mod rules;
mod selector;

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

pub use condition::{Condition, ConditionStatus};
pub use managed_fields::{FieldsType, FieldsV1, ManagedFieldsEntry, ManagedFieldsOperation};
pub use selector::{LabelSelector, LabelSelectorRequirement};

/// Milliseconds since the Unix epoch, stamped by the leader; never read from a clock in this crate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

/// RFC 3339 with one-second resolution, as Kubernetes writes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since the Unix epoch.
    pub unix_seconds: i64,
}

impl From<UnixMillis> for Timestamp {
    fn from(at: UnixMillis) -> Self {
        Timestamp {
            unix_seconds: i64::try_from(at.0 / 1000).unwrap_or(i64::MAX),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = jiff::Timestamp::from_second(self.unix_seconds).unwrap_or(jiff::Timestamp::MAX);
        write!(f, "{}", at.strftime("%Y-%m-%dT%H:%M:%SZ"))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at: jiff::Timestamp = text.parse().map_err(|_| {
            serde::de::Error::custom(format_args!(
                "{text:?} is not an RFC 3339 time such as 2026-01-31T12:00:00Z"
            ))
        })?;
        Ok(Timestamp {
            unix_seconds: at.as_second(),
        })
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// Identity of one object for its whole life; made by the proposer, carried in the command.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Uid(pub String);

/// `metadata` of every object (Kubernetes ObjectMeta, the fields that have meaning here).
///
/// `selfLink` is in the schema, so that it can be sent, and dropped when it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = add_dropped_field)]
pub struct ObjectMeta {
    /// Name, unique in its kind and namespace; immutable. Empty only with `generateName`, until the server has made one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Prefix for a name made by the server, when `name` is empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub generate_name: String,
    /// Namespace; empty for cluster-scoped kinds.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Identity; set by the server.
    #[serde(skip_serializing_if = "is_default")]
    pub uid: Uid,
    /// Replicated counter of the last change to this object, as a decimal string on the wire; set by the server.
    #[serde(with = "revision_text", skip_serializing_if = "is_default")]
    #[schemars(with = "String")]
    pub resource_version: u64,
    /// Raised with each change of the spec; set by the server.
    #[serde(skip_serializing_if = "is_default")]
    pub generation: i64,
    /// Set by the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<Timestamp>,
    /// Set by the server while finalizers hold a deletion back; dropped when an object is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_timestamp: Option<Timestamp>,
    /// Dropped when an object is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_grace_period_seconds: Option<i64>,
    /// Selectable.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Free text of tools.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Kept, without garbage collection.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["uid"],
        "x-kubernetes-patch-strategy" = "merge", "x-kubernetes-patch-merge-key" = "uid"))]
    pub owner_references: Vec<OwnerReference>,
    /// Kept, never waited for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set", "x-kubernetes-patch-strategy" = "merge"))]
    pub finalizers: Vec<String>,
    /// Who last set which fields; kept by the API, which is what writes objects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub managed_fields: Vec<ManagedFieldsEntry>,
}

/// `metadata.ownerReferences[]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct OwnerReference {
    /// Group and version of the owner.
    pub api_version: String,
    /// Kind of the owner.
    pub kind: String,
    /// Name of the owner.
    pub name: String,
    /// Identity of the owner.
    pub uid: Uid,
    /// Whether this reference is the managing controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controller: Option<bool>,
    /// Whether the owner's foreground deletion waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_owner_deletion: Option<bool>,
}

fn add_dropped_field(schema: &mut Schema) {
    if let Some(Value::Object(fields)) = schema.get_mut("properties") {
        fields.insert(
            "selfLink".to_owned(),
            json!({ "description": "Accepted and dropped.", "type": "string" }),
        );
    }
}

/// Whether a field has its default value and can be left out.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

mod revision_text {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(revision: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(revision)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        if text.is_empty() {
            return Ok(0);
        }
        text.parse()
            .map_err(|_| serde::de::Error::custom(format_args!("resourceVersion {text:?} is not a decimal number")))
    }
}
