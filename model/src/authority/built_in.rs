//! The ClusterRoles that every cluster has: `cluster-admin`, `admin`, `edit`, `view` and `operator`.

use crate::kind::Kind;
use crate::resource::PolicyRule;

/// Their names, from the mightiest down.
pub const BUILT_IN_ROLES: [&str; 5] = ["cluster-admin", "admin", "edit", "view", "operator"];

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];
const OWN_GROUP: &str = "guideway.dev";

/// What each of [`BUILT_IN_ROLES`] allows; nothing for another name.
///
/// - `cluster-admin`: everything.
/// - `admin`, for one namespace: what `edit` allows, its Roles and RoleBindings, and closing sessions.
/// - `edit`, for one namespace: its configuration, Secrets among it.
/// - `view`: reads configuration, Secrets left out, sessions, pins, nodes and metrics.
/// - `operator`: what `view` allows, drains, and closing sessions; no configuration.
pub fn rules_of(name: &str) -> Vec<PolicyRule> {
    match name {
        "cluster-admin" => vec![
            rule(&["*"], &["*"], &["*"]),
            PolicyRule {
                verbs: words(&["*"]),
                non_resource_urls: words(&["*"]),
                ..PolicyRule::default()
            },
        ],
        "admin" => {
            let mut rules = rules_of("edit");
            rules.push(rule(WRITE, &["rbac.authorization.k8s.io"], &["roles", "rolebindings"]));
            rules.push(rule(&["delete", "deletecollection"], &[OWN_GROUP], &["sessions"]));
            rules
        }
        "edit" => {
            let mut rules = by_group(WRITE, |kind| is_configuration(kind) && kind.info().namespaced);
            rules.extend(rules_of("view"));
            rules
        }
        "view" => {
            let mut rules = by_group(READ, |kind| is_configuration(kind) && kind != Kind::Secret);
            rules.push(rule(READ, &[""], &["namespaces"]));
            rules.push(rule(READ, &[OWN_GROUP], &["drains"]));
            rules.push(rule(&["get", "list"], &[OWN_GROUP], &["nodes", "pins"]));
            rules.push(rule(READ, &[OWN_GROUP], &["sessions"]));
            rules.push(rule(&["get", "list"], &[""], &["events"]));
            rules.push(rule(&["create"], &[OWN_GROUP], &["routereviews"]));
            rules.push(PolicyRule {
                verbs: words(&["get"]),
                non_resource_urls: words(&["/metrics"]),
                ..PolicyRule::default()
            });
            rules
        }
        "operator" => {
            let mut rules = rules_of("view");
            rules.push(rule(WRITE, &[OWN_GROUP], &["drains"]));
            rules.push(rule(&["delete", "deletecollection"], &[OWN_GROUP], &["sessions"]));
            rules
        }
        _ => Vec::new(),
    }
}

/// What says how traffic goes. Written as a match, so that a new kind cannot be forgotten.
fn is_configuration(kind: Kind) -> bool {
    match kind {
        Kind::Service
        | Kind::Secret
        | Kind::ConfigMap
        | Kind::EndpointSlice
        | Kind::GatewayClass
        | Kind::Gateway
        | Kind::ListenerSet
        | Kind::TcpRoute
        | Kind::UdpRoute
        | Kind::TlsRoute
        | Kind::ReferenceGrant
        | Kind::BackendTlsPolicy
        | Kind::Backend
        | Kind::ClientTrafficPolicy
        | Kind::BackendTrafficPolicy => true,
        Kind::Namespace
        | Kind::Drain
        | Kind::Role
        | Kind::ClusterRole
        | Kind::RoleBinding
        | Kind::ClusterRoleBinding
        | Kind::ApiToken => false,
    }
}

/// One rule for each API group, with the kinds that are wanted.
fn by_group(verbs: &[&str], wanted: impl Fn(Kind) -> bool) -> Vec<PolicyRule> {
    let mut rules: Vec<PolicyRule> = Vec::new();
    for info in Kind::all().filter(|kind| wanted(*kind)).map(Kind::info) {
        match rules.iter_mut().find(|rule| rule.api_groups == [info.group]) {
            Some(rule) => rule.resources.push(info.plural.to_owned()),
            None => rules.push(rule(verbs, &[info.group], &[info.plural])),
        }
    }
    rules
}

fn rule(verbs: &[&str], groups: &[&str], resources: &[&str]) -> PolicyRule {
    PolicyRule {
        verbs: words(verbs),
        api_groups: words(groups),
        resources: words(resources),
        ..PolicyRule::default()
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
