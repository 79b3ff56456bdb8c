//! Promise: plain `kubectl` works with manifests written for Kubernetes, validation included, and what is wrong with a
//! route or a listener shows in the standard's conditions.
//!
//! Needs kubectl 1.29 or newer; `KUBECTL` names it.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use guideway_chaos_tests::api::condition_of;
use guideway_chaos_tests::kubectl::Kubectl;
use guideway_chaos_tests::traffic::{self, Answer};
use guideway_chaos_tests::{Cluster, Endpoint, manifest, repository, wait};
use serde_json::Value;

#[test]
fn kubectl_applies_changes_and_deletes() {
    let cluster = Cluster::start();
    let kubectl = Kubectl::new(cluster.kubeconfig());
    manifests_written_for_kubernetes(&cluster, &kubectl);
    wrong_routes_say_what_is_wrong(&cluster, &kubectl);
    invalid_objects_are_refused_with_their_field(&kubectl);
    upstream_manifests(&kubectl);
    an_occupied_port_is_named(&cluster, &kubectl);
}

fn manifests_written_for_kubernetes(cluster: &Cluster, kubectl: &Kubectl) {
    let first = Endpoint::start("first", cluster.addresses().endpoint(0));
    let second = Endpoint::start("second", cluster.addresses().endpoint(1));
    let port = cluster.free_port();
    let shop = |service_port: &str, endpoint: SocketAddr| {
        filled(
            "shop.yaml",
            &[
                ("LISTENER_PORT", &port.to_string()),
                ("SERVICE_PORT", service_port),
                ("ENDPOINT_ADDRESS", &endpoint.ip().to_string()),
                ("ENDPOINT_PORT", &endpoint.port().to_string()),
            ],
        )
    };
    let reaches = |label: &str| {
        cluster.wait_traffic(&[0, 1, 2], port, label, |answer| *answer == Answer::Label(label.into()));
    };

    let applied = kubectl
        .apply("shop.yaml", &shop("6000", first.address()))
        .expect("applies");
    assert_eq!(applied.matches(" created").count(), 4, "{applied}");
    kubectl.must(&["wait", "--for=condition=Programmed", "gateway/shop", "--timeout=60s"]);
    reaches("first");
    let before = versions(kubectl);
    kubectl
        .apply("shop.yaml", &shop("6000", first.address()))
        .expect("applies again");
    assert_eq!(versions(kubectl), before, "the same manifest again changes nothing");

    let changed = kubectl
        .apply("shop.yaml", &shop("6001", second.address()))
        .expect("applies a change");
    for line in [
        "tcproute.gateway.networking.k8s.io/orders",
        "service/orders",
        "endpointslice.discovery.k8s.io/orders-7xk2p",
    ] {
        assert!(changed.contains(&format!("{line} configured")), "{changed}");
    }
    let after = versions(kubectl);
    let gateway = before
        .lines()
        .find(|line| line.starts_with("Gateway "))
        .expect("the Gateway is listed");
    assert!(
        after.contains(gateway),
        "what the change does not touch stays as it was: {before} {after}"
    );
    assert_eq!(after.lines().count(), 4, "{after}");
    reaches("second");
    let ports = kubectl.must(&["get", "service", "orders", "-o", "jsonpath={.spec.ports[*].port}"]);
    assert_eq!(ports, "6001", "the old port is gone, as its merge key says");

    let names = kubectl.must(&["get", "gateways,tcproutes,services,endpointslices", "-o", "name"]);
    for name in [
        "gateway.gateway.networking.k8s.io/shop",
        "tcproute.gateway.networking.k8s.io/orders",
        "service/orders",
        "endpointslice.discovery.k8s.io/orders-7xk2p",
    ] {
        assert!(names.lines().any(|line| line == name), "{name} is listed: {names}");
    }
    let json: Value = serde_json::from_str(&kubectl.must(&["get", "tcproute", "orders", "-o", "json"])).expect("JSON");
    assert!(json["status"]["parents"][0]["controllerName"].is_string(), "{json}");
    let yaml = kubectl.must(&["get", "gateway", "shop", "-o", "yaml"]);
    assert!(
        yaml.contains("kind: Gateway") && yaml.contains("attachedRoutes: 1"),
        "{yaml}"
    );
    kubectl.must(&["get", "nodes.guideway.dev", "-o", "yaml"]);
    kubectl.must(&["version"]);

    let deleted = kubectl.delete("shop.yaml");
    assert_eq!(deleted.matches(" deleted").count(), 4, "{deleted}");
    cluster.wait_traffic(&[0, 1, 2], port, "nobody", |answer| *answer == Answer::Refused);
}

