//! Who one is and what one may do, as kubectl asks.

use crate::harness::{Kubectl, manifest, path};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoami_and_can_i() {
    let kubectl = Kubectl::start().await;
    let root = kubectl.ok(&["auth", "whoami"]).await;
    assert!(root.contains("root") && root.contains("system:masters"), "{root}");
    assert_eq!(kubectl.ok(&["auth", "can-i", "delete", "secrets", "-A"]).await, "yes\n");
    kubectl.ok(&["create", "namespace", "shop"]).await;
    kubectl
        .ok(&[
            "create",
            "rolebinding",
            "jane",
            "--clusterrole=edit",
            "--user=jane",
            "-n",
            "shop",
        ])
        .await;
    let rules = ["--verb=get,list", "--resource=nodes.guideway.dev"];
    kubectl
        .ok(&[&["create", "clusterrole", "looker"], &rules[..]].concat())
        .await;
    kubectl
        .ok(&[
            "create",
            "clusterrolebinding",
            "look",
            "--clusterrole=looker",
            "--group=lookers",
        ])
        .await;
    let jane = ["--as=jane", "--as-group=lookers"];
    let may = |arguments: &'static [&'static str]| [&["auth", "can-i"], arguments, &jane[..]].concat();
    assert_eq!(kubectl.ok(&may(&["create", "gateways", "-n", "shop"])).await, "yes\n");
    let no = kubectl.run(&may(&["create", "gateways", "-n", "default"])).await;
    assert_eq!((no.status.code(), no.stdout.as_slice()), (Some(1), b"no\n".as_slice()));
    kubectl.ok(&[&["get", "nodes.guideway.dev"], &jane[..]].concat()).await;
    let list = kubectl.ok(&may(&["--list", "-n", "shop"])).await;
    assert!(
        list.contains("secrets") && list.contains("nodes.guideway.dev"),
        "{list}"
    );
    let refused = kubectl.fails(&["get", "secrets", "-n", "default", "--as=jane"]).await;
    assert!(refused.contains("user \"jane\" may not list secrets"), "{refused}");
}

/// kubectl merges changes of roles by a strategic merge patch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_are_applied_and_applied_again() {
    let kubectl = Kubectl::start().await;
    let role = |verbs: &str| {
        manifest(&format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: r}}\n\
             rules:\n- apiGroups: ['']\n  resources: [configmaps]\n  verbs: [{verbs}]\n"
        ))
    };
    for (verbs, done) in [
        ("get", "created"),
        ("get, list", "configured"),
        ("get, list", "unchanged"),
    ] {
        let file = role(verbs);
        let said = kubectl.ok(&["apply", "-f", path(&file)]).await;
        assert_eq!(said, format!("role.rbac.authorization.k8s.io/r {done}\n"));
    }
    let stored = kubectl.json(&["get", "role", "r"]).await;
    assert_eq!(stored["rules"][0]["verbs"], serde_json::json!(["get", "list"]));
    assert!(
        kubectl
            .ok(&["describe", "clusterrole", "view"])
            .await
            .contains("gateways.gateway.networking.k8s.io")
    );
}
