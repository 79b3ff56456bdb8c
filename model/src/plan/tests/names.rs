//! TLS and UDP in plans.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{carrier, compile_small, entries, to_s};
use crate::fixture::{
    World, gateway, listener_set, route, secret, service, slice, socket, tcp, terminate, tls, tls_route, udp, udp_route,
};
use crate::node::Protocol;
use crate::plan::{HostPattern, Listener, ListenerService, Plan, TlsHandling, TlsPort, Unmatched};

fn port(plan: &Plan) -> &Arc<TlsPort> {
    match &plan.listeners[0].service {
        ListenerService::Tls(port) => port,
        ListenerService::Opaque(_) => panic!("a TLS listener is not opaque"),
    }
}

fn found<'a>(port: &'a TlsPort, name: &str) -> Result<&'a str, Unmatched> {
    port.find(Some(name)).map(|(_, route)| route.name.as_str())
}

/// The conformance suite's TLSRouteHostnameIntersection, in one Gateway each.
#[test]
fn names_are_matched_on_the_intersection() {
    for (served, routes, answers) in [
        (
            "*.example.com",
            &[("wild", "*.com"), ("exact", "abc.example.com")][..],
            &[
                ("abc.example.com", Ok("exact")),
                ("x.example.com", Ok("wild")),
                ("X.EXAMPLE.com", Ok("wild")),
                ("non.matching.com", Err(Unmatched::Listener)),
                ("example.com", Err(Unmatched::Listener)),
            ][..],
        ),
        (
            "abc.example.com",
            &[("wild", "*.example.com")],
            &[
                ("abc.example.com", Ok("wild")),
                ("x.example.com", Err(Unmatched::Listener)),
            ],
        ),
        (
            "",
            &[("wide", "*.com"), ("narrow", "*.example.com")],
            &[
                ("a.example.com", Ok("narrow")),
                ("a.b.example.com", Ok("narrow")),
                ("example.com", Ok("wide")),
                ("example.org", Err(Unmatched::Route(0))),
            ],
        ),
    ] {
        let mut world = World::new();
        world.create(gateway("g", json!([tls("one", 443, served)])));
        for (name, hostname) in routes {
            world.create(tls_route(name, "g", &[hostname], to_s()));
        }
        let plan = compile_small(&world.state, None);
        for (name, answer) in answers {
            assert_eq!(found(port(&plan), name), *answer, "{served} {name}");
        }
        assert!(port(&plan).find(None).is_err());
    }
}

#[test]
fn listeners_are_isolated() {
    let mut world = World::new();
    world.create(gateway(
        "g",
        json!([
            tls("all", 443, ""),
            tls("wild", 443, "*.test"),
            tls("exact", 443, "a.test")
        ]),
    ));
    let mut all = tls_route("all", "g", &["a.test", "b.test", "c.example"], to_s());
    all["spec"]["parentRefs"][0]["sectionName"] = json!("all");
    world.create(all);
    let plan = compile_small(&world.state, None);
    let names: Vec<_> = port(&plan)
        .listeners
        .iter()
        .map(|listener| listener.name.listener.as_str())
        .collect();
    assert_eq!(names, ["exact", "wild", "all"], "the most specific first");
    assert_eq!(found(port(&plan), "c.example"), Ok("all"));
    assert_eq!(found(port(&plan), "a.test"), Err(Unmatched::Route(0)));
    assert_eq!(found(port(&plan), "b.test"), Err(Unmatched::Route(1)));
}

