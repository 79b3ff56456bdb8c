//! Bytes that JSON carries as base64 (RFC 4648), as Kubernetes writes them.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes; what they are is never printed, since they may be a secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl Blob {
    /// The bytes that base64 text stands for; `None` if it is none. Line breaks in it are ignored.
    pub(crate) fn from_base64(text: &str) -> Option<Blob> {
        let joined: Cow<'_, str> = if text.contains(['\r', '\n']) {
            text.chars()
                .filter(|letter| !matches!(letter, '\r' | '\n'))
                .collect::<String>()
                .into()
        } else {
            text.into()
        };
        STANDARD.decode(joined.as_bytes()).ok().map(Blob)
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Blob::from_base64(&text).ok_or_else(|| serde::de::Error::custom("must be base64 (RFC 4648) with padding"))
    }
}

impl JsonSchema for Blob {
    fn schema_name() -> Cow<'static, str> {
        "Blob".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "byte" })
    }
}
