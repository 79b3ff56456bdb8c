//! A network namespace that goes with the process.

use std::process::Command;

/// In the environment of a program that runs in its namespace.
const INSIDE: &str = "GUIDEWAY_TEST_NAMESPACE";

/// Runs `inside` in a network namespace of its own, whose loopback is up: starts this program again there.
pub(crate) fn within(inside: impl FnOnce()) {
    if std::env::var(INSIDE).is_ok() {
        must(Command::new("ip").args(["link", "set", "lo", "up"]));
        return inside();
    }
    assert!(
        rustix::process::geteuid().is_root(),
        "this test makes a network namespace: run it as root"
    );
    let program = std::env::current_exe().expect("this program");
    must(Command::new("unshare").arg("--net").arg(program).env(INSIDE, "1"));
}

fn must(command: &mut Command) {
    let status = command.status().expect("it starts");
    assert!(status.success(), "{command:?}: {status}");
}
