//! GatewayClass, Namespace and Backend.

use serde_json::json;

use crate::fixture::{World, backend, class, condition, key, summary};
use crate::kind::Kind;
use crate::object::Object;
use crate::resource::NamespacePhase;

#[test]
fn the_built_in_class_is_accepted() {
    let world = World::new();
    let Some(Object::GatewayClass(built_in)) = world.state.get(&key(Kind::GatewayClass, "", "guideway")) else {
        panic!("no class");
    };
    assert_eq!(
        summary(&built_in.status.conditions),
        ["Accepted=True/Accepted", "SupportedVersion=True/SupportedVersion"]
    );
    let features: Vec<_> = built_in
        .status
        .supported_features
        .iter()
        .map(|feature| &feature.name)
        .collect();
    assert!(features.is_sorted() && !features.is_empty());
}

#[test]
fn classes_with_parameters_and_of_others() {
    let mut world = World::new();
    let mut json = class("params", "guideway.dev/gateway-controller");
    json["spec"]["parametersRef"] = json!({"group": "example.com", "kind": "Params", "name": "p"});
    let Object::GatewayClass(params) = world.create(json) else {
        panic!("not a class");
    };
    assert_eq!(
        summary(&params.status.conditions)[0],
        "Accepted=False/InvalidParameters"
    );
    let Object::GatewayClass(theirs) = world.create(class("theirs", "example.com/controller")) else {
        panic!("not a class");
    };
    assert_eq!(summary(&theirs.status.conditions), ["Accepted=Unknown/Pending"]);
    assert_eq!(theirs.status.conditions[0].last_transition_time.unix_seconds, 0);
}

#[test]
fn namespaces_are_active() {
    let world = World::new();
    let Some(Object::Namespace(namespace)) = world.state.get(&key(Kind::Namespace, "", "default")) else {
        panic!("no namespace");
    };
    assert_eq!(namespace.status.phase, Some(NamespacePhase::Active));
}

#[test]
fn names_of_a_backend_are_resolved() {
    let mut world = World::new();
    let endpoints = json!([{"hostname": "db.example.com", "port": 1}, {"hostname": "ha.example.com", "port": 1}]);
    world.create(backend("b", endpoints));
    let resolved = |world: &World| {
        let Some(Object::Backend(backend)) = world.state.get(&key(Kind::Backend, "default", "b")) else {
            panic!("no backend");
        };
        let resolved = condition(&backend.status.conditions, "ResolvedRefs").clone();
        (summary(std::slice::from_ref(&resolved)).remove(0), resolved.message)
    };
    assert_eq!(
        world.state.hostnames().collect::<Vec<_>>(),
        ["db.example.com", "ha.example.com"]
    );
    assert_eq!(resolved(&world).0, "ResolvedRefs=Unknown/Pending");
    world.resolve("db.example.com", &["10.0.0.2", "10.0.0.1"]);
    assert_eq!(resolved(&world).0, "ResolvedRefs=Unknown/Pending");
    world.resolve("ha.example.com", &[]);
    assert_eq!(resolved(&world).0, "ResolvedRefs=False/NameNotResolved");
    assert!(resolved(&world).1.contains("ha.example.com"));
    let revision = world.state.revision();
    world.resolve("ha.example.com", &["10.0.0.3"]);
    assert_eq!(resolved(&world).0, "ResolvedRefs=True/ResolvedRefs");
    assert!(resolved(&world).1.contains("db.example.com is 10.0.0.1, 10.0.0.2"));
    assert_eq!(world.state.revision(), revision + 1);

    // The same again changes nothing; names that no Backend has are not kept.
    world.resolve("ha.example.com", &["10.0.0.3"]);
    world.resolve("unknown.example.com", &["10.0.0.3"]);
    assert_eq!(world.state.revision(), revision + 1);
    assert!(world.state.resolved("unknown.example.com").is_none());
    world.delete(Kind::Backend, "default", "b");
    assert!(world.state.resolved("db.example.com").is_none());
    assert_eq!(world.state.hostnames().count(), 0);
}
