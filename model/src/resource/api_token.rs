//! guideway.dev/v1alpha1 ApiToken: a bearer token of the API, without its secret.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::{IMMUTABLE, Rules};
use crate::faults::Faults;
use crate::format;
use crate::meta::{ObjectMeta, Timestamp};

/// guideway.dev/v1alpha1 ApiToken. Its name is the public part of the token; deleting it revokes the token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiToken {
    /// Name, labels, versions.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Whom the token speaks for; immutable.
    pub spec: ApiTokenSpec,
}

/// `spec` of an ApiToken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiTokenSpec {
    /// Name of the user that its bearer is.
    #[schemars(length(min = 1, max = 253))]
    pub user: String,
    /// Groups that its bearer is in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 253)))]
    pub groups: Vec<String>,
    /// SHA-256 of the secret part, as 64 hexadecimal digits in lower case. Whoever makes the token keeps the secret.
    #[schemars(regex(pattern = format::SHA256))]
    pub secret_hash: String,
    /// When it ends.
    pub expiration_timestamp: Timestamp,
}

impl Rules for ApiToken {
    fn check(&self, _version: &str, faults: &mut Faults) {
        if self.metadata.name.contains('_') {
            faults.invalid_text("metadata.name", &self.metadata.name, "must not hold '_'");
        }
    }

    fn check_update(&self, old: &Self, faults: &mut Faults) {
        if self.spec != old.spec {
            faults.broken_rule(
                "spec",
                IMMUTABLE,
                "a token cannot speak for someone else or live longer; revoke it and create another",
            );
        }
    }

    fn wants_same(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}
