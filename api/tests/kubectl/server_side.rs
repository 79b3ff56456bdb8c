//! Server-side apply as kubectl does it: conflicts, force, diff, and the way from client-side apply and back.

use serde_json::Value;

use crate::harness::{Kubectl, MANIFESTS, manifest, path};

#[tokio::test(flavor = "multi_thread")]
async fn server_side_apply_and_its_conflicts() {
    let kubectl = Kubectl::start().await;
    let first = manifest(MANIFESTS);
    let applied = kubectl.ok(&["apply", "--server-side", "-f", path(&first)]).await;
    assert_eq!(applied.matches(" serverside-applied\n").count(), 4, "{applied}");
    let before = kubectl.json(&["get", "service", "postgres"]).await;
    kubectl.ok(&["apply", "--server-side", "-f", path(&first)]).await;
    assert_eq!(kubectl.json(&["get", "service", "postgres"]).await, before);
    // The entries are not in the way of people.
    let yaml = kubectl.ok(&["get", "service", "postgres", "-o", "yaml"]).await;
    assert!(!yaml.contains("managedFields"), "{yaml}");
    let shown = ["get", "service", "postgres", "-o", "yaml", "--show-managed-fields"];
    assert!(kubectl.ok(&shown).await.contains("manager: kubectl\n"));

    let changed = manifest(&MANIFESTS.replace("targetPort: 5432", "targetPort: 15432"));
    let other = ["apply", "--server-side", "--field-manager=other", "-f", path(&changed)];
    let conflict = kubectl.fails(&other).await;
    assert!(
        conflict.contains(
            "Apply failed with 1 conflict: conflict with \"kubectl\": \
             .spec.ports[port=5432,protocol=\"TCP\"].targetPort"
        ),
        "{conflict}"
    );
    kubectl.ok(&[&other[..], &["--force-conflicts"]].concat()).await;
    let service = kubectl.json(&["get", "service", "postgres"]).await;
    assert_eq!(service["spec"]["ports"][0]["targetPort"], 15432);
    let rehearsed = kubectl
        .ok(&[
            "apply",
            "--server-side",
            "--force-conflicts",
            "--dry-run=server",
            "-f",
            path(&first),
        ])
        .await;
    assert!(rehearsed.contains("serverside-applied (server dry run)"), "{rehearsed}");
    let difference = kubectl
        .run(&["diff", "--server-side", "--force-conflicts", "-f", path(&first)])
        .await;
    assert_eq!(
        difference.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&difference.stderr)
    );
    let difference = String::from_utf8_lossy(&difference.stdout).into_owned();
    assert!(
        difference.contains("-    targetPort: 15432") && difference.contains("+    targetPort: 5432"),
        "{difference}"
    );
    let same = kubectl
        .run(&["diff", "--server-side", "--field-manager=other", "-f", path(&changed)])
        .await;
    assert_eq!(same.status.code(), Some(0), "{}", String::from_utf8_lossy(&same.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn server_side_apply_takes_over_from_client_side_apply() {
    let kubectl = Kubectl::start().await;
    let first = manifest(MANIFESTS);
    kubectl.ok(&["apply", "-f", path(&first)]).await;
    let changed = MANIFESTS.replace("targetPort: 5432", "targetPort: 15432");
    let changed = manifest(&changed.replace("  - name: spare\n    port: 6432\n", ""));
    kubectl.ok(&["apply", "--server-side", "-f", path(&changed)]).await;
    let shown = ["get", "service", "postgres", "--show-managed-fields"];
    let service = kubectl.json(&shown).await;
    let ports = service["spec"]["ports"].as_array().expect("ports");
    assert_eq!(
        (ports.len(), &ports[0]["targetPort"]),
        (1, &Value::from(15432)),
        "{service}"
    );
    let entries = service["metadata"]["managedFields"].as_array().expect("entries");
    assert!(
        entries
            .iter()
            .all(|entry| entry["manager"] != "kubectl-client-side-apply"),
        "{entries:?}"
    );
    // And back.
    kubectl.ok(&["apply", "-f", path(&first)]).await;
    let service = kubectl.json(&shown).await;
    assert_eq!(service["spec"]["ports"].as_array().map(Vec::len), Some(2), "{service}");
}
