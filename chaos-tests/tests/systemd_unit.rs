//! Promise: the systemd unit in deploy/ is one that systemd takes, gives a node little that it does not need, and takes
//! nothing that it does.
//!
//! Needs systemd, of which only systemd-analyze is run.

use std::path::{Path, PathBuf};

use guideway_chaos_tests::{binary, program, repository};
use tempfile::TempDir;

const UNIT: &str = "deploy/systemd/guideway.service";
const INSTALLED: &str = "/usr/local/bin/guideway";

/// What `systemd-analyze security` gives at most, in tenths: from 0, nothing is allowed, to 100, everything is. 11 of these
/// are the network, which a load balancer is for.
const EXPOSURE_AT_MOST: u32 = 15;

/// The unit with the binary of this build in its line.
fn unit() -> (TempDir, PathBuf) {
    let text = repository::read(Path::new(UNIT));
    assert!(text.contains(&format!("ExecStart={INSTALLED} run --config ")), "{text}");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guideway.service");
    let binary = binary::guideway().display().to_string();
    std::fs::write(&path, text.replace(INSTALLED, &binary)).expect("written");
    (folder, path)
}

#[test]
fn systemd_takes_every_line() {
    let (_folder, path) = unit();
    let mut command = program::command("systemd-analyze");
    let output = command.arg("verify").arg(&path).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    // It warns of a line that it does not know, and goes on.
    let about_us: Vec<&str> = said.lines().filter(|line| line.contains("guideway.service")).collect();
    assert!(output.status.success() && about_us.is_empty(), "{said}");
}

#[test]
fn it_exposes_little() {
    let (_folder, path) = unit();
    let threshold = format!("--threshold={EXPOSURE_AT_MOST}");
    let mut command = program::command("systemd-analyze");
    let command = command.args(["security", "--offline=true", "--no-pager", &threshold]);
    let report = program::run(command.arg(&path));
    let report = report.unwrap_or_else(|failure| panic!("it exposes more than {EXPOSURE_AT_MOST} tenths: {failure}"));
    assert!(
        report.contains("Overall exposure level for guideway.service"),
        "{report}"
    );
}

/// What the node calls beyond the ordinary is in the groups that the unit allows and in none that it forbids.
#[test]
fn what_the_node_calls_is_let_through() {
    let text = repository::read(Path::new(UNIT));
    let filters: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("SystemCallFilter="))
        .collect();
    assert_eq!(filters, ["@system-service", "~@privileged"]);
    let (allowed, forbidden) = (calls("@system-service"), calls("@privileged"));
    for call in [
        "io_uring_setup",
        "io_uring_enter",
        "io_uring_register",
        "prlimit64",
        "splice",
        "recvmmsg",
        "sendmmsg",
        "fdatasync",
        "fallocate",
        "flock",
        "sched_getaffinity",
        "fchmod",
        "getrandom",
        "memfd_create",
    ] {
        let call = call.to_owned();
        assert!(allowed.contains(&call), "{call} is not in @system-service");
        assert!(!forbidden.contains(&call), "{call} is in @privileged");
    }
    assert!(forbidden.contains(&"mount".to_owned()) || !allowed.contains(&"mount".to_owned()));
}

/// The calls of a group and of the groups in it.
fn calls(group: &str) -> Vec<String> {
    let mut command = program::command("systemd-analyze");
    let text = program::must(command.args(["syscall-filter", "--no-pager", group]));
    let names = text.lines().map(str::trim).skip(1);
    names
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .flat_map(|name| match name.starts_with('@') {
            true => calls(name),
            false => vec![name.to_owned()],
        })
        .collect()
}
