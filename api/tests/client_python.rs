//! Python's `kubernetes` works unchanged against the real router: typed and dynamic clients, watch, server-side apply.
//! Needs Python 3 with venv, and a way to PyPI once: the package goes into a virtual environment below the target folder.

#[path = "rest/cluster.rs"]
#[expect(dead_code, reason = "this target needs only a part of the cluster")]
mod cluster;

use std::path::{Path, PathBuf};
use std::time::Duration;

use cluster::{ROOT, Server};
use tokio::process::Command;
use tokio::time::timeout;

/// Far more than any step takes, fetching the package included.
const DEADLINE: Duration = Duration::from_secs(300);
/// The package that is known to work.
const PACKAGE: &str = "kubernetes==37.0.2";

async fn run(program: &Path, arguments: &[&str]) {
    let wanted = "this test needs python3 with venv (Debian: apt-get install -y python3-venv) and a way to PyPI";
    let mut command = Command::new(program);
    let output = command
        .args(arguments)
        .env("GUIDEWAY_TOKEN", ROOT.text())
        .kill_on_drop(true)
        .output();
    let output = timeout(DEADLINE, output).await.expect("in time");
    let output = output.unwrap_or_else(|error| panic!("{program:?}: {error}; {wanted}"));
    assert!(
        output.status.success(),
        "{program:?} {arguments:?}: {}; {wanted}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A Python that has the package; made once and kept.
async fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-kubernetes");
    let python = folder.join("bin/python");
    let done = folder.join(PACKAGE);
    if !done.exists() {
        let folder = folder.to_str().expect("UTF-8");
        run(Path::new("python3"), &["-m", "venv", "--clear", folder]).await;
        run(&python, &["-m", "pip", "install", "--quiet", PACKAGE]).await;
        std::fs::write(&done, "").expect("written");
    }
    python
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_reads_writes_watches_and_applies() {
    let python = python().await;
    let server = Server::start().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/python/clients.py");
    let script = script.to_str().expect("UTF-8");
    run(&python, &[script, &format!("http://{}", server.address)]).await;
}
