//! The real kubectl against the real router. Needs kubectl 1.29 or newer in `PATH`, or named by `KUBECTL`; without one
//! these tests fail, because nothing else shows that kubectl works unchanged.

#[path = "rest/cluster.rs"]
mod cluster;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use cluster::Server;
use guideway_model::node::{BindAddress, BindResult, Protocol, SocketKey};
use guideway_model::{Command as Change, Incarnation, Kind, NodeId, ObjectKey};
use serde_json::Value;
use tempfile::{NamedTempFile, TempDir};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

/// Oldest minor version of kubectl that is promised to work.
const OLDEST_MINOR: u64 = 29;
/// Far more than any command takes.
const DEADLINE: Duration = Duration::from_secs(60);

const MANIFESTS: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: edge
spec:
  gatewayClassName: guideway
  listeners:
  - name: postgres
    port: 5432
    protocol: TCP
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata:
  name: postgres
spec:
  parentRefs:
  - name: edge
    sectionName: postgres
  rules:
  - backendRefs:
    - name: postgres
      port: 5432
---
apiVersion: v1
kind: Service
metadata:
  name: postgres
spec:
  ports:
  - name: main
    port: 5432
    targetPort: 5432
  - name: spare
    port: 6432
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: postgres-1
  labels:
    kubernetes.io/service-name: postgres
addressType: IPv4
endpoints:
- addresses: [10.0.0.1]
ports:
- name: main
  port: 5432
  protocol: TCP
";

/// kubectl with a configuration and a home of its own, for one server.
struct Kubectl {
    program: PathBuf,
    home: TempDir,
    server: Server,
}

impl Kubectl {
    async fn start() -> Kubectl {
        let program = PathBuf::from(std::env::var_os("KUBECTL").unwrap_or_else(|| "kubectl".into()));
        let server = Server::start().await;
        let home = TempDir::new().expect("folder");
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             clusters: [{{name: test, cluster: {{server: 'http://{}'}}}}]\n\
             users: [{{name: test, user: {{}}}}]\n\
             contexts: [{{name: test, context: {{cluster: test, user: test}}}}]\n",
            server.address
        );
        std::fs::write(home.path().join("config"), config).expect("written");
        let kubectl = Kubectl { program, home, server };
        kubectl.check_version().await;
        kubectl
    }

    async fn check_version(&self) {
        let wanted = format!(
            "these tests need kubectl 1.{OLDEST_MINOR} or newer: install it (https://kubernetes.io/docs/tasks/tools/) so \
             that it is in PATH, or name it in the environment variable KUBECTL"
        );
        let output = self.command(&["version", "--client", "-o", "json"]).output().await;
        let output = output.unwrap_or_else(|error| panic!("{:?} does not run: {error}; {wanted}", self.program));
        let version: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let minor = version["clientVersion"]["minor"].as_str().unwrap_or_default();
        let minor: u64 = minor.trim_end_matches('+').parse().unwrap_or_default();
        assert!(
            minor >= OLDEST_MINOR,
            "{:?} has minor version {minor}; {wanted}",
            self.program
        );
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.home.path().join("config"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let output = timeout(DEADLINE, self.command(arguments).output()).await;
        output.expect("finished in time").expect("run")
    }

    /// What a command prints that must succeed, without a word of complaint.
    async fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && complaint.is_empty(),
            "{arguments:?}: {complaint}"
        );
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// What a command says that must fail.
    async fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert!(!output.status.success(), "{arguments:?} succeeded");
        String::from_utf8(output.stderr).expect("UTF-8")
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let text = self.ok(&[arguments, &["-o", "json"]].concat()).await;
        serde_json::from_str(&text).expect("JSON")
    }

    /// Reports the listener of the manifests as bound on the only node, as its data plane would.
    fn bind_listener(&self) {
        let cluster = &self.server.cluster;
        let node = NodeId(1);
        let incarnation = Incarnation(1);
        let facts = cluster.state().node(node).expect("the only node").facts.clone();
        cluster.apply(Change::NodeUp {
            node,
            incarnation,
            facts,
        });
        let socket = SocketKey {
            protocol: Protocol::Tcp,
            address: BindAddress::NodeDefault,
            port: 5432,
        };
        cluster.apply(Change::ReportBinds {
            node,
            incarnation,
            binds: vec![(socket, Some(BindResult::Bound))],
        });
    }
}

fn manifest(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".yaml").expect("file");
    file.write_all(text.as_bytes()).expect("written");
    file
}

fn path(file: &NamedTempFile) -> &str {
    file.path().to_str().expect("UTF-8")
}

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
async fn explain_names_fields() {
    let kubectl = Kubectl::start().await;
    for (field, part) in [
        ("tcproute.spec.rules.backendRefs", "weight\t<integer>"),
        ("service.spec.ports", "targetPort\t"),
        ("gateway.spec.listeners", "protocol\t"),
        ("backend.spec", "endpoints\t"),
        ("nodes.status", "role\t<string>"),
    ] {
        let text = kubectl.ok(&["explain", field]).await;
        assert!(text.contains(part), "{field}: {text}");
    }
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
    assert!(
        fault.contains("Server-side apply not available on the server"),
        "{fault}"
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
