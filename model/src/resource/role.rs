//! rbac.authorization.k8s.io/v1 Role and ClusterRole: what those may do whom a binding names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::Rules;
use crate::faults::Faults;
use crate::meta::ObjectMeta;
use crate::meta::rules::NameRule;

/// rbac.authorization.k8s.io/v1 Role: what may be done in its namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Role {
    /// Name, labels, versions.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What may be done; each rule adds to the others.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub rules: Vec<PolicyRule>,
}

/// rbac.authorization.k8s.io/v1 ClusterRole: what may be done in the whole cluster, or, through a RoleBinding, in the
/// namespace of that binding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRole {
    /// Name, labels, versions.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What may be done; each rule adds to the others.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub rules: Vec<PolicyRule>,
}

/// Some verbs on some resources, or on paths that are no resources.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyRule {
    /// What may be done, such as `get`; `*` is everything.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 63)))]
    pub verbs: Vec<String>,
    /// Groups of the resources; the empty one is the core group, `*` is every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 253)))]
    pub api_groups: Vec<String>,
    /// Resources such as `gateways`, or with a sub-resource `gateways/status`; `*` is every one, `*/status` the status
    /// of every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 253)))]
    pub resources: Vec<String>,
    /// Names of the objects; without any, all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 253)))]
    pub resource_names: Vec<String>,
    /// Paths such as `/metrics`, or `/openapi/*` for all that begin so. Only in a ClusterRole, and only for those whom a
    /// ClusterRoleBinding names.
    #[serde(default, rename = "nonResourceURLs", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    pub non_resource_urls: Vec<String>,
}

impl Rules for Role {
    const NAMES: NameRule = NameRule::PathSegment;

    fn check(&self, _version: &str, faults: &mut Faults) {
        check_rules(&self.rules, false, faults);
    }

    fn wants_same(&self, other: &Self) -> bool {
        self.rules == other.rules
    }
}

impl Rules for ClusterRole {
    const NAMES: NameRule = NameRule::PathSegment;

    fn check(&self, _version: &str, faults: &mut Faults) {
        check_rules(&self.rules, true, faults);
    }

    fn wants_same(&self, other: &Self) -> bool {
        self.rules == other.rules
    }
}

fn check_rules(rules: &[PolicyRule], takes_paths: bool, faults: &mut Faults) {
    for (index, rule) in rules.iter().enumerate() {
        let path = |field: &str| format!("rules[{index}].{field}");
        if rule.non_resource_urls.is_empty() {
            if rule.api_groups.is_empty() {
                faults.required(
                    path("apiGroups"),
                    "must name at least one group; \"\" is the core group",
                );
            }
            if rule.resources.is_empty() {
                faults.required(path("resources"), "must name at least one resource, such as gateways");
            }
            continue;
        }
        if !takes_paths {
            faults.forbidden(
                path("nonResourceURLs"),
                "a Role is about the objects of its namespace; name paths in a ClusterRole",
            );
        } else if !(rule.api_groups.is_empty() && rule.resources.is_empty() && rule.resource_names.is_empty()) {
            faults.forbidden(
                path("nonResourceURLs"),
                "one rule is about resources or about paths; make two rules of it",
            );
        }
        for (place, url) in rule.non_resource_urls.iter().enumerate() {
            let star_is_last = url.find('*').is_none_or(|star| star + 1 == url.len());
            if url != "*" && !(url.starts_with('/') && star_is_last) {
                faults.invalid_text(
                    path(&format!("nonResourceURLs[{place}]")),
                    url,
                    "must begin with '/', with '*' only as its last character",
                );
            }
        }
    }
}
