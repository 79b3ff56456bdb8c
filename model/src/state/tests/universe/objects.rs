//! Objects, so few and alike that they meet all the time.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::policies::{backend_policies, client_policies, grants, secrets, tls_policies};
use crate::fixture::object;
use crate::object::Object;

pub(super) fn any_object() -> impl Strategy<Value = Object> {
    prop_oneof![
        2 => namespaces(),
        2 => classes(),
        6 => gateways(),
        4 => listener_sets(),
        10 => routes(),
        4 => services(),
        4 => slices(),
        3 => backends(),
        3 => grants(),
        3 => secrets(),
        2 => tls_policies(),
        2 => client_policies(),
        2 => backend_policies(),
        4 => drains(),
    ]
    .prop_map(object)
}

/// Objects that mostly fit together: Gateways of our class that let everyone in, with routes to them.
pub(super) fn fitting_object() -> impl Strategy<Value = Object> {
    let open = |mut json: Value| {
        for listener in json["spec"]["listeners"].as_array_mut().into_iter().flatten() {
            listener["allowedRoutes"] = json!({"namespaces": {"from": "All"}});
        }
        json
    };
    let gateways = gateways().prop_map(move |mut json| {
        json["spec"]["gatewayClassName"] = json!("guideway");
        json["spec"]["allowedListeners"] = json!({"namespaces": {"from": "All"}});
        open(json)
    });
    prop_oneof![
        4 => gateways,
        3 => listener_sets().prop_map(open),
        16 => routes(),
        8 => services(),
        10 => slices(),
        2 => backends(),
        3 => grants(),
        4 => secrets(),
        3 => drains(),
    ]
    .prop_map(object)
}

pub(super) fn namespace_name() -> impl Strategy<Value = &'static str> {
    select(vec!["default", "default", "default", "apps"])
}

fn namespaces() -> impl Strategy<Value = Value> {
    let labels = select(vec![json!({}), json!({"team": "a"}), json!({"team": "b"})]);
    (select(vec!["apps", "apps", "default"]), labels)
        .prop_map(|(name, labels)| json!({"kind": "Namespace", "metadata": {"name": name, "labels": labels}}))
}

fn classes() -> impl Strategy<Value = Value> {
    let controller = select(vec!["guideway.dev/gateway-controller", "example.com/other"]);
    (controller, prop::bool::weighted(0.2)).prop_map(|(controller, parameters)| {
        let mut json =
            json!({"kind": "GatewayClass", "metadata": {"name": "c1"}, "spec": {"controllerName": controller}});
        if parameters {
            json["spec"]["parametersRef"] = json!({"group": "example.com", "kind": "P", "name": "p"});
        }
        json
    })
}

fn gateways() -> impl Strategy<Value = Value> {
    let addresses = select(vec![
        json!([]),
        json!([]),
        json!([{"value": "10.0.0.1"}]),
        json!([{"value": "10.0.0.1"}, {"value": "10.0.0.2"}]),
        json!([{"value": "10.0.0.2"}, {"type": "IPAddress"}]),
        json!([{"type": "Hostname", "value": "lb.example.com"}]),
        json!([{"value": "224.0.0.1"}, {"value": "10.0.0.1"}]),
    ]);
    let class = select(vec!["guideway", "guideway", "guideway", "c1", "missing"]);
    let listeners = subsequence(vec!["l1", "l2", "l3"], 1..=3)
        .prop_flat_map(|names| names.into_iter().map(listener).collect::<Vec<_>>());
    let allowed = select(vec![
        json!({"from": "All"}),
        json!({"from": "Same"}),
        json!({"from": "None"}),
        json!({"from": "Selector", "selector": {"matchLabels": {"team": "a"}}}),
    ]);
    (
        namespace_name(),
        select(vec!["g1", "g2"]),
        class,
        addresses,
        listeners,
        allowed,
    )
        .prop_map(|(namespace, name, class, addresses, listeners, allowed)| {
            json!({
                "kind": "Gateway",
                "metadata": {"namespace": namespace, "name": name},
                "spec": {
                    "gatewayClassName": class,
                    "addresses": addresses,
                    "listeners": listeners,
                    "allowedListeners": {"namespaces": allowed},
                },
            })
        })
}

