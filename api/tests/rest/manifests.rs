//! Objects that tests write.

use serde_json::{Value, json};

pub(crate) const SERVICES: &str = "/api/v1/namespaces/default/services";
pub(crate) const GATEWAYS: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways";
pub(crate) const NAMESPACES: &str = "/api/v1/namespaces";

pub(crate) fn namespace(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } })
}

pub(crate) fn service(name: &str, app: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name, "labels": { "app": app } },
        "spec": { "ports": [{ "name": "main", "port": 5432, "targetPort": 5432 }] },
    })
}

pub(crate) fn gateway(name: &str) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": { "name": name },
        "spec": {
            "gatewayClassName": "guideway",
            "listeners": [{ "name": "main", "port": 5432, "protocol": "TCP" }],
        },
    })
}

/// Endpoints as `address:port`.
pub(crate) fn backend(name: &str, endpoints: &[&str]) -> Value {
    let endpoints = endpoints.iter().map(|endpoint| {
        let (ip, port) = endpoint.rsplit_once(':').expect("a port");
        json!({ "ip": ip, "port": port.parse::<u16>().expect("a port") })
    });
    json!({
        "apiVersion": "guideway.dev/v1alpha1",
        "kind": "Backend",
        "metadata": { "name": name },
        "spec": { "endpoints": endpoints.collect::<Vec<_>>() },
    })
}

/// A route from the listener `main` of the Gateway `edge` to a Backend.
pub(crate) fn route(kind: &str, name: &str, backend: &str) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": kind,
        "metadata": { "name": name },
        "spec": {
            "parentRefs": [{ "name": "edge", "sectionName": "main" }],
            "rules": [{ "backendRefs": [{ "group": "guideway.dev", "kind": "Backend", "name": backend }] }],
        },
    })
}
