//! Tests of the authorizer, on states made by commands.

use serde_json::{Value, json};

use super::*;
use crate::command::Command;
use crate::fixture::{World, object, refused};
use crate::kind::Kind;
use crate::meta::Uid;
use crate::object::Object;
use crate::outcome::{Outcome, Refusal};

const GATEWAYS: &str = "gateway.networking.k8s.io";

fn in_rbac(kind: &str, namespace: &str, name: &str, rest: Value) -> Value {
    let mut json = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": { "name": name },
    });
    if !namespace.is_empty() {
        json["metadata"]["namespace"] = Value::from(namespace);
    }
    for (field, value) in rest.as_object().expect("fields") {
        json[field] = value.clone();
    }
    json
}

fn role(kind: &str, namespace: &str, name: &str, rules: Value) -> Value {
    in_rbac(kind, namespace, name, json!({ "rules": rules }))
}

fn binding(kind: &str, namespace: &str, name: &str, role: (&str, &str), subject: (&str, &str)) -> Value {
    let rest = json!({
        "subjects": [{ "kind": subject.0, "name": subject.1 }],
        "roleRef": { "kind": role.0, "name": role.1 },
    });
    in_rbac(kind, namespace, name, rest)
}

/// Two namespaces, and in `shop` what the tests are about.
fn world(objects: impl IntoIterator<Item = Value>) -> World {
    let mut world = World::new();
    for namespace in ["shop", "bank"] {
        world.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}));
    }
    for object in objects {
        world.create(object);
    }
    world
}

fn user(name: &str, groups: &[&str]) -> User {
    User::authenticated(name, groups.iter().map(|group| (*group).to_owned()).collect())
}

/// `verb group/resource[/subresource] [namespace] [name]`, or `verb /path`.
fn may(world: &World, user: &User, asked: &str) -> bool {
    let words: Vec<&str> = asked.split(' ').collect();
    let attributes = match words.as_slice() {
        [verb, path] if path.starts_with('/') => Attributes::path(verb, path),
        [verb, resource, place @ ..] => {
            let (group, resource) = resource.split_once(':').unwrap_or(("", resource));
            let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
            let on = ResourceAttributes {
                group,
                resource,
                subresource,
                namespace: place.first().copied().unwrap_or_default(),
                name: place.get(1).copied().unwrap_or_default(),
            };
            Attributes::resource(verb, on)
        }
        _ => panic!("{asked}"),
    };
    authorize(&world.state, user, &attributes).allowed
}

#[test]
fn rules_match_what_they_name() {
    let rules = json!([
        {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["services", "secrets"]},
        {"verbs": ["*"], "apiGroups": [GATEWAYS], "resources": ["gateways/status", "*/scale"]},
        {"verbs": ["delete"], "apiGroups": ["*"], "resources": ["configmaps"], "resourceNames": ["one", "two"]},
    ]);
    let world = world([
        role("Role", "shop", "r", rules),
        binding("RoleBinding", "shop", "b", ("Role", "r"), ("User", "jane")),
    ]);
    let jane = user("jane", &[]);
    for (asked, allowed) in [
        ("get services shop", true),
        ("get services shop web", true),
        ("list secrets shop", true),
        ("watch services shop", false),
        ("get services bank", false),
        ("get services", false),
        ("get services/status shop web", false),
        ("get apps:services shop", false),
        ("get configmaps shop", false),
        ("update gateway.networking.k8s.io:gateways/status shop g", true),
        ("update gateway.networking.k8s.io:gateways shop g", false),
        ("get gateway.networking.k8s.io:tcproutes/scale shop r", true),
        ("delete configmaps shop one", true),
        ("delete configmaps shop three", false),
        ("delete configmaps shop", false),
        ("get /metrics", false),
    ] {
        assert_eq!(may(&world, &jane, asked), allowed, "{asked}");
        assert!(
            !may(&world, &user("joe", &["jane"]), asked),
            "{asked}: a group is no user"
        );
    }
}

#[test]
fn subjects_are_users_groups_and_service_accounts() {
    let mut robot = binding(
        "RoleBinding",
        "shop",
        "robot",
        ("ClusterRole", "view"),
        ("ServiceAccount", "robot"),
    );
    robot["subjects"][0]["namespace"] = Value::from("bank");
    let world = world([
        binding(
            "RoleBinding",
            "shop",
            "team",
            ("ClusterRole", "view"),
            ("Group", "team"),
        ),
        robot,
    ]);
    for (who, allowed) in [
        (user("jane", &["team"]), true),
        (user("team", &[]), false),
        (user("system:serviceaccount:bank:robot", &[]), true),
        (user("system:serviceaccount:shop:robot", &[]), false),
        (User::anonymous(), false),
    ] {
        assert_eq!(may(&world, &who, "get services shop"), allowed, "{who:?}");
    }
}

