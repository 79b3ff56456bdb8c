//! Everyday work: apply, change, wait, follow, patch, edit, delete, and faults that are named.

use std::process::Stdio;

use guideway_model::{Kind, ObjectKey};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;

use crate::harness::{DEADLINE, Kubectl, MANIFESTS, manifest, path};

#[tokio::test(flavor = "multi_thread")]
async fn apply_change_apply_delete() {
    let kubectl = Kubectl::start().await;
    let first = manifest(MANIFESTS);
    let created = kubectl.ok(&["apply", "-f", path(&first)]).await;
    assert_eq!(created.matches(" created\n").count(), 4, "{created}");

    let changed = MANIFESTS
        .replace("port: 5432\n    targetPort", "port: 5433\n    targetPort")
        .replace("      port: 5432", "      port: 5433")
        .replace("10.0.0.1", "10.0.0.2");
    let second = manifest(&changed);
    let configured = kubectl.ok(&["apply", "-f", path(&second)]).await;
    assert!(configured.contains("service/postgres configured"), "{configured}");
    assert!(
        configured.contains("endpointslice.discovery.k8s.io/postgres-1 configured"),
        "{configured}"
    );

    let service = kubectl.json(&["get", "service", "postgres"]).await;
    let ports = service["spec"]["ports"].as_array().expect("ports");
    let numbers: Vec<_> = ports.iter().map(|port| &port["port"]).collect();
    assert_eq!(numbers, [5433, 6432]);
    let slice = kubectl.json(&["get", "endpointslice", "postgres-1"]).await;
    assert_eq!(slice["endpoints"][0]["addresses"][0], "10.0.0.2");
    let route = kubectl.json(&["get", "tcproute", "postgres"]).await;
    assert_eq!(route["spec"]["rules"][0]["backendRefs"][0]["port"], 5433);

    let again = kubectl.ok(&["apply", "-f", path(&second)]).await;
    assert!(again.contains("service/postgres unchanged"), "{again}");
    let unchanged = kubectl.json(&["get", "service", "postgres"]).await;
    assert_eq!(unchanged, service);

    let deleted = kubectl.ok(&["delete", "-f", path(&second)]).await;
    assert_eq!(deleted.matches(" deleted").count(), 4, "{deleted}");
    let gone = kubectl.fails(&["get", "service", "postgres"]).await;
    assert!(
        gone.contains("Error from server (NotFound): services \"postgres\" not found"),
        "{gone}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_for_a_condition() {
    let kubectl = Kubectl::start().await;
    let manifests = manifest(MANIFESTS);
    kubectl.ok(&["apply", "-f", path(&manifests)]).await;
    let wait = ["wait", "--for=condition=Programmed", "gateway/edge", "--timeout=30s"];
    let ahead = kubectl
        .fails(&["wait", "--for=condition=Programmed", "gateway/edge", "--timeout=1s"])
        .await;
    assert!(ahead.contains("timed out waiting for the condition"), "{ahead}");
    let (met, ()) = tokio::join!(kubectl.ok(&wait), async { kubectl.bind_listener() });
    assert!(met.contains("condition met"), "{met}");
    let (gone, _) = tokio::join!(
        kubectl.ok(&["wait", "--for=delete", "gateway/edge", "--timeout=30s"]),
        kubectl.ok(&["delete", "gateway", "edge"])
    );
    assert!(gone.is_empty() || gone.contains("condition met"), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn follow_changes() {
    let kubectl = Kubectl::start().await;
    let mut watching = kubectl
        .command(&["get", "services", "--watch", "-o", "name"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(watching.stdout.take().expect("piped")).lines();
    let manifests = manifest(MANIFESTS);
    kubectl.ok(&["apply", "-f", path(&manifests)]).await;
    for change in [None, Some("a=b"), Some("a=c")] {
        if let Some(label) = change {
            kubectl
                .ok(&["label", "--overwrite", "service", "postgres", label])
                .await;
        }
        let line = timeout(DEADLINE, lines.next_line())
            .await
            .expect("in time")
            .expect("read");
        assert_eq!(line.as_deref(), Some("service/postgres"));
    }
    // A server that stops ends its watches; kubectl then ends too.
    kubectl.server.stop().await;
    let ended = timeout(DEADLINE, watching.wait()).await.expect("in time");
    ended.expect("waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_named() {
    let kubectl = Kubectl::start().await;
    let unknown = manifest(&MANIFESTS.replace("targetPort: 5432", "targetPort: 5432\n    frobnicate: 1"));
    for command in ["create", "apply"] {
        let fault = kubectl.fails(&[command, "-f", path(&unknown)]).await;
        assert!(fault.contains("unknown field \"spec.ports[0].frobnicate\""), "{fault}");
    }
    let invalid = manifest(&MANIFESTS.replace(
        "protocol: TCP\n---",
        "protocol: TCP\n  - {name: b, port: 0, protocol: TCP}\n---",
    ));
    let fault = kubectl.fails(&["create", "-f", path(&invalid)]).await;
    assert!(fault.contains("spec.listeners[1].port"), "{fault}");
    let fault = kubectl.fails(&["apply", "--server-side", "-f", path(&invalid)]).await;
    assert!(fault.contains("spec.listeners[1].port"), "{fault}");
    kubectl.ok(&["create", "namespace", "other"]).await;
    let warned = kubectl
        .run(&["create", "--validate=warn", "-n", "other", "-f", path(&unknown)])
        .await;
    let warnings = String::from_utf8_lossy(&warned.stderr);
    assert!(
        warned.status.success() && warnings.contains("unknown field \"spec.ports[0].frobnicate\""),
        "{warnings}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn other_everyday_commands() {
    let kubectl = Kubectl::start().await;
    // Newer clients send these two as protobuf.
    kubectl.ok(&["create", "namespace", "shop"]).await;
    kubectl
        .ok(&["create", "service", "clusterip", "cart", "--tcp=80:8080", "-n", "shop"])
        .await;
    let cart = kubectl.json(&["get", "service", "cart", "-n", "shop"]).await;
    assert_eq!(cart["spec"]["ports"][0]["targetPort"], 8080);

    let manifests = manifest(MANIFESTS);
    let rehearsed = kubectl.ok(&["apply", "--dry-run=server", "-f", path(&manifests)]).await;
    assert_eq!(rehearsed.matches("created (server dry run)").count(), 4, "{rehearsed}");
    kubectl.ok(&["apply", "-f", path(&manifests)]).await;
    kubectl.ok(&["annotate", "gateway", "edge", "note=x"]).await;
    kubectl
        .ok(&[
            "patch",
            "service",
            "postgres",
            "-p",
            r#"{"spec":{"ports":[{"port":6432,"$patch":"delete"}]}}"#,
        ])
        .await;
    kubectl
        .ok(&[
            "patch",
            "gateway",
            "edge",
            "--type=json",
            "-p",
            r#"[{"op":"remove","path":"/metadata/annotations/note"}]"#,
        ])
        .await;
    kubectl.ok(&["replace", "-f", path(&manifests)]).await;
    kubectl.ok(&["describe", "gateway", "edge"]).await;
    let resources = kubectl.ok(&["api-resources"]).await;
    assert!(resources.contains("tcproutes"), "{resources}");
    assert_eq!(kubectl.ok(&["get", "--raw", "/readyz"]).await, "ok");
    kubectl.ok(&["delete", "services", "--all"]).await;
    kubectl.ok(&["delete", "namespace", "shop"]).await;
    let key = ObjectKey {
        kind: Kind::Service,
        namespace: "shop".to_owned(),
        name: "cart".to_owned(),
    };
    assert_eq!(kubectl.server.cluster.state().get(&key), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn edit_and_describe() {
    let kubectl = Kubectl::start().await;
    let manifests = manifest(MANIFESTS);
    kubectl.ok(&["apply", "-f", path(&manifests)]).await;
    let output = kubectl
        .command(&["edit", "service", "postgres"])
        .env("KUBE_EDITOR", "sed -i s/6432/7432/")
        .output()
        .await
        .expect("run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let service = kubectl.json(&["get", "service", "postgres"]).await;
    assert_eq!(service["spec"]["ports"][1]["port"], 7432);
    for (kind, name, part) in [
        ("gateway", "edge", "Gateway Class Name:"),
        ("tcproute", "postgres", "Backend Refs:"),
        ("service", "postgres", "7432/TCP"),
        ("endpointslice", "postgres-1", "10.0.0.1"),
        ("namespace", "default", "Active"),
    ] {
        let described = kubectl.ok(&["describe", kind, name]).await;
        assert!(described.contains(part), "{described}");
    }
    let same = kubectl.run(&["diff", "-f", path(&manifests)]).await;
    assert_eq!(same.status.code(), Some(1));
    let listed = kubectl
        .ok(&["api-resources", "--api-group=gateway.networking.k8s.io", "-o", "wide"])
        .await;
    assert!(
        listed.contains("tcproutes") && listed.contains("TCPRoute") && listed.contains("patch"),
        "{listed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_and_bundles() {
    let kubectl = Kubectl::start().await;
    let file = |name: &str| format!("{}/../model/testdata/certificates/{name}", env!("CARGO_MANIFEST_DIR"));
    let (certificate, key) = (
        format!("--cert={}", file("p256.crt")),
        format!("--key={}", file("p256.pkcs8.key")),
    );
    kubectl
        .ok(&["create", "secret", "tls", "edge", &certificate, &key])
        .await;
    let secret = kubectl.json(&["get", "secret", "edge"]).await;
    assert_eq!(secret["type"], "kubernetes.io/tls");
    assert!(secret["data"]["tls.crt"].is_string() && secret["data"]["tls.key"].is_string());
    kubectl
        .ok(&["create", "secret", "generic", "word", "--from-literal=a=b"])
        .await;
    let bundle = format!("--from-file=ca.crt={}", file("p256.crt"));
    kubectl.ok(&["create", "configmap", "bundle", &bundle]).await;
    let tables = kubectl.ok(&["get", "secrets,configmaps"]).await;
    assert!(
        tables.contains("kubernetes.io/tls") && tables.contains("configmap/bundle"),
        "{tables}"
    );
    let described = kubectl.ok(&["describe", "secret", "edge"]).await;
    assert!(
        described.contains("tls.key:") && !described.contains("PRIVATE KEY"),
        "{described}"
    );
}
