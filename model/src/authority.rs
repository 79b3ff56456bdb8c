//! Who may do what: [`authorize`] answers from the roles and bindings of a state, and nothing else.
//!
//! Kubernetes' role-based access control: rules only add, a RoleBinding counts in its namespace, a ClusterRoleBinding
//! everywhere. Three things hold without any binding: the group [`MASTERS`] may do everything, whoever has signed in may
//! read what the API consists of and ask what they may do, and nobody may anything else.

pub mod built_in;
mod cover;
mod held;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::resource::PolicyRule;
use crate::state::State;

pub use cover::{GrantRefusal, check_binding, check_rules};
pub use held::{Grant, Held, held};

/// The group whose members may do everything, whatever the roles say.
pub const MASTERS: &str = "system:masters";
/// The group of everyone who has signed in.
pub const AUTHENTICATED: &str = "system:authenticated";
/// The group of those who have not.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// The user who has not signed in.
pub const ANONYMOUS: &str = "system:anonymous";

/// Someone who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Name.
    pub name: String,
    /// Groups, [`AUTHENTICATED`] or [`UNAUTHENTICATED`] among them.
    pub groups: Vec<String>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes<'a> {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, or a verb of a resource's own;
    /// for a path, the HTTP method in lower case.
    pub verb: &'a str,
    /// What it is asked for on.
    pub on: Subject<'a>,
}

/// What something is asked for on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// Objects.
    Resource(ResourceAttributes<'a>),
    /// A path that is no resource, such as `/metrics`.
    Path(&'a str),
}

/// Objects that something is asked for on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceAttributes<'a> {
    /// API group; empty for the core group.
    pub group: &'a str,
    /// Plural name of the resource.
    pub resource: &'a str,
    /// Sub-resource such as `status`; empty for the object itself.
    pub subresource: &'a str,
    /// Namespace; empty for cluster-scoped resources and for all namespaces together.
    pub namespace: &'a str,
    /// Name; empty for a collection.
    pub name: &'a str,
}

/// Whether it may be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may.
    pub allowed: bool,
    /// Which binding allows it; empty if none does.
    pub reason: String,
}

/// Whether `user` may do what `attributes` say, by the roles and bindings of `state`. Costs what there are of bindings in
/// the cluster and in the namespace asked about.
pub fn authorize(state: &State, user: &User, attributes: &Attributes<'_>) -> Decision {
    for grant in held(state, user, attributes.namespace()) {
        if grant.rules.iter().any(|rule| allows(rule, attributes)) {
            return Decision {
                allowed: true,
                reason: grant.reason(),
            };
        }
    }
    Decision {
        allowed: false,
        reason: String::new(),
    }
}

/// Whether one rule allows it.
pub(crate) fn allows(rule: &PolicyRule, attributes: &Attributes<'_>) -> bool {
    let has = |list: &[String], value: &str| list.iter().any(|entry| entry == "*" || entry == value);
    if !has(&rule.verbs, attributes.verb) {
        return false;
    }
    match attributes.on {
        Subject::Path(path) => rule
            .non_resource_urls
            .iter()
            .any(|pattern| match pattern.strip_suffix('*') {
                Some(begin) => path.starts_with(begin),
                None => path == pattern,
            }),
        Subject::Resource(asked) => {
            has(&rule.api_groups, asked.group)
                && rule.resources.iter().any(|resource| names(resource, &asked))
                && (rule.resource_names.is_empty()
                    || (!asked.name.is_empty() && rule.resource_names.iter().any(|name| name == asked.name)))
        }
    }
}

/// Whether `*`, `gateways`, `gateways/status` or `*/status` is what is asked for.
fn names(pattern: &str, asked: &ResourceAttributes<'_>) -> bool {
    if pattern == "*" {
        return true;
    }
    let (resource, subresource) = pattern.split_once('/').unwrap_or((pattern, ""));
    subresource == asked.subresource && (resource == asked.resource || (resource == "*" && !subresource.is_empty()))
}

impl User {
    /// Someone who has signed in.
    pub fn authenticated(name: impl Into<String>, mut groups: Vec<String>) -> User {
        // What says that someone has signed in, or has not, is said here and nowhere else.
        groups.retain(|group| group != AUTHENTICATED && group != UNAUTHENTICATED);
        groups.push(AUTHENTICATED.to_owned());
        User {
            name: name.into(),
            groups,
        }
    }

    /// Someone who has not.
    pub fn anonymous() -> User {
        User {
            name: ANONYMOUS.to_owned(),
            groups: vec![UNAUTHENTICATED.to_owned()],
        }
    }

    /// Whether the user is in a group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }
}

impl Default for Subject<'_> {
    fn default() -> Self {
        Subject::Path("")
    }
}

impl<'a> Attributes<'a> {
    /// A verb on objects.
    pub fn resource(verb: &'a str, on: ResourceAttributes<'a>) -> Attributes<'a> {
        Attributes {
            verb,
            on: Subject::Resource(on),
        }
    }

    /// A method on a path.
    pub fn path(verb: &'a str, path: &'a str) -> Attributes<'a> {
        Attributes {
            verb,
            on: Subject::Path(path),
        }
    }

    fn namespace(&self) -> &'a str {
        match self.on {
            Subject::Resource(asked) => asked.namespace,
            Subject::Path(_) => "",
        }
    }
}

/// Completes "may not ...": `get secrets in the namespace "shop"`.
impl fmt::Display for Attributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = match self.on {
            Subject::Path(path) => return write!(f, "{} the path {path:?}", self.verb),
            Subject::Resource(asked) => asked,
        };
        write!(f, "{} {}", self.verb, asked.resource)?;
        if !asked.group.is_empty() {
            write!(f, ".{}", asked.group)?;
        }
        if !asked.subresource.is_empty() {
            write!(f, "/{}", asked.subresource)?;
        }
        match asked.namespace {
            "" => f.write_str(" of the whole cluster"),
            namespace => write!(f, " in the namespace {namespace:?}"),
        }
    }
}
