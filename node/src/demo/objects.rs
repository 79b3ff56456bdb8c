//! What a demo applies through the API, as a user would: a Backend, a TCPRoute and a Gateway.

use serde_json::{Value, json};

use super::endpoints::Endpoints;
use super::layout::LISTENER_PORT;

/// Name of the Gateway, the TCPRoute and the Backend.
const NAME: &str = "demo";

/// Path of the collection and the object, in the order in which they are applied: the Gateway last, so that its
/// listener never accepts a session for which there is no route.
pub(super) fn all(endpoints: &Endpoints) -> [(&'static str, Value); 3] {
    let addresses: Vec<Value> = endpoints
        .all
        .iter()
        .map(|(_, address)| json!({"ip": address.ip(), "port": address.port()}))
        .collect();
    [
        (
            "/apis/guideway.dev/v1alpha1/namespaces/default/backends",
            json!({
                "apiVersion": "guideway.dev/v1alpha1",
                "kind": "Backend",
                "metadata": {"name": NAME, "namespace": "default"},
                "spec": {"endpoints": addresses}
            }),
        ),
        (
            "/apis/gateway.networking.k8s.io/v1/namespaces/default/tcproutes",
            json!({
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "TCPRoute",
                "metadata": {"name": NAME, "namespace": "default"},
                "spec": {
                    "parentRefs": [{"name": NAME, "sectionName": "tcp"}],
                    "rules": [{"backendRefs": [{"group": "guideway.dev", "kind": "Backend", "name": NAME}]}]
                }
            }),
        ),
        (
            "/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways",
            json!({
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "Gateway",
                "metadata": {"name": NAME, "namespace": "default"},
                "spec": {
                    "gatewayClassName": "guideway",
                    "listeners": [{"name": "tcp", "protocol": "TCP", "port": LISTENER_PORT}]
                }
            }),
        ),
    ]
}