#[test]
fn without_a_binding_there_is_only_discovery() {
    let world = world([]);
    let (jane, nobody) = (user("jane", &[]), User::anonymous());
    for asked in [
        "get /api",
        "get /apis/gateway.networking.k8s.io/v1",
        "get /openapi/v3",
        "create authorization.k8s.io:selfsubjectaccessreviews",
        "create authorization.k8s.io:selfsubjectrulesreviews",
        "create authentication.k8s.io:selfsubjectreviews",
    ] {
        assert!(may(&world, &jane, asked), "{asked}");
        assert!(!may(&world, &nobody, asked), "{asked}");
    }
    for asked in [
        "get /metrics",
        "get namespaces",
        "create authorization.k8s.io:subjectaccessreviews",
    ] {
        assert!(!may(&world, &jane, asked), "{asked}");
    }
    assert!(may(&world, &user("root", &[MASTERS]), "eat anything:atall nowhere now"));
    assert!(may(&world, &user("root", &[MASTERS]), "post /anything"));
}

#[test]
fn who_has_signed_in_is_not_said_by_the_credential() {
    let liar = user("jane", &[UNAUTHENTICATED, AUTHENTICATED, "team"]);
    assert_eq!(liar.groups, ["team", AUTHENTICATED]);
}

/// One row for each built-in role: what it allows and what it does not.
#[test]
fn built_in_roles_are_what_they_say() {
    let table = [
        (
            "cluster-admin",
            vec![
                "create nodes",
                "get /metrics",
                "escalate rbac.authorization.k8s.io:roles shop",
            ],
            vec![],
        ),
        (
            "admin",
            vec![
                "create secrets shop",
                "update rbac.authorization.k8s.io:roles shop",
                "delete guideway.dev:sessions shop",
            ],
            vec![
                "create namespaces",
                "create guideway.dev:drains",
                "create guideway.dev:apitokens",
                "update rbac.authorization.k8s.io:clusterroles",
                "escalate rbac.authorization.k8s.io:roles shop",
            ],
        ),
        (
            "edit",
            vec![
                "create secrets shop",
                "delete gateway.networking.k8s.io:gateways shop g",
                "list guideway.dev:sessions shop",
            ],
            vec![
                "delete guideway.dev:sessions shop",
                "get rbac.authorization.k8s.io:roles shop",
                "create gateway.networking.k8s.io:gatewayclasses",
            ],
        ),
        (
            "view",
            vec![
                "list services shop",
                "get guideway.dev:nodes",
                "create guideway.dev:routereviews shop",
                "get /metrics",
            ],
            vec![
                "get secrets shop",
                "create services shop",
                "delete guideway.dev:sessions shop",
                "get rbac.authorization.k8s.io:rolebindings shop",
                "list guideway.dev:apitokens",
            ],
        ),
        (
            "operator",
            vec![
                "create guideway.dev:drains",
                "delete guideway.dev:sessions shop s",
                "list services shop",
            ],
            vec![
                "get secrets shop",
                "update services shop",
                "create gateway.networking.k8s.io:tcproutes shop",
            ],
        ),
    ];
    assert_eq!(table.each_ref().map(|row| row.0), built_in::BUILT_IN_ROLES);
    let jane = user("jane", &[]);
    for (name, allowed, denied) in table {
        let world = world([binding(
            "ClusterRoleBinding",
            "",
            "b",
            ("ClusterRole", name),
            ("User", "jane"),
        )]);
        for (asked, expected) in allowed
            .iter()
            .map(|asked| (asked, true))
            .chain(denied.iter().map(|asked| (asked, false)))
        {
            assert_eq!(may(&world, &jane, asked), expected, "{name}: {asked}");
        }
    }
}

#[test]
fn a_role_binding_gives_no_paths_and_nothing_of_the_cluster() {
    let world = world([binding(
        "RoleBinding",
        "shop",
        "b",
        ("ClusterRole", "cluster-admin"),
        ("User", "jane"),
    )]);
    let jane = user("jane", &[]);
    assert!(may(&world, &jane, "delete secrets shop s"));
    for asked in [
        "get /metrics",
        "get guideway.dev:nodes",
        "get secrets bank s",
        "list secrets",
    ] {
        assert!(!may(&world, &jane, asked), "{asked}");
    }
}

#[test]
fn built_in_roles_stay_as_they_are() {
    let mut world = world([]);
    let key = crate::fixture::key(Kind::ClusterRole, "", "view");
    let Some(Object::ClusterRole(view)) = world.state.get(&key).cloned() else {
        panic!("it is there from the start");
    };
    assert!(matches!(
        refused(world.apply(Command::Delete {
            key: key.clone(),
            expected: None,
            uid: None
        })),
        Refusal::Forbidden { .. }
    ));
    let mut mightier = crate::resource::ClusterRole::clone(&view);
    mightier.rules = built_in::rules_of("cluster-admin");
    let replace = |role| Command::Replace {
        object: Object::ClusterRole(std::sync::Arc::new(role)),
        part: crate::command::Part::Main,
        expected: None,
        uid: None,
    };
    assert!(matches!(
        refused(world.apply(replace(mightier))),
        Refusal::Forbidden { .. }
    ));
    let mut labelled = crate::resource::ClusterRole::clone(&view);
    labelled.metadata.labels.insert("team".to_owned(), "x".to_owned());
    assert!(matches!(world.apply(replace(labelled)), Outcome::Object(_)));
}

