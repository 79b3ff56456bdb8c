//! A node started by hand, with a route for it to carry and clients of that route.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use guideway_node::client::{Access, Client};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::addresses::Block;
use crate::process::{Process, argument, expect, join};
use crate::wait::until;

/// Port of the listener that [`TestNode::apply_route`] makes.
const LISTENER_PORT: u16 = 5432;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// A configuration and a folder; the process is started by [`TestNode::run`].
pub(crate) struct TestNode {
    host: Ipv4Addr,
    folder: TempDir,
}

impl TestNode {
    /// Writes the configuration of a node on `host`; `more` is added to it.
    pub(crate) fn new(name: &str, host: Ipv4Addr, more: &str) -> TestNode {
        let node = TestNode {
            host,
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
        };
        let text = format!(
            "name = \"{name}\"\ndata_dir = \"{}\"\n\
             peer.listen = \"{}\"\napi.listen = \"{host}:7443\"\nmetrics.listen = \"{host}:7445\"\n\
             data.address = \"{host}\"\ndata.threads = 2\n{more}\n",
            node.folder.path().join("data").display(),
            node.peer(),
        );
        std::fs::write(node.folder.path().join("guideway.toml"), text).expect("the folder is writable");
        node
    }

    /// The configuration file, as an argument.
    pub(crate) fn config(&self) -> String {
        let path: PathBuf = self.folder.path().join("guideway.toml");
        argument(&path)
    }

    /// The kubeconfig of its administrator, as an argument.
    pub(crate) fn kubeconfig(&self) -> String {
        argument(&self.folder.path().join("data/admin.kubeconfig"))
    }

    /// Where other nodes reach it.
    pub(crate) fn peer(&self) -> String {
        format!("{}:7444", self.host)
    }

    /// Starts it.
    pub(crate) fn start(&self) -> Process {
        Process::guideway(["run", "--config", &self.config()])
    }

    /// Starts it and waits until it is ready.
    pub(crate) async fn run(&self) -> Process {
        let mut process = self.start();
        until("/readyz says yes", async || {
            if let Some(status) = process.ended() {
                panic!("the node ended with {status}:\n{}", process.output());
            }
            self.probe("/readyz").await.and_then(|(status, text)| match status {
                200 => Ok(()),
                _ => Err(text),
            })
        })
        .await;
        process
    }

    /// A client of its API.
    pub(crate) fn client(&self) -> Client {
        let server = format!("https://{}:7443", self.host);
        let access = Access::from_kubeconfig(Path::new(&self.kubeconfig()), Some(&server));
        Client::new(access.expect("the node has its place"), REQUEST_TIMEOUT)
    }

    /// Status and text of a path of its API.
    pub(crate) async fn probe(&self, path: &str) -> Result<(u16, String), String> {
        let answer = self.client().probe(path).await;
        answer
            .map(|(status, text)| (status.as_u16(), text))
            .map_err(|error| error.to_string())
    }

    /// Its metrics.
    pub(crate) async fn metrics(&self) -> String {
        let access = Access::plain(&format!("http://{}:7445", self.host));
        let client = Client::new(access, REQUEST_TIMEOUT);
        client.probe("/metrics").await.expect("metrics are served").1
    }

    /// Where the route's listener is.
    pub(crate) fn listener(&self) -> SocketAddr {
        SocketAddr::from((self.host, LISTENER_PORT))
    }

    /// Applies a Gateway, a TCPRoute and a Backend, all called `db`; `endpoint` is one entry of the Backend.
    pub(crate) async fn apply_route(&self, endpoint: Value) {
        let gateway = json!({
            "gatewayClassName": "guideway",
            "listeners": [{"name": "db", "protocol": "TCP", "port": LISTENER_PORT}]
        });
        let route = json!({
            "parentRefs": [{"name": "db"}],
            "rules": [{"backendRefs": [{"group": "guideway.dev", "kind": "Backend", "name": "db"}]}]
        });
        let objects = [
            (
                "guideway.dev/v1alpha1",
                "backends",
                "Backend",
                json!({"endpoints": [endpoint]}),
            ),
            ("gateway.networking.k8s.io/v1", "tcproutes", "TCPRoute", route),
            ("gateway.networking.k8s.io/v1", "gateways", "Gateway", gateway),
        ];
        for (version, plural, kind, spec) in objects {
            let object = json!({
                "apiVersion": version, "kind": kind, "metadata": {"name": "db", "namespace": "default"}, "spec": spec
            });
            let path = format!("/apis/{version}/namespaces/default/{plural}");
            self.client().post(&path, &object).await.expect("the object is valid");
        }
    }

    /// The Gateway that was applied.
    pub(crate) async fn gateway(&self) -> Value {
        let path = "/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways/db";
        self.client().get(path).await.expect("the Gateway is there")
    }

    /// A session through the listener over which bytes have come back.
    pub(crate) async fn session(&self) -> TcpStream {
        until("bytes come back through the relay", async || {
            let stream = TcpStream::connect(self.listener()).await;
            let mut stream = stream.map_err(|error| error.to_string())?;
            say(&mut stream, "hello").await?;
            Ok(stream)
        })
        .await
    }
}

/// An endpoint that echoes until the client has nothing more to say.
pub(crate) async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await.ok();
            });
        }
    });
    address
}

/// A Backend's entry for an address.
pub(crate) fn by_address(endpoint: SocketAddr) -> Value {
    json!({"ip": endpoint.ip(), "port": endpoint.port()})
}

/// Sends `text` and expects it back.
pub(crate) async fn say(stream: &mut TcpStream, text: &str) -> Result<(), String> {
    let exchange = async {
        stream.write_all(text.as_bytes()).await?;
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = exchange.await.map_err(|error| error.to_string())?;
    if answer == text.as_bytes() {
        Ok(())
    } else {
        Err(format!("{answer:?}"))
    }
}

/// Two running nodes of one cluster, which do not wait for sessions when they stop: the first has made it, the second has joined.
pub(crate) async fn pair(block: &Block) -> [(TestNode, Process); 2] {
    let more = "shutdown.deadline = \"0s\"";
    let one = TestNode::new("one", block.host(1), more);
    let two = TestNode::new("two", block.host(2), more);
    expect(0, ["init", "--config", &one.config()]).await;
    let first = one.run().await;
    join(0, &two.config(), &one.config()).await;
    let second = two.run().await;
    [(one, first), (two, second)]
}
