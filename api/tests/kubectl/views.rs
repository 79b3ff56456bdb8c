//! What kubectl shows: names, tables, wide tables, explanations.

use guideway_model::Kind;

use crate::harness::{Kubectl, MANIFESTS, manifest, path};

#[tokio::test(flavor = "multi_thread")]
async fn get_in_each_form() {
    let kubectl = Kubectl::start().await;
    let manifests = manifest(MANIFESTS);
    kubectl.ok(&["apply", "-f", path(&manifests)]).await;
    let name = kubectl.ok(&["get", "gateway", "edge", "-o", "name"]).await;
    assert_eq!(name, "gateway.gateway.networking.k8s.io/edge\n");
    let yaml = kubectl.ok(&["get", "svc", "postgres", "-o", "yaml"]).await;
    assert!(yaml.contains("\n    port: 5432\n"), "{yaml}");
    let plain = kubectl
        .ok(&["get", "gateways,tcproutes,svc,endpointslices,gc,ns", "-A"])
        .await;
    for wanted in ["edge", "postgres-1", "guideway", "default"] {
        assert!(plain.contains(wanted), "{plain}");
    }
    let all = kubectl.ok(&["get", "all", "-o", "name"]).await;
    assert!(all.contains("gateway.gateway.networking.k8s.io/edge"), "{all}");
    let paged = kubectl
        .ok(&["get", "svc,gateway", "--chunk-size=1", "-o", "name"])
        .await;
    assert_eq!(paged.lines().count(), 2);
    let nodes = kubectl.json(&["get", "nodes"]).await;
    assert_eq!(nodes["items"][0]["status"]["role"], "leader");
    let selected = kubectl
        .ok(&[
            "get",
            "endpointslices",
            "-l",
            "kubernetes.io/service-name=postgres",
            "-o",
            "name",
        ])
        .await;
    assert_eq!(selected.lines().count(), 1);
    let older = kubectl
        .json(&["get", "tcproutes.v1alpha2.gateway.networking.k8s.io", "postgres"])
        .await;
    assert_eq!(older["apiVersion"], "gateway.networking.k8s.io/v1alpha2");
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_names_fields() {
    let kubectl = Kubectl::start().await;
    for (field, part) in [
        ("tcproute.spec.rules.backendRefs", "weight\t<integer>"),
        ("service.spec.ports", "targetPort\t"),
        ("gateway.spec.listeners", "protocol\t"),
        ("backend.spec", "endpoints\t"),
        ("nodes.status", "role\t<string>"),
        ("sessions.spec", "endpoint\t<string>"),
        ("sessions.status.tcp.client", "rttUs\t<integer>"),
        ("routereviews.spec", "withObject\t<Object>"),
        ("pins.spec", "holders\t<[]"),
    ] {
        let text = kubectl.ok(&["explain", field]).await;
        assert!(text.contains(part), "{field}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_have_the_columns_that_people_know() {
    let kubectl = Kubectl::start().await;
    let manifests = manifest(MANIFESTS);
    kubectl.ok(&["apply", "-f", path(&manifests)]).await;
    kubectl.bind_listener();
    kubectl
        .ok(&["wait", "--for=condition=Programmed", "gateway/edge", "--timeout=30s"])
        .await;
    for (resource, header, cells) in [
        ("gateway", "NAME CLASS ADDRESS PROGRAMMED AGE", "edge guideway"),
        ("tcproute", "NAME PARENTS ACCEPTED AGE", "postgres edge:postgres True"),
        (
            "svc",
            "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE",
            "postgres ClusterIP <none> <none> 5432/TCP,6432/TCP",
        ),
        (
            "endpointslice",
            "NAME ADDRESSTYPE PORTS ENDPOINTS AGE",
            "postgres-1 IPv4 5432 10.0.0.1",
        ),
        (
            "gc",
            "NAME CONTROLLER ACCEPTED AGE",
            "guideway guideway.dev/gateway-controller True",
        ),
        ("ns", "NAME STATUS AGE", "default Active"),
        ("nodes", "NAME STATUS ROLE AGE VERSION", "one Ready leader"),
    ] {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let table = kubectl.ok(&["get", resource]).await;
        let mut lines = table.lines().map(words);
        assert_eq!(lines.next().as_deref(), Some(header), "{table}");
        assert!(lines.next().is_some_and(|line| line.starts_with(cells)), "{table}");
    }
    let wide = kubectl.ok(&["get", "tcproute", "-o", "wide"]).await;
    assert!(wide.contains("BACKENDS") && wide.contains("postgres:5432"), "{wide}");
    let sorted = kubectl
        .ok(&["get", "svc", "--sort-by=.metadata.name", "--show-labels", "-A"])
        .await;
    assert!(sorted.starts_with("NAMESPACE"), "{sorted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_listed_explained_and_has_a_table() {
    let kubectl = Kubectl::start().await;
    for kind in Kind::all() {
        let info = kind.info();
        let resource = match info.group {
            "" => info.plural.to_owned(),
            group => format!("{}.{group}", info.plural),
        };
        let explained = kubectl.ok(&["explain", &resource, "--recursive"]).await;
        assert!(explained.contains("metadata\t<"), "{explained}");
        let listed = kubectl.run(&["get", &resource, "-A", "-o", "wide"]).await;
        assert!(
            listed.status.success(),
            "{resource}: {}",
            String::from_utf8_lossy(&listed.stderr)
        );
    }
    let resources = kubectl.ok(&["api-resources", "-o", "name"]).await;
    let computed = [
        "events",
        "nodes.guideway.dev",
        "sessions.guideway.dev",
        "pins.guideway.dev",
        "routereviews.guideway.dev",
        "selfsubjectaccessreviews.authorization.k8s.io",
        "selfsubjectrulesreviews.authorization.k8s.io",
        "subjectaccessreviews.authorization.k8s.io",
        "localsubjectaccessreviews.authorization.k8s.io",
        "selfsubjectreviews.authentication.k8s.io",
    ];
    for name in computed {
        assert!(resources.contains(&format!("{name}\n")), "{resources}");
    }
    assert_eq!(
        resources.lines().count(),
        Kind::all().count() + computed.len(),
        "{resources}"
    );
}
