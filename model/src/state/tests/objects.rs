//! Objects: create, replace, delete, list, changes.

use serde_json::{Value, json};

use crate::command::{Command, Part};
use crate::fixture::{
    World, class, deletion, gateway, init_cluster, key, namespace, object, refused, replacement, route, service, slice,
    stored, tcp,
};
use crate::kind::Kind;
use crate::meta::Uid;
use crate::outcome::{CauseReason, Outcome, Refusal};
use crate::state::{ChangeKind, State};

#[test]
fn init_happens_once_and_builds_in() {
    let mut world = World::new();
    assert!(world.state.is_initialised());
    assert_eq!(world.state.level(), State::LEVEL);
    assert_eq!(world.state.cluster(), Some(&Uid("cluster".to_owned())));
    assert_eq!(world.state.seed().0, *b"0123456789abcdef");
    assert_eq!(refused(world.apply(init_cluster())), Refusal::AlreadyInitialised);
    let default = world.state.get(&key(Kind::Namespace, "", "default")).expect("built in");
    assert_eq!(default.meta().labels["kubernetes.io/metadata.name"], "default");
    assert_eq!(default.meta().uid, Uid("namespace-default".to_owned()));
    for key in [
        key(Kind::Namespace, "", "default"),
        key(Kind::GatewayClass, "", "guideway"),
    ] {
        let outcome = world.apply(deletion(key.kind, &key.namespace, &key.name));
        assert!(
            matches!(outcome, Outcome::Refused(Refusal::Forbidden { .. })),
            "{outcome:?}"
        );
        assert!(world.state.get(&key).is_some());
    }
}

#[test]
fn a_create_sets_what_the_server_sets() {
    let mut world = World::new();
    let mut json = service("s", 80);
    json["metadata"]["uid"] = json!("forged");
    json["metadata"]["generation"] = json!(7);
    json["metadata"]["resourceVersion"] = json!("7");
    json["metadata"]["creationTimestamp"] = json!("2001-01-01T00:00:00Z");
    json["status"] = json!({"conditions": [{"type": "Forged", "status": "True", "reason": "R", "message": "",
        "lastTransitionTime": "2001-01-01T00:00:00Z"}]});
    let before = world.state.revision();
    let created = world.create(json);
    let meta = created.meta();
    assert_eq!(meta.uid, Uid("uid-1".to_owned()));
    assert_eq!(meta.generation, 1);
    assert_eq!(meta.resource_version, before + 1);
    assert_eq!(meta.creation_timestamp.expect("set").unix_seconds, world.seconds());
    assert!(!created.encode("v1").to_string().contains("Forged"));
    assert_eq!(world.state.get(&created.key()), Some(&created));

    let again = world.creation(service("s", 81));
    assert_eq!(refused(world.apply(again)), Refusal::AlreadyExists(created.key()));
    let mut elsewhere = service("s", 80);
    elsewhere["metadata"]["namespace"] = json!("nowhere");
    let elsewhere = world.creation(elsewhere);
    assert_eq!(
        refused(world.apply(elsewhere)),
        Refusal::NotFound(key(Kind::Namespace, "", "nowhere"))
    );
    assert_eq!(world.state.revision(), before + 1);
}

#[test]
fn a_replace_raises_the_version_and_with_the_spec_the_generation() {
    let mut world = World::new();
    let created = world.create(service("s", 80));
    assert_eq!(world.replace(service("s", 80)), created, "nothing has changed");
    let mut labelled = service("s", 80);
    labelled["metadata"]["labels"] = json!({"a": "b"});
    let relabelled = world.replace(labelled);
    assert_eq!(relabelled.meta().generation, 1);
    assert_eq!(relabelled.meta().resource_version, created.meta().resource_version + 1);
    let changed = world.replace(service("s", 81));
    assert_eq!(changed.meta().generation, 2);
    assert_eq!(changed.meta().uid, created.meta().uid);
    assert_eq!(changed.meta().creation_timestamp, created.meta().creation_timestamp);
    assert!(changed.meta().labels.is_empty());

    assert_eq!(
        refused(world.apply(replacement(service("no", 80)))),
        Refusal::NotFound(key(Kind::Service, "default", "no"))
    );
}

#[test]
fn a_writer_that_saw_another_version_is_refused() {
    let mut world = World::new();
    let seen = world.create(service("s", 80));
    let (key, version) = (seen.key(), seen.meta().resource_version);
    let now = world.replace(service("s", 81)).meta().resource_version;
    let conflict = |expected| Refusal::Conflict {
        key: key.clone(),
        expected,
        actual: now,
    };
    let replace = |part, expected, uid| Command::Replace {
        object: object(service("s", 82)),
        part,
        expected,
        uid,
    };
    let delete = |expected, uid| Command::Delete {
        key: key.clone(),
        expected,
        uid,
    };
    let other = || Some(Uid("another".to_owned()));
    for (command, expected) in [
        (replace(Part::Main, Some(version), None), Some(version)),
        (replace(Part::Status, Some(version), None), Some(version)),
        (replace(Part::Main, None, other()), None),
        (delete(Some(version), None), Some(version)),
        (delete(Some(now), other()), Some(now)),
    ] {
        assert_eq!(refused(world.apply(command)), conflict(expected));
    }
    let replaced = stored(world.apply(replace(Part::Main, Some(now), Some(seen.meta().uid.clone()))));
    let gone = stored(world.apply(delete(
        Some(replaced.meta().resource_version),
        Some(seen.meta().uid.clone()),
    )));
    assert_eq!(gone.meta().resource_version, replaced.meta().resource_version + 1);
    assert_eq!(refused(world.apply(delete(None, None))), Refusal::NotFound(key));
}

