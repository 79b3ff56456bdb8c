//! Grants, certificates and policies.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::objects::namespace_name;
use crate::fixture::{inner_secret, secret};

pub(super) fn grants() -> impl Strategy<Value = Value> {
    let from = select(vec!["TCPRoute", "UDPRoute", "TLSRoute", "Gateway", "ListenerSet"]);
    let to = select(vec![
        json!({"group": "", "kind": "Service"}),
        json!({"group": "", "kind": "Service", "name": "s2"}),
        json!({"group": "", "kind": "Secret"}),
        json!({"group": "guideway.dev", "kind": "Backend"}),
    ]);
    (
        select(vec!["x1", "x2"]),
        from,
        select(vec!["default", "default", "apps"]),
        to,
    )
        .prop_map(|(name, from, namespace, to)| {
            json!({
                "kind": "ReferenceGrant",
                "metadata": {"namespace": "apps", "name": name},
                "spec": {
                    "from": [{"group": "gateway.networking.k8s.io", "kind": from, "namespace": namespace}],
                    "to": [to],
                },
            })
        })
}

/// Secrets and ConfigMaps, good and bad.
pub(super) fn secrets() -> impl Strategy<Value = Value> {
    let whole = prop::option::of(select(vec![secret as fn(&str) -> Value, inner_secret]));
    (namespace_name(), select(vec!["k1", "k2"]), any::<bool>(), whole).prop_map(|(namespace, name, map, whole)| {
        let mut json = match (map, whole) {
            (false, Some(secret)) => secret(name),
            (false, None) => json!({"kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": name}}),
            (true, Some(_)) => crate::fixture::authorities(name),
            (true, None) => json!({"kind": "ConfigMap", "metadata": {"name": name}, "data": {"ca.crt": "none"}}),
        };
        json["metadata"]["namespace"] = json!(namespace);
        json
    })
}

fn policy(kind: &'static str, targets: Vec<Value>, spec: Vec<Value>) -> impl Strategy<Value = Value> {
    let most = targets.len().min(3);
    let targets = subsequence(targets, 1..=most);
    (namespace_name(), select(vec!["p1", "p2"]), targets, select(spec)).prop_map(
        move |(namespace, name, targets, mut spec)| {
            spec["targetRefs"] = json!(targets);
            json!({"kind": kind, "metadata": {"namespace": namespace, "name": name}, "spec": spec})
        },
    )
}

pub(super) fn tls_policies() -> impl Strategy<Value = Value> {
    let target = |name: &str| json!({"group": "", "kind": "Service", "name": name});
    let mut port = target("s1");
    port["sectionName"] = json!("named");
    let refs = |refs: Value| json!({"validation": {"hostname": "up.test", "caCertificateRefs": refs}});
    policy(
        "BackendTLSPolicy",
        vec![target("s1"), target("s2"), port],
        vec![
            json!({"validation": {"hostname": "up.test", "wellKnownCACertificates": "System"}}),
            refs(json!([{"group": "", "kind": "ConfigMap", "name": "k1"}])),
            refs(
                json!([{"group": "", "kind": "Secret", "name": "k1"}, {"group": "", "kind": "ConfigMap", "name": "k2"}]),
            ),
            refs(json!([{"group": "example.com", "kind": "Thing", "name": "k1"}])),
        ],
    )
}

pub(super) fn client_policies() -> impl Strategy<Value = Value> {
    let target = |kind: &str, name: &str| json!({"group": "gateway.networking.k8s.io", "kind": kind, "name": name});
    let mut listener = target("Gateway", "g1");
    listener["sectionName"] = json!("l1");
    policy(
        "ClientTrafficPolicy",
        vec![
            target("Gateway", "g1"),
            target("ListenerSet", "x1"),
            listener,
            target("TCPRoute", "r1"),
        ],
        vec![
            json!({"timeout": {"tcp": {"idleTimeout": "1m"}}}),
            json!({"timeout": {"tls": {"handshakeTimeout": "2s"}}}),
        ],
    )
}

pub(super) fn backend_policies() -> impl Strategy<Value = Value> {
    let target = |group: &str, kind: &str, name: &str| json!({"group": group, "kind": kind, "name": name});
    let mut rule = target("gateway.networking.k8s.io", "TLSRoute", "r1");
    rule["sectionName"] = json!("main");
    policy(
        "BackendTrafficPolicy",
        vec![
            target("gateway.networking.k8s.io", "TCPRoute", "r1"),
            target("", "Service", "s1"),
            target("guideway.dev", "Backend", "b1"),
            rule,
        ],
        vec![
            json!({"timeout": {"tcp": {"connectTimeout": "1s"}}}),
            json!({"udp": {"idleTimeout": "5s"}}),
            json!({"affinity": {"type": "ClientIP", "replication": "Always"}}),
        ],
    )
}
