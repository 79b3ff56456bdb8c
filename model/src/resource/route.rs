//! What TCPRoute, UDPRoute and TLSRoute have in common: parents, rules, status.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reference::{BackendRef, ParentReference};
use crate::faults::Faults;
use crate::format;
use crate::kind::Kind;
use crate::meta::{Condition, ObjectMeta};

/// `spec` of a TCPRoute and a UDPRoute; part of that of a TLSRoute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteSpec {
    /// Gateways and ListenerSets to attach to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub parent_refs: Vec<ParentReference>,
    /// Exactly one; up to sixteen in `v1alpha2`, of which the first is served.
    #[schemars(length(min = 1, max = 16))]
    pub rules: Vec<RouteRule>,
}

/// One rule of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteRule {
    /// Name of the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = format::DNS_SUBDOMAIN))]
    pub name: Option<String>,
    /// Where its sessions go. An invalid one keeps its share, which is refused.
    #[schemars(length(min = 1, max = 16))]
    pub backend_refs: Vec<BackendRef>,
}

/// `status` of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteStatus {
    /// One entry for each parentRef that belongs to this controller.
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

/// A route of any kind, as far as the kinds are alike.
#[derive(Clone, Copy, Debug)]
pub struct AnyRoute<'a> {
    /// TCPRoute, UDPRoute or TLSRoute.
    pub kind: Kind,
    /// Name, labels, versions.
    pub metadata: &'a ObjectMeta,
    /// Parents and rules.
    pub spec: &'a RouteSpec,
    /// Host names of a TLSRoute; empty means all of them, and for the other kinds that there are none.
    pub hostnames: &'a [String],
    /// What is.
    pub status: &'a RouteStatus,
}

impl RouteSpec {
    /// Rules of a route that is sent as any version but `v1alpha2`.
    pub const RULES_MOST: usize = 1;

    /// The backendRefs that carry traffic: those of the first rule.
    pub fn backend_refs(&self) -> &[BackendRef] {
        self.rules.first().map_or(&[], |rule| &rule.backend_refs)
    }

    /// Rules that a route of this version can have at most.
    pub(crate) fn rules_most(version: &str) -> Option<usize> {
        (version != "v1alpha2").then_some(Self::RULES_MOST)
    }

    pub(super) fn check(&self, version: &str, faults: &mut Faults) {
        if let Some(most) = Self::rules_most(version)
            && self.rules.len() > most
        {
            faults.too_many("spec.rules", self.rules.len(), most);
        }
        check_parents(&self.parent_refs, faults);
        for (index, rule) in self.rules.iter().enumerate() {
            check_backends(&rule.backend_refs, &format!("spec.rules[{index}]"), faults);
        }
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
