//! core/v1 ConfigMap: text and bytes, such as a bundle of certificate authorities.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::blob::Blob;
use super::data::{check_immutable, check_keys, check_size};
use super::rules::Rules;
use crate::faults::Faults;
use crate::meta::ObjectMeta;

/// core/v1 ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMap {
    /// Name, labels, versions.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Text, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, String>,
    /// Bytes, by key; none of the keys of `data`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub binary_data: BTreeMap<String, Blob>,
    /// Whether the data cannot change any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub immutable: Option<bool>,
}

impl Rules for ConfigMap {
    fn check(&self, _version: &str, faults: &mut Faults) {
        check_keys(self.data.keys(), "data", faults);
        check_keys(self.binary_data.keys(), "binaryData", faults);
        for key in self.binary_data.keys().filter(|key| self.data.contains_key(*key)) {
            faults.duplicate(
                format!("binaryData[{key}]"),
                format_args!("{key:?} is a key of data too"),
            );
        }
        let text: usize = self.data.values().map(String::len).sum();
        let bytes: usize = self.binary_data.values().map(|value| value.0.len()).sum();
        check_size(text + bytes, faults);
    }

    fn check_update(&self, old: &Self, faults: &mut Faults) {
        let fields = [
            ("data", self.data == old.data),
            ("binaryData", self.binary_data == old.binary_data),
        ];
        check_immutable(old.immutable, self.immutable, &fields, faults);
    }

    fn wants_same(&self, other: &Self) -> bool {
        (&self.data, &self.binary_data, self.immutable) == (&other.data, &other.binary_data, other.immutable)
    }
}
