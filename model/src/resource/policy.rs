//! What policies have in common (GEP-713): targets, and what became of them by ancestor.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reference::ParentReference;
use crate::faults::Faults;
use crate::format;
use crate::kind::Kind;
use crate::meta::{Condition, ObjectMeta};

/// An object in the policy's own namespace, or a part of it, that a policy is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyTarget {
    /// Group of the target; empty for the core group.
    #[schemars(length(max = 253), regex(pattern = format::GROUP))]
    pub group: String,
    /// Kind of the target.
    #[schemars(length(min = 1, max = 63), regex(pattern = format::KIND))]
    pub kind: String,
    /// Name of the target.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Part of the target: a listener of a Gateway or ListenerSet, a port of a Service; absent means all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = format::DNS_SUBDOMAIN))]
    pub section_name: Option<String>,
}

/// `status` of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// What became of the policy, by ancestor.
    #[schemars(length(max = 16))]
    pub ancestors: Vec<PolicyAncestorStatus>,
}

/// What became of a policy for one ancestor of its targets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyAncestorStatus {
    /// The ancestor, such as a Gateway, defaults filled in.
    pub ancestor_ref: ParentReference,
    /// Who wrote this entry.
    #[schemars(length(min = 1, max = 253), regex(pattern = format::DOMAIN_PATH))]
    pub controller_name: String,
    /// `Accepted`, `ResolvedRefs`.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A policy of any kind, as far as the kinds are alike.
#[derive(Clone, Copy, Debug)]
pub struct AnyPolicy<'a> {
    /// BackendTLSPolicy, ClientTrafficPolicy or BackendTrafficPolicy.
    pub kind: Kind,
    /// Name, labels, versions.
    pub metadata: &'a ObjectMeta,
    /// What it is for.
    pub targets: &'a [PolicyTarget],
    /// What is.
    pub status: &'a PolicyStatus,
}

impl PolicyTarget {
    /// The stored kind of the target; `None` for one that is not stored here.
    pub fn kind(&self) -> Option<Kind> {
        Kind::by_name(&self.group, &self.kind)
    }
}

/// Several references to one target must tell its sections apart.
pub(super) fn check_targets(targets: &[PolicyTarget], faults: &mut Faults) {
    const PATH: &str = "spec.targetRefs";
    let same_target = |one: &PolicyTarget, other: &PolicyTarget| {
        (&one.group, &one.kind, &one.name) == (&other.group, &other.kind, &other.name)
    };
    let pairs = || {
        targets.iter().enumerate().flat_map(|(second, other)| {
            let before = targets[..second].iter().enumerate();
            before
                .filter(move |(_, one)| same_target(one, other))
                .map(move |(first, one)| ((first, one), (second, other)))
        })
    };
    if let Some(((first, one), (second, _))) =
        pairs().find(|((_, one), (_, other))| one.section_name.is_some() != other.section_name.is_some())
    {
        faults.broken_rule(
            PATH,
            "sectionName must be specified when targetRefs includes 2 or more references to the same target",
            format_args!("targetRefs[{first}] and targetRefs[{second}] are both {:?}", one.name),
        );
    }
    if let Some(((first, one), (second, _))) =
        pairs().find(|((_, one), (_, other))| one.section_name == other.section_name)
    {
        faults.broken_rule(
            PATH,
            "sectionName must be unique when targetRefs includes 2 or more references to the same target",
            format_args!(
                "targetRefs[{first}] and targetRefs[{second}] are both {:?} with sectionName {:?}",
                one.name,
                one.section_name.as_deref().unwrap_or_default()
            ),
        );
    }
}

/// Checks that each target is of a kind that the policy is for.
pub(super) fn check_kinds(targets: &[PolicyTarget], kinds: &[Kind], faults: &mut Faults) {
    // As kubectl writes kinds with their groups.
    let full = |group: &str, kind: &str| {
        if group.is_empty() {
            kind.to_owned()
        } else {
            format!("{kind}.{group}")
        }
    };
    for (index, target) in targets.iter().enumerate() {
        if target.kind().is_none_or(|kind| !kinds.contains(&kind)) {
            let options: Vec<String> = kinds
                .iter()
                .map(|kind| full(kind.info().group, kind.info().name))
                .collect();
            let path = format!("spec.targetRefs[{index}]");
            faults.not_supported(path, &full(&target.group, &target.kind), &options);
        }
    }
}
