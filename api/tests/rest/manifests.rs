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
