//! What policies set in plans.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{compile_small, entries, pool, to_s};
use crate::fixture::{
    World, authorities, gateway, listener_set, replacement, route, secret, service, slice, tcp, terminate, tls,
    tls_route,
};
use crate::kind::Kind;
use crate::plan::{AffinityKind, Entry, ListenerService, Plan, Roots, Route, Upstream};

fn upstream(plan: &Plan) -> Arc<Upstream> {
    let routes: Vec<&Route> = plan.listeners[0].service.routes();
    match &routes[0].pool.entries[0] {
        Entry::Endpoint { upstream, .. } => Arc::clone(upstream),
        Entry::Reject { origin } => panic!("{origin}"),
    }
}

fn client_policy(name: &str, kind: &str, target: &str, section: Option<&str>, idle: &str) -> Value {
    let target = json!({"group": "gateway.networking.k8s.io", "kind": kind, "name": target, "sectionName": section});
    let spec = json!({"targetRefs": [target], "timeout": {"tcp": {"idleTimeout": idle}}});
    json!({"kind": "ClientTrafficPolicy", "metadata": {"name": name}, "spec": spec})
}

#[test]
fn the_most_specific_client_policy_sets_all() {
    let mut world = World::new();
    let mut json = gateway("g", json!([tcp("a", 1), tcp("b", 2)]));
    json["spec"]["allowedListeners"] = json!({"namespaces": {"from": "Same"}});
    world.create(json);
    world.create(listener_set("x", "g", json!([tcp("c", 3), tcp("d", 4)])));
    let idle = |world: &World, previous: Option<&Plan>| {
        let plan = compile_small(&world.state, previous);
        let settings = plan.listeners.iter().map(|listener| match &listener.service {
            ListenerService::Opaque(opaque) => opaque.settings.tcp_idle_timeout.map(|idle| idle.as_secs()),
            ListenerService::Tls(_) => None,
        });
        (settings.collect::<Vec<_>>(), plan)
    };
    let (none, plan) = idle(&world, None);
    assert_eq!(none, [None; 4]);
    world.create(client_policy("gateway", "Gateway", "g", None, "1s"));
    let (all, plan) = idle(&world, Some(&plan));
    assert_eq!(all, [Some(1); 4]);
    world.create(client_policy("late", "Gateway", "g", None, "9s"));
    world.create(client_policy("listener", "Gateway", "g", Some("b"), "2s"));
    world.create(client_policy("set", "ListenerSet", "x", None, "3s"));
    world.create(client_policy("entry", "ListenerSet", "x", Some("d"), "4s"));
    let (each, plan) = idle(&world, Some(&plan));
    assert_eq!(each, [Some(1), Some(2), Some(3), Some(4)]);
    world.delete(Kind::ClientTrafficPolicy, "default", "gateway");
    assert_eq!(idle(&world, Some(&plan)).0, [Some(9), Some(2), Some(3), Some(4)]);
}

#[test]
fn the_most_specific_backend_policy_sets_all() {
    let mut world = World::new();
    world.create(gateway("g", json!([tcp("pg", 1)])));
    let mut json = route("r", "g", to_s());
    json["spec"]["rules"][0]["name"] = json!("main");
    world.create(json);
    let mut json = service("s", 80);
    json["spec"]["ports"][0]["name"] = json!("sql");
    world.create(json);
    let mut json = slice("e", "s", 80, &["10.0.0.1", "10.0.0.2"]);
    json["ports"][0]["name"] = json!("sql");
    world.create(json);
    let policy = |name: &str, group: &str, kind: &str, target: &str, section: Option<&str>, timeout: &str| {
        let target = json!({"group": group, "kind": kind, "name": target, "sectionName": section});
        let spec = json!({"targetRefs": [target], "timeout": {"tcp": {"connectTimeout": timeout}}});
        json!({"kind": "BackendTrafficPolicy", "metadata": {"name": name}, "spec": spec})
    };
    let api = "gateway.networking.k8s.io";
    let mut plan = compile_small(&world.state, None);
    for (number, policy) in [
        policy("service", "", "Service", "s", None, "1s"),
        policy("port", "", "Service", "s", Some("sql"), "2s"),
        policy("route", api, "TCPRoute", "r", None, "3s"),
        policy("rule", api, "TCPRoute", "r", Some("main"), "4s"),
    ]
    .into_iter()
    .enumerate()
    {
        world.create(policy);
        let next = compile_small(&world.state, Some(&plan));
        assert_eq!(next.tables_built(Some(&plan)), 0, "settings move no flow");
        let seconds = u64::try_from(number).expect("few") + 1;
        assert_eq!(
            upstream(&next).settings.connect_timeout,
            Some(Duration::from_secs(seconds))
        );
        plan = next;
    }
    let entries = &pool(&plan).entries;
    let (Entry::Endpoint { upstream: one, .. }, Entry::Endpoint { upstream: other, .. }) = (&entries[0], &entries[1])
    else {
        panic!("two endpoints");
    };
    assert!(Arc::ptr_eq(one, other), "endpoints with the same settings share them");
}

