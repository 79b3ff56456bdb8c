//! Manifests as JSON, shaped as a Kubernetes user writes them.

use std::net::SocketAddr;

use serde_json::{Value, json};

/// The namespace every test works in unless it says otherwise.
pub const NAMESPACE: &str = "default";

/// A Gateway with TCP listeners `(name, port)` on each node's own address.
pub fn gateway(name: &str, listeners: &[(&str, u16)]) -> Value {
    let listeners: Vec<Value> = listeners
        .iter()
        .map(|(name, port)| json!({"name": name, "port": port, "protocol": "TCP"}))
        .collect();
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"gatewayClassName": "guideway", "listeners": listeners},
    })
}

/// A TCPRoute on listener `section` of `gateway`, with weighted Services `(name, port, weight)`.
pub fn tcp_route(name: &str, gateway: &str, section: &str, services: &[(&str, u16, u32)]) -> Value {
    let refs: Vec<Value> = services
        .iter()
        .map(|(name, port, weight)| json!({"name": name, "port": port, "weight": weight}))
        .collect();
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "TCPRoute",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "parentRefs": [{"name": gateway, "sectionName": section}],
            "rules": [{"backendRefs": refs}],
        },
    })
}

/// A Service with one port, called `main`.
pub fn service(name: &str, port: u16) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"ports": [{"name": "main", "port": port, "protocol": "TCP"}]},
    })
}

/// An EndpointSlice of `service` with ready endpoints; all of them must serve on the port of the first.
pub fn slice(name: &str, service: &str, endpoints: &[SocketAddr]) -> Value {
    let port = endpoints.first().map_or(1, SocketAddr::port);
    assert!(
        endpoints.iter().all(|endpoint| endpoint.port() == port),
        "a slice has one port for all its endpoints: {endpoints:?}"
    );
    let endpoints: Vec<Value> = endpoints
        .iter()
        .map(|endpoint| json!({"addresses": [endpoint.ip()], "conditions": {"ready": true}}))
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "ports": [{"name": "main", "port": port, "protocol": "TCP"}],
        "endpoints": endpoints,
    })
}

/// A Service and a slice of its own for each endpoint, since a slice has one port for all its endpoints.
pub fn service_with(name: &str, port: u16, endpoints: &[SocketAddr]) -> Vec<Value> {
    let slices = endpoints
        .iter()
        .map(|endpoint| slice(&slice_name(name, *endpoint), name, &[*endpoint]));
    std::iter::once(service(name, port)).chain(slices).collect()
}

/// The name [`service_with`] gives the slice of one endpoint.
pub fn slice_name(service: &str, endpoint: SocketAddr) -> String {
    format!("{service}-{}", endpoint.to_string().replace([':', '.'], "-"))
}

/// A `guideway.dev` Backend with endpoints of weight 1.
pub fn backend(name: &str, endpoints: &[SocketAddr]) -> Value {
    let endpoints: Vec<Value> = endpoints
        .iter()
        .map(|endpoint| json!({"ip": endpoint.ip().to_string(), "port": endpoint.port(), "weight": 1}))
        .collect();
    json!({
        "apiVersion": "guideway.dev/v1alpha1", "kind": "Backend",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"endpoints": endpoints},
    })
}

/// A TCPRoute on listener `section` of `gateway` to one Backend.
pub fn tcp_route_to_backend(name: &str, gateway: &str, section: &str, backend: &str) -> Value {
    let mut route = tcp_route(name, gateway, section, &[]);
    route["spec"]["rules"][0]["backendRefs"] = json!([{"group": "guideway.dev", "kind": "Backend", "name": backend}]);
    route
}

/// A Gateway with these listeners, as `spec.listeners` has them.
pub fn gateway_with(name: &str, listeners: Value) -> Value {
    let mut gateway = gateway(name, &[]);
    gateway["spec"]["listeners"] = listeners;
    gateway
}

/// A route of any kind on listener `section` of `gateway` to one Backend.
pub fn route_to_backend(kind: &str, name: &str, gateway: &str, section: &str, backend: &str) -> Value {
    let mut route = tcp_route_to_backend(name, gateway, section, backend);
    route["kind"] = kind.into();
    route
}

/// A BackendTrafficPolicy for one route, with these fields beside its target.
pub fn backend_traffic_policy(name: &str, route_kind: &str, route: &str, mut fields: Value) -> Value {
    fields["targetRefs"] = json!([{"group": "gateway.networking.k8s.io", "kind": route_kind, "name": route}]);
    json!({
        "apiVersion": "guideway.dev/v1alpha1", "kind": "BackendTrafficPolicy",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": fields,
    })
}

/// A Namespace.
pub fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

/// Objects as the documents of one YAML stream.
pub fn stream(objects: &[Value]) -> String {
    objects.iter().map(|object| format!("---\n{object}\n")).collect()
}