#[test]
fn roles_wait_for_the_level_that_has_them() {
    let mut world = World::at_level(2);
    assert_eq!(world.state.list(Kind::ClusterRole, None, None).count(), 0);
    let role = object(role("Role", "default", "r", json!([])));
    let create = Command::Create {
        object: role,
        uid: Uid("u".to_owned()),
    };
    assert_eq!(
        refused(world.apply(create)),
        Refusal::LevelTooLow { needed: 3, level: 2 }
    );
    let up = Command::NodeUp {
        node: crate::node::NodeId(1),
        incarnation: crate::node::Incarnation(2),
        facts: crate::fixture::facts("a"),
    };
    assert_eq!(world.apply(up), Outcome::Done);
    let names: Vec<String> = world
        .state
        .list(Kind::ClusterRole, None, None)
        .map(|role| role.meta().name.clone())
        .collect();
    assert_eq!(names, ["admin", "cluster-admin", "edit", "operator", "view"]);
}

#[test]
fn nobody_grants_what_they_do_not_hold() {
    let secrets = |verbs: &[&str]| json!([{"verbs": verbs, "apiGroups": [""], "resources": ["secrets"]}]);
    let world = world([
        binding("RoleBinding", "shop", "b", ("ClusterRole", "admin"), ("User", "jane")),
        role(
            "Role",
            "shop",
            "nodes",
            json!([{"verbs": ["get"], "apiGroups": ["guideway.dev"], "resources": ["nodes"]}]),
        ),
    ]);
    let (jane, root) = (user("jane", &[]), user("root", &[MASTERS]));
    let check = |user: &User, json: Value| {
        let object = object(json);
        check_rules(&world.state, user, &object).and_then(|()| check_binding(&world.state, user, &object))
    };
    let lacks = |result: Result<(), GrantRefusal>| matches!(result, Err(GrantRefusal::Lacks { .. }));
    for (json, allowed) in [
        (role("Role", "shop", "r", secrets(&["get", "delete"])), true),
        (role("Role", "shop", "r", secrets(&["get", "impersonate"])), false),
        (role("Role", "shop", "r", secrets(&["*"])), false),
        (role("Role", "bank", "r", secrets(&["get"])), false),
        (role("ClusterRole", "", "r", secrets(&["get"])), false),
        (
            binding("RoleBinding", "shop", "x", ("ClusterRole", "view"), ("User", "joe")),
            false,
        ),
        (
            binding("RoleBinding", "shop", "x", ("Role", "nodes"), ("User", "joe")),
            true,
        ),
        (
            binding(
                "RoleBinding",
                "shop",
                "x",
                ("ClusterRole", "cluster-admin"),
                ("User", "jane"),
            ),
            false,
        ),
        (
            binding("ClusterRoleBinding", "", "x", ("ClusterRole", "edit"), ("User", "jane")),
            false,
        ),
    ] {
        let result = check(&jane, json.clone());
        assert_eq!(lacks(result.clone()), !allowed, "{json}: {result:?}");
        assert_eq!(check(&root, json), Ok(()));
    }
    let unknown = binding("RoleBinding", "shop", "x", ("Role", "later"), ("User", "joe"));
    assert!(matches!(check(&jane, unknown), Err(GrantRefusal::NoRole { .. })));
}

#[test]
fn bind_and_escalate_are_verbs_on_the_role() {
    let rules = json!([
        {"verbs": ["bind"], "apiGroups": [RBAC], "resources": ["clusterroles"], "resourceNames": ["edit"]},
        {"verbs": ["escalate"], "apiGroups": [RBAC], "resources": ["roles"]},
    ]);
    let world = world([
        role("ClusterRole", "", "granter", rules),
        binding("RoleBinding", "shop", "b", ("ClusterRole", "granter"), ("User", "jane")),
    ]);
    let jane = user("jane", &[]);
    let bind = |place: &str, role: &str| {
        let binding = object(binding(
            "RoleBinding",
            place,
            "x",
            ("ClusterRole", role),
            ("User", "joe"),
        ));
        check_binding(&world.state, &jane, &binding)
    };
    assert_eq!(bind("shop", "edit"), Ok(()));
    assert!(bind("shop", "admin").is_err());
    assert!(bind("bank", "edit").is_err());
    let everything = json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]);
    assert_eq!(
        check_rules(
            &world.state,
            &jane,
            &object(role("Role", "shop", "r", everything.clone()))
        ),
        Ok(())
    );
    assert!(check_rules(&world.state, &jane, &object(role("Role", "bank", "r", everything))).is_err());
}

const RBAC: &str = crate::resource::RBAC_GROUP;