#[test]
fn many_names_are_found_as_few_are() {
    let mut world = World::new();
    let listeners: Vec<Value> = (0..40)
        .map(|number| tls(&format!("l{number}"), 443, &format!("*.n{number}.test")))
        .collect();
    world.create(gateway("g", json!(listeners)));
    let names: Vec<String> = (0..40)
        .flat_map(|number| [format!("a.n{number}.test"), format!("*.b.n{number}.test")])
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.create(tls_route("r", "g", &names, to_s()));
    let many: Vec<String> = (0..40).map(|number| format!("m{number}.n7.test")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    world.create(tls_route("m", "g", &many, to_s()));
    let plan = compile_small(&world.state, None);
    let port = port(&plan);
    assert_eq!(port.listeners.len(), 40);
    for number in 0..40 {
        assert_eq!(found(port, &format!("a.n{number}.test")), Ok("r"));
        assert_eq!(found(port, &format!("x.y.b.n{number}.test")), Ok("r"));
        assert!(matches!(
            found(port, &format!("c.n{number}.test")),
            Err(Unmatched::Route(_))
        ));
        assert_eq!(found(port, &format!("n{number}.test")), Err(Unmatched::Listener));
        assert_eq!(found(port, &format!("M{number}.n7.test")), Ok("m"));
    }
    assert_eq!(found(port, ".n7.test"), Err(Unmatched::Listener));
    assert_eq!(port.find(None).err(), Some(Unmatched::Listener));
}

#[test]
fn one_port_has_listeners_of_many_owners_and_modes() {
    let mut world = World::new();
    world.create(secret("cert"));
    let mut json = gateway(
        "g",
        json!([terminate("end", 443, "a.test", "cert"), tls("pass", 443, "b.test")]),
    );
    json["spec"]["allowedListeners"] = json!({"namespaces": {"from": "Same"}});
    world.create(json);
    world.create(gateway("h", json!([tls("theirs", 443, "c.test")])));
    world.create(listener_set("x", "g", json!([tls("more", 443, "d.test")])));
    let plan = compile_small(&world.state, None);
    assert_eq!(plan.listeners.len(), 1);
    assert_eq!(plan.listeners[0].socket, socket(443));
    let listeners = &port(&plan).listeners;
    let names: Vec<_> = listeners
        .iter()
        .map(|listener| listener.name.gateway.as_str())
        .collect();
    assert_eq!(names, ["g", "g", "h", "ListenerSet:x"]);
    assert_eq!(listeners[1].handling, TlsHandling::Passthrough);
    let TlsHandling::Terminate { certificates } = &listeners[0].handling else {
        panic!("TLS ends at it");
    };
    assert_eq!(certificates[0].origin, "default/cert");
    assert!(certificates[0].key.starts_with(b"-----BEGIN"));
    assert_eq!(listeners[0].hostname, HostPattern::Exact("a.test".to_owned()));
}

#[test]
fn a_listener_without_certificate_keeps_its_names_and_serves_none() {
    let mut world = World::new();
    let mut end = terminate("end", 443, "a.test", "cert");
    world.create(gateway("g", json!([end.clone(), tls("wild", 443, "*.test")])));
    world.create(tls_route("r", "g", &["a.test", "b.test"], to_s()));
    let plan = compile_small(&world.state, None);
    assert_eq!(found(port(&plan), "a.test"), Err(Unmatched::Route(0)));
    assert_eq!(found(port(&plan), "b.test"), Ok("r"));
    world.create(secret("cert"));
    let served = compile_small(&world.state, Some(&plan));
    assert_eq!(found(port(&served), "a.test"), Ok("r"));
    // A new version of the Secret is a new certificate; nothing else changes.
    let mut renewed = secret("cert");
    renewed["metadata"]["labels"] = json!({"renewed": "yes"});
    world.replace(renewed);
    let renewed = compile_small(&world.state, Some(&served));
    assert_ne!(renewed, served);
    assert_eq!(renewed, compile_small(&world.state, None));
    assert_eq!(renewed.tables_built(Some(&served)), 0);
    // Another certificate beside it leaves the first where it was.
    world.create(secret("other"));
    end["tls"]["certificateRefs"] = json!([{"name": "missing"}, {"name": "cert"}, {"name": "other"}]);
    world.replace(gateway("g", json!([end, tls("wild", 443, "*.test")])));
    let both = compile_small(&world.state, Some(&renewed));
    let certificates = |plan: &Plan| match &port(plan).listeners[0].handling {
        TlsHandling::Terminate { certificates } => certificates.to_vec(),
        TlsHandling::Passthrough => Vec::new(),
    };
    let (old, new) = (certificates(&renewed), certificates(&both));
    assert_eq!(new.len(), 2);
    assert!(Arc::ptr_eq(&old[0], &new[0]));
}

#[test]
fn a_port_that_says_the_same_is_the_same() {
    let mut world = World::new();
    world.create(gateway("g", json!([tls("one", 443, "")])));
    world.create(tls_route("r", "g", &["a.test"], to_s()));
    world.create(service("s", 80));
    world.create(slice("e", "s", 80, &["10.0.0.1"]));
    let first = compile_small(&world.state, None);
    world.create(gateway("h", json!([tcp("pg", 5432)])));
    let second = compile_small(&world.state, Some(&first));
    assert!(Arc::ptr_eq(port(&first), port(&second)));
    world.create(slice("e2", "s", 80, &["10.0.0.2"]));
    let third = compile_small(&world.state, Some(&second));
    assert_eq!(third.tables_built(Some(&second)), 1);
    assert!(!Arc::ptr_eq(port(&third), port(&second)));
    assert_eq!(third, compile_small(&world.state, None));
}

#[test]
fn udp_takes_udp_ports_alone() {
    let mut world = World::new();
    world.create(gateway("g", json!([tcp("tcp", 53), udp("udp", 53)])));
    world.create(udp_route("u", "g", json!([{"name": "dns", "port": 53}])));
    world.create(route("t", "g", json!([{"name": "dns", "port": 53}])));
    let mut json = service("dns", 53);
    json["spec"]["ports"] = json!([{"name": "t", "port": 53}, {"name": "u", "port": 53, "protocol": "UDP"}]);
    world.create(json);
    let mut json = slice("e", "dns", 1, &["10.0.0.1"]);
    json["ports"] =
        json!([{"name": "t", "port": 1}, {"name": "u", "port": 2, "protocol": "UDP"}, {"name": "u", "port": 3}]);
    world.create(json);
    let plan = compile_small(&world.state, None);
    let by = |protocol| {
        let mut listeners = plan.listeners.iter();
        let listener: Option<&Listener> = listeners.find(|listener| listener.socket.protocol == protocol);
        let route = carrier(listener.expect("a listener")).expect("a route");
        (route.name.clone(), entries(&route.pool))
    };
    assert_eq!(
        by(Protocol::Tcp),
        ("t".to_owned(), vec!["10.0.0.1:1 Service/default/dns".to_owned()])
    );
    assert_eq!(
        by(Protocol::Udp),
        ("u".to_owned(), vec!["10.0.0.1:2 Service/default/dns".to_owned()])
    );
    // An endpoint that changes is followed on both.
    world.create(slice("e2", "dns", 9, &["10.0.0.9"]));
    let next = compile_small(&world.state, Some(&plan));
    assert_eq!(next, compile_small(&world.state, None));
}
