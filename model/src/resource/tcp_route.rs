//! gateway.networking.k8s.io/v1 TCPRoute: which endpoints a TCP listener's connections go to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reference::{BackendRef, ParentReference};
use super::rules::Rules;
use crate::faults::Faults;
use crate::format;
use crate::meta::{Condition, ObjectMeta, is_default};

/// gateway.networking.k8s.io/v1 TCPRoute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TcpRoute {
    /// Name, labels, versions.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: TcpRouteSpec,
    /// What is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub status: RouteStatus,
}

/// `spec` of a TCPRoute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TcpRouteSpec {
    /// Gateways to attach to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub parent_refs: Vec<ParentReference>,
    /// Exactly one; up to sixteen in `v1alpha2`.
    #[schemars(length(min = 1, max = 16))]
    pub rules: Vec<TcpRouteRule>,
}

/// One rule of a TCPRoute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TcpRouteRule {
    /// Name of the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = format::DNS_SUBDOMAIN))]
    pub name: Option<String>,
    /// Where its connections go. An invalid one keeps its share, which is refused.
    #[schemars(length(min = 1, max = 16))]
    pub backend_refs: Vec<BackendRef>,
}

/// `status` of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteStatus {
    /// One entry for each parentRef that is a Gateway of this controller.
    #[schemars(length(max = 32))]
    pub parents: Vec<RouteParentStatus>,
}

/// What became of one parentRef.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteParentStatus {
    /// The parentRef, defaults filled in.
    pub parent_ref: ParentReference,
    /// Who wrote this entry.
    #[schemars(length(min = 1, max = 253), regex(pattern = format::DOMAIN_PATH))]
    pub controller_name: String,
    /// `Accepted`, `ResolvedRefs`.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

impl TcpRoute {
    /// Rules of a route that is sent as `v1`.
    pub const RULES_MOST_V1: usize = 1;
}

impl Rules for TcpRoute {
    fn check(&self, version: &str, faults: &mut Faults) {
        if version == "v1" && self.spec.rules.len() > Self::RULES_MOST_V1 {
            faults.too_many("spec.rules", self.spec.rules.len(), Self::RULES_MOST_V1);
        }
        check_parents(&self.spec.parent_refs, faults);
        for (index, rule) in self.spec.rules.iter().enumerate() {
            check_backends(&rule.backend_refs, &format!("spec.rules[{index}]"), faults);
        }
    }

    fn wants_same(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

/// Several references to one parent must tell the listeners apart.
fn check_parents(parents: &[ParentReference], faults: &mut Faults) {
    let same_parent = |one: &ParentReference, other: &ParentReference| {
        one.group == other.group && one.kind == other.kind && one.name == other.name && one.namespace == other.namespace
    };
    let pairs = || {
        parents.iter().enumerate().flat_map(|(second, other)| {
            parents[..second]
                .iter()
                .enumerate()
                .filter(move |(_, one)| same_parent(one, other))
                .map(move |(first, one)| ((first, one), (second, other)))
        })
    };
    if let Some(((first, one), (second, _))) =
        pairs().find(|((_, one), (_, other))| one.section_name.is_some() != other.section_name.is_some())
    {
        faults.broken_rule(
            "spec.parentRefs",
            "sectionName must be specified when parentRefs includes 2 or more references to the same parent",
            format_args!("parentRefs[{first}] and parentRefs[{second}] are both {:?}", one.name),
        );
    }
    if let Some(((first, one), (second, _))) =
        pairs().find(|((_, one), (_, other))| one.section_name == other.section_name)
    {
        faults.broken_rule(
            "spec.parentRefs",
            "sectionName must be unique when parentRefs includes 2 or more references to the same parent",
            format_args!(
                "parentRefs[{first}] and parentRefs[{second}] are both {:?} with sectionName {:?}",
                one.name,
                one.section_name.as_deref().unwrap_or_default()
            ),
        );
    }
}

fn check_backends(backends: &[BackendRef], path: &str, faults: &mut Faults) {
    for (index, backend) in backends.iter().enumerate() {
        if backend.is_service() && backend.port.is_none() {
            faults.broken_rule(
                format!("{path}.backendRefs[{index}]"),
                "Must have port for Service reference",
                format_args!("Service {:?} has none", backend.name),
            );
        }
    }
}