/// `resourceVersion` and `generation` of each object of the shop. What `kubectl apply` prints does not tell: for kinds it has
/// no types for, it takes defaults that the server filled into lists for a difference, and says "configured".
fn versions(kubectl: &Kubectl) -> String {
    let columns = "jsonpath={range .items[*]}{.kind} {.metadata.resourceVersion} {.metadata.generation}{\"\\n\"}{end}";
    kubectl.must(&["get", "gateways,tcproutes,services,endpointslices", "-o", columns])
}

/// The route, then type, status and reason of the condition that says what is wrong.
const WRONG: [(&str, &str, &str, &str, &str); 9] = [
    ("default", "missing-service", "ResolvedRefs", "False", "BackendNotFound"),
    (
        "default",
        "missing-service-port",
        "ResolvedRefs",
        "False",
        "BackendNotFound",
    ),
    ("default", "unknown-kind", "ResolvedRefs", "False", "InvalidKind"),
    ("default", "not-granted", "ResolvedRefs", "False", "RefNotPermitted"),
    ("default", "no-such-listener", "Accepted", "False", "NoMatchingParent"),
    ("default", "no-such-port", "Accepted", "False", "NoMatchingParent"),
    (
        "default",
        "kind-not-allowed",
        "Accepted",
        "False",
        "NotAllowedByListeners",
    ),
    (
        "default",
        "not-a-tcp-listener",
        "Accepted",
        "False",
        "NotAllowedByListeners",
    ),
    (
        "elsewhere",
        "namespace-not-allowed",
        "Accepted",
        "False",
        "NotAllowedByListeners",
    ),
];

fn wrong_routes_say_what_is_wrong(cluster: &Cluster, kubectl: &Kubectl) {
    let [first, second, third] = distinct_ports(cluster);
    let ports = [
        ("SAME_NAMESPACE_PORT", first.as_str()),
        ("OTHER_KIND_PORT", second.as_str()),
        ("HTTP_PORT", third.as_str()),
    ];
    kubectl
        .apply("wrong-routes.yaml", &filled("wrong-routes.yaml", &ports))
        .expect("applies");
    let api = cluster.api(1);
    for (namespace, name, condition, status, reason) in WRONG {
        let mut route = manifest::tcp_route(name, "strict", "", &[]);
        route["metadata"]["namespace"] = namespace.into();
        let found = api.wait_parent_condition(&route, condition, status, reason);
        assert!(!found.message.is_empty(), "{name}: a sentence says what to do");
        if condition == "ResolvedRefs" {
            api.wait_parent_condition(&route, "Accepted", "True", "Accepted");
        }
    }
    let gateway = api.read(&manifest::gateway("strict", &[]));
    let generation = &gateway["metadata"]["generation"];
    let listener = |name: &str| {
        let listeners = gateway["status"]["listeners"].as_array().cloned().unwrap_or_default();
        listeners
            .into_iter()
            .find(|listener| listener["name"] == name)
            .unwrap_or_default()
    };
    let http = condition_of(&listener("http")["conditions"], "Accepted", generation).expect("is set");
    assert_eq!(
        (http.status.as_str(), http.reason.as_str()),
        ("False", "UnsupportedProtocol")
    );
    let kinds = condition_of(&listener("other-kind")["conditions"], "ResolvedRefs", generation).expect("is set");
    assert_eq!(
        (kinds.status.as_str(), kinds.reason.as_str()),
        ("False", "InvalidRouteKinds")
    );
    let partly = condition_of(&gateway["status"]["conditions"], "Accepted", generation).expect("is set");
    assert_eq!(
        (partly.status.as_str(), partly.reason.as_str()),
        ("True", "ListenersNotValid")
    );
    assert_eq!(
        listener("same-namespace")["attachedRoutes"],
        4,
        "unresolved routes count, refused ones do not"
    );
    kubectl.delete("wrong-routes.yaml");
}

/// A manifest that breaks one rule, and the field that the refusal names.
const INVALID: [(&str, &str); 5] = [
    ("spec: {parentRefs: [{name: g}], rules: []}", "spec.rules"),
    (
        "spec: {parentRefs: [{name: g}], rules: [{backendRefs: [{name: s, port: 80, weight: -1}]}]}",
        "spec.rules[0].backendRefs[0].weight",
    ),
    (
        "spec: {parentRefs: [{name: g}], rules: [{backendRefs: [{name: s, port: 70000}]}]}",
        "spec.rules[0].backendRefs[0].port",
    ),
    (
        "spec: {parentRefs: [{name: g}], rules: [{backendRefs: [{name: s}]}]}",
        "spec.rules[0].backendRefs[0]",
    ),
    (
        "spec: {parentRefs: [{name: g}, {name: g}], rules: [{backendRefs: [{name: s, port: 80}]}]}",
        "spec.parentRefs",
    ),
];

