//! `OverlappingTLSConfig`: listeners of one port whose names, or those of their certificates, overlap.

use serde_json::{Value, json};

use crate::fixture::{
    World, gateway, grant, inner_secret, listener_set, namespace, other_secret, secret, terminate, tls,
};
use crate::kind::Kind;
use crate::resource::ListenerStatus;

fn overlap(status: ListenerStatus) -> Option<(String, String)> {
    let mut conditions = status.conditions.into_iter();
    let found = conditions.find(|condition| condition.condition_type == "OverlappingTLSConfig");
    found.map(|found| (found.reason, found.message))
}

/// Reason and message of a listener of Gateway `g`.
fn overlapping(world: &World, listener: &str) -> Option<(String, String)> {
    overlap(world.listener("g", listener))
}

/// Those of `names` that say so because of their certificates.
fn by_certificate(world: &World, names: &[&str]) -> Vec<String> {
    let overlapping = names.iter().filter(|name| {
        let found = overlapping(world, name);
        found.is_some_and(|(reason, _)| reason == "OverlappingCertificates")
    });
    overlapping.map(|name| (*name).to_owned()).collect()
}

#[test]
fn overlapping_host_names_are_said_of_both() {
    let mut world = World::new();
    let listeners = json!([
        tls("exact", 443, "foo.example.com"),
        tls("wild", 443, "*.example.com"),
        tls("other", 443, "foo.example.org"),
        tls("elsewhere", 444, "foo.example.com"),
    ]);
    world.create(gateway("g", listeners));
    let (reason, message) = overlapping(&world, "exact").expect("set");
    assert_eq!(reason, "OverlappingHostnames");
    assert!(
        message.contains("\"wild\"") && message.contains("*.example.com"),
        "{message}"
    );
    assert!(overlapping(&world, "wild").is_some());
    assert_eq!(overlapping(&world, "other"), None);
    assert_eq!(overlapping(&world, "elsewhere"), None);
    world.replace(gateway(
        "g",
        json!([tls("exact", 443, "foo.example.com"), tls("all", 443, "")]),
    ));
    assert!(overlapping(&world, "exact").is_some());
    assert!(overlapping(&world, "all").is_some());
    world.replace(gateway("g", json!([tls("exact", 443, "foo.example.com")])));
    assert_eq!(overlapping(&world, "exact"), None);
}

#[test]
fn certificates_overlap_by_their_names() {
    let mut world = World::new();
    world.create(secret("wide"));
    world.create(inner_secret("inside"));
    world.create(other_secret("other"));
    let names = ["a", "b", "c", "d", "e"];
    let listeners = |inside: &str| {
        json!([
            terminate("a", 443, "one.test", "wide"),
            terminate("b", 443, "two.test", inside),
            terminate("c", 443, "three.test", "other"),
            // Another port, and a listener that shows none.
            terminate("d", 444, "four.test", "wide"),
            tls("e", 443, "a.p256.example.com"),
        ])
    };
    world.create(gateway("g", listeners("inside")));
    assert_eq!(by_certificate(&world, &names), ["a", "b"]);
    for name in ["c", "d", "e"] {
        assert_eq!(overlapping(&world, name), None, "{name}");
    }
    let (_, message) = overlapping(&world, "a").expect("set");
    assert!(
        message.contains("*.p256.example.com (\"b\" of Gateway default/g)"),
        "{message}"
    );
    let (_, message) = overlapping(&world, "b").expect("set");
    assert!(
        message.contains("a.p256.example.com (\"a\" of Gateway default/g)") && !message.contains("*.p256"),
        "{message}"
    );
    // One certificate for several listeners is the same to a client.
    world.replace(gateway("g", listeners("wide")));
    assert_eq!(by_certificate(&world, &names), ["a", "b"]);
    world.replace(gateway("g", listeners("missing")));
    assert_eq!(by_certificate(&world, &names), [""; 0]);
}

#[test]
fn a_certificate_that_changes_is_compared_again() {
    let mut world = World::new();
    world.create(secret("k1"));
    world.create(other_secret("k2"));
    world.create(gateway(
        "g",
        json!([
            terminate("a", 443, "one.test", "k1"),
            terminate("b", 443, "two.test", "k2")
        ]),
    ));
    assert_eq!(by_certificate(&world, &["a", "b"]), [""; 0]);
    world.replace(inner_secret("k2"));
    assert_eq!(by_certificate(&world, &["a", "b"]), ["a", "b"]);
    world.delete(Kind::Secret, "default", "k1");
    assert_eq!(by_certificate(&world, &["a", "b"]), [""; 0]);
}

/// Of both reasons, the standard wants that of certificates.
#[test]
fn certificates_go_before_host_names() {
    let mut world = World::new();
    world.create(secret("k"));
    let listeners = json!([terminate("a", 443, "a.test", "k"), terminate("all", 443, "", "k")]);
    world.create(gateway("g", listeners));
    let (reason, message) = overlapping(&world, "a").expect("set");
    assert_eq!(reason, "OverlappingCertificates");
    assert!(message.contains("its host names overlap"), "{message}");
    world.delete(Kind::Secret, "default", "k");
    assert_eq!(overlapping(&world, "a").expect("set").0, "OverlappingHostnames");
}

/// What a team has is compared with what others have, and neither learns the other's names by it.
#[test]
fn sets_and_gateways_are_compared() {
    let mut world = World::new();
    world.create(namespace("apps", json!({})));
    let mut far = inner_secret("k");
    far["metadata"]["namespace"] = json!("apps");
    world.create(far);
    world.create(secret("k"));
    let mut json = gateway("g", json!([terminate("a", 443, "a.test", "k")]));
    json["spec"]["allowedListeners"] = json!({"namespaces": {"from": "Same"}});
    world.create(json);
    let mut more: Value = terminate("b", 443, "b.test", "k");
    more["tls"]["certificateRefs"][0]["namespace"] = json!("apps");
    world.create(listener_set("x", "g", json!([more])));
    assert_eq!(overlapping(&world, "a"), None);
    world.create(grant(
        "apps",
        "permit",
        "ListenerSet",
        json!({"group": "", "kind": "Secret"}),
    ));
    assert_eq!(by_certificate(&world, &["a"]), ["a"]);
    let (reason, message) = overlap(world.set_listener("x", "b")).expect("set");
    assert_eq!(reason, "OverlappingCertificates");
    assert!(!message.contains("*.p256.example.com"), "{message}");
    world.delete(Kind::ReferenceGrant, "apps", "permit");
    assert_eq!(overlapping(&world, "a"), None);
}