#[test]
fn affinity_is_one_thing_for_all_of_a_rule() {
    let mut world = World::new();
    world.create(gateway("g", json!([tcp("pg", 1)])));
    let mut json = route(
        "r",
        "g",
        json!([{"name": "gone", "port": 80}, {"name": "s", "port": 80}, {"name": "t", "port": 80}]),
    );
    json["spec"]["rules"][0]["name"] = json!("main");
    world.create(json);
    for name in ["gone", "s", "t"] {
        world.create(service(name, 80));
        world.create(slice(name, name, 80, &["10.0.0.1"]));
    }
    let policy = |name: &str, group: &str, kind: &str, target: &str, section: Option<&str>, affinity: Value| {
        let target = json!({"group": group, "kind": kind, "name": target, "sectionName": section});
        let spec = json!({"targetRefs": [target], "affinity": affinity});
        json!({"kind": "BackendTrafficPolicy", "metadata": {"name": name}, "spec": spec})
    };
    let client = |prefix: u8| json!({"type": "ClientIP", "clientIP": {"ipv4PrefixLength": prefix}});
    let prefix = |world: &World, plan: &mut Plan| {
        let next = compile_small(&world.state, Some(plan));
        assert_eq!(next, compile_small(&world.state, None));
        *plan = next;
        match pool(plan).affinity.kind {
            AffinityKind::FiveTuple => None,
            AffinityKind::ClientIp { v4_prefix, .. } => Some(v4_prefix),
        }
    };
    let mut plan = compile_small(&world.state, None);
    assert_eq!(prefix(&world, &mut plan), None);
    world.create(policy("t", "", "Service", "t", None, client(3)));
    assert_eq!(prefix(&world, &mut plan), Some(3));
    world.create(policy("s", "", "Service", "s", None, client(2)));
    assert_eq!(
        prefix(&world, &mut plan),
        Some(2),
        "of the refs, the first that has one"
    );
    world.delete(Kind::Service, "default", "s");
    assert_eq!(prefix(&world, &mut plan), Some(3), "a ref that leads nowhere has none");
    let api = "gateway.networking.k8s.io";
    world.create(policy("route", api, "TCPRoute", "r", None, client(4)));
    assert_eq!(prefix(&world, &mut plan), Some(4));
    world.create(policy("rule", api, "TCPRoute", "r", Some("main"), json!({})));
    assert_eq!(prefix(&world, &mut plan), None, "a policy is taken as a whole");
}

#[test]
fn a_tls_policy_is_followed_or_its_share_is_refused() {
    let mut world = World::new();
    world.create(secret("cert"));
    world.create(authorities("ca"));
    world.create(service("s", 80));
    world.create(slice("e", "s", 80, &["10.0.0.1"]));
    world.create(gateway("g", json!([terminate("end", 443, "a.test", "cert")])));
    world.create(tls_route("r", "g", &["a.test"], to_s()));
    let policy = |authority: &str| {
        json!({
            "kind": "BackendTLSPolicy",
            "metadata": {"name": "p"},
            "spec": {
                "targetRefs": [{"group": "", "kind": "Service", "name": "s"}],
                "validation": {
                    "hostname": "up.test",
                    "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": authority}],
                    "subjectAltNames": [{"type": "Hostname", "hostname": "alt.test"}, {"type": "URI", "uri": "spiffe://x/y"}],
                },
            },
        })
    };
    let plain = compile_small(&world.state, None);
    assert_eq!(upstream(&plain).tls, None);
    world.create(policy("ca"));
    let plan = compile_small(&world.state, Some(&plain));
    let found = upstream(&plan).tls.clone().expect("TLS toward the endpoint");
    assert_eq!(found.hostname, "up.test");
    assert_eq!(found.alternative_names, ["alt.test", "spiffe://x/y"]);
    assert!(matches!(found.roots, Roots::Given(roots) if roots.len() == 1));
    world.replace(policy("missing"));
    let refused = compile_small(&world.state, Some(&plan));
    let reasons = |plan: &Plan| entries(&plan.listeners[0].service.routes()[0].pool);
    assert!(
        reasons(&refused)[0].contains("reject Service default/s: BackendTLSPolicy default/p"),
        "{:?}",
        reasons(&refused)
    );
    // Where TLS is passed through, it is none of the policy's business.
    world.apply(replacement(gateway("g", json!([tls("end", 443, "a.test")]))));
    let passed = compile_small(&world.state, Some(&refused));
    assert_eq!(upstream(&passed).tls, None);
    assert_eq!(passed, compile_small(&world.state, None));
}
