//! kubectl with a configuration of its own, and the server that it talks to.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use guideway_api::{AuditLog, Limits, ServerTls, Transport};
use guideway_identity::{
    Authority, Key, KubeconfigServer, MASTERS, NodeSubject, UserSubject, Validity, certificates, kubeconfig,
};
use guideway_model::node::{BindAddress, BindResult, Protocol, SocketKey};
use guideway_model::{Command as Change, Incarnation, NodeId};
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::UnixTime;
use serde_json::Value;
use tempfile::{NamedTempFile, TempDir};
use tokio::process::Command;
use tokio::time::timeout;

use crate::cluster::{MemoryCluster, Server};

/// Oldest minor version of kubectl that is promised to work.
const OLDEST_MINOR: u64 = 29;
/// Far more than any command takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A Gateway, a route, a Service and its slice.
pub(crate) const MANIFESTS: &str = "
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
pub(crate) struct Kubectl {
    program: PathBuf,
    home: TempDir,
    pub(crate) server: Server,
}

impl Kubectl {
    pub(crate) async fn start() -> Kubectl {
        let program = PathBuf::from(std::env::var_os("KUBECTL").unwrap_or_else(|| "kubectl".into()));
        let authority = Authority::create("cluster", UnixTime::now()).expect("an authority");
        let cluster = Arc::new(MemoryCluster::new());
        let transport = Transport::Tls(tls(&authority));
        let server = Server::with(cluster, Limits::default(), transport, AuditLog::off()).await;
        let home = TempDir::new().expect("folder");
        // kubectl shows neither certificate nor token without TLS.
        let root = UserSubject {
            user: "root".to_owned(),
            groups: vec![MASTERS.to_owned()],
        };
        let (certificate, key) = authority.issue_user(&root, validity()).expect("a certificate");
        let at = KubeconfigServer {
            name: "test".to_owned(),
            url: format!("https://{}", server.address),
        };
        let config = kubeconfig(&[at], "root", authority.certificate_pem(), &certificate, &key);
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

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.home.path().join("config"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        let output = timeout(DEADLINE, self.command(arguments).output()).await;
        output.expect("finished in time").expect("run")
    }

    /// What a command prints that must succeed, without a word of complaint.
    pub(crate) async fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && complaint.is_empty(),
            "{arguments:?}: {complaint}"
        );
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// What a command says that must fail.
    pub(crate) async fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert!(!output.status.success(), "{arguments:?} succeeded");
        String::from_utf8(output.stderr).expect("UTF-8")
    }

    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        let text = self.ok(&[arguments, &["-o", "json"]].concat()).await;
        serde_json::from_str(&text).expect("JSON")
    }

    /// Reports the listener of the manifests as bound on the only node, as its data plane would.
    pub(crate) fn bind_listener(&self) {
        let cluster = &self.server.cluster;
        let node = NodeId(1);
        let incarnation = Incarnation(1);
        cluster.start_node(node, incarnation);
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

fn validity() -> Validity {
    Validity::starting(UnixTime::now(), Duration::from_secs(24 * 3600))
}

/// TLS with the certificate of a node.
fn tls(authority: &Authority) -> ServerTls {
    let subject = NodeSubject {
        cluster: "cluster".to_owned(),
        number: 1,
        name: "one".to_owned(),
        dns: Vec::new(),
        ips: Vec::new(),
    };
    let key = Key::generate().expect("a key");
    let chain = authority
        .issue_node(&subject, &key.public(), validity())
        .expect("a certificate");
    let chain = certificates(&chain).expect("PEM");
    let certified = CertifiedKey::from_der(chain, key.der(), &aws_lc_rs::default_provider());
    ServerTls::new(
        authority.certificate_pem(),
        Arc::new(certified.expect("they go together")),
    )
    .expect("usable")
}

pub(crate) fn manifest(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".yaml").expect("file");
    file.write_all(text.as_bytes()).expect("written");
    file
}

pub(crate) fn path(file: &NamedTempFile) -> &str {
    file.path().to_str().expect("UTF-8")
}
