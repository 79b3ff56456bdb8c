//! Every verb of every resource, as discovery lists them, by role and namespace. A resource that is new must be added to
//! [`ROWS`], or the test fails.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use guideway_api::Limits;
use guideway_identity::ApiToken;
use hyper::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::cluster::{MemoryCluster, Server};

/// The roles that each cluster has, in the columns' order.
const ROLES: [&str; 5] = ["cluster-admin", "admin", "edit", "view", "operator"];

const READ: &[&str] = &["get", "list", "watch"];

/// Who may do what with a resource: by letters of the roles in [`ROLES`], c a e v o.
struct Row {
    resource: &'static str,
    read: &'static str,
    write: &'static str,
}

const fn row(resource: &'static str, read: &'static str, write: &'static str) -> Row {
    Row { resource, read, write }
}

const ROWS: &[Row] = &[
    row("namespaces", "caevo", "c"),
    row("services", "caevo", "cae"),
    row("secrets", "cae", "cae"),
    row("configmaps", "caevo", "cae"),
    row("events", "caevo", ""),
    row("endpointslices.discovery.k8s.io", "caevo", "cae"),
    row("gatewayclasses.gateway.networking.k8s.io", "caevo", "c"),
    row("gateways.gateway.networking.k8s.io", "caevo", "cae"),
    row("listenersets.gateway.networking.k8s.io", "caevo", "cae"),
    row("tcproutes.gateway.networking.k8s.io", "caevo", "cae"),
    row("udproutes.gateway.networking.k8s.io", "caevo", "cae"),
    row("tlsroutes.gateway.networking.k8s.io", "caevo", "cae"),
    row("referencegrants.gateway.networking.k8s.io", "caevo", "cae"),
    row("backendtlspolicies.gateway.networking.k8s.io", "caevo", "cae"),
    row("backends.guideway.dev", "caevo", "cae"),
    row("clienttrafficpolicies.guideway.dev", "caevo", "cae"),
    row("backendtrafficpolicies.guideway.dev", "caevo", "cae"),
    row("drains.guideway.dev", "caevo", "co"),
    row("apitokens.guideway.dev", "c", "c"),
    row("nodes.guideway.dev", "caevo", ""),
    row("sessions.guideway.dev", "caevo", "cao"),
    row("pins.guideway.dev", "caevo", ""),
    row("routereviews.guideway.dev", "", "caevo"),
    row("roles.rbac.authorization.k8s.io", "ca", "ca"),
    row("rolebindings.rbac.authorization.k8s.io", "ca", "ca"),
    row("clusterroles.rbac.authorization.k8s.io", "c", "c"),
    row("clusterrolebindings.rbac.authorization.k8s.io", "c", "c"),
    row("subjectaccessreviews.authorization.k8s.io", "", "c"),
    row("localsubjectaccessreviews.authorization.k8s.io", "", "c"),
    // Asked by whoever has signed in.
    row("selfsubjectaccessreviews.authorization.k8s.io", "", "*"),
    row("selfsubjectrulesreviews.authorization.k8s.io", "", "*"),
    row("selfsubjectreviews.authentication.k8s.io", "", "*"),
];

/// One line of discovery.
struct Listed {
    group_version: String,
    /// `plural.group`, without a sub-resource.
    qualified: String,
    plural: String,
    subresource: bool,
    namespaced: bool,
    verbs: Vec<String>,
}

