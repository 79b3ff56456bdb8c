//! client-go's informers, unchanged, stay in step with the real router: typed (which sends protobuf), dynamic and metadata
//! only. Needs Go 1.26 or newer, in `PATH` or /usr/local/go or named by `GO`, and a way to its modules; without them this
//! fails, because nothing else shows it.

#[path = "rest/cluster.rs"]
#[expect(dead_code, reason = "this target needs only a part of the cluster")]
mod cluster;
#[path = "clients/switch.rs"]
mod switch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use cluster::{MemoryCluster, ROOT, Server};
use guideway_api::Limits;
use guideway_model::command::Part;
use guideway_model::meta::Uid;
use guideway_model::object::FieldValidation;
use guideway_model::{Command as Change, Kind, Object, ObjectKey, State};
use serde_json::json;
use switch::Switch;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Changes that the informers follow; `GUIDEWAY_SOAK` asks for ten times as many.
const CHANGES: u64 = 10_000;
/// Services there are at once, at most.
const SERVICES: u64 = 300;
/// Changes between two checks; each check follows a switch of nodes, an overflow of the ring of changes, or both.
const STEP: u64 = 1_000;
/// Far more than any step takes, building the program with its libraries for the first time included.
const DEADLINE: Duration = Duration::from_secs(550);

/// The program with its informers.
struct Clients {
    _process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Clients {
    async fn start(url: &str) -> Clients {
        let mut process = Command::new(build().await)
            .arg(url)
            .env("GUIDEWAY_TOKEN", ROOT.text())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("started");
        let input = process.stdin.take().expect("piped");
        let output = BufReader::new(process.stdout.take().expect("piped")).lines();
        let mut clients = Clients {
            _process: process,
            input,
            output,
        };
        clients.expect("synced").await;
        clients
    }

    async fn expect(&mut self, wanted: &str) {
        let line = timeout(DEADLINE, self.output.next_line())
            .await
            .expect("in time")
            .expect("read");
        assert_eq!(
            line.as_deref(),
            Some(wanted),
            "the reason is in the output of this test"
        );
    }

    /// Waits until every informer has exactly what there is.
    async fn check(&mut self, state: &State) {
        let services: BTreeMap<String, String> = state
            .list(Kind::Service, None, None)
            .map(|object| {
                let meta = object.meta();
                let key = format!("{}/{}", meta.namespace, meta.name);
                (key, meta.resource_version.to_string())
            })
            .collect();
        let mut line = json!(services).to_string();
        line.push('\n');
        self.input.write_all(line.as_bytes()).await.expect("written");
        self.expect("in step").await;
    }
}

/// Builds the program with Go, into the target folder.
async fn build() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/go");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
    let go = ["/usr/local/go/bin/go", "go"].map(PathBuf::from);
    let named = std::env::var_os("GO").map(PathBuf::from);
    let mut go = named
        .into_iter()
        .chain(go)
        .filter(|go| !go.is_absolute() || go.exists());
    let output = Command::new(go.next().expect("the last is a name"))
        .current_dir(source)
        .args(["build", "-trimpath", "-o"])
        .arg(&program)
        .arg(".")
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=readonly")
        .kill_on_drop(true)
        .output();
    let output = timeout(DEADLINE, output)
        .await
        .expect("built in time")
        .unwrap_or_else(|error| {
            panic!(
                "this test needs Go 1.26 or newer ({error}): install it (https://go.dev/doc/install), or name it in GO"
            )
        });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

fn service(name: &str, port: u64) -> Object {
    let json = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": name, "namespace": "default" },
        "spec": { "ports": [{ "port": port }] },
    });
    Object::decode(Kind::Service, json, FieldValidation::Strict)
        .expect("valid")
        .object
}

/// The change with this number: a create, an update or a delete of one of [`SERVICES`], spread evenly.
fn change(number: u64, state: &State) -> Change {
    let name = format!("s{}", number.wrapping_mul(7_919) % SERVICES);
    let key = ObjectKey {
        kind: Kind::Service,
        namespace: "default".to_owned(),
        name: name.clone(),
    };
    let object = service(&name, 1 + number % 60_000);
    match (state.get(&key), number % 3) {
        (None, _) => Change::Create {
            object,
            uid: Uid(format!("uid-{number}")),
        },
        (Some(_), 0) => Change::Delete {
            key,
            expected: None,
            uid: None,
        },
        (Some(_), _) => Change::Replace {
            object,
            part: Part::Main,
            expected: None,
            uid: None,
        },
    }
}

/// More changes than are kept, faster than any watch follows: every watch that is open, and every one that resumes,
/// meets 410.
fn overflow(cluster: &MemoryCluster, round: u64) {
    for change in 0..=State::CHANGES_KEPT as u64 {
        cluster.apply(Change::Replace {
            object: service("busy", 1 + (round * 31_337 + change) % 60_000),
            part: Part::Main,
            expected: None,
            uid: None,
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn informers_stay_in_step_through_410_and_switches_of_nodes() {
    let first = Server::start().await;
    let cluster = std::sync::Arc::clone(&first.cluster);
    let second = Server::serving(std::sync::Arc::clone(&cluster), Limits::default()).await;
    let switch = Switch::start(first.address).await;
    cluster.apply(Change::Create {
        object: service("busy", 1),
        uid: Uid("busy".to_owned()),
    });
    let mut clients = Clients::start(&format!("http://{}", switch.address)).await;
    clients.check(&cluster.state()).await;
    let rounds = if std::env::var_os("GUIDEWAY_SOAK").is_some() {
        10
    } else {
        1
    };
    for number in 1..=CHANGES * rounds {
        cluster.apply(change(number, &cluster.state()));
        if number.is_multiple_of(50) {
            // Lets the watches follow for a part of the way.
            tokio::task::yield_now().await;
        }
        if number.is_multiple_of(STEP) {
            let step = number / STEP;
            if step.is_multiple_of(3) {
                overflow(&cluster, step);
            }
            if step.is_multiple_of(2) {
                let nodes = [first.address, second.address];
                switch.to(nodes[usize::from(step % 4 == 2)]);
            }
            clients.check(&cluster.state()).await;
        }
    }
}
