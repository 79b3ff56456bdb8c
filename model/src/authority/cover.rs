//! Nobody gives what they do not hold: a role may be written, and a binding made, only by those who hold each of its
//! rules, unless they hold `escalate` on the role or `bind` on it.

use super::held::{held, rules_of};
use super::{Attributes, ResourceAttributes, User, authorize};
use crate::object::Object;
use crate::resource::{PolicyRule, RBAC_GROUP, RoleKind, RoleRef};
use crate::state::State;

/// A role or binding that would give more than its writer holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantRefusal {
    /// The writer lacks some of the rules.
    #[error(
        "user {user:?} would grant what they do not hold: {lacking}; ask someone who holds it, or for the verb {verb:?} on the role"
    )]
    Lacks {
        /// The writer.
        user: String,
        /// The rules that they lack, for people.
        lacking: String,
        /// What would allow it all the same: `escalate` or `bind`.
        verb: &'static str,
    },
    /// The role of the binding is not there, so nobody can tell what would be granted.
    #[error(
        "{kind} {name:?} is not there, so what user {user:?} would grant is not known; create the role first, or ask for the verb \"bind\" on it"
    )]
    NoRole {
        /// The writer.
        user: String,
        /// `Role` or `ClusterRole`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
}

/// Checks that `user` may write `role`, which is a Role or a ClusterRole; other objects pass.
///
/// # Errors
/// It has rules that the user does not hold.
pub fn check_rules(state: &State, user: &User, role: &Object) -> Result<(), GrantRefusal> {
    let (resource, namespace, rules) = match role {
        Object::Role(role) => ("roles", role.metadata.namespace.as_str(), &role.rules),
        Object::ClusterRole(role) => ("clusterroles", "", &role.rules),
        _ => return Ok(()),
    };
    let name = role.meta().name.as_str();
    if may(state, user, "escalate", (resource, namespace, name)) {
        return Ok(());
    }
    check_held(state, user, namespace, rules, "escalate")
}

/// Checks that `user` may write `binding`, which is a RoleBinding or a ClusterRoleBinding; other objects pass.
///
/// # Errors
/// Its role has rules that the user does not hold where the binding counts, or is not there.
pub fn check_binding(state: &State, user: &User, binding: &Object) -> Result<(), GrantRefusal> {
    let (namespace, role): (&str, &RoleRef) = match binding {
        Object::RoleBinding(binding) => (&binding.metadata.namespace, &binding.role_ref),
        Object::ClusterRoleBinding(binding) => ("", &binding.role_ref),
        _ => return Ok(()),
    };
    let (resource, kind, place) = match role.kind {
        RoleKind::Role => ("roles", "Role", namespace),
        RoleKind::ClusterRole => ("clusterroles", "ClusterRole", ""),
    };
    // Whoever may give a role in a namespace need not be able to give it everywhere.
    let asked_in = [namespace, place];
    if asked_in
        .iter()
        .any(|place| may(state, user, "bind", (resource, place, &role.name)))
    {
        return Ok(());
    }
    let Some(rules) = rules_of(state, namespace, role) else {
        return Err(GrantRefusal::NoRole {
            user: user.name.clone(),
            kind,
            name: role.name.clone(),
        });
    };
    check_held(state, user, namespace, rules, "bind")
}

fn may(state: &State, user: &User, verb: &str, (resource, namespace, name): (&str, &str, &str)) -> bool {
    let on = ResourceAttributes {
        group: RBAC_GROUP,
        resource,
        subresource: "",
        namespace,
        name,
    };
    authorize(state, user, &Attributes::resource(verb, on)).allowed
}

fn check_held(
    state: &State,
    user: &User,
    namespace: &str,
    rules: &[PolicyRule],
    verb: &'static str,
) -> Result<(), GrantRefusal> {
    let own: Vec<PolicyRule> = held(state, user, namespace)
        .iter()
        .flat_map(|grant| grant.rules.iter().cloned())
        .collect();
    let lacking: Vec<String> = rules
        .iter()
        .filter(|rule| !is_covered(rule, &own))
        .map(describe)
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    Err(GrantRefusal::Lacks {
        user: user.name.clone(),
        lacking: lacking.join("; "),
        verb,
    })
}

/// Whether every single thing that `rule` allows is allowed by one of `own`. A rule is no bigger than its lists allow,
/// and each combination is looked for among few rules.
fn is_covered(rule: &PolicyRule, own: &[PolicyRule]) -> bool {
    let own: Vec<&PolicyRule> = own
        .iter()
        .filter(|held| held.non_resource_urls.is_empty() == rule.non_resource_urls.is_empty())
        .collect();
    let has = |list: &[String], value: &str| list.iter().any(|entry| entry == "*" || entry == value);
    rule.verbs.iter().all(|verb| {
        let of_verb: Vec<&&PolicyRule> = own.iter().filter(|held| has(&held.verbs, verb)).collect();
        if !rule.non_resource_urls.is_empty() {
            return rule
                .non_resource_urls
                .iter()
                .all(|url| of_verb.iter().any(|held| covers_path(held, url)));
        }
        rule.api_groups.iter().all(|group| {
            let of_group: Vec<&&&PolicyRule> = of_verb.iter().filter(|held| has(&held.api_groups, group)).collect();
            rule.resources.iter().all(|resource| {
                let of_resource = || of_group.iter().filter(|held| covers_resource(held, resource));
                if rule.resource_names.is_empty() {
                    return of_resource().any(|held| held.resource_names.is_empty());
                }
                rule.resource_names.iter().all(|name| {
                    of_resource().any(|held| held.resource_names.is_empty() || held.resource_names.contains(name))
                })
            })
        })
    })
}

fn covers_resource(held: &PolicyRule, resource: &str) -> bool {
    held.resources.iter().any(|own| {
        own == "*"
            || own == resource
            || match (own.strip_prefix("*/"), resource.split_once('/')) {
                (Some(own), Some((_, wanted))) => own == wanted,
                _ => false,
            }
    })
}

fn covers_path(held: &PolicyRule, url: &str) -> bool {
    held.non_resource_urls
        .iter()
        .any(|own| own == url || own.strip_suffix('*').is_some_and(|begin| url.starts_with(begin)))
}

/// A rule in one line, for people.
fn describe(rule: &PolicyRule) -> String {
    let mut text = rule.verbs.join(",");
    if !rule.non_resource_urls.is_empty() {
        return format!("{text} on the paths {}", rule.non_resource_urls.join(","));
    }
    text += &format!(" on {}", rule.resources.join(","));
    let groups: Vec<String> = rule.api_groups.iter().map(|group| format!("{group:?}")).collect();
    text += &format!(" of {}", groups.join(","));
    if !rule.resource_names.is_empty() {
        text += &format!(" named {}", rule.resource_names.join(","));
    }
    text
}