/// Someone with at most one role.
struct Someone {
    what: String,
    token: ApiToken,
    /// Index into [`ROLES`].
    role: Option<usize>,
    /// Where it holds; `None` is everywhere.
    only_in: Option<&'static str>,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_by_role_and_namespace() {
    let cluster = Arc::new(MemoryCluster::new());
    let server = Server::serving(Arc::clone(&cluster), Limits::default()).await;
    let root = Client::new(server.address);
    for name in ["shop", "bank"] {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        root.post("/api/v1/namespaces", &namespace).await.expect(201);
    }
    let people = people(&cluster, &root).await;
    let listed = listed(&root).await;
    let rows: BTreeMap<&str, &Row> = ROWS.iter().map(|row| (row.resource, row)).collect();
    let served: BTreeSet<&str> = listed.iter().map(|listed| listed.qualified.as_str()).collect();
    assert_eq!(
        served,
        rows.keys().copied().collect(),
        "the table has a row for what is served, and no other"
    );
    let mut wrong = Vec::new();
    let mut asked = 0;
    for someone in &people {
        let client = Client::signed_in(server.address, &someone.token);
        for listed in &listed {
            for verb in &listed.verbs {
                for namespace in places(listed, verb) {
                    let expected = may(someone, rows[listed.qualified.as_str()], listed, verb, namespace);
                    let (code, denied) = ask(&client, listed, verb, namespace).await;
                    asked += 1;
                    if denied == expected || code == 401 {
                        let place = namespace.unwrap_or("the cluster");
                        wrong.push(format!(
                            "{} {verb} {} (status: {}) in {place}: {code}",
                            someone.what, listed.qualified, listed.subresource
                        ));
                    }
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {asked} answers are wrong: {wrong:#?}",
        wrong.len()
    );
    assert!(asked > 3000, "{asked}");
    nobody(server.address, &listed).await;
}

/// Someone for each role in one namespace, and in all; and someone without any.
async fn people(cluster: &MemoryCluster, root: &Client) -> Vec<Someone> {
    let mut people = Vec::new();
    for (role, name) in ROLES.iter().enumerate() {
        for only_in in [None, Some("shop")] {
            let user = format!("{name}-{}", only_in.unwrap_or("everywhere"));
            let kind = if only_in.is_some() {
                "RoleBinding"
            } else {
                "ClusterRoleBinding"
            };
            let binding = json!({
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": kind,
                "metadata": { "name": user },
                "subjects": [{ "kind": "User", "name": user }],
                "roleRef": { "kind": "ClusterRole", "name": name },
            });
            let path = match only_in {
                Some(namespace) => format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings"),
                None => "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings".to_owned(),
            };
            root.post(&path, &binding).await.expect(201);
            people.push(someone(cluster, &user, Some(role), only_in));
        }
    }
    people.push(someone(cluster, "jane", None, None));
    people
}

fn someone(cluster: &MemoryCluster, user: &str, role: Option<usize>, only_in: Option<&'static str>) -> Someone {
    let token = ApiToken::create().expect("random bytes");
    cluster.token(&token, user, &[], "2999-01-01T00:00:00Z");
    Someone {
        what: user.to_owned(),
        token,
        role,
        only_in,
    }
}

/// What discovery lists, in its preferred versions.
async fn listed(root: &Client) -> Vec<Listed> {
    let mut versions = vec!["v1".to_owned()];
    let groups = root.get("/apis").await.expect(200);
    for group in groups["groups"].as_array().expect("groups") {
        versions.push(
            group["preferredVersion"]["groupVersion"]
                .as_str()
                .expect("text")
                .to_owned(),
        );
    }
    let mut all = Vec::new();
    for group_version in versions {
        let list = root.get(&format!("/{}", base(&group_version))).await.expect(200);
        for resource in list["resources"].as_array().expect("resources") {
            let name = resource["name"].as_str().expect("text");
            let plural = name.split('/').next().expect("a part");
            let qualified = match group_version.split_once('/') {
                Some((group, _)) => format!("{plural}.{group}"),
                None => plural.to_owned(),
            };
            let verbs = resource["verbs"].as_array().expect("verbs").iter();
            all.push(Listed {
                group_version: group_version.clone(),
                qualified,
                plural: plural.to_owned(),
                subresource: name.contains('/'),
                namespaced: resource["namespaced"] == true,
                verbs: verbs.map(|verb| verb.as_str().expect("text").to_owned()).collect(),
            });
        }
    }
    all
}

fn base(group_version: &str) -> String {
    let root = if group_version.contains('/') { "apis" } else { "api" };
    format!("{root}/{group_version}")
}

/// Where a verb is tried: two namespaces, all of them where a collection is read, or the cluster.
fn places(listed: &Listed, verb: &str) -> Vec<Option<&'static str>> {
    match (listed.namespaced, verb) {
        (true, "list" | "watch") => vec![Some("shop"), Some("bank"), None],
        (true, _) => vec![Some("shop"), Some("bank")],
        (false, _) => vec![None],
    }
}

fn may(someone: &Someone, row: &Row, listed: &Listed, verb: &str, namespace: Option<&str>) -> bool {
    let who = if READ.contains(&verb) && !listed.subresource {
        row.read
    } else {
        row.write
    };
    if who == "*" {
        return true;
    }
    let Some(role) = someone.role else { return false };
    let by_role = if listed.subresource {
        // Nobody but those who may do everything writes or asks for a status alone.
        ROLES[role] == "cluster-admin"
    } else {
        who.contains(ROLES[role].chars().next().expect("a letter"))
    };
    // A namespace that is asked for by its name is looked for in itself.
    let place = if listed.qualified == "namespaces" && ["get", "update", "patch", "delete"].contains(&verb) {
        Some("shop")
    } else {
        namespace
    };
    by_role && someone.only_in.is_none_or(|only| place == Some(only))
}

/// Sends a request that does no harm: what it names is not there, and what it selects is only tried. The code, and whether
/// that is for want of a role.
async fn ask(client: &Client, listed: &Listed, verb: &str, namespace: Option<&str>) -> (u16, bool) {
    let place = namespace.map(|name| format!("/namespaces/{name}")).unwrap_or_default();
    let collection = format!("/{}{place}/{}", base(&listed.group_version), listed.plural);
    let name = if listed.qualified == "namespaces" {
        "shop"
    } else {
        "not-there"
    };
    let end = if listed.subresource { "/status" } else { "" };
    let object = format!("{collection}/{name}{end}");
    let json = [("content-type", "application/merge-patch+json")];
    let (method, path, body) = match verb {
        "get" => (Method::GET, object, ""),
        "list" => (Method::GET, collection, ""),
        "watch" => {
            let path = format!("{collection}?watch=true&resourceVersion=0&timeoutSeconds=1");
            let code = client.open(Method::GET, &path, &[], "").await.status.as_u16();
            return (code, code == 403);
        }
        "create" => (Method::POST, format!("{collection}?dryRun=All"), "[]"),
        "update" => (Method::PUT, format!("{object}?dryRun=All"), "[]"),
        "patch" => (Method::PATCH, format!("{object}?dryRun=All"), "[]"),
        "delete" => (Method::DELETE, format!("{object}?dryRun=All"), ""),
        "deletecollection" => (Method::DELETE, format!("{collection}?dryRun=All"), ""),
        other => panic!("discovery lists the verb {other}, which this test does not know"),
    };
    let headers: &[(&str, &str)] = if body.is_empty() { &[] } else { &json };
    let answer = client.send(method, &path, headers, body).await;
    // What is built in cannot be deleted by anyone, which is another refusal.
    let denied = answer.status == 403 && answer.text.contains(" may not ");
    (answer.status.as_u16(), denied)
}

/// Without signing in there is nothing, whatever the verb.
async fn nobody(address: SocketAddr, listed: &[Listed]) {
    let limits = Limits {
        failed_sign_ins: u32::MAX,
        ..Limits::default()
    };
    let server = Server::with_limits(limits).await;
    let nobody = Client::anonymous(server.address);
    for listed in listed {
        for verb in &listed.verbs {
            for namespace in places(listed, verb) {
                assert_eq!(
                    ask(&nobody, listed, verb, namespace).await.0,
                    401,
                    "{verb} {}",
                    listed.qualified
                );
            }
        }
    }
    // The first server is still there, and says the same to whom it does not know.
    let refused = Client::anonymous(address).get("/api").await.expect(401);
    assert_eq!(refused["reason"], Value::from("Unauthorized"));
}
