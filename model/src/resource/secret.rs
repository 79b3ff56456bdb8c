//! core/v1 Secret: bytes that only those who must may see, such as a certificate with its key.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::blob::Blob;
use super::data::{check_immutable, check_keys, check_size};
use super::rules::{IMMUTABLE, Rules};
use crate::faults::Faults;
use crate::meta::ObjectMeta;
use crate::sealing::Sealed;

/// core/v1 Secret.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Secret {
    /// Name, labels, versions.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// The bytes, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, Blob>,
    /// Text that goes over to `data` when the Secret is written; never shown.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("writeOnly" = true, "additionalProperties" = hidden_text()))]
    pub string_data: BTreeMap<String, String>,
    /// Whether the data cannot change any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub immutable: Option<bool>,
    /// What the data are; immutable.
    #[serde(rename = "type", default = "opaque")]
    pub secret_type: String,
    /// As it is replicated: data and annotations are in here, and nowhere else. Clients neither see nor send it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub sealed: Option<Box<Sealed>>,
}

impl Secret {
    /// Type without meaning.
    pub const OPAQUE: &'static str = "Opaque";
    /// Type of a certificate chain (`tls.crt`) with its private key (`tls.key`), both PEM.
    pub const TLS: &'static str = "kubernetes.io/tls";
    /// Key of the certificate chain.
    pub const TLS_CERTIFICATE: &'static str = "tls.crt";
    /// Key of the private key.
    pub const TLS_PRIVATE_KEY: &'static str = "tls.key";

    /// Whether two versions of one Secret have the same data, as far as that can be told without opening them: one that
    /// is sealed and one that is not differ.
    fn has_data_of(&self, other: &Secret) -> bool {
        let version = |secret: &Secret| secret.sealed.as_ref().map(|sealed| sealed.data_version);
        version(self) == version(other) && self.data == other.data
    }
}

/// Without the data, and without annotations: kubectl keeps a copy of the data in one.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("namespace", &self.metadata.namespace)
            .field("name", &self.metadata.name)
            .field("resource_version", &self.metadata.resource_version)
            .field("secret_type", &self.secret_type)
            .field("data", &self.data)
            .field("sealed", &self.sealed)
            .finish_non_exhaustive()
    }
}

impl Rules for Secret {
    fn fill_defaults(&mut self) {
        for (key, text) in std::mem::take(&mut self.string_data) {
            self.data.insert(key, Blob(text.into_bytes()));
        }
        if self.secret_type.is_empty() {
            self.secret_type = opaque();
        }
    }

    fn check(&self, _version: &str, faults: &mut Faults) {
        check_keys(self.data.keys(), "data", faults);
        check_size(self.data.values().map(|value| value.0.len()).sum(), faults);
        let Some((_, needed)) = NEEDED_KEYS.iter().find(|(name, _)| *name == self.secret_type) else {
            return;
        };
        for key in needed.iter().filter(|key| !self.data.contains_key(**key)) {
            faults.required(
                format!("data[{key}]"),
                format_args!("must be set when type is {}", self.secret_type),
            );
        }
    }

    fn check_update(&self, old: &Self, faults: &mut Faults) {
        if self.secret_type != old.secret_type {
            faults.broken_rule(
                "type",
                IMMUTABLE,
                format_args!(
                    "it is {:?} and cannot become {:?}; create another Secret",
                    old.secret_type, self.secret_type
                ),
            );
        }
        let fields = [("data", self.has_data_of(old))];
        check_immutable(old.immutable, self.immutable, &fields, faults);
    }

    fn wants_same(&self, other: &Self) -> bool {
        self.has_data_of(other) && (&self.secret_type, self.immutable) == (&other.secret_type, other.immutable)
    }
}

/// Keys that Kubernetes demands, by type. Other types hold what they like.
const NEEDED_KEYS: [(&str, &[&str]); 4] = [
    (Secret::TLS, &[Secret::TLS_CERTIFICATE, Secret::TLS_PRIVATE_KEY]),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"]),
    ("kubernetes.io/dockercfg", &[".dockercfg"]),
    ("kubernetes.io/dockerconfigjson", &[".dockerconfigjson"]),
];

fn opaque() -> String {
    Secret::OPAQUE.to_owned()
}

fn hidden_text() -> serde_json::Value {
    serde_json::json!({ "type": "string", "format": "password" })
}