#[test]
fn what_may_not_change_does_not() {
    let mut world = World::new();
    world.create(class("c", "example.com/one"));
    let outcome = world.apply(replacement(class("c", "example.com/two")));
    let Refusal::Invalid { causes, .. } = refused(outcome) else {
        panic!("not invalid");
    };
    assert_eq!(causes[0].field, "spec.controllerName");
    assert_eq!(causes[0].reason, CauseReason::FieldValueInvalid);
}

#[test]
fn a_namespace_takes_its_contents_with_it() {
    let mut world = World::new();
    world.create(namespace("apps", json!({})));
    let inside = |mut json: Value| {
        json["metadata"]["namespace"] = json!("apps");
        json
    };
    for json in [
        inside(service("s", 80)),
        inside(slice("e", "s", 80, &["10.0.0.1"])),
        inside(gateway("g", json!([tcp("pg", 80)]))),
        inside(route("r", "g", json!([{"name": "s", "port": 80}]))),
    ] {
        world.create(json);
    }
    world.create(service("outside", 80));
    let before = world.state.revision();
    let gone = world.delete(Kind::Namespace, "", "apps");
    assert_eq!(gone.key(), key(Kind::Namespace, "", "apps"));
    let changes: Vec<_> = world.state.changes_since(before).expect("kept").collect();
    assert_eq!(changes.len(), 5);
    assert!(changes.iter().all(|change| change.kind == ChangeKind::Deleted));
    assert_eq!(changes[4].object, gone, "the namespace goes last");
    assert_eq!(world.state.list(Kind::Service, None, None).count(), 1);
    assert_eq!(world.state.list(Kind::TcpRoute, None, None).count(), 0);
    // Nothing of it is left to depend on.
    world.delete(Kind::Service, "default", "outside");
    let fresh = World::new();
    assert_eq!(world.state.index(), fresh.state.index());
}

#[test]
fn one_command_is_one_change_for_each_object() {
    let mut world = World::new();
    world.create(gateway("g", json!([tcp("pg", 80)])));
    let before = world.state.revision();
    let created = world.create(route("r", "g", json!([])));
    let changes: Vec<_> = world.state.changes_since(before).expect("kept").cloned().collect();
    let seen: Vec<_> = changes
        .iter()
        .map(|change| (change.revision - before, change.kind, change.object.kind()))
        .collect();
    assert_eq!(
        seen,
        [
            (1, ChangeKind::Added, Kind::TcpRoute),
            (2, ChangeKind::Modified, Kind::Gateway)
        ]
    );
    assert_eq!(changes[0].object, created);
    assert!(changes[0].before.is_none() && changes[1].before.is_some());
    for change in &changes {
        assert_eq!(change.object.meta().resource_version, change.revision);
        assert_eq!(world.state.get(&change.object.key()), Some(&change.object));
    }
    assert_eq!(world.state.changes_since(before + 1).expect("kept").count(), 1);
}

#[test]
fn a_change_of_endpoints_changes_nothing_else() {
    let mut world = World::new();
    world.create(gateway("g", json!([tcp("pg", 80)])));
    world.create(service("s", 80));
    world.create(route("r", "g", json!([{"name": "s", "port": 80}])));
    world.create(slice("e", "s", 80, &["10.0.0.1"]));
    let before = world.state.revision();
    world.replace(slice("e", "s", 80, &["10.0.0.2"]));
    assert_eq!(world.state.revision(), before + 1);
}

#[test]
fn lists_are_ranges() {
    let mut world = World::new();
    world.create(namespace("apps", json!({})));
    for name in ["b", "a", "c"] {
        world.create(service(name, 80));
    }
    let mut inside = service("b", 80);
    inside["metadata"]["namespace"] = json!("apps");
    world.create(inside);
    let names = |namespace: Option<&str>, after: Option<(&str, &str)>| -> Vec<String> {
        let after = after.map(|(namespace, name)| key(Kind::Service, namespace, name));
        let listed = world.state.list(Kind::Service, namespace, after.as_ref());
        listed
            .map(|object| format!("{}/{}", object.meta().namespace, object.meta().name))
            .collect()
    };
    assert_eq!(names(None, None), ["apps/b", "default/a", "default/b", "default/c"]);
    assert_eq!(names(Some("default"), None), ["default/a", "default/b", "default/c"]);
    assert_eq!(
        names(Some("default"), Some(("default", "a"))),
        ["default/b", "default/c"]
    );
    assert_eq!(
        names(None, Some(("apps", "b"))),
        ["default/a", "default/b", "default/c"]
    );
    assert_eq!(names(None, Some(("default", "aa"))), ["default/b", "default/c"]);
    // A position before the namespace, or behind it.
    assert_eq!(names(Some("default"), Some(("apps", "x"))).len(), 3);
    assert_eq!(names(Some("apps"), Some(("default", "a"))).len(), 0);
    assert_eq!(names(Some("nowhere"), None).len(), 0);
    assert_eq!(world.state.list(Kind::Backend, None, None).count(), 0);
}

#[test]
fn objects_are_bounded() {
    let mut world = World::new();
    let room = State::OBJECTS_KEPT - world.state.object_count();
    // Straight into the map: a hundred thousand commands would only take time.
    for number in 0..room - 1 {
        let object = object(service(&format!("s{number}"), 80));
        world.state.objects.insert(object.key(), object);
    }
    world.create(service("last", 80));
    let beyond = world.creation(service("beyond", 80));
    let Refusal::TooMany { limit, .. } = refused(world.apply(beyond)) else {
        panic!("not bounded");
    };
    assert_eq!(limit, State::OBJECTS_KEPT as u64);
    world.delete(Kind::Service, "default", "last");
    world.create(service("again", 80));
}
