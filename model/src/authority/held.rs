//! What a user holds: every rule of every binding that names them.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::{AUTHENTICATED, MASTERS, User};
use crate::kind::Kind;
use crate::object::{Object, ObjectKey};
use crate::resource::{PolicyRule, RoleKind, RoleRef, Subject, SubjectKind};
use crate::state::State;

/// Rules that a user holds, and what gives them.
#[derive(Clone, Debug)]
pub struct Grant<'a> {
    /// The rules.
    pub rules: Cow<'a, [PolicyRule]>,
    giver: Giver<'a>,
}

/// What gives rules.
#[derive(Clone, Debug)]
enum Giver<'a> {
    /// Being in [`MASTERS`].
    Masters,
    /// Having signed in.
    Authenticated,
    /// A binding, by kind, namespace and name, of a role.
    Binding(&'static str, String, &'a RoleRef),
}

/// All that a user holds, in the order in which it is looked at.
pub type Held<'a> = Vec<Grant<'a>>;

/// What those may do who are in [`MASTERS`].
static EVERYTHING: LazyLock<Vec<PolicyRule>> = LazyLock::new(|| super::built_in::rules_of("cluster-admin"));

/// What everyone may do who has signed in: read what the API consists of, and ask what they may do.
static BASICS: LazyLock<Vec<PolicyRule>> = LazyLock::new(|| {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    vec![
        PolicyRule {
            verbs: words(&["get"]),
            non_resource_urls: words(&["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"]),
            ..PolicyRule::default()
        },
        PolicyRule {
            verbs: words(&["create"]),
            api_groups: words(&["authorization.k8s.io"]),
            resources: words(&["selfsubjectaccessreviews", "selfsubjectrulesreviews"]),
            ..PolicyRule::default()
        },
        PolicyRule {
            verbs: words(&["create"]),
            api_groups: words(&["authentication.k8s.io"]),
            resources: words(&["selfsubjectreviews"]),
            ..PolicyRule::default()
        },
    ]
});

/// What `user` holds in `namespace`; in the empty one, what holds for the whole cluster.
pub fn held<'a>(state: &'a State, user: &User, namespace: &'a str) -> Held<'a> {
    let mut held = Vec::new();
    if user.is_in(MASTERS) {
        held.push(Grant {
            rules: Cow::Borrowed(EVERYTHING.as_slice()),
            giver: Giver::Masters,
        });
        return held;
    }
    if user.is_in(AUTHENTICATED) {
        held.push(Grant {
            rules: Cow::Borrowed(BASICS.as_slice()),
            giver: Giver::Authenticated,
        });
    }
    for object in state.list(Kind::ClusterRoleBinding, None, None) {
        if let Object::ClusterRoleBinding(binding) = object
            && binding.subjects.iter().any(|subject| is_named(subject, user))
            && let Some(rules) = rules_of(state, "", &binding.role_ref)
        {
            held.push(Grant {
                rules: Cow::Borrowed(rules),
                giver: Giver::Binding("ClusterRoleBinding", binding.metadata.name.clone(), &binding.role_ref),
            });
        }
    }
    if namespace.is_empty() {
        return held;
    }
    for object in state.list(Kind::RoleBinding, Some(namespace), None) {
        if let Object::RoleBinding(binding) = object
            && binding.subjects.iter().any(|subject| is_named(subject, user))
            && let Some(rules) = rules_of(state, namespace, &binding.role_ref)
        {
            let name = format!("{namespace}/{}", binding.metadata.name);
            held.push(Grant {
                // Paths are of no namespace.
                rules: rules
                    .iter()
                    .filter(|rule| rule.non_resource_urls.is_empty())
                    .cloned()
                    .collect(),
                giver: Giver::Binding("RoleBinding", name, &binding.role_ref),
            });
        }
    }
    held
}

/// The rules of the role that a binding in `namespace` gives; `None` if there is no such role.
pub(super) fn rules_of<'a>(state: &'a State, namespace: &str, role: &RoleRef) -> Option<&'a [PolicyRule]> {
    let (kind, namespace) = match role.kind {
        RoleKind::Role => (Kind::Role, namespace),
        RoleKind::ClusterRole => (Kind::ClusterRole, ""),
    };
    let key = ObjectKey {
        kind,
        namespace: namespace.to_owned(),
        name: role.name.clone(),
    };
    match state.get(&key)? {
        Object::Role(role) => Some(&role.rules),
        Object::ClusterRole(role) => Some(&role.rules),
        _ => None,
    }
}

fn is_named(subject: &Subject, user: &User) -> bool {
    match subject.kind {
        SubjectKind::User => subject.name == user.name,
        SubjectKind::Group => user.is_in(&subject.name),
        SubjectKind::ServiceAccount => user
            .name
            .strip_prefix("system:serviceaccount:")
            .and_then(|account| account.split_once(':'))
            .is_some_and(|account| account == (&subject.namespace, &subject.name)),
    }
}

impl Grant<'_> {
    /// What gives the rules, in words.
    pub fn reason(&self) -> String {
        match &self.giver {
            Giver::Masters => format!("the group {MASTERS:?} may do everything"),
            Giver::Authenticated => "everyone who has signed in may do this".to_owned(),
            Giver::Binding(kind, name, role) => {
                let role_kind = match role.kind {
                    RoleKind::Role => "Role",
                    RoleKind::ClusterRole => "ClusterRole",
                };
                format!("{kind} {name:?} gives {role_kind} {:?}", role.name)
            }
        }
    }
}