fn invalid_objects_are_refused_with_their_field(kubectl: &Kubectl) {
    for (spec, field) in INVALID {
        let text =
            format!("apiVersion: gateway.networking.k8s.io/v1\nkind: TCPRoute\nmetadata: {{name: invalid}}\n{spec}\n");
        let failure = kubectl.apply("invalid.yaml", &text).expect_err(spec);
        assert!(failure.contains(field), "{spec}: {field} is named in: {failure}");
    }
    let misspelt = "apiVersion: v1\nkind: Service\nmetadata: {name: invalid}\nspec: {ports: [{prot: TCP, port: 80}]}\n";
    let failure = kubectl
        .apply("misspelt.yaml", misspelt)
        .expect_err("a field that does not exist");
    assert!(failure.contains("prot"), "the unknown field is named in: {failure}");
}

/// Gateway API's own manifests, where a checkout of them is at hand; `GATEWAY_API_MANIFESTS` names the folder.
#[expect(clippy::print_stdout, reason = "the runner shows that an optional part was left out")]
fn upstream_manifests(kubectl: &Kubectl) {
    let folder = std::env::var_os("GATEWAY_API_MANIFESTS")
        .map_or_else(|| repository::root().join("../shared/gateway-api"), PathBuf::from);
    let Ok(entries) = std::fs::read_dir(folder.join("must-reject/standard/gateway")) else {
        println!("no Gateway API manifests at {}: left out", folder.display());
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let text = std::fs::read_to_string(&path).expect("readable");
        let outcome = kubectl.apply("must-reject.yaml", &text);
        assert!(outcome.is_err(), "{} must be refused: {outcome:?}", path.display());
    }
    for name in ["gateway.yaml", "tcp-route.yaml"] {
        let text = std::fs::read_to_string(folder.join("examples/standard/tcp-routing").join(name)).expect("readable");
        kubectl
            .apply(name, &text)
            .unwrap_or_else(|failure| panic!("{name} must be taken: {failure}"));
        kubectl.delete(name);
    }
}

fn an_occupied_port_is_named(cluster: &Cluster, kubectl: &Kubectl) {
    let port = cluster.free_port();
    let occupied = cluster.listener(1, port);
    let occupier = TcpListener::bind(occupied).expect("the port was free");
    let gateway = manifest::gateway("occupied", &[("main", port)]);
    kubectl.apply("occupied.yaml", &gateway.to_string()).expect("applies");
    let condition = cluster.api(0).wait_condition(&gateway, "Programmed", "False");
    let node = &cluster.node(1).name;
    let found = wait::until("the condition names node, address and errno", || {
        let condition = cluster.api(0).wait_condition(&gateway, "Programmed", "False");
        let all = [node.as_str(), &occupied.to_string(), "EADDRINUSE"];
        if all.iter().all(|part| condition.message.contains(part)) {
            Ok(condition)
        } else {
            Err(format!("{condition:?}"))
        }
    });
    assert!(!found.reason.is_empty(), "{condition:?}");
    // The other nodes listen all the same; without a route they take connections and close them.
    cluster.wait_traffic(&[0, 2], port, "a listener without route", |answer| {
        *answer == Answer::Rejected
    });
    drop(occupier);
    kubectl.must(&[
        "wait",
        "--for=condition=Programmed",
        "gateway/occupied",
        "--timeout=60s",
    ]);
    let answer = traffic::ask(occupied, cluster.addresses().client(0)).expect("connects");
    assert_eq!(answer, Answer::Rejected, "the node listens now");
    kubectl.delete("occupied.yaml");
}

fn distinct_ports<const COUNT: usize>(cluster: &Cluster) -> [String; COUNT] {
    let mut ports: Vec<String> = Vec::new();
    while ports.len() < COUNT {
        let port = cluster.free_port().to_string();
        if !ports.contains(&port) {
            ports.push(port);
        }
    }
    ports.try_into().expect("as many as asked for")
}

/// A manifest of this crate with its `@NAMES@` replaced.
fn filled(name: &str, values: &[(&str, &str)]) -> String {
    let path = repository::root().join("chaos-tests/manifests").join(name);
    let mut text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for (key, value) in values {
        text = text.replace(&format!("@{key}@"), value);
    }
    assert!(!text.contains('@'), "every placeholder of {name} has a value");
    text
}
