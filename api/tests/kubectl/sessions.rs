//! Sessions with kubectl: lists, tables, watches, deletes.

use std::process::Stdio;

use guideway_model::NodeId;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;

use crate::harness::{DEADLINE, Kubectl, MANIFESTS, manifest, path};

fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_shown_and_closed() {
    let kubectl = Kubectl::start().await;
    let live = &kubectl.server.cluster.live;
    let first = live.add(1, "10.1.0.1:1001", "10.0.0.1:80");
    let second = live.add(1, "10.1.0.2:1002", "10.0.0.2:80");
    let table = kubectl.ok(&["get", "sessions"]).await;
    let lines: Vec<String> = table.lines().map(words).collect();
    assert_eq!(
        lines[0],
        "NAME NODE PROTO CLIENT LISTENER ROUTE ENDPOINT STATE AGE IN OUT"
    );
    let row = "one TCP 10.1.0.1:1001 edge/postgres default/postgres 10.0.0.1:80 Established 90s 1.5Ki 19Mi";
    assert_eq!(lines[1], format!("{first} {row}"));
    let wide = kubectl
        .ok(&[
            "get",
            "sessions",
            "-A",
            "-o",
            "wide",
            "--field-selector",
            "spec.endpoint=10.0.0.1:80",
        ])
        .await;
    let lines: Vec<String> = wide.lines().map(words).collect();
    assert_eq!(lines.len(), 2, "{wide}");
    assert!(
        lines[0].starts_with("NAMESPACE NAME NODE") && lines[0].ends_with("SNI ALPN WHY IDLE"),
        "{wide}"
    );
    assert!(lines[1].starts_with(&format!("default {first}")), "{wide}");
    let described = kubectl.ok(&["describe", "session", &first]).await;
    assert!(
        described.contains("Rtt Us:") && described.contains("10.1.0.1:1001"),
        "{described}"
    );

    let tried = kubectl.ok(&["delete", "session", &first, "--dry-run=server"]).await;
    assert!(tried.contains("(server dry run)"), "{tried}");
    assert_eq!(live.names().len(), 2);
    let deleted = kubectl.ok(&["delete", "session", &first]).await;
    assert_eq!(deleted.trim(), format!("session.guideway.dev \"{first}\" deleted"));
    assert_eq!(live.names(), std::slice::from_ref(&second));
    kubectl
        .ok(&["delete", "sessions", "--field-selector", "spec.client=10.1.0.2"])
        .await;
    assert!(live.names().is_empty());
    let gone = kubectl.fails(&["delete", "session", &second]).await;
    assert!(gone.contains("NotFound"), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_prints_which_nodes_did_not_answer() {
    let kubectl = Kubectl::start().await;
    kubectl.server.cluster.join("two");
    let live = &kubectl.server.cluster.live;
    live.add(1, "10.1.0.1:1001", "10.0.0.1:80");
    live.silent.lock().expect("lock").push(NodeId(2));
    let listed = kubectl.run(&["get", "sessions"]).await;
    assert!(listed.status.success());
    let complaint = String::from_utf8_lossy(&listed.stderr);
    assert!(
        complaint.contains("Warning: no answer from two: their sessions are missing"),
        "{complaint}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_is_created_and_answered() {
    let kubectl = Kubectl::start().await;
    let manifests = manifest(MANIFESTS);
    kubectl.ok(&["apply", "-f", path(&manifests)]).await;
    let review = manifest(
        "apiVersion: guideway.dev/v1alpha1\nkind: RouteReview\nmetadata: {name: why}\n\
         spec: {gateway: edge, listener: postgres, client: '192.0.2.7:50000'}\n",
    );
    let answer = kubectl.ok(&["create", "-f", path(&review), "-o", "yaml"]).await;
    assert!(
        answer.contains("endpoint: 10.0.0.1:5432") && answer.contains("reason: table"),
        "{answer}"
    );
    let faulty = manifest(
        "apiVersion: guideway.dev/v1alpha1\nkind: RouteReview\nmetadata: {name: why}\nspec: {gateway: edge}\n",
    );
    let complaint = kubectl.fails(&["create", "-f", path(&faulty)]).await;
    assert!(
        complaint.contains("spec.client") && complaint.contains("spec.listener"),
        "{complaint}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_that_is_only_tried_says_what_it_would_do() {
    let kubectl = Kubectl::start().await;
    let manifests = manifest(MANIFESTS);
    kubectl.ok(&["apply", "-f", path(&manifests)]).await;
    let changed = manifest(&MANIFESTS.replace("[10.0.0.1]", "[10.0.0.2]"));
    let tried = kubectl.run(&["apply", "--dry-run=server", "-f", path(&changed)]).await;
    assert!(tried.status.success());
    let warnings = String::from_utf8_lossy(&tried.stderr);
    assert!(
        warnings.contains("Warning: default/postgres: 100.0 % of the rows"),
        "{warnings}"
    );
    let same = kubectl.ok(&["apply", "--dry-run=server", "-f", path(&manifests)]).await;
    assert!(same.contains("(server dry run)"), "{same}");
}

#[tokio::test(flavor = "multi_thread")]
async fn drains_are_shown_and_waited_for() {
    let kubectl = Kubectl::start().await;
    let drain = manifest(
        "apiVersion: guideway.dev/v1alpha1\nkind: Drain\nmetadata: {name: x}\n\
         spec: {target: {endpoint: {ip: 10.0.0.1, port: 80}}}\n",
    );
    kubectl.ok(&["apply", "-f", path(&drain)]).await;
    let table = kubectl.ok(&["get", "drains"]).await;
    let lines: Vec<String> = table.lines().map(words).collect();
    assert_eq!(lines[0], "NAME TARGET PHASE REMAINING DEADLINE AGE");
    assert!(
        lines[1].starts_with("x 10.0.0.1:80 Draining <unknown> <none>"),
        "{table}"
    );
    let cluster = &kubectl.server.cluster;
    let reported = async {
        let key = guideway_model::ObjectKey {
            kind: guideway_model::Kind::Drain,
            namespace: String::new(),
            name: "x".to_owned(),
        };
        let uid = cluster.state().get(&key).expect("a drain").meta().uid.clone();
        cluster.apply(guideway_model::Command::ReportDrain {
            name: "x".to_owned(),
            uid,
            remaining: [(NodeId(1), 0)].into(),
        });
    };
    let wait = kubectl.ok(&["wait", "--for=condition=Drained", "drain/x", "--timeout=30s"]);
    let (waited, ()) = tokio::join!(wait, reported);
    assert!(waited.contains("condition met"), "{waited}");
    let table = kubectl.ok(&["get", "drains"]).await;
    assert!(words(&table).contains("x 10.0.0.1:80 Drained 0 <none>"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_followed() {
    let kubectl = Kubectl::start().await;
    let live = &kubectl.server.cluster.live;
    let first = live.add(1, "10.1.0.1:1001", "10.0.0.1:80");
    let mut watching = kubectl
        .command(&["get", "sessions", "--watch", "--output-watch-events"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(watching.stdout.take().expect("piped")).lines();
    let mut next = async || {
        let line = timeout(DEADLINE, lines.next_line()).await.expect("in time");
        words(&line.expect("read").expect("the watch goes on"))
    };
    assert!(next().await.starts_with("EVENT NAME NODE PROTO"));
    assert!(
        next()
            .await
            .starts_with(&format!("ADDED {first} one TCP 10.1.0.1:1001"))
    );
    let second = live.add(1, "10.1.0.2:1002", "10.0.0.2:80");
    assert!(
        next()
            .await
            .starts_with(&format!("ADDED {second} one TCP 10.1.0.2:1002"))
    );
    live.end(&first, "drained");
    let closed = next().await;
    assert!(
        closed.starts_with(&format!("DELETED {first}")) && closed.contains("Closed: drained"),
        "{closed}"
    );
    watching.kill().await.expect("killed");
}