fn listener_sets() -> impl Strategy<Value = Value> {
    let parent = select(vec![
        json!({"name": "g1"}),
        json!({"name": "g2"}),
        json!({"name": "g1", "namespace": "default"}),
        json!({"name": "g1", "kind": "Service", "group": ""}),
    ]);
    let listeners =
        subsequence(vec!["l1", "l2"], 1..=2).prop_flat_map(|names| names.into_iter().map(listener).collect::<Vec<_>>());
    (namespace_name(), select(vec!["x1", "x2"]), parent, listeners).prop_map(|(namespace, name, parent, listeners)| {
        json!({
            "kind": "ListenerSet",
            "metadata": {"namespace": namespace, "name": name},
            "spec": {"parentRef": parent, "listeners": listeners},
        })
    })
}

fn hostname() -> impl Strategy<Value = &'static str> {
    select(vec!["a.test", "b.test", "*.test", "a.b.test", "*.b.test"])
}

fn listener(name: &'static str) -> impl Strategy<Value = Value> {
    let certificate = select(vec![
        json!([{"name": "k1"}]),
        json!([{"name": "k1"}, {"name": "k2"}]),
        json!([{"name": "k1", "namespace": "apps"}]),
        json!([{"name": "k1", "kind": "Thing", "group": "example.com"}]),
    ]);
    let terminate = certificate.prop_map(|refs| json!({"mode": "Terminate", "certificateRefs": refs}));
    let tls = prop_oneof![Just(json!({"mode": "Passthrough"})), terminate];
    let named = (prop::option::weighted(0.8, hostname()), tls).prop_map(|(hostname, tls)| match hostname {
        Some(hostname) => json!({"protocol": "TLS", "hostname": hostname, "tls": tls}),
        None => json!({"protocol": "TLS", "tls": tls}),
    });
    let plain = select(vec!["TCP", "TCP", "UDP", "HTTP"]).prop_map(|protocol| json!({"protocol": protocol}));
    let namespaces = select(vec![
        json!({"from": "Same"}),
        json!({"from": "All"}),
        json!({"from": "Selector", "selector": {"matchLabels": {"team": "a"}}}),
    ]);
    let kinds = select(vec![
        json!([]),
        json!([]),
        json!([]),
        json!([{"kind": "TCPRoute"}]),
        json!([{"kind": "TLSRoute"}]),
    ]);
    let port = select(vec![1_u16, 2, 3]);
    (port, prop_oneof![plain, named], namespaces, kinds).prop_map(move |(port, mut json, namespaces, kinds)| {
        json["name"] = json!(name);
        json["port"] = json!(port);
        json["allowedRoutes"] = json!({"namespaces": namespaces, "kinds": kinds});
        json
    })
}

fn routes() -> impl Strategy<Value = Value> {
    let parent = select(vec![
        json!({"name": "g1"}),
        json!({"name": "g2"}),
        json!({"name": "g1", "namespace": "default"}),
        json!({"name": "g1", "namespace": "apps"}),
        json!({"name": "g1", "sectionName": "l1"}),
        json!({"name": "g2", "sectionName": "l2"}),
        json!({"name": "g1", "port": 2}),
        json!({"name": "x1", "kind": "ListenerSet"}),
        json!({"name": "x2", "kind": "ListenerSet", "sectionName": "l1"}),
        json!({"name": "s1", "group": "", "kind": "Service"}),
    ]);
    let backend = select(vec![
        json!({"name": "s1", "port": 80}),
        json!({"name": "s1", "port": 80, "weight": 0}),
        json!({"name": "s2", "port": 80, "weight": 3}),
        json!({"name": "s2", "port": 81}),
        json!({"name": "s1", "port": 80, "namespace": "apps"}),
        json!({"group": "guideway.dev", "kind": "Backend", "name": "b1", "weight": 2}),
        json!({"group": "example.com", "kind": "Thing", "name": "t"}),
    ]);
    let parents = prop::collection::vec(parent, 0..3);
    let backends = prop::collection::vec(backend, 0..3);
    let kind = select(vec!["TCPRoute", "UDPRoute", "TLSRoute", "TLSRoute"]);
    let hostnames = prop::collection::vec(hostname(), 0..3);
    let name = select(vec!["r1", "r2", "r3"]);
    (namespace_name(), name, kind, parents, backends, hostnames).prop_map(
        |(namespace, name, kind, parents, backends, hostnames)| {
            let mut json = json!({
                "kind": kind,
                "metadata": {"namespace": namespace, "name": name},
                "spec": {"parentRefs": parents, "rules": [{"name": "main", "backendRefs": backends}]},
            });
            if kind == "TLSRoute" {
                json["spec"]["hostnames"] = json!(hostnames);
            }
            json
        },
    )
}

