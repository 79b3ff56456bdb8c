//! Rust's `kube` works unchanged against the real router: typed and dynamic objects, watcher, server-side apply. Its
//! program is a crate of its own, built here with cargo, because kube with its schemas would make every build of the
//! workspace longer by more than a minute.

#[path = "rest/cluster.rs"]
#[expect(dead_code, reason = "this target needs only a part of the cluster")]
mod cluster;

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use cluster::{ROOT, Server};
use tokio::process::Command;
use tokio::time::timeout;

/// Far more than building the program with its crates for the first time takes.
const DEADLINE: Duration = Duration::from_secs(550);

async fn run(command: &mut Command) -> Output {
    let output = timeout(DEADLINE, command.kill_on_drop(true).output()).await;
    let output = output.expect("in time").expect("run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_reads_writes_watches_and_applies() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("client-kube");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/rust/Cargo.toml");
    run(Command::new(env!("CARGO"))
        .args(["build", "--locked", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target))
    .await;
    let server = Server::start().await;
    run(Command::new(target.join("debug/clients"))
        .arg(format!("http://{}", server.address))
        .env("GUIDEWAY_TOKEN", ROOT.text()))
    .await;
}