fn services() -> impl Strategy<Value = Value> {
    let ports = select(vec![
        json!([{"port": 80}]),
        json!([{"port": 80}, {"name": "b", "port": 81}]),
        json!([{"port": 80, "protocol": "UDP"}]),
        json!([{"name": "named", "port": 80}]),
    ]);
    let selector = select(vec![json!({}), json!({"app": "x"})]);
    (namespace_name(), select(vec!["s1", "s2"]), ports, selector).prop_map(|(namespace, name, ports, selector)| {
        json!({
            "kind": "Service",
            "metadata": {"namespace": namespace, "name": name},
            "spec": {"ports": ports, "selector": selector},
        })
    })
}

fn slices() -> impl Strategy<Value = Value> {
    let addresses = subsequence(vec!["10.1.0.1", "10.1.0.2", "10.1.0.3"], 0..=3);
    let conditions = select(vec![
        json!({"ready": true}),
        json!({"ready": true}),
        json!({"ready": false}),
        json!({"ready": false, "serving": true, "terminating": true}),
        json!({"ready": false, "serving": false, "terminating": true}),
    ]);
    let service = select(vec![
        json!({}),
        json!({"kubernetes.io/service-name": "s1"}),
        json!({"kubernetes.io/service-name": "s2"}),
    ]);
    (
        namespace_name(),
        select(vec!["e1", "e2"]),
        service,
        addresses,
        prop::collection::vec(conditions, 3),
    )
        .prop_map(|(namespace, name, labels, addresses, conditions)| {
            let endpoints: Vec<Value> = addresses
                .iter()
                .zip(conditions)
                .map(|(address, conditions)| json!({"addresses": [address], "conditions": conditions}))
                .collect();
            json!({
                "kind": "EndpointSlice",
                "metadata": {"namespace": namespace, "name": name, "labels": labels},
                "addressType": "IPv4",
                "endpoints": endpoints,
                "ports": [{"port": 8080}, {"port": 5353, "protocol": "UDP"}, {"name": "b", "port": 8081}],
            })
        })
}

fn drains() -> impl Strategy<Value = Value> {
    let target = select(vec![
        json!({"endpoint": {"ip": "10.1.0.1", "port": 8080}}),
        json!({"endpoint": {"ip": "10.1.0.2", "port": 5353}}),
        json!({"endpoint": {"ip": "10.2.0.1", "port": 1}}),
        json!({"endpoint": {"ip": "10.3.0.1", "port": 1}}),
        json!({"backend": {"namespace": "default", "name": "b1"}}),
        json!({"backend": {"namespace": "apps", "name": "b1"}}),
        json!({"node": {"name": "a"}}),
        json!({"node": {"name": "d"}}),
    ]);
    let rest = select(vec![
        json!({}),
        json!({"udp": "Rechoose"}),
        json!({"deadline": "1s"}),
        json!({"deadline": "5s", "atDeadline": "Close"}),
    ]);
    (select(vec!["d1", "d2"]), target, rest, any::<bool>()).prop_map(|(name, target, mut spec, force)| {
        spec["target"] = target;
        spec["force"] = json!(force);
        json!({"kind": "Drain", "metadata": {"name": name}, "spec": spec})
    })
}

fn backends() -> impl Strategy<Value = Value> {
    let endpoints = subsequence(
        vec![
            json!({"ip": "10.2.0.1", "port": 1}),
            json!({"hostname": "a.test", "port": 1}),
            json!({"hostname": "b.test", "port": 2, "weight": 0}),
        ],
        1..=3,
    );
    (namespace_name(), endpoints).prop_map(|(namespace, endpoints)| {
        json!({"kind": "Backend", "metadata": {"namespace": namespace, "name": "b1"}, "spec": {"endpoints": endpoints}})
    })
}
